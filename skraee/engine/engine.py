"""Runs prompts through a backbone to given depths, and no further.

All work goes one way: prompts are sorted by length and cut into batches; a batch goes
through the model's stacks layer by layer (:mod:`skraee.engine.forward_pass`); at every
depth a visitor (:mod:`skraee.engine.visitors`) reads what it came for and says which
rows go on. What differs between the methods here is the visitor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.heap import give_back_free_memory
from skraee.engine.batch import Batch
from skraee.engine.batching import (
    BatchTokens,
    Cutter,
    OnProgress,
    Progress,
    check_batch_tokens,
    run_batches,
)
from skraee.engine.clock import Clock, NoClock
from skraee.engine.collector import Collector
from skraee.engine.depth_states import DepthStates, StateKind
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.forward_pass import forward_pass
from skraee.engine.head import LabelHead, final_norms
from skraee.engine.packing import Descent
from skraee.engine.prefix import prefix_worth_reusing, takes_prefix
from skraee.engine.repair import read_finite
from skraee.engine.rotation import rotations_of, sides_of
from skraee.engine.row_exits import RowExits
from skraee.engine.rows import EndingAt, RunningRows, Visit
from skraee.engine.run import Run
from skraee.engine.scorer import Scorer
from skraee.engine.stacks import layers_of
from skraee.engine.states import States
from skraee.engine.sweep_visitor import Readings, SweepVisitor
from skraee.engine.visitors import ScoresAtEveryDepth, StatesAt, TextMeans, Visitor
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

# What the states of all texts of a chunk may take; half of it where half has left.
_PARKED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
# Behind so many, memory that malloc keeps between kernels, which torch makes for new
# shapes of batches, is given back: 500 MB after 10,000 texts, in 0.02 s.
_MANY_PROMPTS = 512
# Of texts that need no mask where they are filled up, that is by at most an eighth.
_ALIKE_WITHOUT_MASK = 7 / 8
_USUAL_WIDTH = 1024  # of states, where a configuration does not say it


class Engine:
    """A loaded backbone at work.

    Where a number does not fit the backbone's dtype, its text is run again in float32.

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

    #: Whether rows that go on are gathered across batches.
    packs_again = True

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
            In any order; they are run in that of their lengths and depths.
        policy : ExitPolicy
            Where they stop.
        scorer : Scorer
            What turns states into class scores.
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
            with self.clock.part("search"):
                planned = policy.depths(keys, self.n_layers)

        def visitor_of(backbone: LoadedBackbone, batch: Batch) -> RowExits:
            exits = None if planned is None else planned.take(batch.numbers)
            scoring = scorer.begin(batch)
            return RowExits(batch, policy, scoring, self.n_layers, exits, self.clock)

        depths = None if planned is None else planned.depths
        found = self._read(
            prompts, visitor_of, on_progress, depths=depths, packs=self.packs_again
        )
        return Run(**found)

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
            In any order; they are run in that of their lengths and depths.
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

        def visitor_of(backbone: LoadedBackbone, batch: Batch) -> SweepVisitor:
            return SweepVisitor(
                batch,
                self.n_layers,
                head,
                DepthStates(batch, final_norms(backbone), states) if states else None,
                text_means=text_means,
                state_depth=state_depth,
                clock=self.clock,
            )

        found = self._read(prompts, visitor_of, on_progress)
        no_logits = np.zeros((len(prompts), self.n_layers + 1, 0), dtype=np.float32)
        return Readings(**{"logits": no_logits, **found})

    def keys(
        self,
        prompts: Sequence[Prompt],
        depth: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Float32Array:
        """Read what texts are compared by, and run no layer beyond.

        Parameters
        ----------
        prompts : sequence of n Prompt
            In any order; they are run in that of their lengths and depths.
        depth : int, optional
            Whose read-position states to return. None is the mean of the depth-0 states
            over each text's own tokens: no layer runs, and a text without tokens has 0.
        on_progress : callable, optional
            Told how many prompts each finished batch had.

        Returns
        -------
        keys : ndarray of shape (n, H), float32
        """

        def visitor_of(backbone: LoadedBackbone, batch: Batch) -> Visitor:
            return TextMeans(batch) if depth is None else StatesAt(batch, depth)

        runs_layers = depth is not None
        found = self._read(prompts, visitor_of, on_progress, runs_layers=runs_layers)
        return found["keys"]

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
            In any order; they are run in that of their lengths and depths.
        scorer : Scorer
            What turns states into class scores.
        on_progress : callable, optional
            Told how many prompts each finished batch had.

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
        """

        def visitor_of(backbone: LoadedBackbone, batch: Batch) -> ScoresAtEveryDepth:
            return ScoresAtEveryDepth(batch, scorer.begin(batch), self.clock)

        return self._read(prompts, visitor_of, on_progress)["scores"]

    def visit(self, prompts: Sequence[Prompt], visit: Visit) -> None:
        """Run prompts as far as a visitor wants, one batch after the other.

        Parameters
        ----------
        prompts : sequence of n Prompt
            In any order; they are run in that of their lengths and depths.
        visit : callable
            See :class:`~skraee.engine.rows.RunningRows`.
        """

        def run(batch: Batch) -> None:
            self._pass(self.backbone, batch, visit)

        self._in_batches(self.backbone, prompts, np.arange(len(prompts)), run)

    def rows_of(
        self, batch: Batch, visit: Visit, ending_at: EndingAt | None
    ) -> RunningRows:
        """Return the rows of a batch that enters the first stack.

        An engine in which rows run otherwise overrides this.
        """
        return RunningRows(visit, batch.rows, ending_at)

    def _read(
        self,
        prompts: Sequence[Prompt],
        visitor_of: Callable[[LoadedBackbone, Batch], Visitor],
        on_progress: OnProgress | None,
        *,
        depths: IntArray | None = None,
        runs_layers: bool = True,
        packs: bool = False,
    ) -> dict[str, States]:
        """Run prompts, each batch with a visitor, and return what these found.

        Where depths are given, the rows of a batch stand deepest first. Where rows are
        packed again, a batch holds a chunk of prompts, and visitors are `RowExits`.
        """
        if len(prompts) == 0:
            raise ValueError("there must be a prompt to run, got none.")

        def read(backbone: LoadedBackbone, numbers: IntArray) -> dict[str, States]:
            found = Collector(len(prompts))

            def run(batch: Batch) -> None:
                visitor = visitor_of(backbone, batch)
                part = "layers" if runs_layers else "key"
                self._pass(backbone, batch, visitor.visit, visitor.ending_at, part)
                found.put(batch.numbers, visitor.found())

            def run_chunk(chunk: Batch, batch_tokens: int, progress: Progress) -> None:
                exits = visitor_of(backbone, chunk)
                assert isinstance(exits, RowExits)
                cutter = _cutter(
                    backbone,
                    chunk.n_tokens_of_texts,
                    chunk.n_windows.tolist(),
                    len(chunk.prefix),
                )
                descent = Descent(
                    backbone, chunk, exits, cutter, batch_tokens, self.clock
                )
                descent.run(progress)
                found.put(chunk.numbers, exits.found())

            told = on_progress if backbone is self.backbone else None
            if packs:
                self._in_chunks(backbone, prompts, numbers, run_chunk, told)
            else:
                self._in_batches(
                    backbone, prompts, numbers, run, told, depths, runs_layers
                )
            return found.arrays

        found, n_repeated = read_finite(self.backbone, len(prompts), read)
        self.n_repeated += n_repeated
        if len(prompts) >= _MANY_PROMPTS:
            give_back_free_memory()
        return found

    def _pass(
        self,
        backbone: LoadedBackbone,
        batch: Batch,
        visit: Visit,
        ending_at: EndingAt | None = None,
        part: str = "layers",
    ) -> None:
        with self.clock.part(part):
            forward_pass(backbone, batch, self.rows_of(batch, visit, ending_at))

    def _in_chunks(
        self,
        backbone: LoadedBackbone,
        prompts: Sequence[Prompt],
        numbers: IntArray,
        run: Callable[[Batch, int, Progress], None],
        on_progress: OnProgress | None,
    ) -> None:
        """Make chunks of the prompts with these numbers, and run them.

        ``run(chunk, batch_tokens, progress)`` does. Where memory runs out, both chunks
        and batches are halved.
        """
        chosen, prefix = self._behind_prefix([prompts[number] for number in numbers])
        batch_tokens = self._batch_tokens
        progress = Progress(on_progress)

        @own_torch_state()
        def run_texts(texts: IntArray) -> None:
            of_texts = [chosen[text] for text in texts]
            chunk = self._batch(backbone, of_texts, numbers[texts], prefix)
            run(chunk, batch_tokens, progress)
            progress.keep()

        def halve() -> None:
            nonlocal batch_tokens
            batch_tokens = max(1, batch_tokens // 2)
            progress.drop()

        run_batches(
            Cutter([len(p.ids) for p in chosen], n_windows=_n_windows(chosen)),
            max(self._batch_tokens, _chunk_tokens(backbone)),
            run_texts,
            on_out_of_memory=halve,
        )

    def _in_batches(
        self,
        backbone: LoadedBackbone,
        prompts: Sequence[Prompt],
        numbers: IntArray,
        run: Callable[[Batch], None],
        on_progress: OnProgress | None = None,
        depths: IntArray | None = None,
        runs_layers: bool = True,
    ) -> None:
        """Make batches of the prompts with these numbers, and run them."""
        chosen, prefix = self._behind_prefix(
            [prompts[number] for number in numbers], runs_layers
        )

        @own_torch_state()
        def run_texts(texts: IntArray) -> None:
            if depths is not None:
                texts = texts[np.argsort(-depths[numbers[texts]], kind="stable")]
            of_texts = [chosen[text] for text in texts]
            run(self._batch(backbone, of_texts, numbers[texts], prefix))

        lengths = [len(prompt.ids) for prompt in chosen]
        cutter = _cutter(backbone, lengths, _n_windows(chosen), len(prefix))
        run_batches(cutter, self._batch_tokens, run_texts, on_progress)

    def _behind_prefix(
        self, prompts: list[Prompt], runs_layers: bool = True
    ) -> tuple[list[Prompt], tuple[int, ...]]:
        """Return prompts without the tokens that are run apart, and these tokens."""
        windows = [window for prompt in prompts for window in prompt.windows]
        reuse_prefix = runs_layers and self._reuse_prefix
        prefix = prefix_worth_reusing(windows) if reuse_prefix else ()
        if prefix:
            prompts = [prompt.without_first(len(prefix)) for prompt in prompts]
        return prompts, prefix

    def _batch(
        self,
        backbone: LoadedBackbone,
        prompts: list[Prompt],
        numbers: IntArray,
        prefix: tuple[int, ...],
    ) -> Batch:
        return Batch(
            prompts,
            numbers,
            device=backbone.device,
            sees_padding=backbone.family.kind != "causal",
            first_stack=self._stack_layers[0],
            prefix=prefix,
        )


def _cutter(
    backbone: LoadedBackbone,
    lengths: Sequence[int],
    n_windows: Sequence[int],
    n_prefix: int,
) -> Cutter:
    """Return what cuts texts of so many tokens behind a prefix into batches."""
    # Of a token that is not run, a row holds keys and values, a small part.
    held = n_prefix // 4
    return Cutter(
        [length + held for length in lengths],
        alike=_ALIKE_WITHOUT_MASK if backbone.family.kind == "causal" else 1.0,
        # Texts are whole, where sides differ.
        sides=sides_of(rotations_of(backbone.model, backbone.family), lengths),
        n_windows=n_windows,
    )


def _chunk_tokens(backbone: LoadedBackbone) -> int:
    """Return so many tokens that the states of all of them may be parked."""
    width = int(getattr(backbone.model.config, "hidden_size", _USUAL_WIDTH))
    room = _PARKED_BYTES.get(backbone.device.type, _PARKED_BYTES["cpu"])
    return room // (width * backbone.dtype.itemsize)


def _n_windows(prompts: Sequence[Prompt]) -> list[int]:
    return [len(prompt.windows) for prompt in prompts]
