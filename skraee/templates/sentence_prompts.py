"""The prompts that a sentence encoder's folder names."""

from __future__ import annotations

import os

from skraee.backbone.handle import Backbone, as_backbone


def of_backbone(backbone: str | os.PathLike[str] | Backbone) -> dict[str, str]:
    """List the prompts that a sentence encoder's folder names, as templates.

    Encoders that were trained with words before the text, ``query:`` or the name of a
    task, know the text best behind them. None is used unless you give it as `template`.

    Parameters
    ----------
    backbone : str, Path or Backbone
        As a classifier takes it. No weights are read or fetched.

    Returns
    -------
    dict of str to str
        Name -> template with the field ``{text}``; where the folder puts a prompt
        before every text, that one first. Empty where no prompts are named.

    Raises
    ------
    OSError
        If it is a hub's name and the hub does not have it.
    ValueError
        If the folder's list of modules is damaged.

    Examples
    --------
    >>> from skraee import templates, toy
    >>> templates.of_backbone(toy.backbone())
    {}
    """
    prompts = as_backbone(backbone).prompts()
    return {name: f"{_escaped(words)}{{text}}" for name, words in prompts.items()}


def _escaped(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")
