"""Texts and their targets to readings of every depth, each pair once.

What was read before is found in the store, under the text and its target together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skraee.engine.batching import OnProgress, check_batch_tokens
from skraee.engine.decoding.cut_model import n_decoder_layers
from skraee.engine.decoding.teacher_forcing import Forced, read_targets
from skraee.exceptions import TruncationWarning, warn_user
from skraee.sweep.chunks import Chunk, Sample, chunks_of
from skraee.sweep.store import Arrays
from skraee.sweep.sweeper import Sweeper
from skraee.text.inputs import Texts

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Kind of a record: another name when what it holds changes. "readings", "is_cut",
# "is_target_cut".
_READINGS = "targets"


@dataclass(frozen=True)
class TargetSweep:
    """What a sweep over texts and their targets found.

    Attributes
    ----------
    keys : ndarray of shape (n, d), float32
        By which the texts are retrieved.
    readings : ndarray of shape (n, m + 1, 2), float32
        Of each depth the share of the target's tokens that it would have named, and
        their mean probability; of several references the mean.
    """

    keys: Float32Array
    readings: Float32Array


@dataclass(frozen=True)
class TargetSweeper:
    """Reads texts with their targets.

    Attributes
    ----------
    sweeper : Sweeper
        The backbone in memory, its prompts and its store.
    max_new_tokens : int
        Of a target only so many tokens count.
    batch_tokens : int or "auto"
        Padded tokens per batch.
    """

    sweeper: Sweeper
    max_new_tokens: int
    batch_tokens: int | str = "auto"

    def sweep(
        self,
        samples: Texts,
        references: Sequence[tuple[str, ...]],
        on_progress: OnProgress | None = None,
    ) -> TargetSweep:
        """Read every depth of every text; run what is not known yet.

        Parameters
        ----------
        samples : Texts
            At least one.
        references : sequence of tuple of str
            Of each text.
        on_progress : callable, optional
            Told how many more pairs of text and reference are done.
        """
        pairs = [
            (*sample, reference)
            for sample, several in zip(samples, references, strict=True)
            for reference in several
        ]
        of_pairs = self._readings(pairs, on_progress)
        n_each = np.array([len(several) for several in references])
        firsts = np.concatenate([[0], n_each.cumsum()[:-1]])
        sums = np.add.reduceat(of_pairs, firsts, axis=0)
        readings = (sums / n_each[:, None, None]).astype(np.float32)
        return TargetSweep(self._keys(samples), readings)

    def _keys(self, samples: Texts) -> Float32Array:
        made = [
            self.sweeper.kept_keys(chunk)[chunk.inverse] for chunk in chunks_of(samples)
        ]
        return np.concatenate(made)

    def _readings(
        self, pairs: Sequence[Sample], on_progress: OnProgress | None
    ) -> Float32Array:
        found = []
        n_cut = n_targets_cut = 0
        for chunk in chunks_of(pairs):
            records = self._of_chunk(chunk, on_progress)
            readings = np.stack([record["readings"] for record in records])
            found.append(readings[chunk.inverse])
            cut = np.array([bool(record["is_cut"]) for record in records])
            targets = np.array([bool(record["is_target_cut"]) for record in records])
            n_cut += int(cut[chunk.inverse].sum())
            n_targets_cut += int(targets[chunk.inverse].sum())
        self.sweeper.prompts.warn_of_cuts(n_cut)
        if n_targets_cut:
            warn_user(
                f"{n_targets_cut} target(s) have more than max_new_tokens="
                f"{self.max_new_tokens} tokens, of which only the first count; raise "
                "max_new_tokens to read all.",
                TruncationWarning,
            )
        return np.concatenate(found)

    def _of_chunk(self, chunk: Chunk, on_progress: OnProgress | None) -> list[Arrays]:
        """Return a record of each distinct pair, from the store or run now."""
        records = self.sweeper.records
        context = [*records.context, self.max_new_tokens]
        known = [
            record if self._is_as_here(record) else None
            for record in records.read(_READINGS, context, chunk.samples)
        ]
        new = np.array([i for i, record in enumerate(known) if record is None], int)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(new))
        if len(new):
            samples = [chunk.samples[row] for row in new]
            made = self._run(samples, on_progress)
            records.write(_READINGS, context, samples, made)
            for row, record in zip(new, made, strict=True):
                known[row] = record
        return [record for record in known if record is not None]

    def _is_as_here(self, record: Arrays | None) -> bool:
        """Whether a record is laid out as here; another release may have written it."""
        if record is None or not {"is_cut", "is_target_cut"} <= record.keys():
            return False
        readings = record.get("readings")
        n_depths = n_decoder_layers(self.sweeper.backbone) + 1
        return (
            readings is not None
            and readings.shape == (n_depths, 2)
            and readings.dtype == np.float32
        )

    def _run(
        self, pairs: Sequence[Sample], on_progress: OnProgress | None
    ) -> list[Arrays]:
        sweeper = self.sweeper
        prompts = sweeper.prompts.encode([pair[:-1] for pair in pairs], warn=False)
        targets = target_ids(sweeper, [pair[-1] for pair in pairs])
        most = self.max_new_tokens
        forced = [
            Forced(prompt.ids, tuple(ids[:most]))
            for prompt, ids in zip(prompts, targets, strict=True)
        ]
        backbone = sweeper.backbone
        batch_tokens = check_batch_tokens(self.batch_tokens, backbone.device)  # type: ignore[arg-type]
        readings = read_targets(backbone, forced, batch_tokens, on_progress)
        return [
            {
                "readings": reading,
                "is_cut": np.array(prompt.is_cut),
                "is_target_cut": np.array(len(ids) > most),
            }
            for reading, prompt, ids in zip(readings, prompts, targets, strict=True)
        ]


def target_ids(sweeper: Sweeper, targets: Sequence[str]) -> list[list[int]]:
    """Return the tokens of targets, as they follow the template's last words.

    Parameters
    ----------
    sweeper : Sweeper
    targets : sequence of n str
        Not empty.

    Raises
    ------
    ValueError
        If the tokenizer makes nothing of one.
    """
    tokenizer = sweeper.backbone.tokenizer
    if sweeper.backbone.family.kind == "seq2seq":  # a text of its own
        ids = tokenizer.plain(list(targets), first=True)
    else:
        space = "" if sweeper.prompts.template.text[-1:].isspace() else " "
        ids = tokenizer.plain([space + target for target in targets], first=False)
    empty = [target for target, own in zip(targets, ids, strict=True) if not own]
    if empty:
        raise ValueError(
            f"the tokenizer of this backbone makes no token of the target {empty[0]!r} "
            f"({len(empty)} of {len(targets)} targets); drop these texts."
        )
    return ids
