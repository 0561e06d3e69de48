"""The card of a model: what it is, what it was measured at, how it is loaded."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee.inspection.evaluation import Evaluation
    from skraee.sharing.saved import Classifier

# As the hub writes names: owner/name.
_ON_THE_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

_MOST_CLASSES = 20


def card_of(
    clf: Classifier,
    evaluation: Evaluation | None,
    dataset: str | None,
    description: str,
    license: str | None,
    is_signed: bool,
) -> str:
    """Return a card in Markdown, with metadata that the hub reads on top.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
        Fitted.
    evaluation : Evaluation or None
        Of new texts.
    dataset : str or None
        Their name.
    description : str
        In Markdown.
    license : str or None
    is_signed : bool

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `evaluation` is none.
    """
    _check(evaluation)
    parts = [
        f"---\n{_metadata(clf, evaluation, dataset, license)}\n---",
        f"# {type(clf).__name__} of {_backbone_name(clf)}",
        description.strip(),
        _about(clf),
        _measured(clf, evaluation, dataset),
        _use(is_signed),
    ]
    card = "\n\n".join(part for part in parts if part)
    return f"{card}\n\n{_mark(card)}\n"


def is_untouched(card: str) -> bool:
    """Whether a card is as `card_of` returned it, and nobody has written into it.

    Parameters
    ----------
    card : str
        With line feeds at the ends of its lines.
    """
    text, _, mark = card.rstrip("\n").rpartition("\n\n")
    return mark == _mark(text)


def _mark(card: str) -> str:
    # A comment, which no reader of Markdown shows.
    digest = hashlib.sha256(card.encode("utf-8", "surrogatepass")).hexdigest()
    return f"<!-- made by skraee, {digest[:16]} -->"


def _check(evaluation: Any) -> None:
    from skraee.inspection.evaluation import Evaluation

    if evaluation is not None and not isinstance(evaluation, Evaluation):
        raise TypeError(
            f"evaluation must be an Evaluation, got {type(evaluation).__name__}; make "
            "one with skraee.inspection.Evaluation.of(clf, texts, labels)."
        )


def _metadata(
    clf: Classifier,
    evaluation: Evaluation | None,
    dataset: str | None,
    license: str | None,
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    name = _settings(clf).backbone.name
    results = None
    if evaluation is not None:
        shown = dataset or "held-out texts"
        figures = {"accuracy": evaluation.accuracy, "f1": evaluation.macro_f1}
        results = [
            EvalResult(
                task_type="text-classification",
                dataset_type="unknown",
                dataset_name=shown,
                metric_type=kind,
                metric_value=round(value, 4),
            )
            for kind, value in figures.items()
        ]
    return ModelCardData(
        base_model=name if _is_on_the_hub(name) else None,
        eval_results=results,
        library_name="skraee",
        license=license,
        model_name=f"{type(clf).__name__} of {_backbone_name(clf)}",
        pipeline_tag="text-classification",
        tags=["skraee", "early-exit", "scikit-learn"],
    ).to_yaml()


def _about(clf: Classifier) -> str:
    settings = _settings(clf)
    names = [str(name) for name in clf.classes_.tolist()]
    more = len(names) - _MOST_CLASSES
    classes = ", ".join(names[:_MOST_CLASSES]) + (
        f" and {more} more" if more > 0 else ""
    )
    rows = {
        "backbone": _backbone_name(clf),
        "revision": settings.backbone.revision or "",
        "layers": clf.n_layers_,
        "numbers": settings.dtype,
        "template": f"`{settings.template.text}`",
        "classes": classes,
        "fitted on": f"{clf.n_samples_fit_:,} texts",
    }
    return (
        "A text classifier over a frozen language model that stops each text at the "
        "layer where it is answered. The folder holds what `fit` learned and no "
        "weights: the backbone is fetched by its name, and must be the one of the fit."
        f"\n\n{_table(rows)}"
    )


def _measured(
    clf: Classifier, evaluation: Evaluation | None, dataset: str | None
) -> str:
    parts = ["## Measured"]
    if evaluation is not None:
        rows: dict[str, Any] = {
            "texts": f"{evaluation.n_texts:,}",
            "accuracy": f"{evaluation.accuracy:.4f}",
            "balanced accuracy": f"{evaluation.balanced_accuracy:.4f}",
            "macro F1": f"{evaluation.macro_f1:.4f}",
            "log-loss": f"{evaluation.log_loss:.4f}",
            "calibration error": f"{evaluation.calibration_error:.4f}",
            "mean exit layer": (
                f"{evaluation.mean_exit_layer:.2f} of {evaluation.n_layers}"
            ),
            "mean cost, of the whole model": f"{evaluation.mean_cost:.3f}",
        }
        parts.append(f"On {dataset or 'texts that it was not fitted on'}:")
        parts.append(_table(rows))
    depths = {
        f"layer {depth}": f"{score:.4f}"
        for depth, score in enumerate(clf.layer_scores_)
    }
    parts.append("Accuracy at each depth on the texts of the fit, each left out:")
    parts.append(_table(depths))
    return "\n\n".join(parts)


def _use(is_signed: bool) -> str:
    key = ", key=key" if is_signed else ""
    told = " The file is signed; ask its maker for the key." if is_signed else ""
    return (
        "## Use\n\n```python\nfrom huggingface_hub import snapshot_download\n"
        "from skraee.sharing import load_from_folder\n\n"
        'folder = snapshot_download("OWNER/NAME")  # or where this folder is\n'
        f"clf = load_from_folder(folder{key})\n"
        'clf.predict(["a text"])\n```\n\n'
        f"No code in the folder is run when it is loaded.{told} Who writes a text can "
        "choose it so that it is classified wrongly: base no decision about access on "
        "the answer alone."
    )


def _table(rows: dict[str, Any]) -> str:
    lines = [
        f"| {name} | {_cell(value)} |" for name, value in rows.items() if value != ""
    ]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _backbone_name(clf: Classifier) -> str:
    """Return the backbone's name, of a folder the last part: no place of a machine."""
    name = str(_settings(clf).backbone.name)
    if _is_on_the_hub(name):
        return name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def _is_on_the_hub(name: str) -> bool:
    from pathlib import Path

    return _ON_THE_HUB.fullmatch(name) is not None and not Path(name).exists()


def _settings(clf: Classifier) -> Any:
    return clf._fitted.sweep_settings
