"""What the pages under docs/ are made of: Markdown tables, marks and plots."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Return a mean over seeds, with the deviation where there are several."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{mean(values):.1f} ± {stdev(values):.1f}"


def between_marks(path: Path, name: str, text: str) -> None:
    """Put a text between the two marks of a file that bear a name, if it has them."""
    if not path.is_file():
        return
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, opened, rest = path.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        return
    path.write_text(f"{before}{start}{text}{end}{after}", encoding="utf-8")


def within_marks(path: Path, name: str) -> str:
    """Return what stands between the two marks that bear a name; nothing without."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _, _, rest = text.partition(f"<!-- {name} -->\n")
    found, closed, _ = rest.partition(f"<!-- end of {name} -->")
    return found if closed else ""


def subplots(*shape: int, **settings: Any) -> Any:
    """Return a figure without a screen, and its axes (rows, columns)."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(*shape, layout="constrained", squeeze=False, **settings)


def save(figure: Any, target: Path, dpi: int = 110) -> None:
    import matplotlib.pyplot as plt

    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=dpi)
    plt.close(figure)
