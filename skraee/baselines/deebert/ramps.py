"""DeeBERT's off-ramps: a small network behind every layer."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.measures import entropy
from skraee.engine.batch import Batch
from skraee.engine.depth_states import DepthStates
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.head import final_norms
from skraee.engine.scorer import RunningScoring, Scoring
from skraee.engine.states import States, unpacked

Float32Array = npt.NDArray[np.float32]
Parameters = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Ramps:
    """Weights of the off-ramps: state -> linear -> tanh -> linear -> scores.

    Attributes
    ----------
    hidden : ndarray of shape (m, H, H), float32
        First layer; the states' features are its rows.
    hidden_bias : ndarray of shape (m, H), float32
    out : ndarray of shape (m, H, C), float32
        Second layer.
    out_bias : ndarray of shape (m, C), float32
    """

    hidden: Float32Array
    hidden_bias: Float32Array
    out: Float32Array
    out_bias: Float32Array

    def scores(self, states: States) -> Float32Array:
        """Score states: softmax gives the probabilities.

        Parameters
        ----------
        states : ndarray of shape (n, m + 1, H)
            Of the depths 0..m, in the backbone's number format.

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
            Those of depth 0, which has no ramp, are 0.
        """
        n, n_depths = states.shape[:2]
        found = np.zeros((n, n_depths, self.out.shape[2]), dtype=np.float32)
        for i in range(n_depths - 1):
            inner = unpacked(states[:, i + 1]) @ self.hidden[i] + self.hidden_bias[i]
            found[:, i + 1] = np.tanh(inner) @ self.out[i] + self.out_bias[i]
        return found

    def tensors(self, device: torch.device) -> Parameters:
        """Return the weights on a device, in the order of the attributes."""
        hidden, hidden_bias, out, out_bias = (
            torch.tensor(getattr(self, field.name), device=device)
            for field in fields(self)
        )
        return hidden, hidden_bias, out, out_bias


class RampScorer:
    """The ramps on the way; depth 0 has none.

    Parameters
    ----------
    ramps : Ramps
    backbone : LoadedBackbone
    """

    def __init__(self, ramps: Ramps, backbone: LoadedBackbone) -> None:
        self._parameters = ramps.tensors(backbone.device)
        self._final_norms = final_norms(backbone)

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _RampScoring(
            self._parameters, DepthStates(batch, self._final_norms, ("read",))
        )


class _RampScoring(RunningScoring):
    def __init__(self, parameters: Parameters, states: DepthStates) -> None:
        self._first, self._first_bias, self._out, self._out_bias = parameters
        self._states = states

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        if depth == 0:
            return self._out_bias.new_zeros(len(rows), self._out_bias.shape[1])
        i = depth - 1
        states = self._states(depth, hidden, rows)[:, 0].float()
        inner = torch.addmm(self._first_bias[i], states, self._first[i]).tanh()
        return torch.addmm(self._out_bias[i], inner, self._out[i])


@dataclass(frozen=True)
class ByEntropy(ExitPolicy):
    """The first ramp whose entropy is below a threshold."""

    threshold: float
    reads_scores = True

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say of which rows the entropy is low enough."""
        if depth == 0:
            return None
        return entropy(scores)[:, 0] < self.threshold
