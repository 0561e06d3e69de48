"""The command line: see ``python -m benchmarks.speed --help``."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks import speed
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS
from benchmarks.speed.compiling import compiling
from benchmarks.speed.depth import alone, depth, many, mixed
from benchmarks.speed.engine import engine, lengths, single, usual
from benchmarks.speed.loading import loading
from benchmarks.speed.memory import memory
from benchmarks.speed.options import Options
from benchmarks.speed.page import NAMING, write_page
from benchmarks.speed.pipelines import pipelines
from benchmarks.speed.predict import agreement, forward, parts
from benchmarks.speed.sameness import same
from benchmarks.speed.shapes import CPU, GPU, SHAPES
from benchmarks.speed.small_encoder import small

FIGURES: dict[str, Callable[[Options], None]] = {
    "engine": engine,
    "lengths": lengths,
    "usual": usual,
    "single": single,
    "parts": parts,
    "forward": forward,
    "pipeline": pipelines,
    "memory": memory,
    "loading": loading,
    "agreement": agreement,
    "depth": depth,
    "alone": alone,
    "many": many,
    "mixed": mixed,
    "compiling": compiling,
    "same": same,
    "small": small,
}


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    if args.table:
        write_page(Lines(args.results, NAMING), args.docs)
        return
    options = Options(
        lines=Lines(args.results, NAMING, on_add=show),
        shapes=args.shapes or list(CPU if args.device == "cpu" else GPU),
        dtypes=args.dtype,
        device=args.device,
        n_texts=args.texts,
        n_rounds=args.rounds,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in args.only or FIGURES:
            FIGURES[name](options)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=speed.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="*", choices=FIGURES)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS / "speed.jsonl")
    parser.add_argument("--table", action="store_true", help="write docs/speed.md only")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Several models take turns in this process. oneDNN keeps 1,024 kernels, which one
    # model alone seldom fills; here each would make its own anew after the others.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "30000")
    main()
