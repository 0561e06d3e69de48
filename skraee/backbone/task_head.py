"""Heads that a model was fine-tuned with: left aside, and said so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skraee.exceptions import warn_user

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A classifier of scikit-learn in a pickle, as SetFit writes it beside its encoder.
_PICKLED = ("model_head.pkl", "model_head.joblib")

# How the architectures of models with such heads end in the transformers library.
_TASKS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)


def warn_of_task_head(folder: Path, model: PreTrainedModel) -> None:
    """Warn that a folder's head for a task is not used; it is not even read.

    Parameters
    ----------
    folder : Path
    model : PreTrainedModel
        Read from it.
    """
    if (head := _task_head(folder, model)) is not None:
        warn_of_head(repr(str(folder)), head)


def warn_of_head(whose: str, head: str) -> None:
    """Warn of a head by its name."""
    warn_user(
        f"{whose} comes with a head for a task ({head}), which is left aside, as fit "
        "solves readouts of its own on the layers below it; to have the head's own "
        "answers, run the model with transformers.",
        UserWarning,
    )


def has_task_head(model: PreTrainedModel) -> bool:
    """Whether a model has something around its layers that is no language model's."""
    return model.base_model is not model and model.get_output_embeddings() is None


def _task_head(folder: Path, model: PreTrainedModel) -> str | None:
    """Return what names a head, or None."""
    files = (name for name in _PICKLED if (folder / name).is_file())
    named = model.config.architectures or ()
    return next(files, None) or next((n for n in named if n.endswith(_TASKS)), None)
