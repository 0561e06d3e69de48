"""A template in a tokenizer's ids: constant words, and places for text between them."""

from collections.abc import Iterator
from dataclasses import dataclass

from skraee.text.label_words import OR_RIDGE
from skraee.text.template import ModelKind, Piece, Template
from skraee.text.tokenizer import TextTokenizer

# Stands for user text where the layout finds out how a field begins.
_PROBE = "a"


@dataclass(frozen=True, slots=True)
class Words:
    """Template words.

    Parameters
    ----------
    ids : tuple of int
        Their tokens.
    masks : tuple of int
        Where among them a mask stands.
    """

    ids: tuple[int, ...]
    masks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for text.

    Parameters
    ----------
    space : str
        White space tokenised together with the text.
    first : bool
        Whether the text is tokenised as if it opened the string.
    """

    space: str
    first: bool

    def filled(self, text: str) -> str:
        """Return what is tokenised for a text: nothing for an empty one."""
        return self.space + text if text else ""


def lay_out(
    template: Template,
    tokenizer: TextTokenizer,
    *,
    kind: ModelKind,
    needs_mask: bool = True,
    closes: bool = False,
) -> tuple[Words | Slot, ...]:
    """Tokenise what is constant in a template.

    Parameters
    ----------
    template : Template
        The template.
    tokenizer : TextTokenizer
        The model's tokenizer.
    kind : {"masked", "causal", "seq2seq"}
        How the model reads.
    needs_mask : bool, default=True
        Whether a masked model's template must have a mask.
    closes : bool, default=False
        Whether a causal model's prompt is closed, too.

    Returns
    -------
    tuple of Words or Slot
        From left to right, without the special tokens that the tokenizer puts around
        a sequence for this kind of model, also where the template writes them out.

    Raises
    ------
    ValueError
        If the template has too many masks or too few for the model.
    """
    if template.n_masks and kind == "masked" and tokenizer.mask_id is None:
        raise ValueError(
            f"a template with '{{mask}}' needs a tokenizer with a mask token, got "
            f"{template.text!r} and a tokenizer without one; choose a masked model or "
            f"leave '{{mask}}' out."
        )
    suffix_ids = closing_ids(tokenizer, kind, closes=closes)
    layout = tuple(_parts(template, tokenizer))
    layout = _without_surroundings(layout, tokenizer.prefix_ids, suffix_ids)
    # A mask may also be written out, as the model's own special token.
    written = sum(len(p.masks) for p in layout if isinstance(p, Words))
    _check_masks(template, max(written, template.n_masks), kind, needs_mask=needs_mask)
    return layout


def closing_ids(
    tokenizer: TextTokenizer, kind: ModelKind, *, closes: bool = False
) -> tuple[int, ...]:
    """Return the special tokens that close a prompt; most causal ones stay open.

    Parameters
    ----------
    tokenizer : TextTokenizer
    kind : {"masked", "causal", "seq2seq"}
    closes : bool, default=False
        Whether a causal model's prompt is closed, too.
    """
    return () if kind == "causal" and not closes else tokenizer.suffix_ids


def _without_surroundings(
    layout: tuple[Words | Slot, ...], prefix: tuple[int, ...], suffix: tuple[int, ...]
) -> tuple[Words | Slot, ...]:
    """Cut off what a template writes of the tokens that are put around every prompt."""
    parts = list(layout)
    if parts and isinstance(words := parts[0], Words):
        n = _n_shared(words.ids, prefix)
        parts[0] = Words(words.ids[n:], tuple(mask - n for mask in words.masks))
    if parts and isinstance(words := parts[-1], Words):
        n = _n_shared(words.ids[::-1], suffix[::-1])
        parts[-1] = Words(words.ids[: len(words.ids) - n], words.masks)
    return tuple(part for part in parts if isinstance(part, Slot) or part.ids)


def _n_shared(ids: tuple[int, ...], around: tuple[int, ...]) -> int:
    """Return how many of the first ids are the surroundings, or an end of these."""
    for n in range(len(around), 0, -1):
        if ids[:n] in (around[-n:], around[:n]):
            return n
    return 0


def _check_masks(
    template: Template, n_masks: int, kind: ModelKind, *, needs_mask: bool
) -> None:
    if kind != "masked" and n_masks:
        raise ValueError(
            f"a template for a {kind} model must have no mask, got {template.text!r}; "
            f"leave it out and end the template where the answer would follow."
        )
    if n_masks > 1:
        raise ValueError(
            f"a template must have one mask, got {n_masks} in {template.text!r}; "
            f"leave all but one out."
        )
    if kind == "masked" and needs_mask and not n_masks:
        raise ValueError(
            f"a template for a masked model must have a mask, got {template.text!r}; "
            f"write '{{mask}}' where the label word belongs, {OR_RIDGE}."
        )


def _parts(template: Template, tokenizer: TextTokenizer) -> Iterator[Words | Slot]:
    for i, (words, field) in enumerate(_segments(template, tokenizer.mask_token or "")):
        first = i == 0
        slot = None
        if field is None:
            words = _ended(words, tokenizer, first=first)
        else:
            words, slot = _border(words, field.left_space, tokenizer, first=first)
        if words:
            ids = tokenizer.literal(words, first=first)
            masks = (
                j for j, token_id in enumerate(ids) if token_id == tokenizer.mask_id
            )
            yield Words(tuple(ids), tuple(masks))
        if slot is not None:
            yield slot


def _segments(template: Template, mask: str) -> Iterator[tuple[str, Piece | None]]:
    """Yield every field with the words before it, the mask put in, then the rest."""
    words = ""
    for piece in template.pieces:
        if piece.kind == "field":
            yield words, piece
            words = ""
        else:
            words += mask if piece.kind == "mask" else piece.text
    yield words, None


def _ended(words: str, tokenizer: TextTokenizer, *, first: bool) -> str:
    """Drop line breaks at the end that are but a space to the tokenizer."""
    kept = words.rstrip()
    if kept == words:
        return words
    ids, spaced = (tokenizer.literal(w, first=first) for w in (words, kept + " "))
    return kept if ids == spaced else words


def _border(
    words: str, space: str, tokenizer: TextTokenizer, *, first: bool
) -> tuple[str, Slot]:
    """Divide the white space between words and a field, mostly to the field.

    Exceptions are special tokens that swallow the space behind them or begin a string
    of their own, and pre-tokenizers that keep a colon and a line break together. A
    probe shows which division gives the ids of the undivided string.
    """
    if not words:
        return words, Slot(space, first)
    undivided = tokenizer.literal(words + space + _PROBE, first=first)
    for n in range(len(space) + 1):
        kept = words + space[:n]
        ids = tokenizer.literal(kept, first=first)
        for slot in (Slot(space[n:], first=False), Slot(space[n:], first=True)):
            [text] = tokenizer.plain([slot.filled(_PROBE)], first=slot.first)
            if ids + text == undivided:
                return kept, slot
    return words, Slot(space, first=False)
