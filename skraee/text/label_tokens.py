"""The token by which a model says a label word."""

from collections.abc import Hashable, Mapping, Sequence

from skraee.exceptions import InputWarning, warn_user
from skraee.text.inputs import replace_surrogates
from skraee.text.label_words import OR_RIDGE, check_words, listed
from skraee.text.template import ModelKind
from skraee.text.tokenizer import TextTokenizer

# How vocabularies spell a space: as it is, in SentencePiece, in byte-level BPE.
_SPACES = " ▁Ġ"

_Ids = Mapping[Hashable, Sequence[int]]
_Words = Mapping[Hashable, str]


# Words, and tokens of a word, that a message names.
_MOST_SPELT = 4


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
    check_words(words)
    ids = {name: word_ids(word, tokenizer) for name, word in words.items()}
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
        if len(ids := word_ids(word, tokenizer)) > 1
    ]
    if found:
        warn_user(
            f"of label words with several tokens the first one alone is read, here "
            f"{listed(found)}; choose words of one token where these do not say what "
            "the class is.",
            InputWarning,
        )


def word_ids(word: str, tokenizer: TextTokenizer) -> list[int]:
    """Return the tokens of a space and a word in mid-string.

    Parameters
    ----------
    word : str
    tokenizer : TextTokenizer
    """
    [ids] = tokenizer.plain([" " + replace_surrogates(word.strip())], first=False)
    return ids


def is_word(word: str, tokenizer: TextTokenizer) -> bool:
    """Whether a tokenizer knows a word, and its first token says something of it.

    Parameters
    ----------
    word : str
    tokenizer : TextTokenizer
    """
    ids = word_ids(word, tokenizer)
    return (
        bool(ids) and tokenizer.unk_id not in ids and not _is_blank(ids[0], tokenizer)
    )


def _check_known(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    unk_id = tokenizer.unk_id
    unknown = [n for n, of_word in ids.items() if not of_word or unk_id in of_word]
    if unknown:
        raise ValueError(
            f"a label word must be known to the tokenizer, got "
            f"{_spelt(unknown, ids, words, tokenizer)}; choose other words, {OR_RIDGE}."
        )


def _check_single(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    long = [name for name, of_word in ids.items() if len(of_word) > 1]
    if long:
        raise ValueError(
            f"a label word of a masked model must be one token, got "
            f"{_spelt(long, ids, words, tokenizer)}; choose commoner or shorter words, "
            f"{OR_RIDGE}."
        )


def _check_telling(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    blank = [n for n, of_word in ids.items() if _is_blank(of_word[0], tokenizer)]
    if blank:
        raise ValueError(
            f"the first token of a label word must say something of it, got "
            f"{_spelt(blank, ids, words, tokenizer)}; choose words that do not begin "
            f"with a token of white space, {OR_RIDGE}."
        )


def _is_blank(token_id: int, tokenizer: TextTokenizer) -> bool:
    return not tokenizer.token(token_id).strip(_SPACES)


def _check_distinct(ids: _Ids, words: _Words, tokenizer: TextTokenizer) -> None:
    names: dict[int, list[Hashable]] = {}
    for name, of_word in ids.items():
        names.setdefault(of_word[0], []).append(name)
    clashes = [
        f"{tokenizer.token(token_id)!r} for "
        + listed([f"{name!r} ({words[name]!r})" for name in of_token], " and ")
        for token_id, of_token in names.items()
        if len(of_token) > 1
    ]
    if clashes:
        raise ValueError(
            f"every class must have a token of its own, got {listed(clashes)}; choose "
            f"words that differ in their first token, {OR_RIDGE}."
        )


def _spelt(
    names: Sequence[Hashable], ids: _Ids, words: _Words, tokenizer: TextTokenizer
) -> str:
    """Say what words became, of the first few."""
    said = [
        f"{words[name]!r} for the class {name!r} ({_tokens(ids[name], tokenizer)})"
        for name in names[:_MOST_SPELT]
    ]
    more = len(names) - len(said)
    return listed([*said, f"{more} more"] if more else said)


def _tokens(ids: Sequence[int], tokenizer: TextTokenizer) -> str:
    """Return the tokens of a word, of a long one the first."""
    first = [tokenizer.token(token_id) for token_id in ids[:_MOST_SPELT]]
    end = ", ..." if len(ids) > len(first) else ""
    return f"tokens {', '.join(map(repr, first))}{end}" if first else "no token"
