"""Texts filled into a template: token ids with a known read position."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from skraee.exceptions import TruncationWarning, warn_user
from skraee.text.layout import Slot, Words, closing_ids, lay_out
from skraee.text.long_texts import MOST_WINDOWS, LongTexts, Row, fitted_rows
from skraee.text.prompt import Prompt
from skraee.text.template import ModelKind, Template
from skraee.text.tokenizer import TextTokenizer
from skraee.text.truncation import limit_of


class PromptEncoder:
    """Turns texts into prompts for one template and one tokenizer.

    Template and text are tokenised apart and joined as ids, so whatever a text holds,
    the read position is known and only text is cut. For stripped, non-empty text
    without special tokens, and fields between white space, the ids are those of the
    tokenizer called on the filled template; where this writes the tokens that open or
    close every sequence, called without adding them.

    Parameters
    ----------
    template : Template
        What surrounds the text.
    tokenizer : TextTokenizer
        The model's tokenizer.
    kind : {"masked", "causal", "seq2seq"}
        How the model reads: at the mask; at the last token, closing special tokens
        left out; at the last token before the closing special tokens.
    max_length : int or None
        The user's limit in tokens, template and special tokens included. Lower it to
        save time on long texts.
    position_limit : int or None
        How many positions the model has; None where it has no limit.
    needs_mask : bool, default=True
        Whether a masked model's template must have a mask. Without one the first
        token is read.
    reads_end : bool, default=False
        Whether a causal model's prompt is closed as its tokenizer closes a sequence,
        and read at the very end: so encoders are made of causal models.
    long_texts : {"cut", "head_tail", "mean"}, default="cut"
        What is done with a text beyond the limits: its end is cut, its middle is, or it
        is read in windows, each with the template around it.

    Attributes
    ----------
    limit : int or None
        The smaller of the two limits.

    Raises
    ------
    ValueError
        If the template has too many masks or too few for the model, or leaves no
        token for the text.
    """

    def __init__(
        self,
        template: Template,
        tokenizer: TextTokenizer,
        *,
        kind: ModelKind,
        max_length: int | None,
        position_limit: int | None,
        needs_mask: bool = True,
        reads_end: bool = False,
        long_texts: LongTexts = "cut",
    ) -> None:
        self.template = template
        self.tokenizer = tokenizer
        self.kind = kind
        self.long_texts = long_texts
        self.limit = limit_of(max_length, position_limit)
        self._layout = lay_out(
            template, tokenizer, kind=kind, needs_mask=needs_mask, closes=reads_end
        )
        self._suffix_ids = closing_ids(tokenizer, kind, closes=reads_end)
        n_fixed = self._count_fixed()
        self._room = None if self.limit is None else self.limit - n_fixed

    @property
    def reads_a_position(self) -> bool:
        """Whether there is a position to read: the mask, or a causal model's last."""
        words = [part for part in self._layout if isinstance(part, Words)]
        return self.kind != "masked" or any(part.masks for part in words)

    @property
    def has_words_around(self) -> bool:
        """Whether prompts have tokens beside the text's that can know of it."""
        if self.kind != "causal":
            return bool(self.tokenizer.prefix_ids or self._suffix_ids) or any(
                isinstance(part, Words) for part in self._layout
            )
        behind = self._layout[[isinstance(p, Slot) for p in self._layout].index(True) :]
        return bool(self._suffix_ids) or any(isinstance(p, Words) for p in behind)

    @property
    def form(self) -> list[Any]:
        """What makes a prompt of texts, in values for JSON: all tokens around them."""
        parts = [
            [part.space, part.first] if isinstance(part, Slot) else list(part.ids)
            for part in self._layout
        ]
        return [list(self.tokenizer.prefix_ids), parts, list(self._suffix_ids)]

    def encode(
        self, samples: Sequence[tuple[str, ...]], *, warn: bool = True
    ) -> list[Prompt]:
        """Fill the template with every sample.

        Parameters
        ----------
        samples : sequence of tuple of str
            The fields of each sample, in the order of `template.fields`, as
            `skraee.text.inputs.check_texts` returns them.
        warn : bool, default=True
            Whether to warn of texts that were cut.

        Returns
        -------
        list of Prompt

        Raises
        ------
        ValueError
            If a prompt would have no token at all.

        Warns
        -----
        TruncationWarning
            Once per call, if texts had to be cut.
        """
        prompts = [self._filled(row) for row in self._rows(samples)]
        if warn:
            self.warn_of_cuts(sum(prompt.is_cut for prompt in prompts))
        return prompts

    def are_long(self, samples: Sequence[tuple[str, ...]]) -> list[bool]:
        """Say which samples are beyond the limits, so that `long_texts` matters.

        Parameters
        ----------
        samples : sequence of tuple of str
            As `encode` takes them.
        """
        if self._room is None:
            return [False] * len(samples)
        return [sum(map(len, row)) > self._room for row in self._rows(samples)]

    def warn_of_cuts(self, n_cut: int) -> None:
        """Warn that texts were cut; for callers that encode part after part.

        Parameters
        ----------
        n_cut : int
            How many; none is no warning.
        """
        if n_cut:
            most = f"{MOST_WINDOWS} " if self.long_texts == "mean" else ""
            warn_user(
                f"{n_cut} text(s) were cut to fit {most}prompts of {self.limit} "
                f"tokens; raise max_length if the model has more positions.",
                TruncationWarning,
            )

    def _rows(self, samples: Sequence[tuple[str, ...]]) -> list[Row]:
        """Tokenise the fields of every sample."""
        slots = [part for part in self._layout if isinstance(part, Slot)]
        columns = [
            self.tokenizer.plain([slot.filled(s[i]) for s in samples], first=slot.first)
            for i, slot in enumerate(slots)
        ]
        return list(zip(*columns, strict=True))

    def _filled(self, row: Row) -> Prompt:
        """Fill the template with the fields of a sample, in windows if need be."""
        rows, is_cut = fitted_rows(row, self._room, self.long_texts)
        first, *further = [self._prompt(row, is_cut=is_cut) for row in rows]
        return replace(first, further=tuple(further)) if further else first

    def _prompt(self, row: Row, *, is_cut: bool) -> Prompt:
        ids = list(self.tokenizer.prefix_ids)
        spans = []
        mask = None
        fields = iter(row)
        for part in self._layout:
            start = len(ids)
            if isinstance(part, Slot):
                ids += next(fields)
                spans.append((start, len(ids)))
                continue
            ids += part.ids
            mask = start + part.masks[0] if part.masks else mask
        read = self._last(ids) if mask is None else mask
        return Prompt(
            (*ids, *self._suffix_ids),
            read,
            tuple(spans),
            is_cut,
            n_prefix=spans[0][0],
        )

    def _last(self, ids: Sequence[int]) -> int:
        """Return the read position of a prompt without a mask."""
        if not ids and not self._suffix_ids:
            raise ValueError(
                f"a prompt must have at least one token, got an empty text for the "
                f"template {self.template.text!r}; write words into the template, or "
                f"drop empty texts."
            )
        if self.kind == "causal":  # a few are closed, and read at the end
            return len(ids) + len(self._suffix_ids) - 1
        return 0 if self.kind == "masked" else max(len(ids) - 1, 0)

    def _count_fixed(self) -> int:
        words = [part.ids for part in self._layout if isinstance(part, Words)]
        n_fixed = sum(map(len, (self.tokenizer.prefix_ids, *words, self._suffix_ids)))
        if self.limit is not None and n_fixed >= self.limit:
            raise ValueError(
                f"a template must leave room for the text, got {n_fixed} tokens (with "
                f"special tokens) of at most {self.limit} in {self.template.text!r}; "
                f"shorten it or raise max_length."
            )
        return n_fixed
