"""Texts to layer sweeps and keys, each text once.

What was read before is found in the store: fit writes there, predict looks only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.clock import Clock
from skraee.engine.compiled import Compile
from skraee.engine.depth_states import StateKind
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.states import States, room_for
from skraee.retrieval.keys import encode_texts, is_foreign, joined
from skraee.sweep.best_effort_store import BestEffortStore
from skraee.sweep.chunks import Chunk, IntArray, Recalled, Sample, chunks_of
from skraee.sweep.finite import refuse_not_finite
from skraee.sweep.layer_sweep import Float32Array, LayerSweep
from skraee.sweep.memory import store_for
from skraee.sweep.records import Records, TextSweep, bags_of
from skraee.sweep.settings import SweepSettings
from skraee.sweep.state_kinds import kinds_of_states
from skraee.sweep.store import Store
from skraee.sweep.word_tokens import WordTokens
from skraee.text.inputs import Texts
from skraee.text.label_tokens import warn_of_long_words
from skraee.text.label_words import LabelWords, all_label_words, label_words_for
from skraee.text.prompt import Prompt
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.token_bags import TokenBags
from skraee.threads.kept_property import kept_property

T = TypeVar("T")


def open_sweeper(
    settings: SweepSettings,
    device: Device,
    batch_tokens: BatchTokens,
    memory: Any = None,
    clock: Clock | None = None,
    *,
    compile: Compile = False,
    verbose: int = 0,
) -> Sweeper:
    """Load the backbone (once per process) and check that the template fits it.

    Parameters
    ----------
    settings : SweepSettings
    device, batch_tokens, memory : object
        As an estimator was given them.
    clock : Clock, optional
        Told where time goes.
    compile : "auto" or bool, default=False
    verbose : int, default=0
        As an estimator was given them.
    """
    store = store_for(memory)
    if store is not None:
        store = BestEffortStore(store)
    provenance = settings.provenance
    backbone = settings.load(device)
    told = nullcontext() if provenance is None else provenance.reading_texts()
    with told:
        prompts = settings.prompt_encoder(backbone)
    engine = Engine(backbone, batch_tokens, clock, compile=compile, verbose=verbose)
    sweeper = Sweeper(settings, backbone, prompts, engine, store)
    if provenance is not None:
        provenance.check_answers(sweeper)
    return sweeper


@dataclass(frozen=True)
class Sweeper:
    """A backbone in memory that reads texts as settings say.

    Attributes
    ----------
    settings : SweepSettings
    backbone : LoadedBackbone
    prompts : PromptEncoder
    engine : Engine
    store : Store or None
        What was read before.
    """

    settings: SweepSettings
    backbone: LoadedBackbone
    prompts: PromptEncoder
    engine: Engine
    store: Store | None = None

    @property
    def n_layers(self) -> int:
        """Number of layers m."""
        return self.engine.n_layers

    @property
    def encoder(self) -> Any:
        """What makes the keys."""
        return self.settings.encoder

    @property
    def key_depth(self) -> int | None:
        """The depth of the backbone that makes the keys, if one does."""
        return self.settings.key_depth

    @property
    def state_kinds(self) -> tuple[StateKind, ...]:
        """What a readout may know of a text at each depth."""
        if self.settings.state_kinds is not None:
            return self.settings.state_kinds
        return kinds_of_states(self.prompts, self.backbone)

    @kept_property
    def records(self) -> Records:
        """What the store has of texts that are read in this way."""
        return Records(self.settings, self.backbone, self.prompts, self.store)

    def with_encoder(self, encoder: Any) -> Sweeper:
        """Return a sweeper of just this backbone, in its dtype, and this encoder."""
        return replace(self, settings=self.settings.pinned(self.backbone, encoder))

    def label_tokens(
        self, label_words: LabelWords, classes: npt.NDArray[Any] | None = None
    ) -> WordTokens:
        """Return the tokens of all words that are named, and those of the classes."""
        return WordTokens.of(self.backbone, label_words, classes)

    def warn_of_long_words(
        self, label_words: LabelWords, classes: npt.NDArray[Any] | None = None
    ) -> None:
        """Warn, once for all, of label words that are read by their first token."""
        if classes is None:
            words = all_label_words(label_words)
        else:
            words = label_words_for(classes, label_words)
        warn_of_long_words(words, self.backbone.tokenizer)

    def check_sweep(self, sweep: LayerSweep) -> None:
        """Refuse a sweep that another backbone or readout made, or that is damaged."""
        refuse_not_finite(sweep)
        if sweep.n_layers != self.n_layers:
            raise ValueError(
                f"the sweep has {sweep.n_layers} layers but the backbone "
                f"{self.n_layers}; fit with the backbone that made the sweep."
            )
        if self.settings.by_states and sweep.states is None:
            raise ValueError(
                "the sweep holds no states, which a closed-form readout reads; make it "
                "with sweep of an estimator with the same readout."
            )
        n_kinds = len(self.state_kinds)
        if sweep.states is not None and sweep.states.shape[2] != n_kinds:
            raise ValueError(
                f"the sweep holds {sweep.states.shape[2]} states of each depth and "
                f"this backbone and template give {n_kinds}; make it again, with sweep "
                "of this estimator."
            )

    def sweep(
        self,
        samples: Texts,
        token_ids: Sequence[int],
        on_progress: OnProgress | None = None,
    ) -> LayerSweep:
        """Read every depth of every text, and its key; run what is not known yet.

        Parameters
        ----------
        samples : Texts
            At least one.
        token_ids : sequence of int
            Tokens of the label words.
        on_progress : callable, optional
            Told how many more texts are done.
        """
        swept: list[LayerSweep] = []
        states: States | None = None
        n_done = 0
        for chunk in self.chunks(samples):
            found = self._sweep_chunk(chunk, token_ids, on_progress)
            if found.states is not None:
                if states is None:
                    shape, dtype = found.states.shape[1:], found.states.dtype
                    states = room_for(len(samples), shape, dtype)
                states[n_done : n_done + len(found)] = found.states
            n_done += len(found)
            swept.append(replace(found, states=None))
        return replace(LayerSweep.concatenate(swept), states=states)

    def chunks(self, samples: Iterable[Sample]) -> Iterator[Chunk]:
        """Cut texts into chunks; after the last one warn if texts were too long."""
        n_cut = 0
        for chunk in chunks_of(samples):
            yield chunk
            n_cut += chunk.n_cut
        self.prompts.warn_of_cuts(n_cut)

    def recall(self, chunk: Chunk, token_ids: Sequence[int]) -> Recalled:
        """Find the texts whose sweep is known; no layer runs."""
        found = self.records.sweeps(chunk.samples, token_ids)
        keys = self.records.keys(chunk.samples)
        known = np.array([text is not None for text in found])
        keyless = known & np.array([key is None for key in keys])
        if self.key_depth is not None:  # a key costs a pass, which may as well go on
            known &= ~keyless
        elif keyless.any():
            rows = np.flatnonzero(keyless)
            _fill(keys, rows, self.keys(chunk, rows))
        rows = np.flatnonzero(known)
        texts = [text for row in rows if (text := found[row]) is not None]
        chunk.note_cuts(rows, [text.is_cut for text in texts])
        return Recalled(
            rows=rows,
            keys=[key for row in rows if (key := keys[row]) is not None],
            depths=[text.depths for text in texts],
            bags=bags_of([text.bag for text in texts]),
        )

    def keys(
        self,
        chunk: Chunk,
        rows: IntArray | None = None,
        prompts: Sequence[Prompt] | None = None,
    ) -> Float32Array:
        """Return the keys (n, d) of texts, running no more layers than they need.

        Parameters
        ----------
        chunk : Chunk
        rows : ndarray of n int, optional
            Which of its distinct texts to make keys of; by default all, of which those
            that the store has are not made again.
        prompts : sequence of n Prompt, optional
            Theirs, where they are made already.
        """
        if rows is None:
            found = self.records.keys(chunk.samples)
            return _completed(self, found, chunk, keeps=False)
        if not self.settings.by_keys:
            return np.zeros((len(rows), 0), dtype=np.float32)
        if is_foreign(self.encoder):
            texts = joined([chunk.samples[i] for i in rows])
            with self.engine.clock.part("key"):
                return encode_texts(self.encoder, texts)
        prompts = self.prompts_of(chunk, rows) if prompts is None else prompts
        return self.engine.keys(prompts, self.key_depth)

    def kept_keys(self, chunk: Chunk) -> Float32Array:
        """Return the keys (n, d) of distinct texts; the store keeps those made now.

        Parameters
        ----------
        chunk : Chunk
        """
        found = self.records.keys(chunk.samples)
        return _completed(self, found, chunk, keeps=True)

    def prompts_of(self, chunk: Chunk, rows: IntArray) -> list[Prompt]:
        """Return the prompts of some distinct texts; note which were cut."""
        samples = [chunk.samples[i] for i in rows]
        with self.engine.clock.part("tokenize"):
            prompts = self.prompts.encode(samples, warn=False)
        chunk.note_cuts(rows, [prompt.is_cut for prompt in prompts])
        return prompts

    def bags(self, samples: Texts) -> TokenBags:
        """Return the bags of tokens (n) of texts; no layer runs."""
        return TokenBags.of(self.prompts.encode(list(samples), warn=False))

    def records_of(self, samples: Iterable[Sample]) -> list[bytes]:
        """Return the names under which the store has texts' states."""
        return self.records.names_of_states(samples)

    def states_of(self, records: Sequence[bytes]) -> tuple[States, TokenBags | None]:
        """Read the states (n, m + 1, P, H) and bags of the texts of these records."""
        return self.records.states_of(records)

    def _sweep_chunk(
        self, chunk: Chunk, token_ids: Sequence[int], on_progress: OnProgress | None
    ) -> LayerSweep:
        found = self.records.sweeps(chunk.samples, token_ids)
        keys = self.records.keys(chunk.samples)
        rows = _missing(found)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(rows))
        if len(rows):
            texts, made = self._run(chunk, rows, token_ids, on_progress)
            _fill(found, rows, texts)
            if made is not None:
                _fill(keys, rows, made)
        whole = _completed(self, keys, chunk, keeps=True)
        texts = [text for text in found if text is not None]
        chunk.note_cuts(range(len(texts)), [text.is_cut for text in texts])
        depths = np.stack([text.depths for text in texts])[chunk.inverse]
        stacked = whole[chunk.inverse]
        if not self.settings.by_states:
            return LayerSweep(stacked, depths, tuple(token_ids))
        no_logits = np.zeros((*depths.shape[:2], 0), dtype=np.float32)
        bags = bags_of([text.bag for text in texts])
        assert bags is not None
        return LayerSweep(stacked, no_logits, (), depths, bags.take(chunk.inverse))

    def _run(
        self,
        chunk: Chunk,
        rows: IntArray,
        token_ids: Sequence[int],
        on_progress: OnProgress | None,
    ) -> tuple[list[TextSweep], Float32Array | None]:
        """Run some texts and write what that finds; return it, with keys if any."""
        prompts = self.prompts_of(chunk, rows)
        swept = self.engine.sweep(
            prompts,
            label_head(self.backbone, token_ids) if token_ids else None,
            text_means=self.settings.by_keys and self.encoder is None,
            state_depth=self.key_depth,
            states=self.state_kinds if self.settings.by_states else (),
            on_progress=on_progress,
        )
        keys = swept.text_means if swept.key_states is None else swept.key_states
        samples, is_cut = [chunk.samples[row] for row in rows], chunk.is_cut[rows]
        if keys is not None:
            self.records.write_keys(samples, keys)
        if token_ids:
            self.records.write_logits(samples, token_ids, swept.logits, is_cut)
        if swept.states is None:
            both = zip(swept.logits, is_cut, strict=True)
            return [TextSweep(*text) for text in both], keys
        bags = TokenBags.of(prompts).each()
        self.records.write_states(samples, swept.states, is_cut, bags)
        whole = zip(swept.states, is_cut, bags, strict=True)
        return [TextSweep(*text) for text in whole], keys


def _completed(
    sweeper: Sweeper, keys: list[Float32Array | None], chunk: Chunk, *, keeps: bool
) -> Float32Array:
    """Make the keys that are missing, for the store to keep or not; return all."""
    if len(rows := _missing(keys)):
        made = sweeper.keys(chunk, rows)
        if keeps:
            samples = [chunk.samples[row] for row in rows]
            sweeper.records.write_keys(samples, made)
        _fill(keys, rows, made)
    return np.stack([key for key in keys if key is not None])


def _missing(found: Sequence[object]) -> IntArray:
    return np.array([i for i, it in enumerate(found) if it is None], dtype=np.int64)


def _fill(found: list[T | None], rows: IntArray, made: Iterable[T]) -> None:
    for row, it in zip(rows, made, strict=True):
        found[row] = it
