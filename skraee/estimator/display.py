"""What a notebook shows below scikit-learn's diagram: exits and cost, depth by depth.

Only numbers that fit has left are read: no model is loaded and no file is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

import numpy as np
from sklearn.utils import estimator_html_repr

# Greys that let the page's own colours through are readable on white and on black.
_STYLE = """<style>
.skraee-exits {font-family: system-ui, sans-serif; font-size: .9em; line-height: 1.4;
  max-width: 46em; margin: .5em 0}
.skraee-exits p {margin: .4em 0}
.skraee-exits summary {cursor: pointer; font-weight: 600}
.skraee-exits div {max-height: 24em; overflow: auto}
.skraee-exits table {border-collapse: collapse; color: inherit; background: transparent;
  margin: 0}
.skraee-exits tr {background: transparent !important}
.skraee-exits th, .skraee-exits td {padding: .1em 1.2em .1em 0; text-align: left;
  font-variant-numeric: tabular-nums; white-space: nowrap;
  border-bottom: 1px solid rgba(128,128,128,.35)}
.skraee-exits th {font-weight: 600}
.skraee-exits span {display: inline-block; height: .7em; margin-right: .5em;
  background: #0072b2; border: 1px solid rgba(128,128,128,.6); box-sizing: border-box}
.skraee-exits .skraee-score {background: #009e73}
</style>"""


class NotebookMixin:
    """Shows exits and cost below scikit-learn's diagram.

    It stands before ``BaseEstimator``, whose ``_repr_html_`` calls it.
    """

    # Above the column of `layer_scores_`.
    _layer_scores_are = "Texts of fit answered rightly there"

    def _repr_html_inner(self) -> str:
        # Not `_html_repr`, which scikit-learn has from 1.7 on only.
        diagram = estimator_html_repr(self)
        return f"{diagram}{exits_html(self, self._exit_choice())}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

    def _exit_choice(self) -> Iterator[str]:
        """Yield sentences on what decides where texts leave; of a fitted one only."""
        yield from ()


def exits_html(estimator: Any, choice: Iterable[str]) -> str:
    """Return how a classifier's exits are chosen, and what each depth costs.

    Parameters
    ----------
    estimator : estimator
        One of ours; of one that is not fitted there is nothing to tell.
    choice : iterable of str
        Sentences on what decides where a text leaves.

    Returns
    -------
    str
        HTML that needs nothing else: no script, and nothing from a network.
    """
    told = vars(estimator)
    if "cost_" not in told:
        return ""
    sentences = "".join(f"<p>{escape(one)}</p>" for one in (_size(told), *choice))
    table = _table(told, estimator._layer_scores_are)
    return (
        f'{_STYLE}<details class="skraee-exits" open><summary>Exits and cost</summary>'
        f'{sentences}<div tabindex="0">{table}</div></details>'
    )


def left_out(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the texts of fit, each left out, come to with the choice of fit.

    Parameters
    ----------
    report : mapping
        `exit_report_` of a classifier; nothing is said of an empty one.

    Yields
    ------
    str
    """
    for row in np.flatnonzero(report.get("chosen", ())):
        cost, accuracy = report["mean_cost"][row], report["accuracy"][row]
        yield (
            f"The texts of fit, each left out, ran {cost:.0%} of the model on average, "
            f"and {accuracy:.1%} were answered rightly."
        )


def _size(told: dict[str, Any]) -> str:
    n_texts = told.get("n_samples_fit_")
    texts = "" if n_texts is None else f" on {n_texts:,} texts"
    classes = f"{len(told['classes_'])} classes, " if "classes_" in told else ""
    return f"Fitted{texts}: {classes}{told['n_layers_']} layers."


def _table(told: dict[str, Any], scores_are: str) -> str:
    scores = told.get("layer_scores_")
    names = ["Layer", "Cost of leaving there", scores_are]
    names = names if scores is not None else names[:2]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = []
    for depth, cost in enumerate(told["cost_"]):
        cells = _bar(cost, f"{cost:.0%}")
        if scores is not None:
            cells += _bar(scores[depth], f"{scores[depth]:.1%}", "skraee-score")
        rows.append(f'<tr><th scope="row">{depth}</th>{cells}</tr>')
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _bar(share: float, words: str, kind: str = "") -> str:
    width = 6 * float(np.clip(np.nan_to_num(share), 0, 1))
    named = f' class="{kind}"' if kind else ""
    return f'<td><span{named} style="width:{width:.2f}em"></span>{words}</td>'
