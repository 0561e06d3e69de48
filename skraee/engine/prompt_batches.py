"""Prompts made batches, or chunks whose rows are packed again on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skraee.backbone.ambient import own_torch_state
from skraee.engine.batch import Batch
from skraee.engine.batching import Cutter, OnProgress, Progress, run_batches
from skraee.engine.prefix import prefix_worth_reusing
from skraee.engine.rotation import rotations_of, sides_of
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]
#: ``run(chunk, cutter, batch_tokens, progress)``, with what cuts the chunk's texts.
RunChunk = Callable[[Batch, Cutter, int, Progress], None]

# What the states of all texts of a chunk may take, from which some wait.
_CHUNK_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
_USUAL_WIDTH = 1024  # of states, where a configuration does not say it

# How alike texts of a batch are (`Cutter`): a causal model needs no mask for what is
# filled up, any other is faster without.
_ALIKE = {"causal": 7 / 8}


class PromptBatches:
    """Some prompts of a call, to be run by one backbone.

    Parameters
    ----------
    backbone : LoadedBackbone
    prompts : list of n Prompt
        In any order.
    numbers : ndarray of shape (n,), int
        Their numbers among all texts of the call.
    batch_tokens : int
        Padded tokens per batch.
    first_stack : int
        Layers of the model's first stack.
    reuses_prefix : bool
        Whether tokens that all prompts begin with may be run apart.
    """

    def __init__(
        self,
        backbone: LoadedBackbone,
        prompts: list[Prompt],
        numbers: IntArray,
        *,
        batch_tokens: int,
        first_stack: int,
        reuses_prefix: bool,
    ) -> None:
        windows = [window for prompt in prompts for window in prompt.windows]
        self._prefix = prefix_worth_reusing(windows) if reuses_prefix else ()
        if self._prefix:
            prompts = [prompt.without_first(len(self._prefix)) for prompt in prompts]
        self._backbone = backbone
        self._prompts = prompts
        self._numbers = numbers
        self._batch_tokens = batch_tokens
        self._first_stack = first_stack

    def run(
        self,
        run: Callable[[Batch], None],
        on_progress: OnProgress | None = None,
        depths: IntArray | None = None,
    ) -> None:
        """Run all prompts, batch after batch.

        Parameters
        ----------
        run : callable
            Runs a batch. After a lack of memory it is given smaller ones.
        on_progress : callable, optional
            Told how many prompts each finished batch had.
        depths : ndarray, optional
            Of all texts of the call: the rows of a batch stand deepest first.
        """

        @own_torch_state()
        def run_texts(texts: IntArray) -> None:
            if depths is not None:
                deepest_first = np.argsort(-depths[self._numbers[texts]], kind="stable")
                texts = texts[deepest_first]
            run(self._batch(texts))

        cutter = self._cutter(np.arange(len(self._prompts)))
        run_batches(cutter, self._batch_tokens, run_texts, on_progress)

    def run_in_chunks(self, run: RunChunk, on_progress: OnProgress | None) -> None:
        """Run all prompts, chunk after chunk.

        Parameters
        ----------
        run : callable
            Runs a chunk in batches of so many tokens, and tells of finished texts.
            After a lack of memory both are halved.
        on_progress : callable or None
            Told how many more prompts are done.
        """
        batch_tokens = self._batch_tokens
        progress = Progress(on_progress)

        @own_torch_state()
        def run_texts(texts: IntArray) -> None:
            run(self._batch(texts), self._cutter(texts), batch_tokens, progress)
            progress.keep()

        def halve() -> None:
            nonlocal batch_tokens
            batch_tokens = max(1, batch_tokens // 2)
            progress.drop()

        run_batches(
            Cutter(self._lengths(self._prompts), n_windows=_n_windows(self._prompts)),
            max(self._batch_tokens, self._chunk_tokens()),
            run_texts,
            on_out_of_memory=halve,
        )

    def _batch(self, texts: IntArray) -> Batch:
        return Batch(
            [self._prompts[text] for text in texts],
            self._numbers[texts],
            device=self._backbone.device,
            sees_padding=self._backbone.family.kind != "causal",
            first_stack=self._first_stack,
            prefix=self._prefix,
        )

    def _cutter(self, texts: IntArray) -> Cutter:
        """Return what cuts some of the texts into batches."""
        prompts = [self._prompts[text] for text in texts]
        model, family = self._backbone.model, self._backbone.family
        # Texts are whole, where sides differ.
        whole = [len(prompt.ids) for prompt in prompts]
        return Cutter(
            self._lengths(prompts),
            alike=_ALIKE.get(family.kind, 1.0),
            sides=sides_of(rotations_of(model, family), whole),
            n_windows=_n_windows(prompts),
        )

    def _lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        # Of a token that is not run, a row holds keys and values, a small part.
        held = len(self._prefix) // 4
        return [len(prompt.ids) + held for prompt in prompts]

    def _chunk_tokens(self) -> int:
        """Return so many tokens that the states of all of them may wait."""
        backbone = self._backbone
        width = int(getattr(backbone.model.config, "hidden_size", _USUAL_WIDTH))
        room = _CHUNK_BYTES.get(backbone.device.type, _CHUNK_BYTES["cpu"])
        return room // (width * backbone.dtype.itemsize)


def _n_windows(prompts: Sequence[Prompt]) -> list[int]:
    return [len(prompt.windows) for prompt in prompts]
