"""The language-model loss of exercises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.sleb.exercises import Exercise
from skraee.engine.head import LabelHead

# Scores of the whole vocabulary that are computed at a time: 128 MiB.
_SCORES = 2**25


class LanguageModelLoss:
    """The loss (nats) of exercises, by the model's own head over the vocabulary.

    Parameters
    ----------
    backbone : LoadedBackbone
    """

    def __init__(self, backbone: LoadedBackbone) -> None:
        self._head = LabelHead(backbone.model, backbone.family, None)
        self._stack = len(backbone.family.stacks) - 1
        vocabulary = len(backbone.model.get_input_embeddings().weight)
        self._at_a_time = max(1, _SCORES // vocabulary)

    def __call__(self, hidden: Tensor, exercises: Sequence[Exercise]) -> float:
        """Sum the loss of a batch.

        Parameters
        ----------
        hidden : Tensor of shape (n, T, H)
            States after the last layer.
        exercises : sequence of n Exercise
        """
        rows = [row for row, e in enumerate(exercises) for _ in e.positions]
        places = [place for e in exercises for place in e.positions]
        targets = [target for e in exercises for target in e.targets]
        states = hidden[rows, places]
        right = torch.tensor(targets, device=hidden.device)
        total = 0.0
        for start in range(0, len(targets), self._at_a_time):
            part = slice(start, start + self._at_a_time)
            logs = torch.log_softmax(self._head(states[part], self._stack), dim=1)
            total -= float(logs.gather(1, right[part, None]).double().sum())
        return total
