"""Words for classes, as a backbone's tokenizer has them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from skraee.backbone.loaded import LoadedBackbone
from skraee.templates.label_sets import LabelSet
from skraee.text.label_tokens import is_word, word_ids
from skraee.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class WordOfClass:
    """A label word, as a tokenizer has it.

    Attributes
    ----------
    name : hashable
        The class.
    word : str or None
        The first of the words for it that is one token; without any, and where the
        model writes from left to right, the first of all. None where none will do.
    n_tokens : int
        Of `word`; 0 where there is none.
    others : tuple of str
        Further words for it that are one token.
    several : tuple of str
        Words for it that are several tokens, its own name among them where it is, and
        so are not offered.
    """

    name: Hashable
    word: str | None
    n_tokens: int
    others: tuple[str, ...] = ()
    several: tuple[str, ...] = ()


def words_of(
    names: Mapping[Hashable, str], known: LabelSet, backbone: LoadedBackbone
) -> tuple[WordOfClass, ...]:
    """Choose words, class after class, that share no first token.

    Parameters
    ----------
    names : mapping of class to str
        What each is called.
    known : LabelSet
        That the classes are of.
    backbone : LoadedBackbone
        With a language-model head.

    Returns
    -------
    tuple of WordOfClass
        In the order of the classes.
    """
    taken: set[int] = set()
    found = []
    for name, called in names.items():
        word = _word_of(name, _candidates(called, known, backbone), taken, backbone)
        if word.word is not None:
            taken.add(word_ids(word.word, backbone.tokenizer)[0])
        found.append(word)
    return tuple(found)


def _candidates(called: str, known: LabelSet, backbone: LoadedBackbone) -> list[str]:
    """Return words that could stand for a class, its own name among them.

    A masked model fills in what people write, "It was great"; one that writes is asked
    for the class by its name, as in the paper's prompts.
    """
    own = called.strip()
    names = [own, own.lower(), own.capitalize()]
    offered = known.words.get(own.lower(), ())
    if backbone.family.kind == "masked":
        return list(dict.fromkeys([*offered, *names]))
    return list(dict.fromkeys([own, *offered, *names]))


def _word_of(
    name: Hashable, candidates: list[str], taken: set[int], backbone: LoadedBackbone
) -> WordOfClass:
    tokenizer = backbone.tokenizer
    usable = [word for word in candidates if _is_free(word, taken, tokenizer)]
    single = [word for word in usable if len(word_ids(word, tokenizer)) == 1]
    several = _several(candidates, tokenizer)
    if single:
        return WordOfClass(name, single[0], 1, tuple(single[1:]), several)
    if usable and backbone.family.kind != "masked":
        word = usable[0]
        left = tuple(other for other in several if other != word)
        return WordOfClass(name, word, len(word_ids(word, tokenizer)), several=left)
    return WordOfClass(name, None, 0, several=several)


def _several(candidates: list[str], tokenizer: TextTokenizer) -> tuple[str, ...]:
    """Return words of several tokens, each in the first of its spellings."""
    found: dict[str, str] = {}
    for word in candidates:
        if len(word_ids(word, tokenizer)) > 1:
            found.setdefault(word.lower(), word)
    return tuple(found.values())


def _is_free(word: str, taken: set[int], tokenizer: TextTokenizer) -> bool:
    return is_word(word, tokenizer) and word_ids(word, tokenizer)[0] not in taken
