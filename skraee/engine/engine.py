"""Runs prompts through a backbone to given depths, and no further.

All work goes one way: prompts are made distinct, sorted by length and cut into
batches; a batch is a :class:`~skraee.engine.gates.RunningRows` through gated views of
the model's stacks; at every depth a visitor reads what it came for and says which
rows go on. What differs between fit and predict is the visitor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.backbone.ambient import own_torch_state
from skraee.engine.batch import Batch, Collector
from skraee.engine.batching import (
    BatchTokens,
    OnProgress,
    check_batch_tokens,
    run_batches,
)
from skraee.engine.clock import Clock, NoClock
from skraee.engine.exit_policy import ExitPolicy, Exits
from skraee.engine.gates import (
    AllRowsLeft,
    EndingAt,
    GoingOn,
    RunningRows,
    Visit,
    gated_stack,
    layers_of,
)
from skraee.engine.head import LabelHead, final_norms
from skraee.engine.prefix import cache_argument, prefix_cache, takes_prefix
from skraee.engine.rotation import rotations_of, sides_of
from skraee.engine.row_exits import AtOnce, RowExits, Scorer
from skraee.engine.states import States, packed, rounded, unpacked
from skraee.readout.scorers import DepthStates, StateKind
from skraee.text.prompt import Prompt, common_prefix

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

Item = TypeVar("Item")
RunAgain = Callable[["Engine", "list[Prompt]"], "Float32Array"]
IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

# A prefix wins about its share of the tokens, but needs a mask where attention would do
# without: a loss of 2 to 8 % at 1,000 tokens (Gemma 3 270M, CPU, bfloat16).
_WORTHWHILE = 1 / 16


@dataclass(frozen=True)
class Readings:
    """What a sweep reads.

    Attributes
    ----------
    logits : ndarray of shape (n, m + 1, n_tokens), float32
        Label-word logits at every depth.
    text_means : ndarray of shape (n, H), float32, or None
        Mean of the depth-0 states over the text's own tokens.
    key_states : ndarray of shape (n, H), float32, or None
        Read-position states at the depth that was asked for.
    states : ndarray of shape (n, m + 1, P, H), or None
        What a readout may know (:class:`~skraee.readout.scorers.DepthStates`), in
        the backbone's number format (:mod:`skraee.engine.states`).
    """

    logits: Float32Array
    text_means: Float32Array | None = None
    key_states: Float32Array | None = None
    states: States | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """Where prompts stopped, and how they scored there.

    Attributes
    ----------
    scores : ndarray of shape (n, C), float32
        Softmax gives the probabilities.
    exits : ndarray of shape (n,), int
    undecided : ndarray of shape (n,), bool
        Where nothing spoke for any depth, so that the whole model ran.
    """

    scores: Float32Array
    exits: IntArray
    undecided: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, n_prompts: int, n_classes: int) -> Self:
        """Return room for n prompts."""
        return cls(
            np.zeros((n_prompts, n_classes), dtype=np.float32),
            np.zeros(n_prompts, dtype=np.int64),
            np.zeros(n_prompts, dtype=bool),
        )

    def put(self, rows: IntArray, run: Run) -> None:
        """Put another run's prompts in the place of some of these."""
        self.scores[rows] = run.scores
        self.exits[rows] = run.exits
        self.undecided[rows] = run.undecided


class Engine:
    """A loaded backbone at work.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch.
    clock : Clock, optional
        Told where time goes.
    reuse_prefix : bool, default=True
        Whether tokens that all prompts of a call begin with are run only once, where
        the model allows it. The numbers are the same but for rounding.

    Attributes
    ----------
    n_repeated : int
        Prompts whose numbers were not finite and were computed again in float32.
    """

    def __init__(
        self,
        backbone: LoadedBackbone,
        batch_tokens: BatchTokens = "auto",
        clock: Clock | None = None,
        *,
        reuse_prefix: bool = True,
    ) -> None:
        self.backbone = backbone
        self.clock = NoClock() if clock is None else clock
        self.n_repeated = 0
        self._batch_tokens = check_batch_tokens(batch_tokens, backbone.device)
        self._reuse_prefix = reuse_prefix and takes_prefix(backbone)
        self._stack_layers = [
            len(layers_of(backbone.model, backbone.family, stack))
            for stack in backbone.family.stacks
        ]

    @property
    def n_layers(self) -> int:
        """Number of layers m; depths are 0..m."""
        return sum(self._stack_layers)

    @property
    def n_encoder_layers(self) -> int:
        """Number of layers of an encoder before a decoder; 0 where there is none."""
        return self._stack_layers[0] if len(self._stack_layers) > 1 else 0

    def sweep(
        self,
        prompts: Sequence[Prompt],
        head: LabelHead | None,
        *,
        text_means: bool = False,
        state_depth: int | None = None,
        states: Sequence[StateKind] = (),
        on_progress: OnProgress | None = None,
    ) -> Readings:
        """Run every prompt to depth m once and read every depth on the way.

        Parameters
        ----------
        prompts : sequence of n Prompt
        head : LabelHead or None
            Scores the states; None for no scores.
        text_means : bool, default=False
            Whether to keep the mean of the text's own depth-0 states.
        state_depth : int, optional
            A depth whose read-position states to keep.
        states : sequence of {"read", "text", "around"}, default=()
            What to keep of every depth for a readout.
        on_progress : callable, optional
            Told how many prompts each finished batch had.

        Returns
        -------
        Readings
        """
        n = len(prompts)
        means, key_states, kept = Collector(n), Collector(n), Collector(n)
        logits = Collector(n)

        def run(batch: Batch) -> None:
            read: list[Tensor] = []
            of_depth: list[Tensor] = []
            depth_states = DepthStates(batch, final_norms(self.backbone), states)

            def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
                if depth == 0 and text_means:
                    means.put(batch.numbers, batch.text_mean(hidden))
                if states:
                    of_depth.append(depth_states(depth, hidden, rows))
                read.append(batch.read(depth, hidden, rows))
                if depth == state_depth:
                    key_states.put(batch.numbers, read[-1].float())
                return None

            ending_at = None if states else batch.all_ending_at(self.n_layers)
            self._pass(batch, visit, ending_at)
            if states:
                kept.put(batch.numbers, torch.stack(of_depth, dim=1))
            if head is not None:
                with self.clock.part("head"):
                    logits.put(batch.numbers, self._score_sweep(head, read))

        self._run(prompts, run, on_progress)
        sweep = Readings(
            logits.found() if head is not None else _no_logits(n, self.n_layers),
            means.found_or_none(),
            key_states.found_or_none(),
            kept.found_or_none(),
        )
        self._repair_sweep(sweep, prompts, head, state_depth, states)
        return sweep

    def _repair_sweep(
        self,
        sweep: Readings,
        prompts: Sequence[Prompt],
        head: LabelHead | None,
        state_depth: int | None,
        states: Sequence[StateKind],
    ) -> None:
        """Compute what is not finite again in float32."""
        bad = _not_finite(sweep.logits)
        if sweep.states is not None:
            bad = np.union1d(bad, _not_finite(unpacked(sweep.states)))
        if len(bad):
            exact = self._in_float32(bad)
            again = exact.sweep(_those(prompts, bad), head, states=states)
            sweep.logits[bad] = again.logits
            if sweep.states is not None and again.states is not None:
                full = torch.from_numpy(again.states)
                sweep.states[bad] = packed(rounded(full, self.backbone.dtype))
        if sweep.text_means is not None:
            self._repair(sweep.text_means, prompts, Engine.text_means)
        if sweep.key_states is not None and state_depth is not None:
            self._repair(sweep.key_states, prompts, _at(state_depth))

    def text_means(
        self, prompts: Sequence[Prompt], on_progress: OnProgress | None = None
    ) -> Float32Array:
        """Average the depth-0 states over each text's own tokens; no layer runs.

        Returns
        -------
        means : ndarray of shape (n, H), float32
            Zero where a text has no token.
        """
        means = Collector(len(prompts))

        def run(batch: Batch) -> None:
            def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
                means.put(batch.numbers, batch.text_mean(hidden))
                return 0

            self._pass(batch, visit, part="key")

        self._run(prompts, run, on_progress, runs_layers=False)
        return self._repair(means.found(), prompts, Engine.text_means)

    def states_at(
        self,
        prompts: Sequence[Prompt],
        depth: int,
        on_progress: OnProgress | None = None,
    ) -> Float32Array:
        """Run all prompts to one depth and return their read-position states.

        Returns
        -------
        states : ndarray of shape (n, H), float32
        """
        states = Collector(len(prompts))

        def run(batch: Batch) -> None:
            def visit(at: int, hidden: Tensor, rows: Tensor) -> GoingOn:
                if at < depth:
                    return None
                states.put(batch.numbers, batch.read(at, hidden, rows).float())
                return 0

            self._pass(batch, visit, batch.all_ending_at(depth))

        self._run(prompts, run, on_progress)
        return self._repair(states.found(), prompts, _at(depth))

    def run(
        self,
        prompts: Sequence[Prompt],
        policy: ExitPolicy,
        scorer: Scorer,
        keys: Float32Array | None = None,
        on_progress: OnProgress | None = None,
    ) -> Run:
        """Run each prompt to where a policy stops it, and score it there.

        Where exits are known before the pass and scores hang on one depth alone, the
        head runs once per batch, and a row's last layer for its read position only.

        Parameters
        ----------
        prompts : sequence of n Prompt
        policy : ExitPolicy
        scorer : Scorer
        keys : ndarray of shape (n, d), optional
            What the policy decides by before the pass.
        on_progress : callable, optional
            Told how many prompts each finished batch had.

        Returns
        -------
        Run
        """
        planned = None
        if policy.decide_at is None:
            if keys is None:
                keys = np.zeros((len(prompts), 0), dtype=np.float32)
            planned = self._decide(policy, keys)
        return self._run_planned(prompts, policy, scorer, planned, on_progress)

    def _run_planned(
        self,
        prompts: Sequence[Prompt],
        policy: ExitPolicy,
        scorer: Scorer,
        planned: Exits | None,
        on_progress: OnProgress | None = None,
    ) -> Run:
        scores = Collector(len(prompts))
        exits = np.zeros(len(prompts), dtype=np.int64)
        undecided = np.zeros(len(prompts), dtype=bool)

        def run(batch: Batch) -> None:
            rows = RowExits(
                batch,
                policy,
                scorer.begin(batch),
                self.n_layers,
                partial(self._decide, policy),
                None if planned is None else planned.take(batch.numbers),
            )
            self._pass(batch, self._timed(rows), rows.ending_at)
            with self.clock.part("head"):
                scores.put(batch.numbers, rows.scores())
            exits[batch.numbers] = rows.exits.depths
            undecided[batch.numbers] = rows.exits.undecided

        self._run(
            prompts, run, on_progress, None if planned is None else planned.depths
        )
        found = Run(scores.found(), exits, undecided)
        if len(bad := _not_finite(found.scores)):
            exact, those = self._in_float32(bad), _those(prompts, bad)
            own = None if planned is None else planned.take(bad)
            found.put(bad, exact._run_planned(those, policy, scorer, own))
        return found

    def _decide(self, policy: ExitPolicy, keys: Float32Array) -> Exits:
        with self.clock.part("search"):
            return policy.depths(keys, self.n_layers)

    def _timed(self, rows: RowExits) -> Visit:
        def visit(depth: int, hidden: Tensor, running: Tensor) -> GoingOn:
            with self.clock.part("head"):
                return rows.visit(depth, hidden, running)

        return visit

    def visit(self, prompts: Sequence[Prompt], visit: Visit) -> None:
        """Run prompts as far as a visitor wants, one batch after the other.

        Parameters
        ----------
        prompts : sequence of n Prompt
        visit : callable
            See :class:`~skraee.engine.gates.RunningRows`.
        """
        self._run(prompts, lambda batch: self._pass(batch, visit), None)

    def scores_at_every_depth(
        self,
        prompts: Sequence[Prompt],
        scorer: Scorer,
        on_progress: OnProgress | None = None,
    ) -> Float32Array:
        """Run all prompts to depth m and score them at each.

        Parameters
        ----------
        prompts : sequence of n Prompt
        scorer : Scorer
        on_progress : callable, optional

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
        """
        scores = Collector(len(prompts))

        def run(batch: Batch) -> None:
            scoring = AtOnce(scorer.begin(batch), batch)
            passed: list[Tensor] = []

            def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
                with self.clock.part("head"):
                    passed.append(scoring.read(depth, hidden, rows))
                return None

            self._pass(batch, visit)
            scores.put(batch.numbers, torch.stack(passed, dim=1))

        self._run(prompts, run, on_progress)
        found = scores.found()
        if len(bad := _not_finite(found)):
            exact = self._in_float32(bad)
            found[bad] = exact.scores_at_every_depth(_those(prompts, bad), scorer)
        return found

    def _repair(
        self, found: Float32Array, prompts: Sequence[Prompt], run: RunAgain
    ) -> Float32Array:
        """Compute keys that are not finite again in float32."""
        if len(bad := _not_finite(found)):
            found[bad] = run(self._in_float32(bad), _those(prompts, bad))
        return found

    def _in_float32(self, bad: IntArray) -> Engine:
        if self.backbone.dtype == torch.float32:
            raise ValueError(
                f"the backbone gives numbers that are not finite for {len(bad)} "
                f"text(s), the first at position {bad[0]} of its batch, even in "
                "float32; check its weights."
            )
        self.n_repeated += len(bad)
        return Engine(
            self.backbone.in_float32,
            self._batch_tokens,
            self.clock,
            reuse_prefix=self._reuse_prefix,
        )

    def _run(
        self,
        prompts: Sequence[Prompt],
        run: Callable[[Batch], None],
        on_progress: OnProgress | None,
        depths: IntArray | None = None,
        runs_layers: bool = True,
    ) -> None:
        """Run batches; where depths are given, the rows of each deepest first."""
        prefix = self._prefix_of(prompts) if runs_layers else ()
        if prefix:
            prompts = [prompt.without_first(len(prefix)) for prompt in prompts]

        @own_torch_state()
        def run_rows(rows: IntArray) -> None:
            if depths is not None:
                rows = rows[np.argsort(-depths[rows], kind="stable")]
            batch = Batch(
                [prompts[i] for i in rows],
                rows,
                device=self.backbone.device,
                sees_padding=self.backbone.family.kind != "causal",
                first_stack=self._stack_layers[0],
                prefix=prefix,
            )
            run(batch)

        # Of a token that is not run, a row holds keys and values, a small part.
        held = len(prefix) // 4
        lengths = [len(prompt.ids) for prompt in prompts]  # whole, where sides differ
        model, family = self.backbone.model, self.backbone.family
        run_batches(
            [length + held for length in lengths],
            self._batch_tokens,
            run_rows,
            on_progress,
            same_length=family.kind != "causal",
            sides=sides_of(rotations_of(model, family), lengths),
        )

    def _prefix_of(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        """Return the first tokens that no batch of these prompts has to run."""
        prefix = common_prefix(prompts) if self._reuse_prefix else ()
        n_tokens = sum(len(prompt.ids) for prompt in prompts)
        return prefix if len(prefix) * len(prompts) >= _WORTHWHILE * n_tokens else ()

    def _pass(
        self,
        batch: Batch,
        visit: Visit,
        ending_at: EndingAt | None = None,
        part: str = "layers",
    ) -> None:
        if getattr(self.backbone.model.config, "chunk_size_feed_forward", 0):
            ending_at = None  # such layers cut their tokens into chunks themselves
        with self.clock.part(part), suppress(AllRowsLeft):
            if len(self._stack_layers) == 1:
                self._pass_one_stack(batch, visit, ending_at)
            else:
                self._pass_encoder_decoder(batch, visit, ending_at)

    def _rows_of(
        self, batch: Batch, visit: Visit, ending_at: EndingAt | None
    ) -> RunningRows:
        """Return how a batch goes through the first stack."""
        return RunningRows(visit, batch.rows, ending_at)

    def _pass_one_stack(
        self, batch: Batch, visit: Visit, ending_at: EndingAt | None
    ) -> None:
        model, family = self.backbone.model, self.backbone.family
        running = self._rows_of(batch, visit, ending_at)
        stack = gated_stack(model, family, family.stacks[0], running, 0)
        cache: dict[str, Any] = {"use_cache": False} if family.kind == "causal" else {}
        if batch.prefix:
            module = model.get_submodule(family.stacks[0])
            name = cache_argument(type(module).forward)
            assert name is not None  # else there is no prefix
            cache[name] = prefix_cache(self.backbone, batch.prefix)
        out = stack(input_ids=batch.ids, attention_mask=batch.mask, **cache)
        running.arrive(self.n_layers, out.last_hidden_state)

    def _pass_encoder_decoder(
        self, batch: Batch, visit: Visit, ending_at: EndingAt | None
    ) -> None:
        model, family = self.backbone.model, self.backbone.family
        handover = self._stack_layers[0]
        encoder, decoder = family.stacks

        running = self._rows_of(batch, visit, ending_at)
        stack = gated_stack(model, family, encoder, running, 0)
        out = stack(input_ids=batch.ids, attention_mask=batch.mask)
        hidden = running.arrive(handover, out.last_hidden_state)
        for name in family.final_norms:
            hidden = getattr(model.get_submodule(encoder), name)(hidden)
        mask = running.align(batch.mask)

        def visit_decoder(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
            # The decoder's embedding is no depth of its own.
            return None if depth == handover else visit(depth, hidden, rows)

        running = RunningRows(visit_decoder, running.rows)
        stack = gated_stack(model, family, decoder, running, handover)
        start = model.config.decoder_start_token_id
        out = stack(
            input_ids=torch.full_like(running.rows[:, None], start),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        )
        running.arrive(self.n_layers, out.last_hidden_state)

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


def _at(depth: int) -> RunAgain:
    return lambda engine, prompts: engine.states_at(prompts, depth)


def _no_logits(n: int, n_layers: int) -> Float32Array:
    return np.zeros((n, n_layers + 1, 0), dtype=np.float32)


def _not_finite(logits: Float32Array) -> IntArray:
    return np.flatnonzero(~np.isfinite(logits).reshape(len(logits), -1).all(axis=1))


def _those(items: Sequence[Item], rows: IntArray) -> list[Item]:
    return [items[row] for row in rows]
