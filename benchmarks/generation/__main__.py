"""The command line: see ``python -m benchmarks.generation --help``."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import benchmarks.generation
from benchmarks.generation import encoder_depth
from benchmarks.generation.encoder_depth import n_encoder_layers
from benchmarks.generation.measure import NAMING, measured
from benchmarks.generation.methods import (
    FITTED,
    FIXED,
    Case,
    Method,
    at_depth,
    at_encoder_depth,
)
from benchmarks.generation.page import section
from benchmarks.generation.scitldr import drawn, read_part
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS, between_marks

TEMPLATE = "{text}\n\nTL;DR:"


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, NAMING, args.retry, on_add=show)
    times = Lines(args.times, encoder_depth.NAMING, args.retry, on_add=show)
    if not args.table:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if args.encoder_times:
                encoder_depth.measure_times(times)
            else:
                for name in args.backbone:
                    run(case_of(name, args), lines, args)
    written = section(list(lines)) + encoder_depth.section(list(times))
    between_marks(args.docs / "paper.md", "generation", written)


def run(case: Case, lines: Lines, args: argparse.Namespace) -> None:
    """Measure all rows of a backbone that have no line yet."""
    depths = args.depths
    if depths is None:
        wanted = args.methods is None or "depth" in args.methods
        depths = range(1, case.writer.n_layers) if wanted else ()
    fixed: dict[str, Method] = {
        **FIXED,
        **{f"depth-{depth}": at_depth(depth) for depth in depths},
        **{
            f"encoder-{depth}": at_encoder_depth(depth)
            for depth in range(n_encoder_layers(case.writer.backbone))
        },
    }
    for method, write in fixed.items():
        if is_wanted(method, args.methods):
            name = named(case, method, n_fit=0)
            lines.once(name, partial(measured, case, write))
    pairs = read_part("train")
    for seed in args.seeds:
        of_seed = replace(case, fit=drawn(pairs, args.n_fit, seed), seed=seed)
        for method, write in FITTED.items():
            if is_wanted(method, args.methods):
                name = named(of_seed, method, n_fit=len(of_seed.fit[0]))
                lines.once(name, partial(measured, of_seed, write))


def is_wanted(method: str, methods: list[str] | None) -> bool:
    """Whether a row was asked for, by its name or by that of its kind."""
    kind = method.rpartition("-")[0]
    return methods is None or method in methods or kind in methods


def named(case: Case, method: str, n_fit: int) -> dict[str, object]:
    values = (case.backbone, method, case.seed, n_fit, len(case.test[0]))
    return dict(zip(NAMING, values, strict=True))


def case_of(name: str, args: argparse.Namespace) -> Case:
    settings = {
        "template": args.template,
        "max_new_tokens": args.max_new_tokens,
        "stop": "\n",
        "max_length": args.max_length,
        "dtype": args.dtype,
        "device": args.device,
        "batch_tokens": args.batch_tokens,
    }
    test = drawn(read_part("test"), args.n_test, seed=0)
    return Case(name, args.encoder, ([], []), test, settings, args.store)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generation",
        description=benchmarks.generation.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--backbone", nargs="*", default=["gemma3-270m", "qwen2.5-0.5b"])
    add("--encoder", default="minilm-l6")
    add(
        "--methods",
        nargs="*",
        help="rows, by name or kind (lead calm depth encoder raee)",
    )
    add("--depths", nargs="*", type=int, help="default: each but the last")
    add("--n-fit", type=int, default=1_000)
    add("--n-test", type=int, help="default: the whole test file")
    add("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    add("--template", default=TEMPLATE)
    add("--max-new-tokens", type=int, default=48)
    add("--max-length", type=int, default=512)
    add("--batch-tokens", type=int, default=8192)
    add("--dtype", default="auto")
    add("--device", default="auto")
    add(
        "--encoder-times",
        action="store_true",
        help="measure what a T5 saves with half an encoder, and nothing else",
    )
    add("--store", type=Path, help="a folder for sweeps; none by default")
    add("--retry", action="store_true", help="run again what failed")
    add("--table", action="store_true", help="write the table only")
    add("--results", type=Path, default=RESULTS / "generation.jsonl")
    add("--times", type=Path, default=RESULTS / "encoder_depth.jsonl")
    add("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
