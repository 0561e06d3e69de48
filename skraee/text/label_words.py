"""Label words: one word per class."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LabelWords = Mapping[Any, str] | Sequence[str] | None

# How many of very many classes an error names.
_SHOWN = 100

OR_RIDGE = "or let RAEEClassifier read states with readout='ridge', which needs none"


def label_words_for(
    classes: Iterable[Any], label_words: LabelWords
) -> dict[Hashable, str]:
    """Find the word of every class.

    Parameters
    ----------
    classes : sequence
        The classes, sorted, as in `classes_`.
    label_words : dict, list or None
        Class to word, where more classes may be named than are given; or words in the
        order of `classes`; or None for the names of the classes.

    Returns
    -------
    dict
        Class, as a Python value, to word.

    Raises
    ------
    TypeError
        If `label_words` is something else, or a word is no string.
    ValueError
        If a class has no word or an empty one, or None is given for classes that are
        no strings.

    Examples
    --------
    >>> label_words_for([0, 1], ["terrible", "great"])
    {0: 'terrible', 1: 'great'}
    """
    names = [_as_python(c) for c in classes]
    if label_words is None:
        words = _own_names(names)
    elif isinstance(label_words, Mapping):
        words = _of_names(names, label_words)
    else:
        words = _in_order(names, _as_list(label_words))
    check_words(words)
    return words


def all_label_words(
    label_words: LabelWords, classes: Iterable[Any] | None = None
) -> dict[Hashable, str]:
    """Return all words that are named: a dict may know more classes than y has.

    Parameters
    ----------
    label_words : dict, list or None
        As `label_words_for` takes them.
    classes : sequence, optional
        The classes, sorted; None where they are not known.

    Returns
    -------
    dict
        Class to word, or number to word where a list is given without classes.

    Raises
    ------
    TypeError, ValueError
        As `label_words_for`, and if neither words nor classes are known.

    Examples
    --------
    >>> all_label_words({"bad": "terrible", "good": "great"}, ["good"])
    {'bad': 'terrible', 'good': 'great'}
    """
    words = {} if classes is None else label_words_for(classes, label_words)
    if isinstance(label_words, Mapping):
        words = _with_python_names(label_words) | words
    elif classes is None and label_words is None:
        raise ValueError(
            "without labels the class names are not known; give label_words to "
            "sweep texts on their own."
        )
    elif classes is None:
        words = dict(enumerate(_as_list(label_words)))
    check_words(words)
    return words


def _as_python(name: Any) -> Hashable:
    if not isinstance(name, np.generic):
        return name  # type: ignore[no-any-return]
    if name.dtype in ("M8[ns]", "m8[ns]"):  # whose items are mere numbers
        name = name.astype(f"{name.dtype.kind}8[us]")
    value: Hashable = name.item()
    return value


def _with_python_names(label_words: Mapping[Any, str]) -> dict[Hashable, str]:
    return {_as_python(name): word for name, word in label_words.items()}


def _own_names(names: Sequence[Hashable]) -> dict[Hashable, str]:
    words: dict[Hashable, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"label_words may be None only where all classes are strings, got the "
                f"class {name!r}; give a dict of class to word, {OR_RIDGE}."
            )
        words[name] = name
    return words


def _of_names(
    names: Sequence[Hashable], label_words: Mapping[Any, str]
) -> dict[Hashable, str]:
    known = _with_python_names(label_words)
    missing = [repr(name) for name in names if name not in known]
    if missing:
        raise ValueError(
            f"label_words must name every class, got no word for {listed(missing)} "
            f"(words for {listed(map(repr, known))}); add it, or, where a "
            f"meta-estimator passes class numbers, give a list in the sorted order of "
            f"classes_."
        )
    return {name: known[name] for name in names}


def _as_list(label_words: Any) -> Sequence[str]:
    if not isinstance(label_words, list | tuple):
        raise TypeError(
            f"label_words must be a dict of class to word, a list of words or None, "
            f"got {type(label_words).__name__}; write for example "
            f"{{'negative': 'terrible', 'positive': 'great'}}."
        )
    return label_words


def _in_order(names: Sequence[Hashable], words: Sequence[str]) -> dict[Hashable, str]:
    if len(words) != len(names):
        raise ValueError(
            f"a list of label_words must have one word per class, got {len(words)} "
            f"words for {len(names)} classes [{listed(map(repr, names))}]; give them "
            f"in this order, or give a dict of class to word."
        )
    return dict(zip(names, words, strict=True))


def check_words(words: Mapping[Hashable, str]) -> None:
    """Refuse what is no word for any tokenizer."""
    for name, word in words.items():
        if not isinstance(word, str):
            raise TypeError(
                f"a label word must be a string, got {word!r} for the class {name!r}; "
                f"write the word that the model should say for it."
            )
        if not word.strip():
            raise ValueError(
                f"a label word must not be empty, got {word!r} for the class {name!r}; "
                f"write the word that the model should say for it."
            )
    _check_not_shared(words)


def _check_not_shared(words: Mapping[Hashable, str]) -> None:
    """Refuse classes with the same word."""
    names: dict[str, list[Hashable]] = {}
    for name, word in words.items():
        names.setdefault(word.strip(), []).append(name)
    shared = [
        f"{word!r} for {listed(map(repr, of_word), ' and ')}"
        for word, of_word in names.items()
        if len(of_word) > 1
    ]
    if shared:
        raise ValueError(
            f"every class must have a label word of its own, got {listed(shared)}; "
            f"choose other words, {OR_RIDGE}."
        )


def listed(items: Iterable[str], separator: str = ", ") -> str:
    """Join the first of many items, and say how many more there are."""
    shown = list(items)
    if len(more := shown[_SHOWN:]):
        shown[_SHOWN:] = [f"{len(more)} more"]
    return separator.join(shown)
