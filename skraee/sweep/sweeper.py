"""Texts to layer sweeps and keys, each text once.

A :class:`SweepSettings` says how an estimator reads texts and is part of its pickle;
a :class:`Sweeper` has the backbone in memory. What was read before is found in
the store of :mod:`skraee.sweep.store`: fit writes there, predict looks only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.precision import Device, name_of
from skraee.engine import agreement
from skraee.engine.batching import BatchTokens, OnProgress, distinct
from skraee.engine.clock import Clock
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.states import States, room_for
from skraee.readout.scorers import StateKind
from skraee.retrieval.encoder import Encoder
from skraee.retrieval.keys import encode_texts, is_depth, is_foreign, joined
from skraee.sweep.best_effort_store import BestEffortStore
from skraee.sweep.layer_sweep import Float32Array, LayerSweep
from skraee.sweep.memory import store_for
from skraee.sweep.provenance import Provenance
from skraee.sweep.store import Arrays, Store, record_keys
from skraee.text.inputs import Texts
from skraee.text.label_words import (
    LabelWords,
    all_label_words,
    label_token_ids,
    label_words_for,
    warn_of_long_words,
)
from skraee.text.prompt import Prompt, PromptEncoder
from skraee.text.template import Template

Sample = tuple[str, ...]
IntArray = npt.NDArray[np.int64]

# Texts that are worked on at a time, so that memory does not grow with X.
CHUNK_SIZE = 1024

# Name of the records of states; another one when what they hold changes.
_STATES = "states"


class WordTokens(NamedTuple):
    """Tokens of label words.

    Parameters
    ----------
    all_ids : tuple of int
        Tokens to sweep; a dict of words may name more classes than there are.
    ids : tuple of int
        Tokens of the classes, in their order; empty where they are not known.
    """

    all_ids: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class SweepSettings:
    """How an estimator reads texts; what a pickle needs to read them so again.

    Attributes
    ----------
    backbone : Backbone
    template : Template
    max_length : int or None
    dtype : str
        "auto" until the backbone has been loaded once.
    encoder : object
        None for depth-0 keys, an int for those of a depth, or an encoder.
    provenance : Provenance or None
        Of an estimator that comes from a file: what the backbone must be.
    by_states : bool
        Whether classes are read from the states of every depth; else from the label
        words' logits.
    by_keys : bool
        Whether texts have keys.
    """

    backbone: Backbone
    template: Template
    max_length: int | None = None
    dtype: str = "auto"
    encoder: Any = None
    provenance: Provenance | None = None
    by_states: bool = False
    by_keys: bool = True

    @property
    def kinds(self) -> tuple[StateKind, ...] | None:
        """Which states are read; None for all that the prompts have."""
        return None

    def open(
        self,
        device: Device,
        batch_tokens: BatchTokens,
        memory: Any = None,
        clock: Clock | None = None,
    ) -> Sweeper:
        """Load the backbone (once per process) and check that the template fits it.

        Parameters
        ----------
        device : str or torch.device
        batch_tokens : int or "auto"
        memory : object
            As `RAEEClassifier` was given it.
        clock : Clock, optional
            Told where time goes.

        Returns
        -------
        Sweeper
        """
        store = store_for(memory)
        if store is not None:
            store = BestEffortStore(store)
        loaded = self._load(device)
        prompts = PromptEncoder(
            self.template,
            loaded.tokenizer,
            kind=loaded.family.kind,
            max_length=self.max_length,
            position_limit=loaded.position_limit,
            needs_mask=not self.by_states,
        )
        engine = Engine(loaded, batch_tokens, clock)
        sweeper = Sweeper(self, loaded, prompts, engine, store)
        if self.provenance is not None:
            self.provenance.check_answers(sweeper)
        return sweeper

    def _load(self, device: Device) -> LoadedBackbone:
        if self.provenance is None:
            return agreement.believed(self.backbone.load(self.dtype, device))
        return agreement.believed(
            self.provenance.load(self.backbone, self.dtype, device)
        )


@dataclass(frozen=True)
class Sweeper:
    """A settings with its backbone in memory.

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

    def with_encoder(self, encoder: Any) -> Sweeper:
        """Return a sweeper of just this backbone, in its dtype, and this encoder."""
        if self.settings.by_keys and isinstance(encoder, Encoder):
            encoder = encoder.pinned()
        settings = replace(
            self.settings,
            backbone=self.settings.backbone.pinned_to(self.backbone),
            dtype=name_of(self.backbone.dtype),
            encoder=encoder,
        )
        return replace(self, settings=settings)

    def label_tokens(
        self, label_words: LabelWords, classes: npt.NDArray[Any] | None = None
    ) -> WordTokens:
        """Return the tokens of all words that are named, and those of the classes.

        Parameters
        ----------
        label_words : dict, list or None
            As `RAEEClassifier` was given it.
        classes : ndarray of shape (C,), optional
            Sorted; None where they are not known yet.

        Returns
        -------
        WordTokens
        """
        named = all_label_words(label_words, classes)
        tokens = label_token_ids(
            named, self.backbone.tokenizer, kind=self.backbone.family.kind
        )
        words = () if classes is None else label_words_for(classes, label_words)
        return WordTokens(tuple(tokens.values()), tuple(tokens[name] for name in words))

    def warn_of_long_words(
        self, label_words: LabelWords, classes: npt.NDArray[Any] | None = None
    ) -> None:
        """Warn, once for all, of label words that are read by their first token.

        Parameters
        ----------
        label_words : dict, list or None
            As `label_tokens` took them.
        classes : ndarray of shape (C,), optional
            Those whose words are meant; all words by default.
        """
        if classes is None:
            words = all_label_words(label_words)
        else:
            words = label_words_for(classes, label_words)
        warn_of_long_words(words, self.backbone.tokenizer)

    def chunks(self, samples: Iterable[Sample]) -> Iterator[Chunk]:
        """Cut texts into chunks of bounded length.

        Parameters
        ----------
        samples : iterable of n tuples of str

        Yields
        ------
        Chunk

        Warns
        -----
        TruncationWarning
            Once, after the last chunk, if texts had to be cut.
        """
        n_cut = 0
        stream = iter(samples)
        while some := list(islice(stream, CHUNK_SIZE)):
            chunk = Chunk(*distinct(some))
            yield chunk
            n_cut += chunk.n_cut
        self.prompts.warn_of_cuts(n_cut)

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

        Returns
        -------
        LayerSweep
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

    def check_sweep(self, sweep: LayerSweep) -> None:
        """Refuse a sweep that another backbone or readout made.

        Parameters
        ----------
        sweep : LayerSweep

        Raises
        ------
        ValueError
            If it has other depths, or no states where they are needed.
        """
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

    def states_of(self, records: Sequence[bytes]) -> States:
        """Read the states of texts that were swept before, by their records.

        Parameters
        ----------
        records : sequence of n bytes
            From :meth:`records_of`.

        Returns
        -------
        states : ndarray of shape (n, m + 1, P, H)

        Raises
        ------
        ValueError
            If the store does not have all of them any more.
        """
        states: States | None = None
        for start in range(0, len(records), CHUNK_SIZE):
            names = records[start : start + CHUNK_SIZE]
            found = (
                [None] * len(names) if self.store is None else self.store.read(names)
            )
            known = [record["states"] for record in found if record is not None]
            if len(known) < len(names):
                raise ValueError(
                    "partial_fit solves the readout again and needs the states of the "
                    "texts that were fitted before, and they are not in the memory any "
                    "more; set memory= to a folder before fit, or call fit on all "
                    "texts."
                )
            if states is None:
                states = room_for(len(records), known[0].shape, known[0].dtype)
            states[start : start + len(known)] = np.stack(known)
        assert states is not None
        return states

    def records_of(self, samples: Iterable[Sample]) -> list[bytes]:
        """Return the names under which the store has texts' states.

        Parameters
        ----------
        samples : iterable of n tuples of str

        Returns
        -------
        list of n bytes
        """
        return record_keys(self._states_name, self.context(), samples)

    def context(self) -> list[Any]:
        """Return what a sweep depends on beside the text, in values for JSON."""
        backbone = self.backbone
        return [
            backbone.fingerprint,
            backbone.config_hash,
            backbone.settings_hash,
            backbone.tokenizer.fingerprint,
            self.prompts.form,
            self.prompts.limit,
        ]

    def recall(self, chunk: Chunk, token_ids: Sequence[int]) -> Recalled:
        """Find the texts whose sweep is known; no layer runs.

        Parameters
        ----------
        chunk : Chunk
        token_ids : sequence of int

        Returns
        -------
        Recalled
        """
        records = self._stored_records(chunk, token_ids)
        keys = self._stored("key", self._key_context, chunk.samples)
        known = np.array([record is not None for record in records])
        keyless = known & np.array([key is None for key in keys])
        if self.key_depth is not None:  # a key costs a pass, which may as well go on
            known &= ~keyless
        elif keyless.any():
            rows = np.flatnonzero(keyless)
            for row, key in zip(rows, self.keys(chunk, rows), strict=True):
                keys[row] = {"key": key}
        rows = np.flatnonzero(known)
        found = [(records[row] or {}, keys[row] or {}) for row in rows]
        chunk.note_cuts(rows, [bool(record["is_cut"]) for record, _ in found])
        return Recalled(
            rows=rows,
            keys=[key["key"] for _, key in found],
            depths=[self._depths_of(record, token_ids) for record, _ in found],
        )

    def keys(
        self,
        chunk: Chunk,
        rows: IntArray | None = None,
        prompts: Sequence[Prompt] | None = None,
    ) -> Float32Array:
        """Return the keys of texts, running no more layers than they need.

        Parameters
        ----------
        chunk : Chunk
        rows : ndarray of n int, optional
            Which of its distinct texts; all by default.
        prompts : sequence of n Prompt, optional
            Theirs, where they are made already.

        Returns
        -------
        keys : ndarray of shape (n, d), float32
        """
        rows = np.arange(len(chunk.samples)) if rows is None else rows
        if not self.settings.by_keys:
            return np.zeros((len(rows), 0), dtype=np.float32)
        if is_foreign(self.encoder):
            texts = joined([chunk.samples[i] for i in rows])
            with self.engine.clock.part("key"):
                return encode_texts(self.encoder, texts)
        prompts = self.prompts_of(chunk, rows) if prompts is None else prompts
        if self.key_depth is None:
            return self.engine.text_means(prompts)
        return self.engine.states_at(prompts, self.key_depth)

    def prompts_of(self, chunk: Chunk, rows: IntArray) -> list[Prompt]:
        """Return the prompts of some distinct texts; note which were cut.

        Parameters
        ----------
        chunk : Chunk
        rows : ndarray of n int

        Returns
        -------
        list of n Prompt
        """
        samples = [chunk.samples[i] for i in rows]
        with self.engine.clock.part("tokenize"):
            prompts = self.prompts.encode(samples, warn=False)
        chunk.note_cuts(rows, [prompt.is_cut for prompt in prompts])
        return prompts

    def _sweep_chunk(
        self, chunk: Chunk, token_ids: Sequence[int], on_progress: OnProgress | None
    ) -> LayerSweep:
        records = self._stored_records(chunk, token_ids)
        keys = self._stored("key", self._key_context, chunk.samples)
        self._run_unknown(chunk, token_ids, records, keys, on_progress)
        unknown = np.array([i for i, key in enumerate(keys) if key is None], np.int64)
        if len(unknown):
            self._keep_keys(chunk, unknown, self.keys(chunk, unknown), keys)
        cuts = [bool(record["is_cut"]) for record in records if record is not None]
        chunk.note_cuts(range(len(records)), cuts)
        depths = np.stack([self._depths_of(record, token_ids) for record in records])
        depths = depths[chunk.inverse]
        stacked = np.stack([key["key"] for key in keys if key is not None])
        stacked = stacked[chunk.inverse]
        if not self.settings.by_states:
            return LayerSweep(stacked, depths, tuple(token_ids))
        no_logits = np.zeros((*depths.shape[:2], 0), dtype=np.float32)
        return LayerSweep(stacked, no_logits, (), depths)

    def _run_unknown(
        self,
        chunk: Chunk,
        token_ids: Sequence[int],
        records: list[Arrays | None],
        keys: list[Arrays | None],
        on_progress: OnProgress | None,
    ) -> None:
        """Sweep the texts that have no record, and fill in what that finds."""
        rows = np.array([i for i, r in enumerate(records) if r is None], np.int64)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(rows))
        if len(rows) == 0:
            return
        by_states = self.settings.by_states
        swept = self.engine.sweep(
            self.prompts_of(chunk, rows),
            label_head(self.backbone, token_ids) if token_ids else None,
            text_means=self.settings.by_keys and self.encoder is None,
            state_depth=self.key_depth,
            states=self.state_kinds if by_states else (),
            on_progress=on_progress,
        )
        made = swept.text_means if swept.key_states is None else swept.key_states
        if made is not None:
            self._keep_keys(chunk, rows, made, keys)
        tokens = np.array(token_ids, dtype=np.int64)
        samples = [chunk.samples[row] for row in rows]
        cuts = [np.array(chunk.is_cut[row]) for row in rows]
        if token_ids:
            found = [
                {"tokens": tokens, "logits": logits, "is_cut": is_cut}
                for logits, is_cut in zip(swept.logits, cuts, strict=True)
            ]
            self._keep_sweeps(samples, found)
        if swept.states is not None:  # they hold all that a readout reads
            found = [
                {"states": states, "is_cut": is_cut}
                for states, is_cut in zip(swept.states, cuts, strict=True)
            ]
            if self.store is not None:
                names = self.records_of(samples)
                self.store.write(dict(zip(names, found, strict=True)))
        for row, record in zip(rows, found, strict=True):
            records[row] = record

    @property
    def key_depth(self) -> int | None:
        """The depth of the backbone that makes the keys, if one does."""
        if self.settings.by_keys and is_depth(self.encoder):
            return int(self.encoder)
        return None

    @property
    def state_kinds(self) -> tuple[StateKind, ...]:
        """What a readout may know of a text at each depth."""
        if self.settings.kinds is not None:
            return self.settings.kinds
        has = {"read": self.prompts.reads_a_position, "text": True}
        has["around"] = self.prompts.has_words_around
        kinds: tuple[StateKind, ...] = ("read", "text", "around")
        return tuple(kind for kind in kinds if has[kind])

    @property
    def _states_name(self) -> str:
        """What records of states are called in the store."""
        return ":".join([_STATES, *(self.settings.kinds or ())])

    def _depths_of(
        self, record: Arrays | None, token_ids: Sequence[int]
    ) -> npt.NDArray[Any]:
        """Return what a record has of every depth: states, or logits of tokens."""
        assert record is not None
        if self.settings.by_states:
            return record["states"]
        return _columns(record, token_ids)

    def _stored_records(
        self, chunk: Chunk, token_ids: Sequence[int]
    ) -> list[Arrays | None]:
        """Return the records that hold states, or logits for all of these tokens."""
        if self.settings.by_states:
            return self._stored(self._states_name, self.context(), chunk.samples)
        wanted = set(token_ids)
        return [
            record
            if record is not None and wanted <= set(record["tokens"].tolist())
            else None
            for record in self._stored("sweep", self.context(), chunk.samples)
        ]

    def _keep_sweeps(self, samples: Sequence[Sample], sweeps: Sequence[Arrays]) -> None:
        """Write sweeps; words that were named earlier stay in their records."""
        if self.store is None:
            return
        names = record_keys("sweep", self.context(), samples)
        older = self.store.read(names)
        self.store.write(
            {
                name: _merged(sweep, old)
                for name, sweep, old in zip(names, sweeps, older, strict=True)
            }
        )

    def _keep_keys(
        self,
        chunk: Chunk,
        rows: IntArray,
        found: Float32Array,
        keys: list[Arrays | None],
    ) -> None:
        """Fill in keys that were found, and write them where they can be named."""
        for row, key in zip(rows, found, strict=True):
            keys[row] = {"key": key}
        context = self._key_context
        if self.store is not None and context is not None:
            samples = [chunk.samples[row] for row in rows]
            names = record_keys("key", context, samples)
            made = [{"key": key} for key in found]
            self.store.write(dict(zip(names, made, strict=True)))

    def _stored(
        self, kind: str, context: list[Any] | None, samples: Sequence[Sample]
    ) -> list[Arrays | None]:
        if self.store is None or context is None:
            return [None] * len(samples)
        return self.store.read(record_keys(kind, context, samples))

    @cached_property
    def _key_context(self) -> list[Any] | None:
        """What a key depends on beside the text; None where that cannot be told."""
        if not self.settings.by_keys:
            return None
        if isinstance(self.encoder, Encoder):
            told = self.encoder.fingerprint()
            return None if told is None else ["encoder", told]
        if is_foreign(self.encoder):
            return None
        return ["depth", self.encoder and int(self.encoder), *self.context()]


@dataclass
class Chunk:
    """Some texts, each distinct one once.

    Attributes
    ----------
    samples : list of tuple of str
        The distinct texts.
    inverse : ndarray of int
        For every text, copies included, the number of its equal in `samples`.
    is_cut : ndarray of bool
        Which distinct texts were too long, as far as that has been seen.
    """

    samples: list[Sample]
    inverse: IntArray
    is_cut: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.is_cut = np.zeros(len(self.samples), dtype=bool)

    @property
    def n_cut(self) -> int:
        """Number of texts that were too long."""
        return int(self.is_cut[self.inverse].sum())

    def note_cuts(self, rows: Any, cuts: Sequence[bool]) -> None:
        """Note which of some distinct texts were cut."""
        self.is_cut[list(rows)] = cuts


@dataclass(frozen=True)
class Recalled:
    """Texts of a chunk that need no pass.

    Attributes
    ----------
    rows : ndarray of n int
        Which of the distinct texts.
    keys : list of n ndarray of shape (d,)
    depths : list of n ndarray
        Of each depth the states (P, H) or the logits (n_words,).
    """

    rows: IntArray
    keys: list[Float32Array]
    depths: list[npt.NDArray[Any]]


def _columns(sweep: Arrays | None, token_ids: Sequence[int]) -> Float32Array:
    """Return the logits (m + 1, n_words) of these tokens."""
    assert sweep is not None
    tokens = sweep["tokens"].tolist()
    if tokens == list(token_ids):
        return sweep["logits"]
    return sweep["logits"][:, [tokens.index(token) for token in token_ids]]


def _merged(new: Arrays, old: Arrays | None) -> Arrays:
    """Add the columns of an older record that the new one lacks."""
    if old is None:
        return new
    extra = ~np.isin(old["tokens"], new["tokens"])
    if not extra.any():
        return new
    return {
        "tokens": np.concatenate([new["tokens"], old["tokens"][extra]]),
        "logits": np.concatenate([new["logits"], old["logits"][:, extra]], axis=1),
        "is_cut": new["is_cut"],
    }
