"""docs/paper.md: the paper's tables as measured here, with findings and figures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lines import Lines
from benchmarks.pages import between_marks, within_marks
from benchmarks.paper.findings import findings
from benchmarks.paper.latency_tables import at_a_glance, figure3, table2
from benchmarks.paper.reported import SOURCE
from benchmarks.paper.section import Section
from benchmarks.paper.selection import sections_of
from benchmarks.paper.setting_tables import over_settings, sleb_order, table5
from benchmarks.paper.tables import span, table1, table8
from benchmarks.paper.text_tables import examples, figure2

# Written by a command of its own, and kept as it is.
SUMMARIES = """\
## Summaries: RAEE for generated text

Made by `python -m benchmarks.generation` from `benchmarks/results/generation.jsonl`.

<!-- generation -->
{}<!-- end of generation -->
"""
AT_A_GLANCE = "gemma3-270m"
INTRODUCTION = f"""\
# The RAEE paper's tables, measured

Made by `python -m benchmarks.paper` from its lines, which are in the repository
(`benchmarks/results/paper.jsonl`); not edited. The paper is
[Huang et al., ICLR 2026, arXiv 2405.15198]({SOURCE}); prompts, k = 12 and tau = 0.9 are
its own. Accuracy in per cent, for CoLA the Matthews correlation x 100, as in the
paper's Table 1, and averages over tasks of both. RAEE in the paper's form retrieves by
a sentence encoder; exits are 0 to m, as in the authors' program, and 1 to m in a row of
their own, as in the paper's text. Rows in italics are the paper's own figures; where
the backbone here is none of the paper's, they are of other backbones: no target, but
the size of the effect. What failed is shown as failed, with the reason. No baseline was
tuned but where its row says so: DeeBERT's learning rate and threshold by three folds of
the training texts, RAEE's k, tau, smallest exit and votes by leave-one-out. TF-IDF, the
k-NN vote on RAEE's own neighbours and the logistic regressions are plain peers that the
paper does not have.
"""


def write_page(lines: Lines, docs: Path) -> None:
    """Write paper.md, its images and the table of benchmarks.md from lines."""
    accuracy = Lines(lines.path.parent / "accuracy.jsonl")
    sections = sections_of(lines, accuracy)
    if not sections:
        raise SystemExit(f"no lines in {lines.path}; make a table before the page")
    parts = [INTRODUCTION, "## Findings\n"]
    parts += [f"### {s.title}\n\n{findings(s)}" for s in sections]
    (docs / "images").mkdir(parents=True, exist_ok=True)
    for section in sections:
        parts += chapter(section, docs)
    page = docs / "paper.md"
    parts.append(SUMMARIES.format(within_marks(page, "generation")))
    page.write_text("\n".join(parts), encoding="utf-8")
    shown = [s for s in sections if s.backbone == AT_A_GLANCE]
    if shown:
        between_marks(docs / "benchmarks.md", "paper", at_a_glance(shown[0]))


def chapter(section: Section, docs: Path) -> list[str]:
    """Return the tables of a backbone; those without lines are left out."""
    parts = [f"## {section.title}\n", data_of(section)]
    made = {
        "Table 1: accuracy": ("table1", table1(section)),
        "Table 8: average exit": ("table1", table8(section)),
        "Table 2: corrective information": ("table2", table2(section)),
        "Table 3: k": ("table3", over_settings(section, "table3", "k")),
        "Table 4: share of the database": (
            "table4",
            over_settings(section, "table4", "share"),
        ),
        "Table 5: building": ("table5", table5(section)),
        "Table 9: texts that RAEE mends": ("table9", examples(section, "table9")),
        "Table 10: texts that RAEE breaks": ("table9", examples(section, "table10")),
        "Figure 2: probability by layer": ("figure2", figure2(section, docs)),
        "Figure 3: latency": ("figure3", figure3(section, docs)),
        "SLEB's order": ("sleb-order", sleb_order(section)),
    }
    for title, (command, text) in made.items():
        if text:
            parts += [f"### {title}\n", section.command(command), text]
    return parts


def data_of(section: Section) -> str:
    """Say on how many texts and which machine."""
    lines = section.of("table1") or section.lines
    own = [line for line in lines if line["method"] != "setfit"]
    fits = {line["n_fit"] for line in own if "n_fit" in line}
    tests = {line["n_test"] for line in own if "n_test" in line}
    seeds = sorted({line["seed"] for line in own})
    places = {line["machine"]["gpu"] or "CPU" for line in own}
    computed = {line["computed_in"] for line in own if "computed_in" in line}
    return (
        f"{span(fits)} training and {span(tests)} test texts a task; seeds "
        f"{', '.join(map(str, seeds))}; {', '.join(sorted(places))}"
        + (f", computed in {', '.join(sorted(computed))}.\n" if computed else ".\n")
    )
