"""``skraee info``: what a model file is; no backbone is loaded for it.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from inspect import signature
from pathlib import Path
from typing import Any

from skraee.cli.command import Command
from skraee.cli.model_files import read_key, read_model
from skraee.cli.options import JSON, KEY, MODEL
from skraee.cli.streams import say, say_json, size_of

# Attributes of a fit that decide where texts stop, as far as it has them.
_CHOSEN = ("k_", "tau_", "budget_", "lambda_", "threshold_", "max_exit_", "best_score_")

# Parameters that decide it where fit chooses nothing.
_DECIDING = ("k", "tau", "threshold", "min_exit")

# Said of the backbone or the template on a line of its own.
_SAID_APART = ("backbone", "template")


def _info(arguments: argparse.Namespace) -> None:
    key = read_key(arguments.key_file, arguments.model)
    found = described(read_model(arguments.model, key), arguments.model)
    if arguments.json:
        say_json(found)
    else:
        say(_as_text(found))


def described(clf: Any, path: Path) -> dict[str, Any]:
    """Return what there is to say of a fitted classifier and its file.

    Parameters
    ----------
    clf : classifier
        Any of this package.
    path : Path
        Where it was read from.

    Returns
    -------
    dict
        With None for what is not known: a joblib file keeps no versions, and a
        baseline neither its number of texts nor accuracies.
    """
    from skraee.inspection.costs import exit_costs

    settings = clf._fitted.sweep_settings
    parameters = clf.get_params(deep=False)
    usual = signature(type(clf)).parameters
    scores = getattr(clf, "layer_scores_", None)
    return {
        "file": str(path),
        "file_bytes": path.stat().st_size,
        "class": type(clf).__name__,
        "backbone": settings.backbone.name,
        "revision": settings.backbone.revision,
        "dtype": settings.dtype,
        "n_layers": clf.n_layers_,
        "template": settings.template.text,
        "max_length": settings.max_length,
        "classes": clf.classes_.tolist(),
        "n_samples_fit": getattr(clf, "n_samples_fit_", None),
        "full_depth_accuracy": None if scores is None else float(scores[-1]),
        "cost_at_exits": exit_costs(clf).tolist(),
        "chosen": {name: getattr(clf, name) for name in _CHOSEN if hasattr(clf, name)},
        "parameters": parameters,
        "changed_parameters": sorted(
            name
            for name, value in parameters.items()
            if name not in _SAID_APART and repr(value) != repr(usual[name].default)
        ),
        "versions": getattr(settings.provenance, "versions", None),
    }


def _as_text(found: dict[str, Any]) -> str:
    lines = {
        "class": found["class"],
        "backbone": _backbone(found),
        "template": found["template"],
        "classes": _classes(found["classes"]),
        "fitted on": "unknown number of texts"
        if found["n_samples_fit"] is None
        else f"{found['n_samples_fit']:,} texts",
        "exits": _exits(found["chosen"], found["parameters"]),
        "cost": _costs(found["cost_at_exits"]),
        "set": _named({n: found["parameters"][n] for n in found["changed_parameters"]})
        or "nothing, all parameters are the defaults",
        "versions": "not kept in a joblib file"
        if found["versions"] is None
        else _named(found["versions"], " "),
        "size": size_of(found["file_bytes"]),
    }
    width = max(map(len, lines))
    told = [f"  {name:{width}}  {said}" for name, said in lines.items()]
    return "\n".join([found["file"], *told])


def _backbone(found: dict[str, Any]) -> str:
    revision = f", revision {found['revision']}" if found["revision"] else ""
    longest = ""
    if found["max_length"] is not None:
        longest = f", prompts of up to {found['max_length']:,} tokens"
    return (
        f"{found['backbone']}{revision}: {found['n_layers']} layers in "
        f"{found['dtype']}{longest}"
    )


def _classes(classes: list[Any], most: int = 20) -> str:
    shown = ", ".join(map(str, classes[:most]))
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return f"{len(classes)}: {shown}{more}"


def _exits(chosen: dict[str, Any], parameters: dict[str, Any]) -> str:
    """Say what decides where texts stop, chosen by fit or as it was set."""
    if chosen:
        return "fit chose " + _named({n.rstrip("_"): v for n, v in chosen.items()})
    given = {name: parameters.get(name) for name in _DECIDING}
    shown = _named({name: value for name, value in given.items() if value is not None})
    return f"as set: {shown}" if shown else "fit chose nothing"


def _costs(costs: list[float]) -> str:
    """Say what a quarter of the layers costs, and half of them, and so on."""
    last = len(costs) - 1
    shown = sorted({round(last * quarter / 4) for quarter in range(5)})
    told = ", ".join(f"{costs[depth]:.0%} at {depth}" for depth in shown)
    return f"share of the model's at exit: {told}"


def _named(values: dict[str, Any], between: str = "=") -> str:
    return ", ".join(
        f"{name}{between}{value:.4g}"
        if isinstance(value, float)
        else f"{name}{between}{value}"
        for name, value in values.items()
    )


COMMAND = Command(
    "info",
    "say what a model file is, without loading its backbone",
    run=_info,
    options={**MODEL, **KEY, **JSON},
)
