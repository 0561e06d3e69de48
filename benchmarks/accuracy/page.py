"""docs/accuracy.md and README's table, from the lines of a results file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy import tables
from benchmarks.accuracy.compared import N_DRAWS, Comparisons, peers_of
from benchmarks.accuracy.figures import (
    Row,
    backbones_of,
    current,
    mean_times,
    rows_of,
    times_by_task,
)
from benchmarks.accuracy.methods import RETRIEVAL
from benchmarks.accuracy.plot import draw
from benchmarks.accuracy.problem import NONE
from benchmarks.accuracy.results import Results
from benchmarks.accuracy.times import N_ROUNDS, N_TIMED
from benchmarks.calibration import N_BINS
from benchmarks.data import TITLES
from benchmarks.lines import Line
from benchmarks.pages import between_marks

PICTURE = Path("images", "accuracy.png")

Times = dict[str, dict[str, float]]

INTRODUCTION = f"""\
# Accuracy and cost, beside the plain peers

Made by `python -m benchmarks.accuracy` from its lines and from its answers to every
test text, which are in the repository (`benchmarks/results/accuracy.jsonl` and
`accuracy_texts.jsonl`); not edited. Every method is fitted on the same 2,000 training
texts, drawn with a seed (CR has 1,768), and judged on the whole test file, of banking77
and clinc150 on 1,000 texts of it. [Data](data.md) says where the files come from, which
splits are ours, and what was seen of them before.

How to read the tables:

- **accuracy** is the mean of the ten tasks in per cent; ± is the standard deviation of
  this mean over the seeds. It covers which training texts are drawn. It does not cover
  which test texts there are; the intervals under "Above or below" cover both.
- **eight tasks** is the same without banking77 and clinc150, for which the paper has no
  prompt: what needs one has these eight only.
- **log-loss** (natural logarithm) and **ECE**, the expected calibration error in
  {N_BINS} bins of as many texts each, are of the probabilities; the k-NN vote's shares
  are not meant as such. With **cost**, the mean share of the backbone's full pass, they
  are means over the ten tasks, or over the eight where a method has no ten.
- **ms** is milliseconds per text, as under "Time".
- **seeds**: how many have all tasks of the mean; of two numbers the first is of the ten
  tasks, the second of the eight. A row without a whole seed is left out.
- No method has class weights, but in the table beside. LR is logistic regression whose
  C is searched by five folds. MiniLM and mpnet are the sentence encoders
  all-MiniLM-L6-v2 and all-mpnet-base-v2, in the number format of the backbone. A linear
  probe is LR on the states that the ridge rows read, of the last layer or of the one
  that is best on a fifth of the training texts; it runs the whole backbone.
- A sentence encoder as backbone reads the text alone. Gemma 3 270M reads the paper's
  prompt where the task has one.
"""

WEIGHTS = """\
CR and MPQA have training files of unequal classes (79/21 and 76/24) and test files of
equal ones. Accuracy without and with `class_weight="balanced"`, which goes to every
method that can take it. The k-NN vote cannot; what reads the label words learns none.
"""

COMPARED = f"""\
Difference of accuracy in points, of each ridge row less a peer on the same training and
test texts, with its 95 % interval by the paired bootstrap over test texts and seeds
({N_DRAWS:,} draws, `benchmarks/bootstrap.py`). "Above" and "below" are said where the
interval leaves 0 out. Without class weights.
"""

TIMES = f"""\
Milliseconds per text: the median of {N_ROUNDS} rounds in which all methods take turns
on the same new test texts of a task, {N_TIMED} or all that there are, after one round
that does not count. The sentence encoders compute in the backbone's number format. A
linear probe is timed as the full sweep that it is. The column of the table above is the
mean over the timed tasks among the eight.
"""

SETFIT = """\
SetFit 1.2 on all-MiniLM-L6-v2 in its published form, pairs of texts by so many
iterations, then a head without class weights; all on the same training texts, mean and
standard deviation over the seeds that SetFit has.
"""


PLOT = f"""\
Mean accuracy of the timed tasks among the eight, of the methods that have all of them.

![Accuracy over milliseconds per text]({PICTURE.as_posix()})
"""


def write_page(results: Results, docs: Path) -> None:
    """Write accuracy.md and its plot to a folder, and the table of README beside it."""
    lines = list(results.lines)
    judged = current(lines)
    if not judged:
        path = results.lines.path
        raise SystemExit(f"no figures in {path}; measure some before the tables")
    found = Comparisons(results.texts)
    names = backbones_of(judged) or [NONE]
    times = {backbone: times_by_task(lines, backbone) for backbone in names}
    parts = [INTRODUCTION]
    for backbone in names:
        parts += chapter(judged, backbone, times[backbone], found)
    if shown := tables.set_fit(judged, names):
        parts += ["## SetFit\n", SETFIT, shown]
    if draw(judged, times, docs / PICTURE):
        parts += ["## Accuracy over time\n", PLOT]
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "accuracy.md").write_text("\n".join(parts), encoding="utf-8")
    shown = "\n".join(headline(judged, b, times[b], found) for b in names)
    between_marks(docs.parent / "README.md", "accuracy", shown)


def chapter(
    judged: list[Line], backbone: str, times: Times, found: Comparisons
) -> list[str]:
    """Return the tables of a backbone, as far as there are lines for them."""
    rows = rows_of(judged, backbone)
    balanced = rows_of(judged, backbone, "balanced")
    sections = {
        "Averages": formats_of(rows) + tables.averages(rows, mean_times(times)),
        "Above or below": compared(backbone, found),
        "With class weights": WEIGHTS + "\n" + tables.weights_beside(rows, balanced),
        "By task": tables.accuracies(rows),
        "Log-loss by task": tables.log_losses(rows),
        "Out of domain": tables.out_of_domain(rows),
        "Time": TIMES + "\n" + tables.timed(times) if times else "",
    }
    parts = [f"## {title_of(backbone)}\n"]
    for title, text in sections.items():
        parts += [f"### {title}\n", text] if text else []
    return parts


def formats_of(rows: list[Row]) -> str:
    """Return a sentence on the number formats of the models behind some rows."""
    lines = [x for row in rows for own in row.seeds.values() for x in own.values()]
    found = sorted({line["dtype"] for line in lines if line.get("dtype")})
    return f"Models computed in {' or '.join(found)}.\n\n" if found else ""


def compared(backbone: str, found: Comparisons) -> str:
    """Return a table for each peer, those that have answers."""
    parts = []
    for peer in peers_of(backbone):
        if shown := tables.against(found, backbone, peer):
            parts.append(f"Less {peer[0]}:\n\n{shown}")
    return "\n".join([COMPARED, *parts]) if parts else ""


def headline(
    judged: list[Line], backbone: str, times: Times, found: Comparisons
) -> str:
    """Return what the README has of a backbone: what to expect at which cost."""
    rows = [row for row in rows_of(judged, backbone) if row.named[0] != RETRIEVAL]
    shown = tables.headline(rows, mean_times(times), found, backbone)
    return f"**{title_of(backbone)}**\n\n{shown}"


def title_of(backbone: str) -> str:
    return TITLES.get(backbone, "The peers alone" if backbone == NONE else backbone)
