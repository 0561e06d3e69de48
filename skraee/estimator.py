"""What every classifier of texts here shows scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from skraee.text.template import Template
from skraee.versions import DOCS, stamped, unstamped


class TextClassifierMixin(ClassifierMixin):
    """Tags of texts, pickles with versions, and where the documentation is.

    A fitted one has the attribute ``_fitted``. It stands before ``BaseEstimator``.
    """

    # Where the "?" of scikit-learn's HTML display leads.
    _doc_link_module = "skraee"
    _doc_link_template = DOCS and f"{DOCS}/api.html#skraee.{{estimator_name}}"

    template: str | Template

    def predict_proba(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Return the classes' probabilities at each text's exit.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        return_exit_layers : bool, default=False
            Whether to return the exits too.

        Returns
        -------
        proba : ndarray of shape (n, C)
            In the order of `classes_`.
        exit_layers : ndarray of shape (n,)
            Only if `return_exit_layers`.
        """
        proba, exits = self._answer(X)
        return (proba, exits) if return_exit_layers else proba

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        log_proba : ndarray of shape (n, C)
        """
        with np.errstate(divide="ignore"):
            found: npt.NDArray[np.floating] = np.log(self._answer(X)[0])
        return found

    def _answer(self, X: Any) -> tuple[npt.NDArray[np.floating], npt.NDArray[Any]]:
        """Return probabilities (n, C) and exits (n,) of texts."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return stamped(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(state, type(self).__name__))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def _template(self) -> Template:
        if isinstance(self.template, Template):
            return self.template
        return Template(self.template)
