"""What fit left as plain values and arrays, and back."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

import numpy as np

from skraee.backbone.handle import Backbone
from skraee.estimator.fitted import Fitted, FittedByConfidence, FittedByNeighbors
from skraee.persistence.archive import Arrays, Manifest
from skraee.persistence.plain_values import from_plain, to_plain
from skraee.readout.bag_readout import BagReadout
from skraee.readout.calibration import Calibration
from skraee.readout.ridge import RidgeReadout
from skraee.retrieval.database import Database
from skraee.retrieval.standardizer import Standardizer
from skraee.sweep.provenance import Provenance
from skraee.sweep.settings import SweepSettings
from skraee.text.template import Template

# Parts of what fit left that may be missing.
_PARTS: dict[str, type] = {
    "database": Database,
    "standardizer": Standardizer,
    "ridge": RidgeReadout,
    "calibration": Calibration,
}

# Fields of parts that are dataclasses themselves.
_NESTED: dict[str, type] = {"bag": BagReadout}

# Arrays of what fit left itself.
_ARRAYS = ("codes", "records")


def taken_apart(fitted: Fitted) -> tuple[Manifest, Arrays]:
    """Return what fit left as entries of the manifest, and arrays.

    Parameters
    ----------
    fitted : Fitted
    """
    settings = fitted.sweep_settings
    backbone = to_plain("backbone", settings.backbone)["backbone"]
    described: Manifest = {
        "backbone": {**backbone, "dtype": settings.dtype},
        "sweep": {
            "template": settings.template.text,
            "max_length": to_plain("max_length", settings.max_length),
            "long_texts": settings.long_texts,
            "encoder": to_plain("encoder", settings.encoder),
            "token_ids": list(fitted.token_ids),
            "by_states": settings.by_states,
            "by_keys": settings.by_keys,
        },
        "setting": {k: to_plain(k, v) for k, v in fitted.setting.items()},
        **dict.fromkeys(_PARTS),
    }
    arrays: Arrays = {}
    for name in _PARTS:
        if (thing := getattr(fitted, name, None)) is not None:
            described[name], more = _fields(name, thing)
            arrays |= more
    own = {field.name for field in fields(fitted)}
    for name in own.intersection(_ARRAYS):
        if (array := getattr(fitted, name)) is not None:
            arrays[f"texts/{name}"] = array
    return described, arrays


def put_together(
    manifest: Manifest,
    arrays: Arrays,
    path: str | os.PathLike[str],
    moved: Backbone | None,
    encoder: Any,
) -> Fitted:
    """Return what fit left, as `taken_apart` was given it.

    Parameters
    ----------
    manifest : dict
    arrays : dict of str to ndarray
    path : str or Path
        The file, for messages.
    moved : Backbone or None
        Where the backbone is now, if it has moved.
    encoder : object
        What makes the keys.
    """
    sweep, described = manifest["sweep"], manifest["backbone"]
    token_ids = tuple(sweep["token_ids"])
    parts = {
        name: _made(kind, {**manifest[name], **within(arrays, f"{name}/")})
        for name, kind in _PARTS.items()
        if manifest[name] is not None
    }
    provenance = Provenance(
        versions=manifest["versions"],
        hashes={name: described[name] for name in Provenance.HASHES},
        samples=tuple(map(tuple, manifest["probes"])),
        token_ids=token_ids,
        proba=arrays["probes"],
        ridge=parts.get("ridge"),
        path=os.fspath(path),
        estimator=manifest["estimator"],
    )
    settings = SweepSettings(
        backbone=from_plain({"backbone": described}) if moved is None else moved,
        template=Template(sweep["template"]),
        max_length=sweep["max_length"],
        long_texts=sweep["long_texts"],
        dtype=described["dtype"],
        encoder=encoder,
        provenance=provenance,
        by_states=sweep["by_states"],
        by_keys=sweep["by_keys"],
    )
    kind = FittedByNeighbors if "database" in parts else FittedByConfidence
    return kind(
        sweep_settings=settings,
        token_ids=token_ids,
        setting={k: from_plain(v) for k, v in manifest["setting"].items()},
        **parts,
        **within(arrays, "texts/"),
    )


def within(arrays: Arrays, folder: str) -> dict[str, Any]:
    """Return the arrays of a folder by their names in it."""
    return {
        name.removeprefix(folder): array
        for name, array in arrays.items()
        if name.startswith(folder)
    }


def is_plain_array(value: Any) -> bool:
    """Whether a value is an array that needs no Python objects."""
    return type(value) is np.ndarray and value.dtype != object


def _fields(name: str, thing: Any) -> tuple[Manifest, Arrays]:
    """Return the settings of a dataclass, and its arrays."""
    values = {f.name: getattr(thing, f.name) for f in fields(thing) if f.init}
    settings: Manifest = {}
    arrays: Arrays = {}
    for key, value in values.items():
        if is_plain_array(value):
            arrays[f"{name}/{key}"] = value
        elif key in _NESTED and value is not None:
            settings[key], more = _fields(f"{name}/{key}", value)
            arrays |= more
        else:
            settings[key] = to_plain(key, value)
    return settings, arrays


def _made(kind: Any, values: dict[str, Any]) -> Any:
    """Make a dataclass of all its fields; a default is no substitute for one."""
    values = dict(values)
    for name, nested in _NESTED.items():
        if isinstance(values.get(name), dict):
            own = within(values, f"{name}/")
            values = {
                k: v for k, v in values.items() if k.partition("/")[0] != name
            } | {name: _made(nested, {**values[name], **own})}
    named = {f.name: values.pop(f.name) for f in fields(kind) if f.init}
    return kind(**named, **values)
