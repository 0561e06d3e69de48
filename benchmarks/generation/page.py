"""The section on summaries in docs/paper.md."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean
from typing import Any

from benchmarks.data import TITLES
from benchmarks.generation.methods import FITTED, FIXED, title_of
from benchmarks.lines import Line
from benchmarks.pages import spread, table

INTRODUCTION = """\
The paper's conference version lists two results of summarisation without a protocol: no
word on prompts, lengths and decoding, nor on how a text's right depth is known where
the answer is a text.

| | CNN/DailyMail | XSum |
|---|---|---|
| *paper, RAEE, ROUGE-L* | *14.01* | *7.15* |

[`RAEEGenerator`](how-to/generate.md) is a design of our own, and these are other texts:
nothing below can be compared with the paper's two figures, but only the rows with each
other, and each with the full depth of its own backbone. ROUGE-L is in per cent, against
the nearest of a text's references. Tokens a second count those that were generated; on
a CPU the seconds are those that the processor worked, all threads together, not the
clock's. Key, search and prompts are in them, `fit` is not. Depths count the layers that
write: of CALM they are the mean over tokens, of the drafting row the depth that drafts.
What loses is shown as it is.
"""


def section(lines: Iterable[Line]) -> str:
    """Return the section: the paper's rows, and a table for each backbone."""
    done = [line for line in lines if "failed" not in line]
    failed = [line for line in lines if "failed" in line]
    parts = [INTRODUCTION]
    for backbone in dict.fromkeys(line["backbone"] for line in [*done, *failed]):
        own = [line for line in done if line["backbone"] == backbone]
        most = max((line["n_test"] for line in own), default=0)
        parts += _of_backbone(
            backbone,
            [line for line in own if line["n_test"] == most],
            [line for line in failed if line["backbone"] == backbone],
        )
    return "\n".join(parts)


def _of_backbone(backbone: str, done: list[Line], failed: list[Line]) -> list[str]:
    rows = []
    for method in _order({line["method"] for line in done}):
        rows.append(_row(method, [x for x in done if x["method"] == method]))
    parts = [f"### SciTLDR, {TITLES.get(backbone, backbone)}\n"]
    if rows:
        head = ["", "ROUGE-L", "tokens a second", "mean depth", "tokens a text", ""]
        parts += [_data_of(done), table(head, rows)]
    for line in failed:
        if line["method"] not in {one["method"] for one in done}:
            parts.append(f"{title_of(line['method'])} failed: {line['failed']}\n")
    return parts


def _order(found: set[str]) -> list[str]:
    kinds = [method.rpartition("-") for method in found]
    of_depths = [
        f"{kind}-{depth}"
        for kind in ("depth", "encoder")
        for depth in sorted(int(number) for name, _, number in kinds if name == kind)
    ]
    known = [*FIXED, *of_depths, *FITTED]
    return [method for method in known if method in found]


def _row(method: str, lines: list[Line]) -> list[str]:
    def said(name: str, digits: int = 1) -> str:
        values = [line[name] for line in lines if line.get(name) is not None]
        return f"{mean(values):.{digits}f}" if values else ""

    note = ""
    if any("accepted_share" in line for line in lines):
        accepted = mean(line["accepted_share"] for line in lines)
        passes = mean(line["passes_per_token"] for line in lines)
        note = f"{accepted:.0%} accepted, {passes:.2f} full passes a token"
    return [
        title_of(method),
        spread([line["rouge_l"] for line in lines]),
        said(_rate_of(lines)),
        said("mean_depth"),
        said("mean_tokens"),
        note,
    ]


def _rate_of(lines: list[Line]) -> str:
    on_gpu = any(line["machine"]["gpu"] for line in lines)
    return "tokens_per_second" if on_gpu else "tokens_per_processor_second"


def _data_of(lines: list[Line]) -> str:
    some: dict[str, Any] = next((x for x in lines if "n_layers" in x), lines[0])
    fits = sorted({line["n_fit"] for line in lines if line["n_fit"]})
    seeds = len({line["seed"] for line in lines})
    machine = some["machine"]
    return (
        f"`python -m benchmarks.generation --backbone {some['backbone']}`: "
        f"{' and '.join(map(str, fits)) or 'no'} training and {some['n_test']} test "
        f"texts, {seeds} draw(s) of the training texts, {some.get('n_layers', '?')} "
        f"layers, {some.get('computed_in', 'auto')}, "
        f"{machine['gpu'] or str(machine['threads']) + ' thread(s) of a CPU'}.\n"
    )
