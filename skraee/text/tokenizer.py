"""A model's tokenizer, held so that template and user text can be told apart."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Self

from tokenizers import Tokenizer

from skraee.text.rust_tokenizer import (
    anchors,
    batch_ids,
    constant_copy,
    special_added_ids,
    surrounding_ids,
    unknown_id,
)


class TextTokenizer:
    """A fast tokenizer in two constant copies: one for templates, one for user text.

    In the first copy special tokens are recognised; in the second they are plain
    text, so that a review which contains ``</s>`` or ``[MASK]`` cannot steer the
    model. Neither truncates nor pads and neither changes after construction, which
    makes both safe to use from several threads.

    Parameters
    ----------
    rust : tokenizers.Tokenizer
        Stays as it is; its truncation and padding are not taken over.
    mask_token : str or None
        The mask, None for a model without one.
    special_ids : iterable of int
        Ids that user text may never produce, beside the ids of the special added
        tokens, which are found here.

    Attributes
    ----------
    mask_token : str or None
        The mask as text.
    mask_id : int or None
        The mask's id.
    unk_id : int or None
        What the tokenizer writes for text that it does not know; None for a
        tokenizer that knows every byte.
    prefix_ids, suffix_ids : tuple of int
        The special tokens that the tokenizer puts around one sequence.
    control_ids : frozenset of int
        Ids of all special tokens.
    largest_id : int
        The largest id that a text, or what stands around it, can have.
    fingerprint : str
        SHA-256 of everything above.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> rust = Tokenizer(models.WordLevel({"<unk>": 0, "good": 1, "film": 2}, "<unk>"))
    >>> rust.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> tokenizer = TextTokenizer(rust, None, [0])
    >>> tokenizer.plain(["good film", "good grief"], first=True)
    [[1, 2], [1, 0]]
    """

    def __init__(
        self, rust: Tokenizer, mask_token: str | None, special_ids: Iterable[int]
    ) -> None:
        self._special = constant_copy(rust)
        self._plain = constant_copy(rust)
        self._plain.encode_special_tokens = True
        self.mask_token = mask_token
        self.mask_id = self._special.token_to_id(mask_token) if mask_token else None
        self.unk_id = unknown_id(self._special)
        self.control_ids = frozenset(special_ids) | special_added_ids(self._special)
        self.prefix_ids, self.suffix_ids = surrounding_ids(self._special)
        self.fingerprint = self._hash()
        self._forbidden = self.control_ids - {self.unk_id}
        self._anchors = anchors(self._plain, self.control_ids)
        self.largest_id = self._largest_id()

    @classmethod
    def from_hf(cls, hf_tokenizer: Any) -> Self:
        """Copy a Hugging Face fast tokenizer, which stays as it is.

        Parameters
        ----------
        hf_tokenizer : transformers.PreTrainedTokenizerFast
            Any object with `backend_tokenizer`, `mask_token` and `all_special_ids`.

        Returns
        -------
        TextTokenizer

        Raises
        ------
        ValueError
            If the tokenizer is not a fast one.
        """
        backend = getattr(hf_tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ValueError(
                f"the tokenizer must be a fast one (with a `backend_tokenizer`), got "
                f"{type(hf_tokenizer).__name__}; load it with "
                f"AutoTokenizer.from_pretrained, or convert it to a tokenizer.json."
            )
        mask_token = getattr(hf_tokenizer, "mask_token", None)
        return cls(backend, mask_token, hf_tokenizer.all_special_ids)

    def literal(self, text: str, *, first: bool) -> list[int]:
        """Encode a piece of a template, in which special tokens are special.

        Parameters
        ----------
        text : str
            The piece.
        first : bool
            Whether the piece opens the string. Some tokenizers write a space before
            the first word of a string; a later piece must not get one.

        Returns
        -------
        list of int
        """
        return self._encode(self._special, [text], first=first)[0]

    def plain(self, texts: Sequence[str], *, first: bool) -> list[list[int]]:
        """Encode user text, in which special tokens are plain text.

        Parameters
        ----------
        texts : sequence of str
            The texts, one list of ids each.
        first : bool
            Whether each text opens its string, see `literal`.

        Returns
        -------
        list of list of int
            No id is in `control_ids`, but for `unk_id`.
        """
        encoded = self._encode(self._plain, texts, first=first)
        return [
            ids if self._forbidden.isdisjoint(ids) else self._spelt_out(ids)
            for ids in encoded
        ]

    def text(self, ids: Sequence[int]) -> str:
        """Return what tokens say; special ones say nothing.

        Parameters
        ----------
        ids : sequence of int
            As a model has generated them.
        """
        return str(self._special.decode(list(ids), skip_special_tokens=True))

    def token(self, token_id: int) -> str:
        """Return the token of an id, as the vocabulary spells it."""
        return str(self._special.id_to_token(token_id))

    def _largest_id(self) -> int:
        ids = set(self._plain.get_vocab(with_added_tokens=True).values())
        around = (*self.prefix_ids, *self.suffix_ids, self.mask_id, self.unk_id)
        return max(ids - self.control_ids | {i for i in around if i is not None})

    def _encode(
        self, rust: Tokenizer, texts: Sequence[str], *, first: bool
    ) -> list[list[int]]:
        if first or not self._anchors:
            return batch_ids(rust, texts)
        return self._encode_behind_anchor(rust, texts)

    def _encode_behind_anchor(
        self, rust: Tokenizer, texts: Sequence[str]
    ) -> list[list[int]]:
        """Encode every text behind a short word, whose tokens are cut off again.

        Where a token reaches across, the ids do not begin with those of the anchor,
        and the text is tried behind another one. A text that no anchor suits is
        encoded as if it opened the string.
        """
        found: dict[int, list[int]] = {}
        left = list(range(len(texts)))
        for anchor, anchor_ids in self._anchors:
            n = len(anchor_ids)
            encoded = batch_ids(rust, [anchor + texts[i] for i in left])
            for i, ids in zip(left, encoded, strict=True):
                if ids[:n] == anchor_ids:
                    found[i] = ids[n:]
            left = [i for i in left if i not in found]
            if not left:
                break
        found |= dict(zip(left, batch_ids(rust, [texts[i] for i in left]), strict=True))
        return [found[i] for i in range(len(texts))]

    def _spelt_out(self, ids: Sequence[int]) -> list[int]:
        """Replace control tokens that came from plain text by their characters.

        The vocabulary of a Unigram tokenizer holds ``</s>`` and ``<pad>`` as pieces,
        which it finds in any text.
        """
        spelt: list[int] = []
        for token_id in ids:
            spelt += (
                self._spelling(token_id) if token_id in self._forbidden else [token_id]
            )
        return spelt

    def _spelling(self, token_id: int) -> list[int]:
        characters = self._encode(self._plain, list(self.token(token_id)), first=False)
        unknown = [] if self.unk_id is None else [self.unk_id]
        spelling: list[int] = []
        for ids in characters:
            spelling += ids if self._forbidden.isdisjoint(ids) else unknown
        return spelling

    def _hash(self) -> str:
        digest = hashlib.sha256(self._special.to_str().encode())
        digest.update(repr((self.mask_token, sorted(self.control_ids))).encode())
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled Rust tokenizer forgets `encode_special_tokens`.
        state = (self._special.to_str(), self.mask_token, self.control_ids)
        return _restore, state


def _restore(
    serialized: str, mask_token: str | None, special_ids: frozenset[int]
) -> TextTokenizer:
    return TextTokenizer(Tokenizer.from_str(serialized), mask_token, special_ids)
