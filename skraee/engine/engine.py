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

from skraee.backbone.heap import give_back_free_memory
from skraee.engine.batch import Batch
from skraee.engine.batching import (
    BatchTokens,
    Cutter,
    OnProgress,
    Progress,
    check_batch_tokens,
)
from skraee.engine.clock import Clock, NoClock
from skraee.engine.collector import Collector
from skraee.engine.compiled import Compile, CompiledLayers, compiled_for
from skraee.engine.depth_states import DepthStates, StateKind
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.forward_pass import forward_pass
from skraee.engine.head import LabelHead, final_norms
from skraee.engine.packing import Descent
from skraee.engine.prefix import takes_prefix
from skraee.engine.prompt_batches import PromptBatches
from skraee.engine.repair import read_finite
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


# Behind so many, memory that malloc keeps between kernels, which torch makes for new
# shapes of batches, is given back: 500 MB after 10,000 texts, in 0.02 s.
_MANY_PROMPTS = 512


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
    compile : "auto" or bool, default=False
        Whether layers are compiled; see `compiled_for`.
    verbose : int, default=0
        1 tells of that on the standard error.

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
        compile: Compile = False,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.clock = NoClock() if clock is None else clock
        self.n_repeated = 0
        self._batch_tokens = check_batch_tokens(batch_tokens, backbone.device)
        self._compile = compile
        self._verbose = verbose
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

        self._batches(self.backbone, prompts, np.arange(len(prompts))).run(run)

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
            raise ValueError("at least one prompt is run, got none; pass some texts.")

        def read(backbone: LoadedBackbone, numbers: IntArray) -> dict[str, States]:
            found = Collector(len(prompts))
            compiled = None
            if backbone is self.backbone and runs_layers:
                n_tokens = sum(len(w.ids) for prompt in prompts for w in prompt.windows)
                compiled = compiled_for(
                    backbone, self._compile, n_tokens, verbose=self._verbose
                )

            def run(batch: Batch) -> None:
                visitor = visitor_of(backbone, batch)
                part = "layers" if runs_layers else "key"
                self._pass(
                    backbone,
                    batch,
                    visitor.visit,
                    visitor.ending_at,
                    part,
                    compiled,
                )
                found.put(batch.numbers, visitor.found())

            def run_chunk(
                chunk: Batch, cutter: Cutter, batch_tokens: int, progress: Progress
            ) -> None:
                exits = visitor_of(backbone, chunk)
                assert isinstance(exits, RowExits)
                descent = Descent(
                    backbone,
                    chunk,
                    exits,
                    cutter,
                    batch_tokens,
                    self.clock,
                    compiled,
                )
                descent.run(progress)
                found.put(chunk.numbers, exits.found())

            told = on_progress if backbone is self.backbone else None
            batches = self._batches(backbone, prompts, numbers, runs_layers=runs_layers)
            if packs:
                batches.run_in_chunks(run_chunk, told)
            else:
                batches.run(run, told, depths)
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
        compiled: CompiledLayers | None = None,
    ) -> None:
        with self.clock.part(part):
            running = self.rows_of(batch, visit, ending_at)
            forward_pass(backbone, batch, running, compiled)

    def _batches(
        self,
        backbone: LoadedBackbone,
        prompts: Sequence[Prompt],
        numbers: IntArray,
        *,
        runs_layers: bool = True,
    ) -> PromptBatches:
        return PromptBatches(
            backbone,
            [prompts[number] for number in numbers],
            numbers,
            batch_tokens=self._batch_tokens,
            first_stack=self._stack_layers[0],
            reuses_prefix=runs_layers and self._reuse_prefix,
        )
