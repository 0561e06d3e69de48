"""What a method says of each test text, in little room: right or wrong, and how surely.

A line of results has means. To tell two methods apart (`benchmarks.bootstrap`) the
answers to single texts are needed. They are kept beside the results as lines with the
same naming fields and two more: ``right``, a bit for each text, and ``log_proba``, the
log-probability of the right class in 128 steps of a logarithmic scale, which keeps
minus its value to 4.3 % (and means of many better). Both are compressed and written in
base 85: 30 methods, 10 tasks, 5 seeds and 2,000 texts take about 4 MB.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from benchmarks.calibration import log_proba_of_class
from benchmarks.lines import Line

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]

#: (task, test) -> seed -> which texts (n,) are answered rightly.
RightByTest = dict[tuple[str, str], dict[int, BoolArray]]

# Of minus the log-probability: what is below the least is 0, and above the most is it.
N_STEPS = 128
LEAST, MOST = 1e-3, 40.0


@dataclass(frozen=True, eq=False)
class TextAnswers:
    """Answers to n test texts, in the order of the test file.

    Attributes
    ----------
    right : ndarray of shape (n,), bool
    log_proba : ndarray of shape (n,), float32, optional
        Of the right class; None of a method that has no probabilities.
    """

    right: BoolArray
    log_proba: Float32Array | None = None

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        said: npt.ArrayLike,
        proba: npt.ArrayLike | None = None,
        classes: npt.ArrayLike = (),
    ) -> Self:
        """Return what becomes of a method's answers once the labels are known.

        Parameters
        ----------
        y, said : array-like of shape (n,)
            The labels, and what the method says.
        proba : array-like of shape (n, C), optional
            Its probabilities, where it has some.
        classes : array-like of shape (C,)
            Of their columns, sorted.
        """
        right = np.asarray(said) == np.asarray(y)
        if proba is None:
            return cls(right)
        return cls(right, log_proba_of_class(proba, classes, y).astype(np.float32))


@dataclass(frozen=True)
class TextLines:
    """A file of answers to single texts; several processes may append to it."""

    path: Path

    def add(self, name: Line, answers: TextAnswers) -> None:
        """Append the answers of the run that has the name.

        Parameters
        ----------
        name : dict
            The fields that name the line of results.
        answers : TextAnswers
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps({**name, **packed(answers)}) + "\n")

    def __iter__(self) -> Iterator[tuple[Line, TextAnswers]]:
        """Yield names and answers, of a run that was repeated all of them."""
        if self.path.is_file():
            for text in self.path.read_text("utf-8").splitlines():
                line = json.loads(text)
                answers = unpacked(line)
                yield {k: v for k, v in line.items() if k not in PACKED}, answers

    def names(self) -> Iterator[Line]:
        """Yield the names alone, which takes less time."""
        if self.path.is_file():
            for text in self.path.read_text("utf-8").splitlines():
                line = json.loads(text)
                yield {k: v for k, v in line.items() if k not in PACKED}

    def right_by(self, *fields: str) -> dict[tuple[Any, ...], RightByTest]:
        """Return which texts the runs of every method answer rightly.

        Parameters
        ----------
        *fields : str
            Names of the fields that tell methods apart, ``"task"``, ``"test"`` and
            ``"seed"`` not among them.

        Returns
        -------
        dict
            The fields' values -> what `right_of` returns for them.
        """
        found: dict[tuple[Any, ...], RightByTest] = defaultdict(
            lambda: defaultdict(dict)
        )
        for name, answers in self:
            task: str = name["task"]
            runs = found[tuple(name.get(field) for field in fields)]
            runs[task, name.get("test") or task][name["seed"]] = answers.right
        return {method: dict(runs) for method, runs in found.items()}

    def right_of(self, **wanted: Any) -> RightByTest:
        """Return which texts the runs of a method answer rightly.

        Parameters
        ----------
        **wanted
            Fields of the name and their values, for example ``method="full depth"``.

        Returns
        -------
        dict
            (task, test) -> seed -> bool array (n,), as
            `benchmarks.bootstrap.paired_bootstrap` takes them. A later line takes the
            place of an earlier one of the same run.

        Raises
        ------
        ValueError
            If two methods have the wanted fields.
        """
        found: RightByTest = defaultdict(dict)
        methods = set()
        for name, answers in self:
            if any(name.get(field) != value for field, value in wanted.items()):
                continue
            methods.add(json.dumps({k: v for k, v in name.items() if k not in RUN}))
            task: str = name["task"]
            found[task, name.get("test") or task][name["seed"]] = answers.right
        if len(methods) > 1:
            raise ValueError(
                f"{wanted} are {len(methods)} methods; name more fields: "
                f"{' '.join(sorted(methods))[:300]}"
            )
        return dict(found)


PACKED = ("n_texts", "right", "log_proba")
RUN = ("task", "test", "seed")  # what differs between the runs of a method


def packed(answers: TextAnswers) -> Line:
    """Return answers as values of JSON.

    Parameters
    ----------
    answers : TextAnswers
    """
    log_proba = answers.log_proba
    return {
        "n_texts": len(answers.right),
        "right": _written(np.packbits(answers.right)),
        "log_proba": None if log_proba is None else _written(steps_of(log_proba)),
    }


def unpacked(line: Line) -> TextAnswers:
    """Return the answers of a line.

    Parameters
    ----------
    line : dict
    """
    bits = np.unpackbits(_read(line["right"]), count=line["n_texts"])
    steps = line["log_proba"]
    known = None if steps is None else log_proba_of(_read(steps))
    return TextAnswers(bits.astype(bool), known)


def steps_of(log_proba: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Round log-probabilities to steps, 0 for a probability of 1.

    Parameters
    ----------
    log_proba : array-like of shape (n,)
    """
    loss = -np.asarray(log_proba, dtype=np.float64)
    place = np.log(loss.clip(LEAST, MOST) / LEAST) / np.log(MOST / LEAST)
    steps = 1 + np.rint(place * (N_STEPS - 2))
    return np.where(loss < LEAST, 0, steps).astype(np.uint8)


def log_proba_of(steps: npt.NDArray[np.uint8]) -> Float32Array:
    """Return the log-probabilities of steps.

    Parameters
    ----------
    steps : ndarray of shape (n,), uint8
    """
    scale = LEAST * (MOST / LEAST) ** (np.arange(N_STEPS - 1) / (N_STEPS - 2))
    return -np.concatenate([[0.0], scale])[steps].astype(np.float32)


def _written(values: npt.NDArray[np.uint8]) -> str:
    return base64.b85encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def _read(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), np.uint8)
