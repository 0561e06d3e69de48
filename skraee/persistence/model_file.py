"""Fitted estimators as files that hold no code.

The file of format 5 is a ZIP (:mod:`skraee.persistence.archive`) with these members:

===========================  ========================================================
``manifest.json``            everything below that is no array, by these names
                             (``plain_values.py``), and the SHA-256 of the arrays
``seal.json``                the manifest's SHA-256 and, with a key, its HMAC-SHA-256
                             (``seal.py``): what holds for it holds for the whole file
``attributes/*.npy``         ``classes_``, ``layer_scores_`` and other fitted arrays;
                             those of Python objects stand in the manifest; a
                             generator has no ``classes_``
``ridge/*.npy``              the closed-form readout: ``coef``, ``intercept``,
                             ``weight``, ``inverse_temperature``, ``penalty`` and
                             ``parts``
``ridge/bag/*.npy``          its part for the bag of tokens, where there is one:
                             ``buckets``, ``coef`` and ``intercept``
``calibration/*.npy``        with ``calibrate=True``: ``temperatures`` and, where more
                             texts may come, the ``logits`` that they were fitted on
``texts/*.npy``              of the texts of fit the ``records`` under which the store
                             has their states, and class ``codes`` without a database
``database/*.npy``           ``keys`` (float32 or, by ``key_dtype``, float16),
                             ``proba``, ``labels`` and, where not all texts were
                             kept, ``kept`` of the database; a generator's
                             ``proba`` are shares and probabilities of targets
``standardizer/*.npy``       ``mean`` and ``variance``, for an encoder that is a depth
``probes.npy``               what the backbone answered to the probe sentences
===========================  ========================================================

The manifest has these entries:

``skraee_format``
    The number of the format. It is read first.
``versions``
    Of the packages that it was written with; for messages.
``estimator``, ``parameters``
    Name of the class, and its constructor's parameters.
``attributes``
    Fitted attributes, as far as they are no arrays.
``backbone``
    What leads to it (name and revision), its dtype, the hashes of its weights (as
    loaded, in this dtype), tokenizer and configuration.
``sweep``
    Template, max_length, long_texts ("cut" where it is missing), encoder (a named one
    with revision and hashes as above), the label words' tokens, and what is read of a
    text: states, keys.
``setting``
    Parameters that cannot change after fit.
``database``, ``standardizer``, ``ridge``, ``calibration``
    Their settings; null where there is none. A database that an object searched has the
    name of its class, ``{"index": "LanceIndex"}``, to tell what is to be given again.
``probes``
    The sentences. Each file brings its own, so they may change at any time.
``members``
    Name -> SHA-256.

What each entry and each array may hold stands in ``schema.py`` and
``array_schema.py``, which every file is held to before anything is made of it.

How to change the format:

1. A constructor parameter that is new needs nothing: it is saved, an older file loads
   with its default, and an older skraee refuses the name. So it is with a fitted
   attribute, which needs a line in the schema.
2. For any other change raise `archive.FORMAT` and correct the table above;
   ``test_layout_is_that_of_the_format`` shows whether you have to.
3. Turn an older manifest and its arrays into new ones in
   :mod:`skraee.persistence.upgrades`, one step for each number, and keep a file of the
   older format in ``tests/data``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from sklearn.utils.validation import check_is_fitted

from skraee.backbone.handle import as_backbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens
from skraee.estimator.fitted import Fitted
from skraee.estimator.parameters import check_parameters
from skraee.exceptions import FileFormatError
from skraee.files.damage import telling_damage
from skraee.files.mapping import release_pages
from skraee.persistence import archive
from skraee.persistence.archive import Arrays, Manifest
from skraee.persistence.array_schema import ARRAY_ATTRIBUTES, check_arrays
from skraee.persistence.parts import is_plain_array, put_together, taken_apart, within
from skraee.persistence.plain_values import from_plain, to_plain
from skraee.persistence.schema import ATTRIBUTES, check_device, check_manifest
from skraee.persistence.seal import checked_key
from skraee.persistence.upgrades import upgraded
from skraee.retrieval.encoder import Encoder, as_encoder
from skraee.sweep.provenance import Provenance
from skraee.sweep.sweeper import open_sweeper

Path = str | os.PathLike[str]

# Arrays that grow with the texts of fit and of which predict needs a few rows.
_LARGE = frozenset({"database/keys", "database/proba"})


class Savable(Protocol):
    """What a file holds: an estimator, and what fit left in it."""

    _fitted: Fitted
    device: Device
    batch_tokens: BatchTokens

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters."""

    @classmethod
    def _get_param_names(cls) -> list[str]: ...

    def _check_parameters(self) -> None: ...

    def _setting(self) -> dict[str, Any]: ...

    def _policy(self, fitted: Any) -> Any: ...

    def _keep(self, fitted: Fitted, **attributes: Any) -> None: ...


Estimator = TypeVar("Estimator", bound=Savable)


def save(estimator: Savable, path: Path, key: bytes | str | None = None) -> None:
    """Write a fitted estimator to a file.

    Parameters
    ----------
    estimator : Savable
        Fitted.
    path : str or Path
    key : bytes or str, optional
        Signs the file.

    Raises
    ------
    TypeError
        If a parameter or the classes cannot be written without code.
    ValueError
        If a parameter is wrong, or one that predict cannot follow was changed.
    PicklingError
        If the backbone or encoder was made of objects and no name leads to it.
    """
    check_is_fitted(estimator)
    secret = checked_key(key)
    _check_parameters(estimator)
    parameters = _parameters(estimator)
    attributes, arrays = _attributes(estimator)
    fitted = estimator._fitted
    described, more = taken_apart(fitted)
    provenance = fitted.sweep_settings.provenance or Provenance.of(
        open_sweeper(fitted.sweep_settings, estimator.device, estimator.batch_tokens),
        fitted.token_ids,
        fitted.ridge,
    )
    described["backbone"] |= provenance.hashes
    manifest = {
        "versions": provenance.versions,
        "estimator": type(estimator).__name__,
        "parameters": parameters,
        "attributes": attributes,
        **described,
        "probes": [list(sample) for sample in provenance.samples],
    }
    arrays = {**arrays, **more, "probes": provenance.proba}
    archive.write(path, manifest, arrays, secret)


def load(
    kinds: Sequence[type[Estimator]],
    path: Path,
    backbone: Any = None,
    encoder: Any = None,
    key: bytes | str | None = None,
    mmap_mode: str | None = None,
    index: Any = None,
) -> Estimator:
    """Read an estimator from a file; no backbone is loaded and no code is run.

    Parameters
    ----------
    kinds : sequence of type
        Classes of which the file may hold one.
    path : str or Path
    backbone : str, Path or Backbone, optional
        Where the backbone is now, if it is no more where it was.
    encoder : str, Path or Encoder, optional
        The same for the sentence encoder.
    key : bytes or str, optional
        With which the file must be signed.
    mmap_mode : {None, "r"}, default=None
        Whether keys and sweeps of the database stay in the file.
    index : str or object, optional
        How neighbours are searched from now on.

    Returns
    -------
    Savable
        Of one of the classes.

    Raises
    ------
    FileFormatError
        If the file is damaged, of a newer format, or holds something else.
    TypeError, ValueError
        If an encoder is given that is none, or to a file that has none; if `mmap_mode`
        or `index` is none of those that there are.
    """
    mapped = _mapped(mmap_mode)
    if index is not None:
        check_parameters({"index": index})
    moved = None if backbone is None else as_backbone(backbone)
    other = None if encoder is None else _as_named_encoder(encoder)
    manifest, arrays = archive.read(path, checked_key(key), mapped)
    with telling_damage(path, archive.AGAIN):
        manifest, arrays = upgraded(manifest, arrays, path)
        cls = _class_of(manifest, kinds, path)
        _check_attributes(manifest, path)
        check_manifest(manifest)
        manifest = _searched_by(manifest, index, path)
        parameters = {k: from_plain(v) for k, v in manifest["parameters"].items()}
        if moved is not None:
            parameters["backbone"] = backbone
        if encoder is not None:
            parameters["encoder"] = encoder
        if index is not None:
            parameters["index"] = index
        estimator = cls(**parameters)
        saved = manifest["sweep"]["encoder"]
        used = from_plain(saved)
        had_one = isinstance(used, Encoder)
        if had_one and other is not None:
            used = other.instead_of(saved["encoder"])
        attributes = {
            **{k: from_plain(v) for k, v in manifest["attributes"].items()},
            **within(arrays, "attributes/"),
        }
        check_arrays(manifest, arrays, attributes.get("classes_"))
        for name in mapped & arrays.keys():
            release_pages(arrays[name])  # which the check has read
        estimator._keep(put_together(manifest, arrays, path, moved, used), **attributes)
        _check_parameters(estimator)
    if other is not None and not had_one:
        raise ValueError(
            f"{os.fspath(path)!r} was fitted with encoder={used!r}, which is no "
            "sentence encoder that could have moved; leave out encoder=."
        )
    return estimator


def _mapped(mmap_mode: str | None) -> frozenset[str]:
    """Return which arrays stay in the file."""
    if mmap_mode is not None and mmap_mode != "r":
        raise ValueError(
            f"mmap_mode must be None or 'r', got {mmap_mode!r}; a model file is not "
            "written to, so write 'r' to leave its database on the disk."
        )
    return frozenset() if mmap_mode is None else _LARGE


def _searched_by(manifest: Manifest, index: Any, path: Path) -> Manifest:
    """Return a manifest whose database is searched by an index; None: as it was."""
    if manifest["database"] is None:
        return manifest
    parameters, method = manifest["parameters"], manifest["database"]["method"]
    if index is not None:
        return manifest | {
            "parameters": parameters | {"index": "exact"},  # which `load` replaces
            "database": manifest["database"] | {"method": index},
        }
    for asked in (method, parameters.get("index")):
        if isinstance(asked, dict):
            raise FileFormatError(
                f"{os.fspath(path)!r} was fitted with index={asked.get('index')}(...), "
                "an object, and a file holds no code; give one again, load(path, "
                "index=...), or 'exact' or 'hnsw', which search the keys in the file."
            )
    return manifest


def _parameters(estimator: Savable) -> Manifest:
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters["memory"], str | PurePath | None):
        parameters["memory"] = "process"  # a joblib.Memory is of this process
    return {name: to_plain(name, value) for name, value in parameters.items()}


def _check_parameters(estimator: Savable) -> None:
    """Refuse parameters with which a fitted estimator could not predict."""
    # Whether a device is here is asked when it is used: a file may come from elsewhere.
    parameters = estimator.get_params(deep=False)
    check_device("parameters.device", to_plain("device", parameters["device"]))
    type(estimator)(**{**parameters, "device": "auto"})._check_parameters()
    fitted = estimator._fitted
    setting = estimator._setting()
    if setting.keys() != fitted.setting.keys():
        raise ValueError(f"setting has {sorted(fitted.setting)}")
    fitted.check_setting(setting)
    estimator._policy(fitted)


def _attributes(estimator: Savable) -> tuple[Manifest, Arrays]:
    """Return what fit has set, apart from `_fitted`."""
    names = vars(estimator).keys() & {*ATTRIBUTES, *ARRAY_ATTRIBUTES}
    found = {name: vars(estimator)[name] for name in sorted(names)}
    arrays = {name: value for name, value in found.items() if is_plain_array(value)}
    plain = {
        name: to_plain(name, value)
        for name, value in found.items()
        if name not in arrays
    }
    return plain, {f"attributes/{name}": array for name, array in arrays.items()}


def _class_of(
    manifest: Manifest, kinds: Sequence[type[Estimator]], path: Path
) -> type[Estimator]:
    """Return the class that a file holds; refuse others, and unknown parameters."""
    saved = manifest["estimator"]
    found = [kind for kind in kinds if kind.__name__ == saved]
    if not found:
        raise FileFormatError(
            f"{os.fspath(path)!r} holds an estimator of {saved}; read it with "
            f"{saved}.load."
        )
    unknown = sorted(manifest["parameters"].keys() - set(found[0]._get_param_names()))
    if unknown:
        raise FileFormatError(
            f"{os.fspath(path)!r} was written by skraee "
            f"{manifest['versions']['skraee']} with parameters that are not known "
            f"here, {', '.join(unknown)}; update with: pip install --upgrade skraee."
        )
    return found[0]


def _check_attributes(manifest: Manifest, path: Path) -> None:
    """Refuse attributes that are not known here."""
    unknown = sorted(manifest["attributes"].keys() - ATTRIBUTES.keys())
    if unknown:
        raise FileFormatError(
            f"{os.fspath(path)!r} was written by skraee "
            f"{manifest['versions']['skraee']} with attributes that are not known "
            f"here, {', '.join(unknown)}; update with: pip install --upgrade skraee."
        )


def _as_named_encoder(encoder: Any) -> Encoder:
    found = as_encoder(encoder)
    if not isinstance(found, Encoder):
        raise TypeError(
            "encoder= of load says where a sentence encoder is, so it must be a name, "
            f"a folder or an Encoder, got {type(encoder).__name__}; leave it out where "
            "the encoder is where it was."
        )
    return found
