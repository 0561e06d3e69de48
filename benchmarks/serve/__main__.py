"""The command line: see ``python -m benchmarks.serve --help``."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from benchmarks import serve
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS
from benchmarks.serve.figures import Options, measure
from benchmarks.serve.page import NAMING, write_page


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, NAMING, on_add=show)
    if not args.table:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for backbone in args.backbone:
                measure(Options(lines, backbone, args.clients, args.seconds))
    write_page(lines, args.docs)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve",
        description=serve.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backbone", nargs="*", default=["toy", "minilm-l6"])
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--results", type=Path, default=RESULTS / "serve.jsonl")
    parser.add_argument("--table", action="store_true", help="write the page only")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
