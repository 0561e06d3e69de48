"""What a configuration claims, held against the weights before it is made.

A model is made as its configuration says, with as many layers and numbers: of one that
says ten million layers that takes hours, and of one that says fewer than the weights
have, the rest would be left aside without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch

from skraee.backbone.held import Held

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

# Entries that say how many parts of one kind a model has, and not how large they are.
_COUNTS = re.compile(r"layer|block|expert|group")
_NO_COUNTS = re.compile(r"size|dim|width|length|quant")
# Of a model of several parts, such as text beside images.
_OF_A_PART = re.compile(r"(?<!quantization)_config$")
_MUST_BE_THERE = re.compile(r"(num|n)_(\w+_)?(layers?|heads?)$")

#: Parts that share their weights: as many are believed without one for each.
_MOST_SHARED = 512
#: Numbers that a model may have beside those of its weights: tables that are computed,
#: a head that is lacking.
_NUMBERS_BESIDE = 1 << 26
_TIMES = 4


def refuse_false_counts(
    file: Path, settings: Mapping[str, Any], n_weights: int
) -> None:
    """Refuse a configuration of more parts than there are weights for.

    Parameters
    ----------
    file : Path
        In which the settings stand, named in the error.
    settings : mapping
    n_weights : int
        Number of tensors in the checkpoint.

    Raises
    ------
    ValueError
    """
    most = max(n_weights, _MOST_SHARED)
    for name, count in _numbers(settings):
        is_count = _COUNTS.search(name) and not _NO_COUNTS.search(name)
        if is_count and count > most:
            raise ValueError(
                f"{file.name} in {str(file.parent)!r} says {name}={count}, and its "
                f"weights are {n_weights} tensors; fetch both again, from one place."
            )
        if _MUST_BE_THERE.match(name) and count < 0:
            raise ValueError(
                f"{file.name} in {str(file.parent)!r} says {name}={count}, which is no "
                "number of parts; fetch it again, from where the model is published."
            )


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers of a configuration and of those within it."""
    waiting = [settings]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, int) and not isinstance(value, bool):
                yield name, value
            elif isinstance(value, Mapping) and _OF_A_PART.search(name):
                waiting.append(value)


def refuse_false_sizes(
    file: Path, empty: nn.Module, n_held: int, held: Held | None = None
) -> None:
    """Refuse a model of far more numbers than its weights have.

    Parameters
    ----------
    file : Path
        In which its sizes stand, named in the error.
    empty : Module
        The model on the device "meta", as its configuration says.
    n_held : int
        Numbers in the weights.
    held : mapping, optional
        The weights, to say which of them is another.

    Raises
    ------
    ValueError
    """
    parts = [*empty.parameters(), *empty.buffers()]
    wanted = sum(part.numel() for part in parts)
    if wanted <= _TIMES * n_held + _NUMBERS_BESIDE:
        return
    raise ValueError(
        f"{file.name} in {str(file.parent)!r} describes a model of {wanted:.3g} "
        f"numbers{_largest(empty, held or {})}, and its weights have {n_held:.3g}; "
        "fetch both again, from one place."
    )


def _largest(empty: nn.Module, held: Held) -> str:
    """Say what the largest weight of a model is in a file."""
    name, weight = max(empty.state_dict().items(), key=lambda item: item[1].numel())
    found = held.get(name)
    of_file = "" if found is None else f" and in the file {found.shape}"
    return f" ({name} would be {tuple(weight.shape)}{of_file})"


def refuse_other_kinds(empty: nn.Module, held: Held) -> None:
    """Refuse whole or complex numbers where a model has weights with fractions.

    Parameters
    ----------
    empty : Module
        The model, with or without its weights.
    held : mapping
        The weights, not quantised.

    Raises
    ------
    ValueError
    """
    floating = {name for name, w in empty.named_parameters() if w.is_floating_point()}
    for name, weight in held.items():
        if name in floating and not weight.is_floating:
            raise ValueError(
                f"{weight.file.name} in {str(weight.file.parent)!r} holds {name} in a "
                "dtype of no fractions, as no model is trained; fetch it again."
            )


def refuse_more_layers(
    folder: Path, model: nn.Module, unexpected: Iterable[str]
) -> None:
    """Refuse weights of layers that the configuration leaves out.

    Parameters
    ----------
    folder : Path
    model : Module
        As its configuration says.
    unexpected : iterable of str
        Names of weights that it has no place for. Other heads may be among them: only
        that counts which is one of its layers' weights at a higher number.

    Raises
    ------
    ValueError
    """
    weights, last = _numbered_weights(model.state_dict())
    for name in sorted(unexpected):
        for path, number, rest in _numbered(name):
            for known in _forms(path, last):
                if (known, rest) in weights and number > last[known]:
                    raise ValueError(
                        f"config.json in {str(folder)!r} says {last[known] + 1} of the "
                        f"layers {known}, and the weights hold more ({name}); write "
                        "their number there, or save a model that was made shorter "
                        "with save_pretrained."
                    )


def _numbered_weights(
    names: Iterable[str],
) -> tuple[set[tuple[str, str]], dict[str, int]]:
    """Return what stands before and behind the numbers in names, and the last ones."""
    weights: set[tuple[str, str]] = set()
    last: dict[str, int] = {}
    for name in names:
        for path, number, rest in _numbered(name):
            weights.add((path, rest))
            last[path] = max(number, last.get(path, -1))
    return weights, last


def _numbered(name: str) -> Iterator[tuple[str, int, str]]:
    parts = name.split(".")
    for i, part in enumerate(parts):
        if part.isdecimal():
            yield ".".join(parts[:i]), int(part), ".".join(parts[i + 1 :])


def _forms(path: str, known: Iterable[str]) -> list[str]:
    """Return the paths that are this one, seen from the whole model or its stack."""
    return [
        one
        for one in known
        if one == path or one.endswith(f".{path}") or path.endswith(f".{one}")
    ]


def refuse_no_layers(model: PreTrainedModel) -> None:
    """Refuse a model whose configuration says that it has no layers.

    Parameters
    ----------
    model : PreTrainedModel

    Raises
    ------
    ValueError
    """
    config = model.config.get_text_config()
    for name in ("num_hidden_layers", "num_layers", "num_decoder_layers"):
        count = getattr(config, name, None)
        if isinstance(count, int) and count < 1:
            name_or_path = getattr(model, "name_or_path", "")
            where = f"config.json in {name_or_path!r}" if name_or_path else "its config"
            raise ValueError(
                f"this {type(model).__name__} has no layer to leave at: {where} says "
                f"{name}={count}; give a whole model."
            )


def refuse_not_finite(source: str, model: nn.Module, held: Held | None = None) -> None:
    """Refuse weights that are no numbers, or infinite in a matrix.

    Parameters
    ----------
    source : str
        Of the weights, for the error where it is not known of which file they are.
    model : Module
    held : mapping, optional
        The weights by their names in files.

    Raises
    ------
    ValueError
    """
    for name, weight in model.named_parameters():
        if weight.is_floating_point() and not _is_finite(weight):
            file = _file_of(name, held or {})
            of_file = source if file is None else f"{file.name} in {str(file.parent)!r}"
            raise ValueError(
                f"{of_file} holds numbers that are not finite, in {name}, with which "
                "no text can be read; fetch it again, or train it anew."
            )


def _is_finite(weight: torch.Tensor) -> bool:
    if weight.numel() == 0 or weight.is_meta:
        return True
    low, high = torch.aminmax(weight.detach())
    if weight.ndim < 2:  # a bias may take a word out of a vocabulary
        return not bool(low.isnan())
    return bool(low.isfinite() & high.isfinite())


def _file_of(name: str, held: Held) -> Path | None:
    files = {weight.file for weight in held.values()}
    if len(files) == 1:
        return next(iter(files))
    for own, weight in held.items():
        if own == name or own.endswith(f".{name}") or name.endswith(f".{own}"):
            return weight.file
    return None


@contextmanager
def refusing_no_model(file: Path) -> Iterator[None]:
    """Turn whatever the library raises while it makes a model into one error.

    Parameters
    ----------
    file : Path
        That says what is to be made, named in the error.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except (ImportError, OSError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = shorten(str(error).partition("\n")[0], 200, placeholder=" ...")
        raise ValueError(
            f"{file.name} in {str(file.parent)!r} describes no model that can be made "
            f"({type(error).__name__}: {reason}); fetch it and the weights again, from "
            "one place."
        ) from error
