"""What cutting, head and tail, and windows make of texts of 500 words and more.

There are no long labelled texts among the tasks, so that sentences of MR stand in: each
text is made of sentences of its file until it has 500 words. In a third of them, which
tells the class, four of five sentences are of the text's class, in the rest one of two.
The third is the beginning, the end, or spread over the text.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.data import Labelled, backbone_folder, read_task
from benchmarks.lines import RESULTS, Line, Lines, show
from benchmarks.pages import DOCS, between_marks, table
from benchmarks.timing import alternate, ratio
from skraee import EarlyExitClassifier
from skraee.engine.products import flop_counter

WAYS: tuple[Literal["cut", "head_tail", "mean"], ...] = ("cut", "head_tail", "mean")
WHERE = ("beginning", "anywhere", "end")
BUDGET = 0.3

_N_WORDS = 500
_OWN_WHERE_IT_TELLS, _OWN_ELSEWHERE = 0.8, 0.5
_NAMING = ("backbone", "max_length", "where", "n_train", "n_test")


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, _NAMING, on_add=show)
    for name in args.backbone:
        for max_length in args.max_length:
            for where in args.where:
                values = (name, max_length, where, args.train, args.test)
                line = dict(zip(_NAMING, values, strict=True))
                lines.once(line, partial(measured, line, args.rounds))
    between_marks(args.docs / "long-texts.md", "figures", page(lines))


def measured(line: Line, n_rounds: int) -> Line:
    """Fit and judge every way on the same texts."""
    train = long_texts("train", line["where"], line["n_train"])
    texts, labels = long_texts("test", line["where"], line["n_test"])
    fitted = {
        way: EarlyExitClassifier(
            str(backbone_folder(line["backbone"])),
            max_length=line["max_length"],
            long_texts=way,
            budget=BUDGET,
            memory=None,
        ).fit(*train)
        for way in WAYS
    }
    times = timed(fitted, texts[:64], n_rounds)
    return {
        way: {**judged(clf, texts, labels), "time": times[way]}
        for way, clf in fitted.items()
    }


def timed(fitted: dict[Any, Any], texts: list[str], n_rounds: int) -> dict[str, float]:
    """Return the time of a pass to the full depth beside that of "cut"."""
    runs: dict[str, Callable[[], Any]]
    runs = {way: partial(clf.layer_proba, texts) for way, clf in fitted.items()}
    seconds = alternate(runs, n_rounds)
    return {way: ratio(seconds[way], seconds["cut"], 2) for way in runs}


def judged(clf: Any, texts: list[str], labels: np.ndarray) -> Line:
    """Return accuracy in per cent and counted operations of a text, in 1e9."""
    with flop_counter() as within_budget:
        found = clf.predict(texts)
    with flop_counter() as whole:
        full = clf.classes_[clf.layer_proba(texts)[:, -1].argmax(axis=1)]
    return {
        "accuracy": round(100 * float((found == labels).mean()), 1),
        "full": round(100 * float((full == labels).mean()), 1),
        "operations": round(within_budget.get_total_flops() / len(texts) / 1e9, 2),
        "full_operations": round(whole.get_total_flops() / len(texts) / 1e9, 2),
    }


def long_texts(part: str, where: str, n_texts: int, seed: int = 0) -> Labelled:
    """Make texts of the sentences of a file."""
    sentences, of = (np.array(column) for column in read_task("mr", part))
    names = np.unique(of)
    pools = [sentences[of == name] for name in names]
    rng = np.random.default_rng(seed)
    codes = np.arange(n_texts) % len(names)
    texts = [_long_text(rng, pools, code, where) for code in codes.tolist()]
    return texts, names[codes]


def _long_text(
    rng: np.random.Generator, pools: list[np.ndarray], code: int, where: str
) -> str:
    mean_words = np.mean([len(s.split()) for pool in pools for s in pool[:500]])
    n = int(np.ceil(_N_WORDS / mean_words))
    tells = np.arange(n) < n // 3
    if where == "anywhere":
        tells = rng.permutation(tells)
    elif where == "end":
        tells = tells[::-1]
    own = rng.random(n) < np.where(tells, _OWN_WHERE_IT_TELLS, _OWN_ELSEWHERE)
    chosen = [str(rng.choice(pools[code if is_own else 1 - code])) for is_own in own]
    while sum(len(sentence.split()) for sentence in chosen) < _N_WORDS:
        middle = pools[int(rng.integers(2))]
        chosen.insert(len(chosen) // 2, str(rng.choice(middle)))
    return " ".join(chosen)


def page(lines: Lines) -> str:
    """Return the tables of the page, one for each backbone and length."""
    cells: dict[tuple[str, int], dict[str, Line]] = {}
    for line in lines:
        if "failed" not in line:
            key = line["backbone"], line["max_length"]
            cells.setdefault(key, {})[line["where"]] = line
    return "\n".join(_table(*key, found) for key, found in cells.items())


def _table(name: str, max_length: int, found: dict[str, Line]) -> str:
    head = ["`long_texts`"]
    for where in found:
        head += [where, "full depth"]
    head += ["10⁹ operations", "full depth", "time, full depth"]
    rows = []
    for way in WAYS:
        of_way = [line[way] for line in found.values()]
        cells = [f"{one[c]:.1f}" for one in of_way for c in ("accuracy", "full")]
        for cost in ("operations", "full_operations", "time"):
            # The first lines were made beside other work, and have no time.
            costs = [one[cost] for one in of_way if cost in one]
            cells.append(f"{np.mean(costs):.2f}" if costs else "")
        rows.append([f"`{way}`", *cells])
    some = next(iter(found.values()))
    told = (
        f"{name}, `max_length={max_length}`, `budget={BUDGET}`; {some['n_train']} "
        f"training texts, {some['n_test']} test texts, {some['machine']['threads']} "
        f"thread(s):\n\n"
    )
    return told + table(head, rows)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.long_texts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backbone", nargs="*", default=["minilm-l6"])
    parser.add_argument("--max-length", nargs="*", type=int, default=[128, 512])
    parser.add_argument("--where", nargs="*", choices=WHERE, default=list(WHERE))
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS / "long_texts.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
