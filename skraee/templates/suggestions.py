"""A few sensible templates for a backbone and classes, and words for the classes."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skraee.backbone.handle import Backbone, as_backbone
from skraee.classifier import RAEEClassifier
from skraee.templates.label_sets import LabelSet, label_set_of
from skraee.templates.sentence_prompts import of_backbone
from skraee.templates.words import WordOfClass, words_of

PLAIN = "{text}"
_END = " {mask}."


@dataclass(frozen=True)
class SuggestedPrompt:
    """A template that suits the backbone.

    Attributes
    ----------
    template : str
    label_words : dict of class to word, or None
        None where the states are read and no words, by `EarlyExitClassifier` or
        ``RAEEClassifier(readout="ridge")``.
    accuracy : float or None
        Of the backbone's own answers at full depth, without any fit, to the examples.
    """

    template: str
    label_words: dict[Hashable, str] | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Suggestions(Sequence[SuggestedPrompt]):
    """What `suggest` returns: prints as a short report, and is a sequence of prompts.

    Attributes
    ----------
    backbone : str
        Its name.
    kind : {"masked", "causal", "seq2seq", "encoder"}
        An encoder has no language-model head and so no words.
    about : str
        What the classes are about, as far as their names tell: "unknown" where no set
        of `skraee.templates.label_sets` has them all.
    words : tuple of WordOfClass
        Empty for an encoder.
    prompts : tuple of SuggestedPrompt
        With examples the most accurate first, and those without words last.
    """

    backbone: str
    kind: str
    about: str
    words: tuple[WordOfClass, ...]
    prompts: tuple[SuggestedPrompt, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.prompts[index]

    def __len__(self) -> int:
        return len(self.prompts)

    def __str__(self) -> str:
        return "\n".join(_report(self))


def suggest(
    backbone: str | os.PathLike[str] | Backbone,
    classes: Iterable[Any],
    examples: tuple[Sequence[str], Sequence[Any]] | None = None,
) -> Suggestions:
    """Offer a few templates for a backbone and classes, with label words.

    A label word of a masked model must be one token of its tokenizer, that of a space
    and the word; a causal model says the first token of a word, so one token tells
    most. For label sets that are known by their names (sentiment, yes or no,
    subjectivity, grammar, spam, emotion, topic) there are further words to choose
    from; for other classes only their own names. A piece of a word is never offered as
    a word, nor is a word that shares its first token with that of another class.

    Parameters
    ----------
    backbone : str, Path or Backbone
        As a classifier takes it. It is loaded.
    classes : iterable of str, or mapping
        The class names; or a mapping of class to a name that says what it is, where
        the classes are numbers.
    examples : tuple of (texts, labels), optional
        Some labelled texts, twenty or more to tell anything: the templates with words
        are tried on them, without any fit, and the most accurate come first. Each
        takes a pass of the backbone over the texts.

    Returns
    -------
    Suggestions

    Raises
    ------
    TypeError
        If a class is no string and no mapping says its name.
    ValueError
        If there are fewer than two classes, or the examples do not fit together.

    Examples
    --------
    >>> from skraee import templates, toy
    >>> found = templates.suggest(toy.backbone(), ["negative", "positive"])
    >>> print(found)
    toy:masked:0 is a masked model; the classes: sentiment.
    Label words:
      negative: terrible (or bad); of several tokens: negative
      positive: great (or good); of several tokens: positive
    Templates:
      {text} It was {mask}.
      {text} All in all, it was {mask}.
      {text}  (for EarlyExitClassifier, or readout='ridge': no words are read)
    >>> found[0].label_words
    {'negative': 'terrible', 'positive': 'great'}
    """
    names = _names_of(classes)
    handle = as_backbone(backbone)
    loaded = handle.load()
    known = label_set_of(list(names.values()))
    kind = loaded.family.kind if loaded.has_head else "encoder"
    words: tuple[WordOfClass, ...] = ()
    prompts = [SuggestedPrompt(PLAIN)]
    prompts += [SuggestedPrompt(own) for own in of_backbone(handle).values()]
    if kind != "encoder":
        words = words_of(names, known, loaded)
        prompts = [*_with_words(words, known, kind), SuggestedPrompt(PLAIN)]
    if examples is not None:
        prompts = _ranked(handle, prompts, examples, list(names))
    return Suggestions(str(handle.name), kind, known.name, words, tuple(prompts))


def _names_of(classes: Iterable[Any]) -> dict[Hashable, str]:
    """Return class -> what it is called."""
    if isinstance(classes, str):
        raise TypeError(
            f"classes must be several names, got the one text {classes!r}; give a "
            "list, such as ['negative', 'positive']."
        )
    named = dict(classes) if isinstance(classes, Mapping) else {c: c for c in classes}
    unnamed = [name for name, called in named.items() if not isinstance(called, str)]
    if unnamed:
        raise TypeError(
            f"classes must be named to find words for them, got {unnamed[0]!r}; give a "
            "mapping such as {0: 'negative', 1: 'positive'}."
        )
    if len(named) < 2:
        raise ValueError(
            f"classes must be two or more, got {list(named)!r}; name all of them."
        )
    return {_plain(name): str(called) for name, called in named.items()}


def _plain(name: Any) -> Hashable:
    value: Hashable = name.item() if isinstance(name, np.generic) else name
    return value


# Templates


def _with_words(
    words: Sequence[WordOfClass], known: LabelSet, kind: str
) -> list[SuggestedPrompt]:
    """Return the templates of a set; none where a class has no word."""
    label_words = {one.name: one.word for one in words if one.word is not None}
    if len(label_words) < len(words):
        return []
    if kind == "masked":
        templates = list(known.masked)
    else:
        question = known.question.replace("{options}", _options(label_words))
        templates = [question, *_openings(known.masked)]
    return [SuggestedPrompt(template, dict(label_words)) for template in templates]


def _openings(masked: Iterable[str]) -> list[str]:
    """Return the sentences that a model can go on with: those that end in the mask."""
    return [one.removesuffix(_END) for one in masked if one.endswith(_END)]


def _options(label_words: Mapping[Hashable, str]) -> str:
    *first, last = [
        word.replace("{", "{{").replace("}", "}}") for word in label_words.values()
    ]
    return f"{', '.join(first)} or {last}"


def _ranked(
    backbone: Backbone,
    prompts: list[SuggestedPrompt],
    examples: tuple[Sequence[str], Sequence[Any]],
    classes: list[Hashable],
) -> list[SuggestedPrompt]:
    """Order prompts by the backbone's own accuracy; those without words come last."""
    texts, labels = examples
    if len(texts) != len(labels) or len(texts) == 0:
        raise ValueError(
            f"examples must be texts and as many labels, got {len(texts)} texts and "
            f"{len(labels)} labels; give one label for each text."
        )
    labels = [_plain(label) for label in labels]
    if strange := [label for label in labels if label not in classes]:
        raise ValueError(
            f"the examples' labels must be among the classes, got {strange[0]!r}; add "
            "it to classes."
        )
    tried = [
        replace(prompt, accuracy=_accuracy(backbone, prompt, texts, labels))
        for prompt in prompts
    ]
    return sorted(tried, key=lambda prompt: -(prompt.accuracy or -1.0))


def _accuracy(
    backbone: Backbone,
    prompt: SuggestedPrompt,
    texts: Sequence[str],
    labels: Sequence[Hashable],
) -> float | None:
    """Return how often the words alone, read at full depth, are right."""
    if prompt.label_words is None:
        return None
    reader = RAEEClassifier(
        backbone, prompt.template, label_words=prompt.label_words, memory=None
    )
    answers = reader.sweep(texts).logits[:, -1].argmax(axis=1)
    names = list(prompt.label_words)
    right = [names[i] == label for i, label in zip(answers, labels, strict=True)]
    return float(np.mean(right))


# The report


def _report(found: Suggestions) -> Iterator[str]:
    what = "an encoder" if found.kind == "encoder" else f"a {found.kind} model"
    yield f"{found.backbone} is {what}; the classes: {found.about}."
    if found.words:
        yield "Label words:"
        yield from (f"  {_told(word)}" for word in found.words)
    yield "Templates:"
    for prompt in found.prompts:
        yield f"  {prompt.template}{_remark(prompt)}"


def _told(word: WordOfClass) -> str:
    if word.word is None:
        return (
            f"{word.name}: none is one token; name a word of yours, or let "
            "EarlyExitClassifier read states, which needs none"
        )
    others = f" (or {', '.join(word.others)})" if word.others else ""
    more = "" if word.n_tokens == 1 else f" ({word.n_tokens} tokens, the first is read)"
    several = ""
    if word.several:
        several = f"; of several tokens: {', '.join(word.several)}"
    return f"{word.name}: {word.word}{more}{others}{several}"


def _remark(prompt: SuggestedPrompt) -> str:
    if prompt.label_words is None:
        return "  (for EarlyExitClassifier, or readout='ridge': no words are read)"
    if prompt.accuracy is None:
        return ""
    return f"  (zero-shot accuracy {prompt.accuracy:.2f})"
