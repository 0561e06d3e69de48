"""Tiny seeded backbones and texts: offline, in milliseconds, for tests and examples.

The models are real transformers models with a real tokenizer. Their weights are
drawn from a seed and then bent a little, so that the words of a class lie near its
label word and attention carries them to the read position: with the texts of
:func:`reviews` they answer better than chance at some layers, as a trained model does.
"""

from __future__ import annotations

import numpy as np

from skraee.backbone import families, tiny
from skraee.backbone.handle import Backbone

Kind = families.Kind

#: A template for each kind of toy backbone.
TEMPLATES: dict[Kind, str] = {
    "masked": "{text} it was {mask}.",
    "causal": "{text} it was",
    "seq2seq": "{text} it was",
}

#: Label words for the classes of :func:`reviews`.
LABEL_WORDS = {"negative": "terrible", "positive": "great"}

_WORDS = {"negative": tiny.BLAME, "positive": tiny.PRAISE}


def backbone(kind: Kind = "masked", seed: int = 0) -> Backbone:
    """Return a tiny float32 backbone with random but useful weights.

    Parameters
    ----------
    kind : {"masked", "causal", "seq2seq"}, default="masked"
        BERT, Llama or T5 with 4 layers (T5: 4 and 4) of width 32.
    seed : int, default=0
        Of its weights. The same seed gives the same model.

    Returns
    -------
    Backbone
        Its name says how it is made: ``Backbone("toy:masked:0")`` is the same.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> from skraee import RAEEClassifier, toy
    >>> X, y = toy.reviews(40)
    >>> clf = RAEEClassifier(toy.backbone(), toy.TEMPLATES["masked"],
    ...                      label_words=toy.LABEL_WORDS)
    >>> clf.fit(X, y).predict(["a lovely film"])
    array(['positive'], dtype='<U8')
    """
    return Backbone(tiny.name_of(kind, seed))


def reviews(n_texts: int = 100, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Make short reviews, half of them positive.

    Parameters
    ----------
    n_texts : int, default=100
        How many.
    seed : int, default=0
        Of the draw.

    Returns
    -------
    texts : list of str
    labels : ndarray of str, "negative" or "positive"

    Examples
    --------
    >>> from skraee import toy
    >>> texts, labels = toy.reviews(2)
    >>> len(texts), sorted(labels.tolist())
    (2, ['negative', 'positive'])
    """
    rng = np.random.default_rng(seed)
    labels = np.array(["negative", "positive"])[np.arange(n_texts) % 2]
    return [_review(rng, label) for label in labels], labels


def _review(rng: np.random.Generator, label: str) -> str:
    other = "negative" if label == "positive" else "positive"
    first, second = rng.choice(_WORDS[label], size=2, replace=False)
    thing, whose = rng.choice(tiny.THINGS), rng.choice(["the", "a", "my", "this"])
    forms = [
        f"{whose} {thing} was {first} and {second}",
        f"{whose} {first} {thing}",
        f"i found the {thing} very {first} and so {second}",
        f"{whose} {thing} is quite {rng.choice(_WORDS[other])} but {first}, {second}",
    ]
    return str(rng.choice(forms))
