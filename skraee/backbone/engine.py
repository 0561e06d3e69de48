"""Runs prompts through a backbone to given depths, and no further.

All work goes one way: prompts are made distinct, sorted by length and cut into
batches; a batch is a :class:`~skraee.backbone.views.Flight` through gated views of
the model's stacks; at every depth a visitor reads what it came for and says which
rows go on. What differs between fit and predict is the visitor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from skraee.backbone.batching import BatchTokens, check_batch_tokens, run_batches
from skraee.backbone.readout import LabelHead
from skraee.backbone.views import Flight, Keep, Landed, Visit, gated_stack, layers_of

if TYPE_CHECKING:
    from skraee.backbone.handle import LoadedBackbone
    from skraee.text.prompt import Prompt

Advance = Callable[[int], None]
Decide = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Sweep:
    """What a sweep reads.

    Attributes
    ----------
    logits : ndarray of shape (n, m + 1, n_tokens), float32
        Label-word logits at every depth.
    text_means : ndarray of shape (n, H), float32, or None
        Mean of the depth-0 states over the text's own tokens.
    states : ndarray of shape (n, H), float32, or None
        Read-position states at the depth that was asked for.
    """

    logits: np.ndarray
    text_means: np.ndarray | None = None
    states: np.ndarray | None = None


class Engine:
    """A loaded backbone at work.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch.
    """

    def __init__(
        self, backbone: LoadedBackbone, batch_tokens: BatchTokens = "auto"
    ) -> None:
        self.backbone = backbone
        self._batch_tokens = check_batch_tokens(batch_tokens, backbone.device)
        self._stack_layers = [
            len(layers_of(backbone.model, backbone.family, stack))
            for stack in backbone.family.stacks
        ]

    @property
    def n_layers(self) -> int:
        """Number of layers m; depths are 0..m."""
        return sum(self._stack_layers)

    def sweep(
        self,
        prompts: Sequence[Prompt],
        head: LabelHead,
        *,
        text_means: bool = False,
        state_depth: int | None = None,
        advance: Advance | None = None,
    ) -> Sweep:
        """Run every prompt to depth m once and read every depth on the way.

        Parameters
        ----------
        prompts : sequence of n Prompt
        head : LabelHead
            Scores the states.
        text_means : bool, default=False
            Whether to keep the mean of the text's own depth-0 states.
        state_depth : int, optional
            A depth whose read-position states to keep.
        advance : callable, optional
            Told how many prompts each finished batch had.

        Returns
        -------
        Sweep
        """
        means, states = _Collector(len(prompts)), _Collector(len(prompts))
        logits = _Collector(len(prompts))

        def run(batch: _Batch) -> None:
            read: list[Tensor] = []

            def visit(depth: int, hidden: Tensor, rows: Tensor) -> Keep:
                if depth == 0 and text_means:
                    means.put(batch.numbers, batch.text_mean(hidden))
                read.append(batch.read(depth, hidden, rows))
                if depth == state_depth:
                    states.put(batch.numbers, read[-1].float())
                return None

            self._fly(batch, visit)
            logits.put(batch.numbers, self._score_sweep(head, read))

        self._run(prompts, run, advance)
        return Sweep(logits.found(), means.found_or_none(), states.found_or_none())

    def text_means(
        self, prompts: Sequence[Prompt], advance: Advance | None = None
    ) -> np.ndarray:
        """Average the depth-0 states over each text's own tokens; no layer runs.

        Returns
        -------
        means : ndarray of shape (n, H), float32
            Zero where a text has no token.
        """
        means = _Collector(len(prompts))

        def run(batch: _Batch) -> None:
            def visit(depth: int, hidden: Tensor, rows: Tensor) -> Keep:
                means.put(batch.numbers, batch.text_mean(hidden))
                return 0

            self._fly(batch, visit)

        self._run(prompts, run, advance)
        return means.found()

    def states_at(
        self, prompts: Sequence[Prompt], depth: int, advance: Advance | None = None
    ) -> np.ndarray:
        """Run all prompts to one depth and return their read-position states.

        Returns
        -------
        states : ndarray of shape (n, H), float32
        """
        states = _Collector(len(prompts))

        def run(batch: _Batch) -> None:
            def visit(at: int, hidden: Tensor, rows: Tensor) -> Keep:
                if at < depth:
                    return None
                states.put(batch.numbers, batch.read(at, hidden, rows).float())
                return 0

            self._fly(batch, visit)

        self._run(prompts, run, advance)
        return states.found()

    def run_to(
        self,
        prompts: Sequence[Prompt],
        depths: np.ndarray,
        head: LabelHead,
        advance: Advance | None = None,
    ) -> np.ndarray:
        """Run each prompt to its own depth and score it there.

        Rows stand in the order of their depths, deepest first, so that after each
        layer the first of them go on.

        Parameters
        ----------
        prompts : sequence of n Prompt
        depths : ndarray of shape (n,), int
            Layers to run for each, 0..m.
        head : LabelHead
        advance : callable, optional

        Returns
        -------
        logits : ndarray of shape (n, n_tokens), float32
        """
        logits = _Collector(len(prompts))

        def run(batch: _Batch) -> None:
            batch = batch.reordered(np.argsort(-depths[batch.numbers], kind="stable"))
            landing = _Landing(batch, depths[batch.numbers])
            self._fly(batch, landing.visit)
            self._score_landed(head, landing, logits)

        self._run(prompts, run, advance)
        return logits.found()

    def run_deciding(
        self,
        prompts: Sequence[Prompt],
        decide_at: int,
        decide: Decide,
        head: LabelHead,
        advance: Advance | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run to a depth, choose each prompt's exit from its state there, go on.

        Nothing is computed twice: exits below ``decide_at`` are scored from states
        that were passed, the others go on from there.

        Parameters
        ----------
        prompts : sequence of n Prompt
        decide_at : int
            Depth 1..m at which the exits are chosen.
        decide : callable
            Read-position states (b, H) float32 of a batch -> exits (b,) int, and
            which of them were undecided (b,) bool.
        head : LabelHead
        advance : callable, optional

        Returns
        -------
        logits : ndarray of shape (n, n_tokens), float32
        exits : ndarray of shape (n,), int
        undecided : ndarray of shape (n,), bool
        """
        logits = _Collector(len(prompts))
        exits = np.zeros(len(prompts), dtype=np.int64)
        undecided = np.zeros(len(prompts), dtype=bool)

        def run(batch: _Batch) -> None:
            landing = _DecidedLanding(batch, decide_at, decide)
            self._fly(batch, landing.visit)
            exits[batch.numbers] = landing.exits
            undecided[batch.numbers] = landing.undecided
            self._score_landed(head, landing, logits)

        self._run(prompts, run, advance)
        return logits.found(), exits, undecided

    def _run(
        self,
        prompts: Sequence[Prompt],
        run: Callable[[_Batch], None],
        advance: Advance | None,
    ) -> None:
        def run_rows(rows: np.ndarray) -> None:
            run(_Batch([prompts[i] for i in rows], rows, self))

        lengths = [len(prompt.ids) for prompt in prompts]
        with torch.no_grad():
            run_batches(lengths, self._batch_tokens, run_rows, advance)

    def _fly(self, batch: _Batch, visit: Visit) -> None:
        try:
            if len(self._stack_layers) == 1:
                self._fly_one_stack(batch, visit)
            else:
                self._fly_encoder_decoder(batch, visit)
        except Landed:
            return

    def _fly_one_stack(self, batch: _Batch, visit: Visit) -> None:
        model, family = self.backbone.model, self.backbone.family
        flight = Flight(visit, batch.rows)
        stack = gated_stack(model, family, family.stacks[0], flight, 0)
        cache = {"use_cache": False} if family.kind == "causal" else {}
        out = stack(input_ids=batch.ids, attention_mask=batch.mask, **cache)
        flight.arrive(self.n_layers, out.last_hidden_state)

    def _fly_encoder_decoder(self, batch: _Batch, visit: Visit) -> None:
        model, family = self.backbone.model, self.backbone.family
        handover = self._stack_layers[0]
        encoder, decoder = family.stacks

        flight = Flight(visit, batch.rows)
        stack = gated_stack(model, family, encoder, flight, 0)
        out = stack(input_ids=batch.ids, attention_mask=batch.mask)
        hidden = flight.arrive(handover, out.last_hidden_state)
        for name in family.closing:
            hidden = getattr(model.get_submodule(encoder), name)(hidden)
        mask = flight.align(batch.mask)

        def visit_decoder(depth: int, hidden: Tensor, rows: Tensor) -> Keep:
            # The decoder's embedding is no depth of its own.
            return None if depth == handover else visit(depth, hidden, rows)

        flight = Flight(visit_decoder, flight.rows)
        stack = gated_stack(model, family, decoder, flight, handover)
        start = model.config.decoder_start_token_id
        out = stack(
            input_ids=torch.full_like(flight.rows[:, None], start),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        )
        flight.arrive(self.n_layers, out.last_hidden_state)

    def in_decoder(self, depth: int) -> bool:
        """Whether a depth lies in the second of two stacks."""
        return depth > self._stack_layers[0]

    def _score_sweep(self, head: LabelHead, read: list[Tensor]) -> Tensor:
        """Score the states (m + 1, b, H) of a batch in one call per stack."""
        ends = [self._stack_layers[0] + 1, len(read)][: len(self._stack_layers)]
        scored, start = [], 0
        for stack, end in enumerate(ends):
            states = torch.stack(read[start:end])
            logits = head(states.flatten(0, 1), stack)
            scored.append(logits.view(*states.shape[:2], -1))
            start = end
        return torch.cat(scored).transpose(0, 1)

    def _score_landed(
        self, head: LabelHead, landing: _Landing, logits: _Collector
    ) -> None:
        """Score what a batch has read, in one call per stack."""
        for stack in range(len(self._stack_layers)):
            here = [r for r in landing.readings if self.in_decoder(r[0]) == bool(stack)]
            if here:
                numbers = np.concatenate(
                    [landing.batch.numbers[at] for _, at, _ in here]
                )
                logits.put(numbers, head(torch.cat([s for _, _, s in here]), stack))


class _Batch:
    """Prompts of like length as tensors on the model's device."""

    def __init__(
        self, prompts: list[Prompt], numbers: np.ndarray, engine: Engine
    ) -> None:
        self._prompts = prompts
        self._engine = engine
        self.numbers = numbers
        device = engine.backbone.device
        width = max(len(prompt.ids) for prompt in prompts)
        # Filled up with the last token: a real id, so that no model takes it for a
        # mark of its own. Causal models never look to the right; others are told by
        # the mask.
        ids = [p.ids + (p.ids[-1],) * (width - len(p.ids)) for p in prompts]
        self.ids = torch.tensor(ids, device=device)
        self.mask = self._padding_mask(width, device)
        self.rows = torch.arange(len(prompts), device=device)
        self._read_at = torch.tensor([p.read for p in prompts], device=device)

    def _padding_mask(self, width: int, device: torch.device) -> Tensor | None:
        lengths = torch.tensor([len(prompt.ids) for prompt in self._prompts])
        if self._engine.backbone.family.kind == "causal" or int(lengths.min()) == width:
            return None
        return (torch.arange(width) < lengths[:, None]).long().to(device)

    def reordered(self, order: np.ndarray) -> _Batch:
        """Return the batch with its rows in another order."""
        prompts = [self._prompts[i] for i in order]
        return _Batch(prompts, self.numbers[order], self._engine)

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the read-position states (n, H) of some rows."""
        if self._engine.in_decoder(depth):
            return hidden[:, 0]
        at = torch.arange(len(rows), device=hidden.device)
        return hidden[at, self._read_at[rows]]

    def text_mean(self, hidden: Tensor) -> Tensor:
        """Average all rows' states over the text's own tokens: (b, H), float32.

        Summed in float64, so that a text has the same key in whatever batch.
        """
        chosen = torch.zeros(hidden.shape[:2], dtype=torch.float64)
        for row, prompt in enumerate(self._prompts):
            for start, stop in prompt.spans:
                chosen[row, start:stop] = 1
        share = chosen / chosen.sum(1, keepdim=True).clamp(min=1)
        total = torch.einsum("bt,bth->bh", share.to(hidden.device), hidden.double())
        return total.float()


class _Landing:
    """Visitor that lets each row run to its own depth, deepest rows first.

    Attributes
    ----------
    readings : list of (depth, rows of the batch, states)
    """

    def __init__(self, batch: _Batch, exits: np.ndarray) -> None:
        self.batch = batch
        self.exits = exits
        self.readings: list[tuple[int, np.ndarray, Tensor]] = []
        self._running = np.arange(len(exits))

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> Keep:
        """Read the rows whose depth this is; the first rows go on."""
        stay = int(np.count_nonzero(self.exits[self._running] > depth))
        if stay == len(self._running):
            return None
        states = self.batch.read(depth, hidden[stay:], rows[stay:])
        self.readings.append((depth, self._running[stay:], states))
        self._running = self._running[:stay]
        return stay


class _DecidedLanding(_Landing):
    """Visitor that chooses the exits at some depth, then lets rows run to them."""

    def __init__(self, batch: _Batch, decide_at: int, decide: Decide) -> None:
        super().__init__(batch, np.zeros(len(batch.numbers), dtype=np.int64))
        self.undecided = np.zeros(len(batch.numbers), dtype=bool)
        self._decide_at = decide_at
        self._decide = decide
        self._passed: list[Tensor] = []

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> Keep:
        """Remember states on the way to the decision; land rows after it."""
        if depth > self._decide_at:
            return super().visit(depth, hidden, rows)
        self._passed.append(self.batch.read(depth, hidden, rows))
        if depth < self._decide_at:
            return None
        keys = self._passed[-1].float().cpu().numpy()
        self.exits, self.undecided = self._decide(keys)
        for passed, states in enumerate(self._passed):
            at = np.flatnonzero(self.exits == passed)
            if len(at):
                self.readings.append((passed, at, states[torch.from_numpy(at)]))
        deeper = np.argsort(-self.exits, kind="stable")
        self._running = deeper[self.exits[deeper] > depth]
        return torch.from_numpy(self._running).to(hidden.device)


class _Collector:
    """An array whose rows arrive in any order, batch by batch."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._rows: np.ndarray | None = None

    def put(self, numbers: np.ndarray, values: Tensor) -> None:
        """Store the rows with these numbers."""
        array = values.cpu().numpy()
        if self._rows is None:
            self._rows = np.zeros((self._n_rows, *array.shape[1:]), dtype=array.dtype)
        self._rows[numbers] = array

    def found_or_none(self) -> np.ndarray | None:
        """Return the array, or None where nothing arrived."""
        return self._rows

    def found(self) -> np.ndarray:
        """Return the array."""
        if self._rows is None:
            raise ValueError("no rows were run.")
        return self._rows
