"""Files of older formats, turned into what is written today."""

from __future__ import annotations

import os

import numpy as np

from skraee.exceptions import FileFormatError
from skraee.persistence.archive import Arrays, Manifest

# Arrays of format 1 that have another name since.
_RENAMED = {
    "readout/records": "texts/records",
    "ridge/sharpness": "ridge/inverse_temperature",
}

# What EarlyExitClassifier has of the parameters that RAEEClassifier had in format 1.
_OF_EARLY_EXIT = (
    *("backbone", "template", "budget", "class_weight", "min_exit", "max_length"),
    *("batch_tokens", "device", "dtype", "memory", "verbose"),
)
# The threshold where none was given, before max_loss; and the default of this.
_THRESHOLD = 0.9
_MAX_LOSS = 0.01

_ATTRIBUTES = (
    *("classes_", "n_layers_", "n_samples_fit_", "layer_scores_", "cost_"),
    "threshold_",
)


def upgraded(
    manifest: Manifest, arrays: Arrays, path: str | os.PathLike[str]
) -> tuple[Manifest, Arrays]:
    """Return a manifest and its arrays as today's format has them.

    Parameters
    ----------
    manifest : dict
        Of any format that is known.
    arrays : dict of str to ndarray
    path : str or Path
        The file, for the message.

    Raises
    ------
    FileFormatError
        If it holds what no estimator does any more.
    """
    if manifest["skraee_format"] == 1:
        manifest, arrays = _from_1(manifest, arrays, path)
    if manifest["skraee_format"] <= 2 and manifest["ridge"] is not None:
        arrays = _from_2(arrays)
    if manifest["skraee_format"] <= 3:
        manifest = _from_3(manifest)
    if manifest["estimator"] == "EarlyExitClassifier":
        manifest = _with_max_loss(manifest)
    # All texts were cut before there was a parameter that says so.
    sweep = {"long_texts": "cut"} | manifest["sweep"]
    return manifest | {"sweep": sweep}, arrays


def _with_max_loss(manifest: Manifest) -> Manifest:
    """Return a manifest as if `max_loss` had been known when it was written.

    Before, the threshold was 0.9 where neither it nor a budget was given, and no exit
    was the last but the full depth.
    """
    parameters = manifest["parameters"]
    if "max_loss" in parameters:
        return manifest
    if parameters["budget"] is None and parameters.get("threshold") is None:
        parameters = parameters | {"threshold": _THRESHOLD}
    attributes = manifest["attributes"]
    return manifest | {
        "parameters": parameters | {"max_loss": _MAX_LOSS},
        "setting": manifest["setting"] | {"max_loss": _MAX_LOSS},
        "attributes": {"threshold_": _THRESHOLD, "max_exit_": attributes["n_layers_"]}
        | attributes,
    }


def _from_3(manifest: Manifest) -> Manifest:
    """In format 3 label words had no temperatures, and a text's tokens no say."""
    ridge = manifest["ridge"]
    setting = manifest["setting"]
    if "readout" in setting:
        setting = {"calibrate": False} | setting
    return manifest | {
        "calibration": None,
        "ridge": None if ridge is None else {"bag": None} | ridge,
        "setting": setting,
    }


def _from_2(arrays: Arrays) -> Arrays:
    """In format 2 a readout read all parts of a state."""
    return arrays | {"ridge/parts": np.arange(arrays["ridge/coef"].shape[1])}


def _from_1(
    manifest: Manifest, arrays: Arrays, path: str | os.PathLike[str]
) -> tuple[Manifest, Arrays]:
    """Format 1 had one class for exits by neighbours and by confidence."""
    parameters, setting = dict(manifest["parameters"]), dict(manifest["setting"])
    exit_by = parameters.pop("exit_by")
    del setting["exit_by"]
    manifest = manifest | {"parameters": parameters, "setting": setting}
    manifest["sweep"] = manifest.pop("reading")
    arrays = {_RENAMED.get(name, name): array for name, array in arrays.items()}
    if exit_by == "retrieval":
        return manifest, arrays
    if manifest["ridge"] is None:
        raise FileFormatError(
            f"{os.fspath(path)!r} holds a classifier that read label words by "
            "confidence, which there is no more; fit again, with EarlyExitClassifier "
            "or RAEEClassifier."
        )
    return _by_confidence(manifest), {
        "texts/codes": arrays["database/labels"].astype(np.int64),
        **{name: array for name, array in arrays.items() if _is_kept(name)},
    }


def _is_kept(name: str) -> bool:
    """Whether an EarlyExitClassifier has an array of this name."""
    folder, _, rest = name.partition("/")
    return folder in ("ridge", "texts", "probes") or (
        folder == "attributes" and rest in _ATTRIBUTES
    )


def _by_confidence(manifest: Manifest) -> Manifest:
    """Return the manifest of an EarlyExitClassifier."""
    parameters, attributes = manifest["parameters"], dict(manifest["attributes"])
    kept = {name: parameters[name] for name in _OF_EARLY_EXIT if name in parameters}
    if manifest["estimator"] == "RAEEClassifierCV":
        chosen = attributes.pop("threshold_", attributes.get("tau_"))
        kept |= {"budget": None, "threshold": chosen}
    elif parameters["budget"] is None:
        kept["threshold"] = parameters["tau"]
    return manifest | {
        "estimator": "EarlyExitClassifier",
        "parameters": kept,
        "attributes": {n: v for n, v in attributes.items() if n in _ATTRIBUTES},
        "sweep": manifest["sweep"] | {"token_ids": [], "encoder": None},
        "setting": {"budget": kept["budget"]},
        "database": None,
    }
