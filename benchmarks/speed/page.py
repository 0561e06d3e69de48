"""The part of docs/speed.md that the lines of exit by confidence make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks, table

PAGE = "speed.md"
NAMING = ("figure", "backbone", "dtype", "device", "budget", "texts", "task")

#: Of each table the figure, its title, and its columns: what heads them, the field.
TABLES: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "exit by confidence against the plain full forward",
        "Exit by confidence, 1,000 texts of SST-2",
        (
            ("budget", "budget"),
            ("cost", "cost"),
            ("cost by tokens", "cost_by_token"),
            ("ms a text", "ms_a_text"),
            ("full forward", "ms_a_text_full"),
            ("of the full forward", "of_full"),
            ("of cost x full", "of_ideal"),
            ("of cost by tokens x full", "of_ideal_by_token"),
            ("of `encode`", "of_encode"),
            ("full forward's share of the product rate", "share_of_rate_full"),
        ),
    ),
    (
        "one text a call",
        "One text a call, budget 0.1",
        (
            ("mean exit", "mean_exit"),
            ("ms", "ms_a_text"),
            ("full forward", "ms_a_text_full"),
            ("of depth x layer + 1 ms", "of_depth_x_layer_plus_1_ms"),
        ),
    ),
    (
        "layers compiled",
        "`compile=True`, full depth, 500 texts",
        (
            ("full forward, ms", "ms_a_text_full"),
            ("as fast as it, not compiled", "plain_as_fast_as_full"),
            ("compiled", "compiled_as_fast_as_full"),
            ("share of the product rate", "share_of_rate_compiled"),
            ("at budget 0.3, as fast as not compiled", "as_fast_at_budget"),
            ("seconds to compile", "seconds_to_compile"),
            ("from disk", "seconds_from_disk"),
        ),
    ),
    (
        "a tenth of mpnet against MiniLM-L6, mean of tasks",
        "all-mpnet-base-v2 at budget 0.1 against all-MiniLM-L6-v2 and logistic "
        "regression, mean of eight tasks",
        (
            ("accuracy", "accuracy"),
            ("of MiniLM-L6", "accuracy_small"),
            ("cost", "cost"),
            ("ms a text", "ms_a_text"),
            ("of MiniLM-L6", "ms_a_text_small"),
            ("of its time", "of_small"),
        ),
    ),
    (
        "short texts beside long ones",
        "Short texts beside long ones",
        (("of the sum of their own times", "of_their_own"),),
    ),
    (
        "texts of one call",
        "Texts of one call, budget 0.1",
        (
            ("texts", "texts"),
            ("ms a text", "ms_a_text"),
            ("resident MiB after it", "resident_mib"),
            ("at the highest", "peak_mib"),
        ),
    ),
    (
        "the same answers",
        "The same answers, 872 texts, budget 0.3",
        (
            ("other exits alone than in a batch", "other_exits_alone"),
            ("confidence at most so far from the threshold", "farthest_from_threshold"),
            ("other labels alone", "other_labels_alone"),
            ("labels of float32", "same_labels_as_float32"),
            ("exits of float32", "same_exits_as_float32"),
        ),
    ),
)


def write_page(lines: Lines, docs: Path) -> None:
    """Write the newest lines of each figure between the marks of the page."""
    newest = {lines.key_of(line): line for line in lines}
    parts = []
    for figure, title, columns in TABLES:
        own = [line for line in newest.values() if line["figure"] == figure]
        if own:
            parts += [f"## {title}\n", tabulated(own, columns)]
    between_marks(docs / PAGE, "speed", "\n".join(parts))


def tabulated(lines: Sequence[Line], columns: Sequence[tuple[str, str]]) -> str:
    ordered = sorted(
        lines, key=lambda x: (x.get("backbone", ""), x["dtype"], x.get("budget", 0))
    )
    rows = [
        [
            ", ".join(line[name] for name in ("backbone", "dtype") if name in line),
            *(shown(line.get(field)) for _, field in columns),
        ]
        for line in ordered
    ]
    return table(["", *(head for head, _ in columns)], rows)


def shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, int) else f"{value:.4g}"
