"""The parts of a page that are about all texts."""

from __future__ import annotations

from collections.abc import Sequence

from skraee.inspection.evaluation import Evaluation
from skraee.inspection.markup import escaped, isolated
from skraee.inspection.report import charts, curve
from skraee.inspection.report.findings import Findings
from skraee.inspection.report.tables import table

# Letters of a class's name in a table.
_LETTERS = 60

# Of more classes the confusion is a picture, and the table of classes has the worst
# first.
_FEW = 12

# Rows of a table of classes, and sides of a picture of them.
_MOST_CLASSES = 200

_MOST_PAIRS = 30


def summary(found: Findings) -> str:
    """Return the numbers that are asked for first.

    Parameters
    ----------
    found : Findings
    """
    numbers, (low, high) = found.evaluation, found.interval
    most = max(one.support for one in numbers.classes) / numbers.n_texts
    cards = {
        "accuracy": (
            f"{numbers.accuracy:.3f}",
            f"95 %: {low:.3f} to {high:.3f}; the most frequent class for all texts "
            f"would have {most:.3f}",
        ),
        "balanced accuracy": (
            f"{numbers.balanced_accuracy:.3f}",
            f"mean recall of the classes; macro F1 {numbers.macro_f1:.3f}",
        ),
        "cost": (
            f"{numbers.mean_cost:.1%}",
            "of the whole model, mean of the texts",
        ),
        "mean exit layer": (
            f"{numbers.mean_exit_layer:.1f}",
            f"of {numbers.n_layers}",
        ),
        "calibration error": (
            f"{numbers.calibration_error:.3f}",
            f"0 is best; log-loss {numbers.log_loss:.3f}",
        ),
        "texts": (
            f"{numbers.n_texts:,}",
            f"{_rate(numbers.texts_per_second)} a second where this was made",
        ),
    }
    shown = "".join(
        f"<li>{name} <strong>{value}</strong> <span>{more}</span></li>"
        for name, (value, more) in cards.items()
    )
    notes = "".join(f'<p class="note">{isolated(said)}</p>' for said in found.warnings)
    return f'<ul class="cards">{shown}</ul>{notes}'


def classes(found: Findings) -> str:
    """Return precision, recall and F1 of each class.

    Parameters
    ----------
    found : Findings
    """
    scores = list(found.evaluation.classes)
    note = (
        "Precision: how many answers of this class are right. Recall: how many texts "
    )
    note += "of this class are found. F1: the harmonic mean of both."
    if len(scores) > _FEW:
        scores.sort(key=lambda one: one.f1)
        note += " The class with the lowest F1 comes first."
    left_out = len(scores) - _MOST_CLASSES
    if left_out > 0:
        note += f" {left_out} more classes are not shown."
    rows = [
        (
            isolated(one.label, _LETTERS),
            f"{one.precision:.3f}",
            f"{one.recall:.3f}",
            f"{one.f1:.3f}",
            f"{one.support:,}",
        )
        for one in scores[:_MOST_CLASSES]
    ]
    head = ("class", "precision", "recall", "F1", "texts")
    return f'<p class="quiet">{note}</p>' + table(
        "Scores of each class", head, rows, kind="numbers"
    )


def confusion(found: Findings) -> str:
    """Return which classes are taken for which.

    Parameters
    ----------
    found : Findings
    """
    numbers = found.evaluation
    if len(numbers.classes) <= _FEW:
        return _whole_confusion(numbers)
    drawn = ""
    if len(numbers.classes) <= _MOST_CLASSES:
        picture, n_left_out = charts.confusion_picture(numbers.confusion)
        more = f" {n_left_out} cells of the fewest texts are left out."
        drawn = (
            '<p class="quiet">Each row is a right class, each column an answer; '
            "the stronger the colour of a square, the larger its share of the row. "
            f"Right answers lie on the diagonal.{more if n_left_out else ''}</p>"
            f'<figure class="squares">{picture}</figure>'
        )
    return drawn + _mistakes(numbers)


def cost(found: Findings) -> str:
    """Return what accuracy costs, as far as the classifier knows.

    Parameters
    ----------
    found : Findings
    """
    name = escaped(found.facts["class"])
    if found.curve is None:
        return (
            f"<p>{name} is a baseline: it keeps no accuracies of its layers and tries "
            "no other exits, so there is no curve.</p>"
        )
    about = "Up and to the left is better."
    if len(found.curve.cost) == 0:
        about = (
            f"{name} has tried no other exits, so there is no curve of its own: it has "
            "one where it was given a budget. " + about
        )
    elif found.curve.is_curve:
        about += " The curve is what other thresholds would lead to, by leave-one-out."
    return f'<p class="quiet">{about}</p>' + curve.curve_chart(found.curve)


def exits(found: Findings) -> str:
    """Return where texts stop, and how many of them are right.

    Parameters
    ----------
    found : Findings
    """
    numbers = found.evaluation
    wrong = [
        n - right
        for n, right in zip(numbers.exit_counts, found.right_exits, strict=True)
    ]
    return (
        f"<p>In the mean a text stops at layer {numbers.mean_exit_layer:.1f} of "
        f"{numbers.n_layers} and takes {numbers.mean_cost:.1%} of what the whole model "
        "costs, counted, not timed.</p>"
    ) + charts.exits_chart(
        found.right_exits, wrong, found.costs, numbers.mean_exit_layer
    )


def calibration(found: Findings) -> str:
    """Return how far probabilities can be believed.

    Parameters
    ----------
    found : Findings
    """
    numbers = found.evaluation
    return (
        "<p>Where the points lie on the diagonal, answers of a confidence are right as "
        "often as it says; below it the classifier is too sure. The expected "
        f"calibration error is {numbers.calibration_error:.3f}, the mean distance from "
        f"the diagonal, weighted by texts; the log-loss is {numbers.log_loss:.3f}.</p>"
    ) + charts.reliability_chart(found.bins)


def classifier(found: Findings) -> str:
    """Return what the classifier is.

    Parameters
    ----------
    found : Findings
    """
    rows = [
        (escaped(name), isolated(said, 2_000))
        for name, said in found.facts.items()
        if name != "made"
    ]
    return table("What answered", ("of the classifier", "is"), rows, kind="facts")


def colophon(found: Findings) -> str:
    """Return when and by what the page was made.

    Parameters
    ----------
    found : Findings
    """
    return (
        f"Made by skraee {escaped(found.facts['skraee'])}, "
        f"{escaped(found.facts['made'])}. This page is one file and fetches nothing."
    )


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _whole_confusion(numbers: Evaluation) -> str:
    names = [isolated(one.label, _LETTERS) for one in numbers.classes]
    rows = [
        _confusion_row(names[i], i, counts)
        for i, counts in enumerate(numbers.confusion)
    ]
    columns = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<p class="quiet">Each row is a right class, each column an answer. The '
        "stronger the colour, the larger the share of the row.</p>"
        '<div class="scroll" role="region" tabindex="0" aria-label="Confusion">'
        '<table class="confusion"><caption>Texts by right class and answer</caption>'
        f'<thead><tr><th scope="col">right class</th>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _confusion_row(name: str, place: int, counts: Sequence[int]) -> str:
    n_texts = max(sum(counts), 1)
    cells = "".join(
        f'<td class="s{charts.shade(count / n_texts)}'
        f'{" miss" if column != place else ""}">{count:,}</td>'
        for column, count in enumerate(counts)
    )
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _mistakes(numbers: Evaluation) -> str:
    mistakes = numbers.mistakes()
    if not mistakes:
        return "<p>No class was taken for another.</p>"
    names = [isolated(one.label, _LETTERS) for one in numbers.classes]
    rows = [(names[i], names[j], f"{n:,}") for i, j, n in mistakes[:_MOST_PAIRS]]
    left_out = len(mistakes) - _MOST_PAIRS
    more = f"<p>And {left_out:,} other pairs.</p>" if left_out > 0 else ""
    return (
        table("Most frequent mistakes", ("right class", "answer", "texts"), rows) + more
    )
