"""The command line: see ``python -m benchmarks.trust --help``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from benchmarks import trust
from benchmarks.lines import RESULTS, Line, Lines, show
from benchmarks.pages import DOCS, between_marks, table
from benchmarks.trust.trial import Count, Trial
from benchmarks.trust.trials import TRIALS

_NAMING = ("trial", "tries", "seed")


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, _NAMING, on_add=show)
    for trial in TRIALS if not args.table else ():
        if trial.name in args.trials or (not args.trials and trial.is_possible):
            tries = args.tries or trial.tries
            name = {"trial": trial.name, "tries": tries, "seed": args.seed}
            if not lines.has(name):
                lines.add(**name, counts=trial.run(tries, args.seed))
    between_marks(args.docs / "trust.md", "trials", page(TRIALS, lines))


def page(trials: Iterable[Trial], lines: Iterable[Line]) -> str:
    """Return the table: of each trial the last line."""
    last = {line["trial"]: line for line in lines}
    rows = [
        [
            trial.harm,
            f"{line['tries']:,} (seed {line['seed']})",
            "; ".join(
                f"{told(count)} {what}" for what, count in line["counts"].items()
            ),
            f"`{trial.name}`",
        ]
        for trial in trials
        if (line := last.get(trial.name)) is not None
    ]
    return table(["what was tried", "how often", "what came of it", "trial"], rows)


def outcome(counts: dict[str, Count]) -> str:
    return "; ".join(f"{told(count)} {name}" for name, count in counts.items())


def told(count: Count) -> str:
    return f"{count:,}" if isinstance(count, int) else f"{count:,.4g}"


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trust",
        description=trust.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [trial.name for trial in TRIALS]
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help="(all)")
    parser.add_argument("--tries", type=int, help="(each trial's own number)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS / "trust.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--table", action="store_true", help="only write the table")
    args = parser.parse_args(arguments)
    for trial in TRIALS:
        if trial.name in args.trials and not trial.is_possible:
            parser.error(f"{trial.name} needs {trial.needs}; install it with pip")
    if unknown := sorted(set(args.trials) - set(names)):
        parser.error(f"no trial is named {unknown[0]}; there are {', '.join(names)}")
    return args


if __name__ == "__main__":
    main()
