"""Checks of what the constructor was given; run by fit and predict, never before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from skraee.backbone.handle import as_backbone
from skraee.backbone.precision import is_auto, resolve_devices, resolve_dtype
from skraee.engine.batching import check_batch_tokens
from skraee.engine.compiled import check_compile
from skraee.estimator.checks import (
    check_choice,
    check_each,
    check_integer,
    check_length,
    check_real,
    check_share,
)
from skraee.estimator.metric import scorer_for
from skraee.retrieval.keys import check_encoder
from skraee.retrieval.outer_search import is_search_index
from skraee.sweep.memory import store_for
from skraee.text.template import as_template

_CHOICES: dict[str, tuple[Any, ...]] = {
    "readout": ("lm_head", "ridge"),
    "below_tau": ("top3", "skip"),
    "database": ("all", "correct"),
    "metric": ("sqeuclidean", "euclidean", "cosine"),
    "key_dtype": ("float32", "float16"),
    "long_texts": ("cut", "head_tail", "mean"),
}


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse values that neither data nor a backbone could make right.

    No model is loaded, so what is wrong is said at once.

    Parameters
    ----------
    given : mapping of str to object
        Parameters of one of our estimators, which has some of those that are checked.

    Raises
    ------
    ValueError, TypeError
        For the first parameter that is out of its range.
    """
    for name, check in _CHECKS.items():
        if name in given:
            check(name, given[name])
    for name, allowed in _CHOICES.items():
        if name in given:
            check_choice(name, given[name], allowed)


def unused_settings(
    given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[str]:
    """Say which settings were changed although another makes them useless.

    A budget decides in the place of all others, a threshold in that of a loss, and a
    closed-form readout has temperatures of its own.

    Parameters
    ----------
    given, defaults : mapping of str to object
        Parameters of an estimator, and what they are where nothing is said.

    Yields
    ------
    str
        What to warn of.
    """
    for cause, does, others in _causes(given):
        changed = [
            f"{name}={given[name]!r}"
            for name in others
            if name in given and given[name] != defaults[name]
        ]
        if changed:
            verb = "is" if len(changed) == 1 else "are"
            yield (
                f"{' and '.join(changed)} {verb} not used, as {cause} {does}; leave "
                "one of them at its default."
            )


def _causes(given: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what makes others useless, by what, and the names of these."""
    if given.get("budget") is not None:
        others = ("tau", "below_tau", "threshold", "max_loss")
        yield f"budget={given['budget']}", "decides about exits", others
    elif given.get("threshold") is not None:
        cause = f"threshold={given['threshold']}"
        yield cause, "decides about exits", ("max_loss",)
    if given.get("readout") == "ridge":
        yield "readout='ridge'", "is calibrated by itself", ("calibrate",)
    if given.get("temperature") == 0:
        cause = "temperature=0"
        yield cause, "takes the most probable token", ("top_k", "top_p")
    if given.get("speculative") is False:
        yield "speculative=False", "drafts nothing", ("draft_tokens",)


def _check_ks(name: str, values: Any) -> None:
    check_each(name, values, partial(check_integer, f"every k of {name}", least=1))


def _check_taus(name: str, values: Any) -> None:
    check_each(name, values, partial(check_share, f"every tau of {name}"))


def _check_budget(name: str, value: Any) -> None:
    if value is None:
        return
    check_share(name, value, 0.3)
    if value == 0:
        raise ValueError(f"{name} must be above 0, got {value}; None sets no limit.")


def _check_max_loss(name: str, value: Any) -> None:
    check_share(name, value, 0.01)
    if value == 1:
        raise ValueError(
            f"{name} must be below 1, got {value}, which would allow every answer to "
            "be wrong; 0.01 allows one of a hundred."
        )


def _check_budgets(name: str, values: Any) -> None:
    if values is not None:
        check_each(name, values, partial(_check_budget, f"every budget of {name}"))


def _check_class_weight(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        if value is not None and not (isinstance(value, str) and value == "balanced"):
            raise ValueError(
                f"{name} must be None, 'balanced' or a dict of class to weight, got "
                f"{value!r}; write for example {{'rare': 5.0, 'frequent': 1.0}}."
            )
        return
    for label, weight in value.items():
        check_real(
            f"the weight of {label!r} in {name}",
            weight,
            "be finite and at least 0",
            lambda number: 0 <= number < np.inf,
            1.0,
        )


def _check_index(name: str, value: Any) -> None:
    if is_search_index(value):
        return
    if isinstance(value, str):
        check_choice(name, value, ("hnsw", "exact"))
        return
    raise TypeError(
        f"{name} must be 'hnsw', 'exact' or an object with the methods add, search and "
        f"save, got {value!r}; write 'exact', or make one of LanceIndex."
    )


def _check_n_jobs(name: str, value: Any) -> None:
    if value is None:
        return
    check_integer(name, value, least=-sys.maxsize)
    if value == 0:
        raise ValueError(
            f"{name} must be a number of threads, -1 for all cores or None for one, "
            f"got 0; write 1 for one."
        )


def _check_random_state(name: str, value: Any) -> None:
    if value is None or isinstance(value, np.random.RandomState):
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(
            f"{name} must be None, a whole number or a numpy RandomState, got "
            f"{value!r} of type {type(value).__name__}; write 0, for example."
        )
    if not 0 <= value < 2**32:
        raise ValueError(
            f"{name} must lie between 0 and 2**32 - 1, got {value}; write 0, for "
            "example."
        )


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, got {value!r}; write one of these."
        )


def _check_temperature(name: str, value: Any) -> None:
    rule = "be finite and at least 0"
    check_real(name, value, rule, lambda number: 0 <= number < np.inf, 0.7)


def _check_top_k(name: str, value: Any) -> None:
    if value is not None:
        check_integer(name, value, least=1)


def _check_top_p(name: str, value: Any) -> None:
    if value is not None:
        rule = "be above 0 and at most 1"
        check_real(name, value, rule, lambda share: 0 < share <= 1, 0.9)


def _check_stop(name: str, value: Any) -> None:
    several = [value] if isinstance(value, str) else value
    if value is None or (
        isinstance(several, list | tuple)
        and all(isinstance(stop, str) and stop for stop in several)
    ):
        return
    raise ValueError(
        f"{name} must be None, a string or a list of strings, none of them empty, got "
        f"{value!r}; write the string that ends an answer."
    )


def _check_verbose(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_):
        check_integer(name, value, least=0)


# Checks of the parameters that have a range; an estimator has some of them.
_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "backbone": lambda _, backbone: as_backbone(backbone),
    "template": lambda _, template: as_template(template),
    "encoder": lambda _, encoder: check_encoder(encoder),
    "k": partial(check_integer, least=1),
    "tau": check_share,
    "ks": _check_ks,
    "taus": _check_taus,
    "budget": _check_budget,
    "max_loss": _check_max_loss,
    "budgets": _check_budgets,
    "min_exit": partial(check_integer, least=0),
    "max_length": check_length,
    "class_weight": _check_class_weight,
    "calibrate": _check_flag,
    "max_new_tokens": partial(check_integer, least=1),
    "stop": _check_stop,
    "margin": check_share,
    "speculative": _check_flag,
    "draft_tokens": partial(check_integer, least=1),
    "temperature": _check_temperature,
    "top_k": _check_top_k,
    "top_p": _check_top_p,
    "batch_tokens": lambda _, tokens: check_batch_tokens(tokens, torch.device("cpu")),
    "compile": lambda _, compile: check_compile(compile),
    "device": lambda _, device: is_auto(device) or resolve_devices(device),
    "dtype": lambda _, dtype: resolve_dtype(dtype, torch.device("cpu")),
    "memory": lambda _, memory: store_for(memory),
    "index": _check_index,
    "n_jobs": _check_n_jobs,
    "random_state": _check_random_state,
    "verbose": _check_verbose,
    "scoring": lambda _, scoring: scorer_for(scoring),
}
