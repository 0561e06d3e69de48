"""What AdaInfer and CALM look at on the way: numbers about each depth.

A :class:`MeasuredScorer` gives the label words' logits and, in further columns, a
measure; predict looks at it while a batch runs, fit reads it at every depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.base import TrainingTexts
from skraee.engine.batch import Batch
from skraee.engine.head import final_norms, label_head
from skraee.engine.scorer import RunningScoring, Scorer, Scoring
from skraee.sweep.chunks import Chunk
from skraee.sweep.store import Arrays

Float32Array = npt.NDArray[np.float32]

#: "labels", "vocab": top1 - top2 and top1 of the softmax over the label words or the
#: whole vocabulary (2 columns); "state": cosine of a depth's state and the one before;
#: "hidden": the state itself behind the final norm (H columns); "entropy": that of the
#: label words.
Measure = Literal["labels", "vocab", "state", "hidden", "entropy"]

# Logits over the vocabulary that are held at a time.
_AT_ONCE = 2**26


class MeasuredScorer:
    """Label-word logits and a measure of each depth, on the way.

    Parameters
    ----------
    backbone : LoadedBackbone
    token_ids : sequence of C int
        The label words' tokens.
    measure : {"labels", "vocab", "state", "hidden", "entropy"}
    first : int, default=0
        Smallest depth that is asked for: shallower ones are not scored and give 0.
    """

    def __init__(
        self,
        backbone: LoadedBackbone,
        token_ids: Sequence[int],
        measure: Measure,
        first: int = 0,
    ) -> None:
        self.measure = measure
        self.first = int(first)
        self._final_norms = final_norms(backbone)
        self._token_ids = list(token_ids)
        self._head = label_head(
            backbone, None if measure == "vocab" else tuple(token_ids)
        )
        self._n_at_once = max(1, _AT_ONCE // int(backbone.model.config.vocab_size))

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _Measuring(self, batch)

    def n_columns(self, width: int) -> int:
        """Return C and the columns of the measure, of states (n, width)."""
        of_measure = {"labels": 2, "vocab": 2, "hidden": width}
        return len(self._token_ids) + of_measure.get(self.measure, 1)

    def over_vocabulary(self, states: Tensor, stack: int) -> Tensor:
        """Score states (n, H) by the whole vocabulary: (n, C + 2)."""
        chunks = []
        for some in torch.split(states, self._n_at_once):
            logits = self._head(some, stack)
            chosen = logits[:, self._token_ids]
            chunks.append(torch.cat([chosen, gap_and_top(logits)], dim=1))
        return torch.cat(chunks)

    def over_labels(self, states: Tensor, stack: int) -> Tensor:
        """Score states (n, H) by the label words: (n, C)."""
        return self._head(states, stack)

    def behind_norm(self, states: Tensor, stack: int) -> Tensor:
        """Return states (n, H) as the head reads them, in float32."""
        normed: Tensor = self._final_norms[stack](states.float())
        # OPT 350M projects its last states to half of their width.
        return nn.functional.pad(normed, (0, states.shape[1] - normed.shape[1]))


class _Measuring(RunningScoring):
    def __init__(self, scorer: MeasuredScorer, batch: Batch) -> None:
        self._scorer = scorer
        self._batch = batch
        self._previous: Tensor | None = None  # of all rows
        self._was_in_decoder = torch.zeros(len(batch.numbers), dtype=torch.bool)

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        scorer = self._scorer
        states = self._batch.read(depth, hidden, rows)
        stack = int(self._batch.in_decoder(depth))
        if scorer.measure == "state":  # each depth's are compared with those before
            likeness = self._likeness(states, rows, in_decoder=bool(stack))
        if depth < scorer.first:
            n_columns = scorer.n_columns(states.shape[1])
            return states.new_zeros(len(rows), n_columns, dtype=torch.float32)
        if scorer.measure == "vocab":
            return scorer.over_vocabulary(states, stack)
        logits = scorer.over_labels(states, stack)
        if scorer.measure == "labels":
            return torch.cat([logits, gap_and_top(logits)], dim=1)
        if scorer.measure == "state":
            measured = likeness
        elif scorer.measure == "hidden":
            measured = scorer.behind_norm(states, stack)
        else:
            measured = entropy(logits)
        return torch.cat([logits, measured], dim=1)

    def _likeness(self, states: Tensor, rows: Tensor, *, in_decoder: bool) -> Tensor:
        """Return the cosine with the state before: (n, 1); 0 where there is none."""
        states = states.float()
        if self._previous is None:
            self._previous = states.new_zeros(len(self._batch.numbers), states.shape[1])
            self._was_in_decoder = self._was_in_decoder.to(states.device)
        found = torch.cosine_similarity(states, self._previous[rows])
        found = found.where(self._was_in_decoder[rows] == in_decoder, 0.0)
        self._previous[rows] = states
        self._was_in_decoder[rows] = in_decoder
        return found[:, None]


def gap_and_top(logits: Tensor) -> Tensor:
    """Return the first less the second largest probability, and the largest.

    Parameters
    ----------
    logits : Tensor of shape (n, V)

    Returns
    -------
    features : Tensor of shape (n, 2)
        Of a single word both are 1.
    """
    proba = torch.softmax(logits, dim=1)
    largest = proba.topk(min(2, proba.shape[1]), dim=1).values
    top = largest[:, 0]
    second = largest[:, 1] if largest.shape[1] > 1 else torch.zeros_like(top)
    return torch.stack([top - second, top], dim=1)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy of a softmax, with the natural logarithm.

    Parameters
    ----------
    logits : Tensor of shape (n, C)

    Returns
    -------
    entropy : Tensor of shape (n, 1)
    """
    proba = torch.softmax(logits, dim=1)
    terms: Tensor = torch.special.xlogy(proba, proba)
    return -terms.sum(dim=1, keepdim=True)


def at_every_depth(train: TrainingTexts, scorer: MeasuredScorer) -> Float32Array:
    """Score all depths of the training texts; run what the memory does not know.

    Parameters
    ----------
    train : TrainingTexts
        Its n texts.
    scorer : MeasuredScorer

    Returns
    -------
    scores : ndarray of shape (n, m + 1, n_columns), float32
    """
    chunks = train.sweeper.chunks(train.samples)
    found = [
        _part_at_every_depth(train, scorer, chunk)[chunk.inverse] for chunk in chunks
    ]
    return np.concatenate(found)


def _part_at_every_depth(
    train: TrainingTexts, scorer: MeasuredScorer, chunk: Chunk
) -> Float32Array:
    sweeper = train.sweeper
    kept = sweeper.records
    depends_on = [scorer.measure, scorer.first, *train.token_ids, *kept.context]
    records = kept.read("measures", depends_on, chunk.samples)
    rows = np.array([i for i, r in enumerate(records) if r is None], np.int64)
    if train.on_progress is not None:
        train.on_progress(len(chunk.inverse) - len(rows))
    if len(rows):
        made = _run_at_every_depth(train, scorer, chunk, rows)
        for row, record in zip(rows, made, strict=True):
            records[row] = record
        samples = [chunk.samples[row] for row in rows]
        kept.write("measures", depends_on, samples, made)
    known = [record for record in records if record is not None]
    chunk.note_cuts(range(len(known)), [bool(record["is_cut"]) for record in known])
    return np.stack([record["scores"] for record in known])


def _run_at_every_depth(
    train: TrainingTexts, scorer: Scorer, chunk: Chunk, rows: np.ndarray
) -> list[Arrays]:
    sweeper = train.sweeper
    prompts = sweeper.prompts_of(chunk, rows)
    scores = sweeper.engine.scores_at_every_depth(prompts, scorer, train.on_progress)
    return [
        {"scores": found, "is_cut": np.array(prompt.is_cut)}
        for found, prompt in zip(scores, prompts, strict=True)
    ]
