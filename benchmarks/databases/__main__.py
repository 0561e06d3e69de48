"""The command line: see ``python -m benchmarks.databases --help``."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import databases
from benchmarks.databases.apart import Case, apart
from benchmarks.databases.models import LOADS, file, share
from benchmarks.databases.page import NAMING, write_page
from benchmarks.databases.search import WAYS, Measure, search
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS

FIGURES: dict[str, tuple[Measure, tuple[str, ...]]] = {
    "search": (search, WAYS),
    "file": (file, LOADS),
    "share": (share, ("exact", "hnsw", "lancedb")),
}


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, NAMING, retry=True, on_add=show)
    if not args.table:
        with (
            TemporaryDirectory()
            if args.folder is None
            else nullcontext(args.folder) as folder
        ):
            take(lines, args, Path(folder))
    write_page(lines, args.docs)


def take(lines: Lines, args: argparse.Namespace, folder: Path) -> None:
    """Take what has no line yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in args.n:
        for figure in args.only:
            if figure == "share" and "SKRAEE_BACKBONES" not in os.environ:
                continue
            measure, ways = FIGURES[figure]
            for way in ways if args.ways is None else args.ways:
                if way in ways:
                    case = Case(n, way, folder)
                    name = {"figure": figure, "n": n, "way": way}
                    lines.once(name, partial(apart, measure, case))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.databases",
        description=databases.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--n", nargs="*", type=int, default=[10**4, 10**5, 10**6])
    parser.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--ways", nargs="*", help="hnsw lancedb, say; all otherwise")
    parser.add_argument("--folder", type=Path, help="to keep keys and models in")
    parser.add_argument("--results", type=Path, default=RESULTS / "databases.jsonl")
    parser.add_argument("--table", action="store_true", help="write the page only")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
