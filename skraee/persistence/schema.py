"""What a manifest of today's format holds: every name, kind and range.

It is checked before anything is made of it, so that a file that was changed on purpose,
its hashes made right again, is refused in one sentence and never half understood.
"""

from __future__ import annotations

from reprlib import repr as short_repr
from typing import Any

import torch

from skraee.persistence.archive import Manifest
from skraee.persistence.values import (
    Check,
    dict_of,
    entries,
    flag,
    list_of,
    one_of,
    optional,
    real,
    sha256,
    text,
    whole,
)
from skraee.text.template import Template

# More than any model has, or any file needs; what it costs to look at is bounded.
_MOST_LAYERS = 10_000
_MOST_PROBES = 100
_LONGEST_PROBE = 10_000
_MOST_THREADS = 1_024
_SEEDS = 2**31 - 1


def _anything(what: str, value: Any) -> None:
    """Leave a check to whoever makes something of the value."""


#: Fitted attributes, as far as they are no arrays; those of each class are some of
#: them. What else an estimator has is not saved.
ATTRIBUTES: dict[str, Check] = {
    "classes_": entries({"array": _anything}),
    "n_layers_": whole(1, _MOST_LAYERS),
    "n_samples_fit_": whole(1),
    "lambda_": real(),
    "threshold_": real(),
    "max_exit_": whole(0, _MOST_LAYERS),
    "k_": whole(1),
    "tau_": real(0, 1),
    "budget_": real(0, 1),
    "best_score_": real(),
    "best_params_": _anything,
    "cv_results_": _anything,
    "exit_report_": _anything,
}

_REQUIRED = ("n_layers_", "n_samples_fit_")


def check_device(what: str, value: Any) -> None:
    """Check for the name of a device, or several, wherever these may be.

    Parameters
    ----------
    what : str
        For the message.
    value : object
        As `to_plain` returns it.
    """
    if isinstance(value, dict):
        value = value.get("tuple")
    names = value if isinstance(value, list) else [value]
    if not names or not all(map(_is_device, names)):
        raise ValueError(f"{what} must name devices, got {short_repr(value)}")


def _is_device(name: Any) -> bool:
    if name == "auto" or (type(name) is int and name >= 0):
        return True
    try:
        return type(name) is str and torch.device(name).type != "meta"
    except RuntimeError:
        return False


def _probe(what: str, value: Any) -> None:
    text(what, value)
    value.encode()  # half a pair of surrogates is no text for any tokenizer
    if len(value) > _LONGEST_PROBE:
        raise ValueError(f"{what} has {len(value)} letters")


def _device_of_encoder(what: str, value: Any) -> None:
    text(what, value)
    check_device(what, value)


_ENCODER = {
    "name": text,
    "revision": optional(text),
    "device": _device_of_encoder,
    **dict.fromkeys(("fingerprint", "tokenizer_hash", "config_hash"), optional(sha256)),
    "modules_hash": optional(sha256),
    **dict.fromkeys(("dtype", "library"), optional(text)),
}
_OF_OLDER_ENCODERS = ("modules_hash", "library")


def _encoder(what: str, value: Any) -> None:
    if isinstance(value, dict):
        named = entries(_ENCODER, _OF_OLDER_ENCODERS)
        entries({"encoder": named})(what, value)
    else:
        optional(whole(1, _MOST_LAYERS))(what, value)


def _backbone(what: str, value: Any) -> None:
    """Check for a name, or for the kind and seed that toys had before names."""
    shared = {
        "dtype": one_of("bfloat16", "float16", "float32"),
        **dict.fromkeys(("fingerprint", "tokenizer_hash", "config_hash"), sha256),
    }
    toy: dict[str, Check] = {"toy": text, "seed": whole(0)}
    named: dict[str, Check] = {
        "name": text,
        "revision": optional(text),
        "local_files_only": flag,
    }
    is_toy = isinstance(value, dict) and "toy" in value
    entries((toy if is_toy else named) | shared)(what, value)


def _method(what: str, value: Any) -> None:
    """Check for a search by name, or for what tells the object that searched."""
    if isinstance(value, dict):
        entries({"index": text})(what, value)
    else:
        one_of("hnsw", "exact")(what, value)


_BAG = entries({"weight": real(0, 1), "penalty": real(0)})

_MANIFEST = entries(
    {
        "skraee_format": whole(1),
        "versions": dict_of(text),
        "estimator": text,
        "parameters": dict_of(_anything),
        "attributes": entries(ATTRIBUTES, ATTRIBUTES.keys() - set(_REQUIRED)),
        "backbone": _backbone,
        "sweep": entries(
            {
                "template": text,
                "max_length": optional(whole(1, 2**31 - 1)),
                "long_texts": one_of("cut", "head_tail", "mean"),
                "encoder": _encoder,
                "token_ids": list_of(whole(0, 2**31 - 1)),
                "by_states": flag,
                "by_keys": flag,
            }
        ),
        "setting": dict_of(_anything),
        "database": optional(
            entries(
                {
                    "metric": one_of("sqeuclidean", "euclidean", "cosine"),
                    "method": _method,
                    "n_jobs": optional(whole(-_MOST_THREADS, _MOST_THREADS)),
                    "seed": whole(0, _SEEDS),
                    "shared": flag,
                    "kept": one_of(None),
                },
                missing=("kept", "shared"),
            )
        ),
        "standardizer": optional(entries({"count": whole(1)})),
        "ridge": optional(
            entries(
                {"bag": optional(_BAG), "parts": one_of(None)},
                missing=("parts",),
            )
        ),
        "calibration": optional(entries({"logits": one_of(None)}, missing=("logits",))),
        "probes": list_of(list_of(_probe), _MOST_PROBES),
        "members": dict_of(sha256),
    }
)


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest that is none of today's format, or at odds with itself.

    Parameters
    ----------
    manifest : dict
        From JSON; of an older format brought up to date.

    Raises
    ------
    ValueError
        For the first entry that is wrong.
    """
    _MANIFEST("", manifest)
    sweep, attributes = manifest["sweep"], manifest["attributes"]
    _check_parts(manifest)
    last = attributes["n_layers_"]
    depths = {
        "sweep.encoder": sweep["encoder"],
        "attributes.max_exit_": attributes.get("max_exit_"),
        "parameters.min_exit": manifest["parameters"].get("min_exit", 0),
    }
    for name, depth in depths.items():
        if isinstance(depth, int) and depth > last:
            raise ValueError(f"{name} is depth {depth} of {last} layers")
    n_fields = len(Template(sweep["template"]).fields)
    if not all(len(probe) == n_fields for probe in manifest["probes"]):
        raise ValueError(f"not all probes have {n_fields} fields, as the template has")


def _check_parts(manifest: Manifest) -> None:
    """Refuse parts that do not belong together, or are one too few."""
    sweep = manifest["sweep"]
    has = {
        name: manifest[name] is not None
        for name in ("database", "standardizer", "ridge", "calibration")
    }
    is_depth = isinstance(sweep["encoder"], int)
    rules = {
        "sweep.by_keys": (sweep["by_keys"], has["database"]),
        "sweep.by_states": (sweep["by_states"], has["ridge"]),
        "standardizer": (has["standardizer"], has["database"] and is_depth),
    }
    for name, (found, expected) in rules.items():
        if found != expected:
            raise ValueError(f"{name} does not agree with the parts that there are")
    if has["calibration"] and has["ridge"]:
        raise ValueError("there is a calibration beside the ridge readout")
    if not (has["database"] or has["ridge"]):
        raise ValueError("there is neither a database nor a readout")
    if not (sweep["token_ids"] or has["ridge"]):
        raise ValueError("sweep.token_ids is empty and there is no readout")
