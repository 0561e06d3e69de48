"""What a backbone was when an estimator was saved, held to when it is next used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.embeddings import n_token_ids
from skraee.backbone.handle import Backbone
from skraee.backbone.identity import Identity
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.precision import Device, name_of
from skraee.exceptions import (
    BackboneChangedError,
    BackboneDriftWarning,
    BackboneMissingError,
    FileFormatError,
    warn_user,
)
from skraee.sweep.probes import DepthReadout, Probed, answers, probe_samples
from skraee.threads.locks import fork_safe_lock
from skraee.versions import installed

#: What decides how a backbone computes, and reads what is saved.
PACKAGES = ("skraee", "scikit-learn", "torch", "transformers", "tokenizers", "numpy")

# Other attention kernels, batches and threads moved these probabilities by up to 9e-7
# in float32 and 1.5e-2 in bfloat16 (toys and Gemma 3 270M on a CPU).
_TOLERANCE = {"float32": 1e-3}
_HALF_TOLERANCE = 5e-2

_probing = fork_safe_lock()


@dataclass(eq=False)
class Provenance:
    """The backbone of a saved estimator: its hashes, and what it answered.

    Attributes
    ----------
    versions : dict
        Package -> version.
    hashes : dict
        ``fingerprint`` of the weights, ``tokenizer_hash`` and ``config_hash``.
    samples : tuple of tuple of str
        The probe sentences, one for each field of the template.
    token_ids : tuple of C int
        Tokens of the label words.
    proba : ndarray of shape (n_probes, m + 1, C)
        Their probabilities at every depth.
    ridge : DepthReadout or None
        What reads them, if it is not the model's own head.
    path, estimator : str
        The file it comes from, and the class that it holds; for messages.
    """

    HASHES: ClassVar = ("fingerprint", "tokenizer_hash", "config_hash")

    versions: dict[str, str]
    hashes: dict[str, str]
    samples: tuple[tuple[str, ...], ...]
    token_ids: tuple[int, ...]
    proba: npt.NDArray[np.float32]
    ridge: DepthReadout | None = None
    path: str = ""
    estimator: str = ""
    _probed: Identity | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        probed: Probed,
        token_ids: tuple[int, ...],
        ridge: DepthReadout | None = None,
    ) -> Self:
        """Note down the backbone that is in memory, and what it answers.

        Parameters
        ----------
        probed : Probed
        token_ids : tuple of C int
            Tokens of the label words.
        ridge : DepthReadout, optional
            What reads the classes in their place.
        """
        samples = probe_samples(len(probed.prompts.template.fields))
        return cls(
            versions=installed(PACKAGES),
            hashes=_hashes(probed.backbone),
            samples=samples,
            token_ids=token_ids,
            proba=answers(probed, samples, token_ids, ridge),
            ridge=ridge,
        )

    def load(self, backbone: Backbone, dtype: str, device: Device) -> LoadedBackbone:
        """Load the backbone and check that weights and tokenizer are as they were.

        Raises
        ------
        BackboneMissingError
            If it cannot be loaded.
        BackboneChangedError
            If it is another one.
        """
        try:
            loaded = backbone.load(dtype, device)
        except OSError as error:
            raise BackboneMissingError(
                f"{backbone!r}, with which the estimator in {self.path!r} was fitted, "
                f"cannot be loaded; if it has moved, say where to: {self._way_out()}."
            ) from error
        self._check_hashes(backbone, _hashes(loaded))
        return loaded

    def check_answers(self, probed: Probed) -> None:
        """Run the probes, and warn if they are answered otherwise than then.

        They run once, and again where the backbone has changed meanwhile.

        Warns
        -----
        BackboneDriftWarning
            If a probability is off by more than rounding explains.

        Raises
        ------
        FileFormatError
            If they cannot be asked of this backbone.
        """
        with _probing:
            if self._probed == probed.backbone.identity:
                return
            self._check_tokens(probed)
            found = answers(probed, self.samples, self.token_ids, self.ridge)
            self._check_shape(found)
            self._probed = probed.backbone.identity
        drift = float(np.abs(found - self.proba).max())
        tolerance = _TOLERANCE.get(name_of(probed.backbone.dtype), _HALF_TOLERANCE)
        if not drift <= tolerance:  # also where a probability is not a number
            warn_user(
                "the backbone answers differently than when this was fitted: "
                f"probabilities of probe sentences are off by up to {drift:.2g} "
                f"({tolerance:g} is rounding){self._changes(probed)}; predictions may "
                "differ, so fit again, or go back to those versions.",
                BackboneDriftWarning,
            )

    @contextmanager
    def reading_texts(self) -> Iterator[None]:
        """Tell where what the file says of prompts does not suit its backbone.

        Raises
        ------
        FileFormatError
            For a ValueError of the block.
        """
        try:
            yield
        except ValueError as error:
            raise self._at_odds(str(error)) from error

    def _check_tokens(self, probed: Probed) -> None:
        n_known = n_token_ids(probed.backbone.model)
        if (largest := max(self.token_ids, default=0)) >= n_known:
            raise self._at_odds(f"it reads token {largest} of {n_known}")

    def _check_shape(self, found: npt.NDArray[np.float32]) -> None:
        if found.shape != self.proba.shape:
            depths = found.shape[1] - 1, self.proba.shape[1] - 1
            raise self._at_odds("it has {} layers and the file says {}".format(*depths))

    def _at_odds(self, reason: str) -> FileFormatError:
        return FileFormatError(
            f"{self.path!r} is damaged: what it says of texts does not suit its "
            f"backbone ({reason}); take an intact copy of it, or fit again."
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_probed": None}

    def _check_hashes(self, backbone: Backbone, found: dict[str, str]) -> None:
        # Not the configuration's: it holds the version of transformers. Whether a
        # change of it matters, the probes tell.
        for name, what in (("fingerprint", "weights"), ("tokenizer_hash", "tokenizer")):
            if found[name] != self.hashes[name]:
                raise BackboneChangedError(
                    f"{backbone!r} has another {what} than the one with which the "
                    f"estimator in {self.path!r} was fitted; name the right one, "
                    f"{self._way_out()}, or fit again."
                )

    def _way_out(self) -> str:
        return f"{self.estimator}.load({self.path!r}, backbone='name or folder')"

    def _changes(self, probed: Probed) -> str:
        now = installed(PACKAGES)
        changes = [
            f"{name} was {version}, is {now[name]}"
            for name, version in self.versions.items()
            if now.get(name, version) != version
        ]
        if _hashes(probed.backbone)["config_hash"] != self.hashes["config_hash"]:
            changes.append("its configuration has changed")
        return f"; {', '.join(changes)}" if changes else ""


def _hashes(loaded: LoadedBackbone) -> dict[str, str]:
    found = loaded.fingerprint, loaded.tokenizer.fingerprint, loaded.config_hash
    return dict(zip(Provenance.HASHES, found, strict=True))
