"""The paper's findings, each confirmed or contradicted in a sentence with figures."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.paper.methods import METHODS, PEERS
from benchmarks.paper.reported import K
from benchmarks.paper.section import Cells, Section


def findings(section: Section) -> str:
    """Return the findings of a backbone as a list."""
    found = [
        above_backbone(section),
        corrective(section),
        best_k(section),
        more_is_better(section),
        earlier_than_deebert(section),
        faster(section),
        beside_peers(section),
    ]
    return "\n".join(f"- {text}" for text in found if text) + "\n"


def above_backbone(section: Section) -> str:
    compared = pair(section, "raee", "full")
    if compared is None:
        return ""
    own, full, wins = compared
    later = section.average("table1", "raee-exit1", "score")
    more = "" if later is None else f" With exits from layer 1 on it has {later:.1f}."
    return (
        f"RAEE above its backbone: **{verdict(own - full, wins)}**. RAEE {own:.1f}, "
        f"full depth {full:.1f}; above on {wins[0]} of {wins[1]} tasks.{more}"
    )


def corrective(section: Section) -> str:
    compared = pair(section, "raee", "raee-without")
    full = section.average("table1", "full", "score")
    if compared is None or full is None:
        return ""
    own, without, wins = compared
    return (
        f"Corrective information is what helps: **{verdict(own - without, wins)}**. "
        f"With it RAEE has {own:.1f}, without {without:.1f}, full depth {full:.1f}; "
        f"above RAEE without on {wins[0]} of {wins[1]} tasks."
    )


def best_k(section: Section) -> str:
    found = at_settings(section, "table3", "k")
    if K not in found or len(found) < 2:
        return ""
    best = max(found, key=lambda k: found[k])
    behind = found[best] - found[K]
    said = "confirmed" if best == K else "mixed" if behind <= 0.5 else "contradicted"
    return (
        f"k about {K} is best: **{said}**. The best is k = {best:g} with "
        f"{found[best]:.1f}; k = {K} has {found[K]:.1f}, the worst k "
        f"{min(found.values()):.1f}."
    )


def more_is_better(section: Section) -> str:
    found = at_settings(section, "table4", "share")
    if len(found) < 2:
        return ""
    values = [found[share] for share in sorted(found)]
    rises = [after >= before for before, after in pairwise(values)]
    gains = values[-1] > values[0]
    said = "confirmed" if gains and all(rises) else "mixed" if gains else "contradicted"
    shown = ", ".join(f"{v:.1f} with {100 * s:g} %" for s, v in sorted(found.items()))
    return f"More of the database is better: **{said}**. RAEE has {shown}."


def earlier_than_deebert(section: Section) -> str:
    own = section.cells("table1", "raee", "mean_exit")
    other = section.cells("table1", "deebert", "mean_exit")
    shared = sorted(own.keys() & other.keys())
    if not shared:
        return ""
    wins = sum(own[task] < other[task] for task in shared), len(shared)
    means = [
        sum(cells[task] for task in shared) / len(shared) for cells in (own, other)
    ]
    return (
        f"Earlier exits than DeeBERT: **{verdict(means[1] - means[0], wins)}**. RAEE "
        f"stops after {means[0]:.1f} layers, DeeBERT after {means[1]:.1f}; earlier on "
        f"{wins[0]} of {wins[1]} tasks."
    )


def faster(section: Section) -> str:
    shown = []
    for batch in (1, 64):
        cells = section.cells("latency", "raee", "ratio", {"batch": batch})
        if cells:
            shown.append((batch, sum(cells.values()) / len(cells)))
    if not shown:
        return ""
    quicker = [ratio < 1 for _, ratio in shown]
    said = "confirmed" if all(quicker) else "mixed" if any(quicker) else "contradicted"
    said_of = " and ".join(f"{100 * r:.0f} % in calls of {b}" for b, r in shown)
    return (
        f"RAEE is faster than its backbone: **{said}**. Of the time of full depth, "
        f"encoder and search included, it takes {said_of}."
    )


def beside_peers(section: Section) -> str:
    """Say what the paper does not compare with."""
    own = section.average("table1", "raee", "score")
    peers = {
        METHODS[peer].title: value
        for peer in PEERS
        if (value := section.average("table1", peer, "score")) is not None
    }
    if own is None or not peers:
        return ""
    shown = ", ".join(f"{title} {value:.1f}" for title, value in peers.items())
    above = sum(value > own for value in peers.values())
    return (
        f"Not in the paper: beside RAEE's {own:.1f}, the plain peers have {shown}; "
        f"{above} of {len(peers)} are above it."
    )


def pair(
    section: Section, method: str, other: str
) -> tuple[float, float, tuple[int, int]] | None:
    """Return both averages, and on how many tasks of how many the first is above."""
    own, theirs = (section.cells("table1", m, "score") for m in (method, other))
    shared = sorted(own.keys() & theirs.keys())
    if not shared:
        return None
    wins = sum(own[task] > theirs[task] for task in shared), len(shared)
    return mean_over(own, shared), mean_over(theirs, shared), wins


def mean_over(cells: Cells, tasks: list[str]) -> float:
    return sum(cells[task] for task in tasks) / len(tasks)


def at_settings(section: Section, name: str, field: str) -> dict[float, float]:
    """Return RAEE's average at each setting that has all tasks."""
    found = {}
    for value in {line["setting"][field] for line in section.of(name, "raee")}:
        average = section.average(name, "raee", "score", {field: value})
        if average is not None:
            found[value] = average
    return found


def verdict(gain: float, wins: tuple[int, int]) -> str:
    """Return "confirmed" where average and most tasks agree with a finding."""
    won, n = wins
    if gain > 0 and 2 * won > n:
        return "confirmed"
    return "contradicted" if gain <= 0 and 2 * won <= n else "mixed"
