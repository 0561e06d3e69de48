"""Texts to generated texts: key, depth, and the tokens that follow there.

A text that was generated before at the same depth, in the same way, is found in the
store where `score` has left it; it is generated once however many settings of k and tau
lead it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.engine.batching import OnProgress
from skraee.engine.decoding.decoder import Decoder, Way
from skraee.engine.decoding.loop import Generated
from skraee.exits.policies import ByNeighbors
from skraee.generation.generations import Generations
from skraee.sweep.chunks import Chunk
from skraee.sweep.store import Arrays
from skraee.sweep.sweeper import Sweeper
from skraee.text.inputs import Texts

IntArray = npt.NDArray[np.int64]

# Kind of a record: another name when what it holds changes. "tokens", "counts".
_GENERATED = "generated"


@dataclass(frozen=True)
class Answers:
    """Generates texts at the depths that neighbours choose.

    Attributes
    ----------
    sweeper : Sweeper
        The backbone in memory, its prompts and its store.
    decoder : Decoder
    policy : ByNeighbors
        Where texts stop.
    way : Way
    seed : int
        Of what is drawn.
    keeps : bool
        Whether the store is to have what was generated.
    """

    sweeper: Sweeper
    decoder: Decoder
    policy: ByNeighbors
    way: Way
    seed: int = 0
    keeps: bool = False

    def of(self, samples: Texts, on_progress: OnProgress | None = None) -> Generations:
        """Generate the texts of some samples.

        Parameters
        ----------
        samples : Texts
        on_progress : callable, optional
            Told how many more texts are done.
        """
        parts = [
            self._of_chunk(chunk, on_progress) for chunk in self.sweeper.chunks(samples)
        ]
        return Generations.joined(parts)

    def _of_chunk(self, chunk: Chunk, on_progress: OnProgress | None) -> Generations:
        chosen = self.policy.choice(self.sweeper.keys(chunk))
        found = self._known(chunk, chosen.depths)
        new = np.array([i for i, one in enumerate(found) if one is None], dtype=int)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(new))
        if len(new):
            made = self._run(chunk, new, chosen.depths[new], on_progress)
            for row, one in zip(new, made, strict=True):
                found[row] = one
        every = [one for one in found if one is not None]
        whole = Generations(
            texts=_texts(self._text(one.tokens) for one in every),
            exit_layers=chosen.depths,
            undecided=chosen.undecided,
            n_tokens=np.array([len(one.tokens) for one in every]),
            n_drafted=np.array([one.n_drafted for one in every]),
            n_accepted=np.array([one.n_accepted for one in every]),
            n_passes=np.array([one.n_passes for one in every]),
        )
        return whole.take(chunk.inverse)

    def _run(
        self,
        chunk: Chunk,
        rows: IntArray,
        depths: IntArray,
        on_progress: OnProgress | None,
    ) -> list[Generated]:
        prompts = self.sweeper.prompts_of(chunk, rows)
        seeds = [_seed_of(self.seed, chunk.samples[row]) for row in rows]
        made = self.decoder.generate(prompts, depths, self.way, seeds, on_progress)
        if self.keeps:
            self._keep(chunk, rows, depths, made)
        return made

    def _known(self, chunk: Chunk, depths: IntArray) -> list[Generated | None]:
        """Return what the store has of distinct texts at their depths."""
        found: list[Generated | None] = [None] * len(chunk.samples)
        records = self.sweeper.records
        for depth in np.unique(depths).tolist():
            rows = np.flatnonzero(depths == depth)
            samples = [chunk.samples[row] for row in rows]
            context = self._context(depth)
            read = records.read(_GENERATED, context, samples)
            for row, record in zip(rows, read, strict=True):
                found[row] = _generated(record)
                if record is not None and found[row] is not None:
                    chunk.note_cuts([row], [bool(record["is_cut"])])
        return found

    def _keep(
        self, chunk: Chunk, rows: IntArray, depths: IntArray, made: Sequence[Generated]
    ) -> None:
        for depth in np.unique(depths).tolist():
            places = np.flatnonzero(depths == depth).tolist()
            samples = [chunk.samples[rows[place]] for place in places]
            records = [
                _record(made[place], bool(chunk.is_cut[rows[place]]))
                for place in places
            ]
            context = self._context(depth)
            self.sweeper.records.write(_GENERATED, context, samples, records)

    def _context(self, depth: int) -> list[Any]:
        """Return what a generated text depends on beside its prompt."""
        ending, sampling = self.way.ending, self.way.sampling
        return [
            *self.sweeper.records.context,
            depth,
            ending.max_new_tokens,
            sorted(ending.end_ids),
            list(ending.stops),
            [float(sampling.temperature), sampling.top_k, sampling.top_p],
            self.seed if sampling.temperature else 0,
            self.way.n_draft,
        ]

    def _text(self, tokens: Sequence[int]) -> str:
        text = self.sweeper.backbone.tokenizer.text(tokens)
        for stop in self.way.ending.stops:
            text = text.partition(stop)[0]
        return text.strip()


def _texts(texts: Any) -> npt.NDArray[Any]:
    several = list(texts)
    found = np.empty(len(several), dtype=object)
    found[:] = several
    return found


def _seed_of(seed: int, sample: tuple[str, ...]) -> int:
    """Return a seed of a text's own: it is drawn alike alone and in any company."""
    data = repr((seed, sample)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _record(one: Generated, is_cut: bool) -> Arrays:
    counts = [one.n_drafted, one.n_accepted, one.n_passes]
    return {
        "tokens": np.array(one.tokens, dtype=np.int64),
        "counts": np.array(counts, dtype=np.int64),
        "is_cut": np.array(is_cut),
    }


def _generated(record: Arrays | None) -> Generated | None:
    """Return what a record holds; None for another release's."""
    if record is None or not {"tokens", "counts", "is_cut"} <= record.keys():
        return None
    tokens, counts = record["tokens"], record["counts"]
    if tokens.ndim != 1 or counts.shape != (3,):
        return None
    n_drafted, n_accepted, n_passes = counts.tolist()
    return Generated(
        tokens.tolist(),
        n_drafted=n_drafted,
        n_accepted=n_accepted,
        n_passes=n_passes,
    )
