"""The command line: see ``python -m benchmarks.scale --help``."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import scale
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS
from benchmarks.scale.measure import ENGINES, Options, measure
from benchmarks.scale.page import NAMING, write_page


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, NAMING, on_add=show)
    if not args.table:
        for backbone in args.backbone:
            measure(
                Options(
                    lines,
                    backbone,
                    args.rows,
                    args.engines,
                    args.workers,
                    args.rounds,
                )
            )
    write_page(lines, args.docs)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=scale.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--backbone", nargs="*", default=["toy"])
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS / "scale.jsonl")
    parser.add_argument("--table", action="store_true", help="write the page only")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
