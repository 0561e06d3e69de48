"""Tables 9 and 10 and Figure 2 of docs/paper.md: texts beside their neighbours."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lines import Line
from benchmarks.pages import table
from benchmarks.paper.figures import draw_curves
from benchmarks.paper.methods import PEERS
from benchmarks.paper.section import Section
from benchmarks.paper.tables import number


def examples(section: Section, name: str) -> str:
    """Return a table of test texts, what each method says, and their neighbours."""
    rows = []
    for line in section.of(name):
        for found in line.get("examples", []):
            said = [found[m] for m in ("label", "full", "raee", *PEERS)]
            near = "<br>".join(map(shown_neighbor, found["neighbors"]))
            text = f"{line['task']}: {plain(found['text'])}"
            rows.append([text, *said, str(found["exit"]), near])
    if not rows:
        return ""
    head = ["text", "label", "full depth", "RAEE", "TF-IDF", "k-NN", "logistic"]
    return table([*head, "exit", "nearest: label, text (layers it votes for)"], rows)


def shown_neighbor(neighbor: Line) -> str:
    votes = ", ".join(neighbor["votes"]) or "none"
    return f"{neighbor['label']}: {plain(neighbor['text'])} ({votes})"


def plain(text: str, width: int = 120) -> str:
    """Return a text that Markdown takes as it is."""
    short = text if len(text) <= width else text[: width - 3] + "..."
    for character in "\\|`*_<>[]$":
        short = short.replace(character, f"&#{ord(character)};")
    return short


def figure2(section: Section, docs: Path) -> str:
    lines = [line for line in section.of("figure2") if "curves" in line]
    if not lines:
        return ""
    image = f"images/paper-figure2-{section.slug}.png"
    draw_curves(lines, docs / image)
    rows = [
        [line["task"], number(line["distance"], 3), number(line["distance_random"], 3)]
        for line in lines
    ]
    head = ["task", "from the neighbours' mean", "from random texts' mean"]
    return (
        f"![Probability of the right class by layer]({image})\n\nA test text of each "
        "task (bold) and its twelve neighbours: the probability of the right class. "
        "Over all test texts the curves differ, on average over layers:\n\n"
        + table(head, rows)
    )
