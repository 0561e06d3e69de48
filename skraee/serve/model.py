"""The classifier as a service asks it, always from the one thread that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from skraee.serve.questions import Sample
from skraee.text.json_values import plain

if TYPE_CHECKING:
    from skraee.baselines.base import BaselineClassifier
    from skraee.classifier import RAEEClassifier
    from skraee.early_exit import EarlyExitClassifier

    Classifier = EarlyExitClassifier | RAEEClassifier | BaselineClassifier

Json = dict[str, Any]

# Label, probabilities, exit layer.
Answer = tuple[Any, list[float], int]


class Model:
    """A fitted classifier, its answers in the form of JSON.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier or baseline
        Fitted; it is not changed.

    Raises
    ------
    TypeError
        If it is something else, such as a pipeline around one.
    NotFittedError
        If it is not fitted.
    """

    def __init__(self, clf: Classifier) -> None:
        _check(clf)
        self._clf = clf
        self.fields: tuple[str, ...] = tuple(clf._template().fields)
        self.classes: list[Any] = plain(clf.classes_)
        self.name = type(clf).__name__
        self.n_layers = int(clf.n_layers_)
        self.explains = hasattr(clf, "explain")

    def load(self) -> None:
        """Load the backbone, by answering a text."""
        self._clf.predict(self._texts([("a",) * len(self.fields)]))

    def predicted(self, samples: Sequence[Sample]) -> list[Answer]:
        """Answer texts in one call of the classifier.

        Parameters
        ----------
        samples : sequence of tuple of str

        Returns
        -------
        list of tuple
            Of each text its label, probabilities and exit layer.
        """
        proba, exits = self._clf.predict_proba(
            self._texts(samples), return_exit_layers=True
        )
        labels = [self.classes[code] for code in proba.argmax(axis=1).tolist()]
        return list(zip(labels, proba.tolist(), exits.tolist(), strict=True))

    def explained(self, samples: Sequence[Sample]) -> list[Json]:
        """Explain the answer to each text.

        Parameters
        ----------
        samples : sequence of tuple of str

        Returns
        -------
        list of dict
            The fields of what `explain` returns, with `why` and `warnings` in words.
        """
        found = [self._clf.explain(self._texts([sample])) for sample in samples]
        return [
            plain({**asdict(one), "why": one.why, "warnings": one.warnings})
            for one in found
        ]

    @staticmethod
    def _texts(samples: Sequence[Sample]) -> Any:
        from skraee.text.inputs import Texts

        return Texts(list(zip(*samples, strict=True)))


def _check(clf: Any) -> None:
    from sklearn.utils.validation import check_is_fitted

    from skraee.estimator.contract import TextClassifierMixin

    if not isinstance(clf, TextClassifierMixin):
        raise TypeError(
            "a service takes a fitted classifier of skraee, got "
            f"{type(clf).__name__}; of a Pipeline or search give the classifier in it."
        )
    check_is_fitted(clf)
