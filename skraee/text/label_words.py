"""Label words: one word per class, and the token by which a model says it."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from skraee.exceptions import InputWarning, warn_user
from skraee.text.inputs import replace_surrogates
from skraee.text.template import ModelKind
from skraee.text.tokenizer import TextTokenizer

LabelWords = Mapping[Any, str] | Sequence[str] | None

# How vocabularies spell a space: as it is, in SentencePiece, in byte-level BPE.
_SPACES = " ▁Ġ"

# How many of very many classes an error names.
_SHOWN = 100

_OR_RIDGE = "or let RAEEClassifier read states with readout='ridge', which needs none"


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
    _check_words(words)
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
    _check_words(words)
    return words


def label_token_ids(
    words: Mapping[Hashable, str], tokenizer: TextTokenizer, *, kind: ModelKind
) -> dict[Hashable, int]:
    """Find the token that stands for every class.

    A label word is the token of a space and the word in mid-string (LM-BFF's rule),
    also where the mask opens the template.

    Parameters
    ----------
    words : mapping
        Class to word.
    tokenizer : TextTokenizer
        The model's tokenizer.
    kind : {"masked", "causal", "seq2seq"}
        A masked model needs words of one token each. The others write a word from
        left to right, so its first token serves if it tells the classes apart.

    Returns
    -------
    dict
        Class to token id.

    Raises
    ------
    TypeError
        If a word is no string.
    ValueError
        If words are empty, unknown to the tokenizer or of several tokens where one is
        needed, or if classes share a token. All of them are named.
    """
    _check_words(words)
    ids = {name: _ids(word, tokenizer) for name, word in words.items()}
    _check_known(ids, words, tokenizer)
    if kind == "masked":
        _check_single(ids, words, tokenizer)
    _check_telling(ids, words, tokenizer)
    _check_distinct(ids, words, tokenizer)
    return {name: of_word[0] for name, of_word in ids.items()}


def warn_of_long_words(words: Mapping[Hashable, str], tokenizer: TextTokenizer) -> None:
    """Warn of words for which only their first token stands.

    Parameters
    ----------
    words : mapping
        Class to word, as `label_token_ids` took them.
    tokenizer : TextTokenizer
        The model's tokenizer.

    Warns
    -----
    InputWarning
        Once, if words have several tokens.
    """
    found = [
        f"{tokenizer.token(ids[0])!r} for {word!r}"
        for word in words.values()
        if len(ids := _ids(word, tokenizer)) > 1
    ]
    if found:
        warn_user(
            f"of label words with several tokens the first one alone is read, here "
            f"{_some(found)}; choose words of one token where these do not say what "
            "the class is.",
            InputWarning,
        )


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
                f"class {name!r}; give a dict of class to word, {_OR_RIDGE}"
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
            f"label_words must name every class, got no word for {_some(missing)} "
            f"(words for {_some(map(repr, known))}); add it, or, where a "
            f"meta-estimator passes class numbers, give a list in the sorted order of "
            f"classes_"
        )
    return {name: known[name] for name in names}


def _as_list(label_words: Any) -> Sequence[str]:
    if not isinstance(label_words, list | tuple):
        raise TypeError(
            f"label_words must be a dict of class to word, a list of words or None, "
            f"got {type(label_words).__name__}; write for example "
            f"{{'negative': 'terrible', 'positive': 'great'}}"
        )
    return label_words


def _in_order(names: Sequence[Hashable], words: Sequence[str]) -> dict[Hashable, str]:
    if len(words) != len(names):
        raise ValueError(
            f"a list of label_words must have one word per class, got {len(words)} "
            f"words for {len(names)} classes [{_some(map(repr, names))}]; give them in "
            f"this order, or give a dict of class to word"
        )
    return dict(zip(names, words, strict=True))


def _check_words(words: Mapping[Hashable, str]) -> None:
    """Refuse what is no word for any tokenizer."""
    for name, word in words.items():
        if not isinstance(word, str):
            raise TypeError(
                f"a label word must be a string, got {word!r} for the class {name!r}; "
                f"write the word that the model should say for it"
            )
        if not word.strip():
            raise ValueError(
                f"a label word must not be empty, got {word!r} for the class {name!r}; "
                f"write the word that the model should say for it"
            )
    _check_not_shared(words)


def _check_not_shared(words: Mapping[Hashable, str]) -> None:
    """Refuse classes with the same word."""
    names: dict[str, list[Hashable]] = {}
    for name, word in words.items():
        names.setdefault(word.strip(), []).append(name)
    shared = [
        f"{word!r} for {_some(map(repr, of_word), ' and ')}"
        for word, of_word in names.items()
        if len(of_word) > 1
    ]
    if shared:
        raise ValueError(
            f"every class must have a label word of its own, got {_some(shared)}; "
            f"choose other words, {_OR_RIDGE}"
        )


def _ids(word: str, tokenizer: TextTokenizer) -> list[int]:
    [ids] = tokenizer.plain([" " + replace_surrogates(word.strip())], first=False)
    return ids


_Ids = Mapping[Hashable, Sequence[int]]
_Words = Mapping[Hashable, str]


def _check_known(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    unk_id = tokenizer.unk_id
    unknown = [n for n, of_word in ids.items() if not of_word or unk_id in of_word]
    if unknown:
        raise ValueError(
            f"a label word must be known to the tokenizer, got "
            f"{_spelt(unknown, ids, words, tokenizer)}; choose other words, {_OR_RIDGE}"
        )


def _check_single(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    long = [name for name, of_word in ids.items() if len(of_word) > 1]
    if long:
        raise ValueError(
            f"a label word of a masked model must be one token, got "
            f"{_spelt(long, ids, words, tokenizer)}; choose commoner or shorter words, "
            f"{_OR_RIDGE}"
        )


def _check_telling(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    blank = [n for n, of_word in ids.items() if _is_blank(of_word[0], tokenizer)]
    if blank:
        raise ValueError(
            f"the first token of a label word must say something of it, got "
            f"{_spelt(blank, ids, words, tokenizer)}; choose words that do not begin "
            f"with a token of white space, {_OR_RIDGE}"
        )


def _is_blank(token_id: int, tokenizer: TextTokenizer) -> bool:
    return not tokenizer.token(token_id).strip(_SPACES)


def _check_distinct(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    names: dict[int, list[Hashable]] = {}
    for name, of_word in ids.items():
        names.setdefault(of_word[0], []).append(name)
    clashes = [
        f"{tokenizer.token(token_id)!r} for "
        + _some([f"{name!r} ({words[name]!r})" for name in of_token], " and ")
        for token_id, of_token in names.items()
        if len(of_token) > 1
    ]
    if clashes:
        raise ValueError(
            f"every class must have a token of its own, got {_some(clashes)}; choose "
            f"words that differ in their first token, {_OR_RIDGE}"
        )


def _spelt(
    names: Sequence[Hashable], ids: _Ids, words: _Words, tokenizer: TextTokenizer
) -> str:
    """Say what words became."""
    return _some(
        f"{words[name]!r} for the class {name!r} with the tokens "
        f"{[tokenizer.token(token_id) for token_id in ids[name]]}"
        for name in names
    )


def _some(items: Iterable[str], separator: str = ", ") -> str:
    """Join the first of many items, and say how many more there are."""
    shown = list(items)
    if len(more := shown[_SHOWN:]):
        shown[_SHOWN:] = [f"{len(more)} more"]
    return separator.join(shown)
