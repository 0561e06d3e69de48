"""Label words: one word per class, and the token by which a model says it."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from skraee.text.inputs import replace_surrogates
from skraee.text.template import ModelKind
from skraee.text.tokenizer import TextTokenizer

LabelWords = Mapping[Any, str] | Sequence[str] | None

# How vocabularies spell a space: as it is, in SentencePiece, in byte-level BPE.
_SPACES = " ▁Ġ"


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
        If `label_words` is something else.
    ValueError
        If a class has no word, or None is given for classes that are no strings.

    Examples
    --------
    >>> label_words_for([0, 1], ["terrible", "great"])
    {0: 'terrible', 1: 'great'}
    """
    names = [c.item() if isinstance(c, np.generic) else c for c in classes]
    if label_words is None:
        return _own_names(names)
    if isinstance(label_words, Mapping):
        return {name: _word_of(name, label_words) for name in names}
    if isinstance(label_words, list | tuple):
        return _in_order(names, label_words)
    raise TypeError(
        f"label_words must be a dict of class to word, a list of words or None, got "
        f"{type(label_words).__name__}; write for example "
        f"{{'negative': 'terrible', 'positive': 'great'}}"
    )


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
        If a word is empty, unknown to the tokenizer or of several tokens where one is
        needed, or if two classes have the same token.
    """
    tokens: dict[Hashable, int] = {}
    for name, word in words.items():
        ids = _ids(name, word, tokenizer)
        _check_token(name, word, ids, tokenizer, kind)
        _check_distinct(name, ids, words, tokens, tokenizer)
        tokens[name] = ids[0]
    return tokens


def _own_names(names: Sequence[Hashable]) -> dict[Hashable, str]:
    words: dict[Hashable, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"label_words may be None only where all classes are strings, got the "
                f"class {name!r}; give a dict of class to word"
            )
        words[name] = name
    return words


def _word_of(name: Hashable, label_words: Mapping[Any, str]) -> str:
    if name not in label_words:
        raise ValueError(
            f"label_words must name every class, got no word for {name!r} (words for "
            f"{list(label_words)}); add it, or, where a meta-estimator passes class "
            f"numbers, give a list in the sorted order of classes_"
        )
    return label_words[name]


def _in_order(names: Sequence[Hashable], words: Sequence[str]) -> dict[Hashable, str]:
    if len(words) != len(names):
        raise ValueError(
            f"a list of label_words must have one word per class, got {len(words)} "
            f"words for {len(names)} classes {list(names)}; give them in this order, "
            f"or give a dict of class to word"
        )
    return dict(zip(names, words, strict=True))


def _ids(name: Hashable, word: str, tokenizer: TextTokenizer) -> list[int]:
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
    [ids] = tokenizer.plain([" " + replace_surrogates(word.strip())], first=False)
    return ids


def _check_token(
    name: Hashable,
    word: str,
    ids: Sequence[int],
    tokenizer: TextTokenizer,
    kind: ModelKind,
) -> None:
    pieces = [tokenizer.token(token_id) for token_id in ids]
    of_class = f"for the class {name!r}"
    if not ids or tokenizer.unk_id in ids:
        raise ValueError(
            f"a label word must be known to the tokenizer, got {word!r} {of_class}, "
            f"which it reads as {pieces}; choose another word"
        )
    if kind == "masked" and len(ids) > 1:
        raise ValueError(
            f"a label word of a masked model must be one token, got {word!r} "
            f"{of_class} with the tokens {pieces}; choose a commoner or shorter word"
        )
    if not pieces[0].strip(_SPACES):
        raise ValueError(
            f"the first token of a label word must say something of it, got {word!r} "
            f"{of_class} with the tokens {pieces}; choose a word that does not begin "
            f"with a token of white space"
        )


def _check_distinct(
    name: Hashable,
    ids: Sequence[int],
    words: Mapping[Hashable, str],
    tokens: Mapping[Hashable, int],
    tokenizer: TextTokenizer,
) -> None:
    for other, token_id in tokens.items():
        if token_id == ids[0]:
            raise ValueError(
                f"every class must have a token of its own, got "
                f"{tokenizer.token(token_id)!r} for both {other!r} ({words[other]!r}) "
                f"and {name!r} ({words[name]!r}); choose words that differ in their "
                f"first token"
            )
