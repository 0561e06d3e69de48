"""Tokens of label words, as a backbone reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from skraee.backbone.loaded import LoadedBackbone
from skraee.text.label_tokens import label_token_ids
from skraee.text.label_words import LabelWords, all_label_words, label_words_for


class WordTokens(NamedTuple):
    """Tokens of label words.

    Parameters
    ----------
    all_ids : tuple of int
        Tokens to sweep; a dict of words may name more classes than there are.
    ids : tuple of int
        Tokens of the classes, in their order; empty where they are not known.
    """

    all_ids: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        backbone: LoadedBackbone,
        label_words: LabelWords,
        classes: npt.NDArray[Any] | None = None,
    ) -> WordTokens:
        """Find the tokens of all words that are named, and those of the classes.

        Parameters
        ----------
        backbone : LoadedBackbone
        label_words : dict, list or None
            As an estimator was given it.
        classes : ndarray of shape (C,), optional
            Sorted; None where they are not known yet.
        """
        named = all_label_words(label_words, classes)
        tokens = label_token_ids(named, backbone.tokenizer, kind=backbone.family.kind)
        words = () if classes is None else label_words_for(classes, label_words)
        return cls(tuple(tokens.values()), tuple(tokens[name] for name in words))
