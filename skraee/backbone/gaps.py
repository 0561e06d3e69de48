"""What a checkpoint lacks of its model: refused, unless it is just the head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.backbone.checkpoint import weights_listing

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def refuse_gaps(source: Path, report: dict[str, Any]) -> None:
    """Refuse a model that was not wholly read from its checkpoint.

    Parameters
    ----------
    source : Path
        Named in the error.
    report : dict
        As ``from_pretrained(output_loading_info=True)`` returns it.

    Raises
    ------
    ValueError
        If weights are missing or have other shapes than the configuration says.
    """
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"the checkpoint in {str(source)!r} lacks weights that its model needs "
            f"({_first(missing)}){_where(source)}; choose one that was saved whole "
            "(save_pretrained)."
        )
    if others := sorted(report["mismatched_keys"]):
        shapes = [
            f"{name} is {tuple(found)}, not {tuple(expected)}"
            for name, found, expected in others
        ]
        raise ValueError(
            f"weights in {str(source)!r} have other shapes than its "
            f"{'config.json' if source.is_dir() else 'header'} says ({_first(shapes)})"
            f"{_where(source)}; fetch configuration and weights from one place."
        )


def _where(source: Path) -> str:
    """Say in which files of a folder what it needs and what it has are written."""
    listing = weights_listing(source)
    return f": see config.json and {listing.name}" if listing else ""


def _first(items: list[str], n: int = 3) -> str:
    more = f" and {len(items) - n} more" if len(items) > n else ""
    return ", ".join(items[:n]) + more


def lacks_just_its_head(model: PreTrainedModel, report: dict[str, Any]) -> bool:
    """Whether a checkpoint is of the stack alone, as a sentence encoder's is.

    Its configuration may name an architecture with a head all the same, as those of
    sentence encoders that began as masked models do.
    """
    missing = set(report["missing_keys"])
    prefix = f"{model.base_model_prefix}."
    if not missing or any(name.startswith(prefix) for name in missing):
        return False
    names: dict[int, set[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), set()).add(name)
    of_head = [
        tied for tied in names.values() if not any(n.startswith(prefix) for n in tied)
    ]
    return all(tied & missing for tied in of_head)


def drop_random_pooler(model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Drop a pooler that a checkpoint lacks: it is random, and would be no use.

    Parameters
    ----------
    model : PreTrainedModel
        Without a head; changed in place.
    report : dict
        As in `refuse_gaps`; the pooler's weights are taken out of it.
    """
    missing = set(report["missing_keys"])
    of_pooler = {name for name in missing if name.startswith("pooler.")}
    if of_pooler:
        model.pooler = None
    report["missing_keys"] = missing - of_pooler
