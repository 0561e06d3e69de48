"""What the store holds of texts: names of records, their contents, how they are found.

A record's name is a hash of all that it depends on, and people have such names in their
folders. A change of a kind, a context or the hash makes what they have swept unknown.
What is done with long texts is in the names of long texts alone: it is the same to all
others, whose records serve whatever the setting is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.states import States, room_for
from skraee.retrieval.encoder import Encoder
from skraee.retrieval.keys import is_foreign
from skraee.sweep.chunks import CHUNK_SIZE, Sample, pieces
from skraee.sweep.layer_sweep import Float32Array
from skraee.sweep.settings import SweepSettings
from skraee.sweep.store import Arrays, Store
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.token_bags import TokenBags, UInt16Array
from skraee.threads.kept_property import kept_property

# Kinds of records: another name when what they hold changes.
_LOGITS = "sweep"  # of label words: "tokens", "logits", "is_cut"
_STATES = "states"  # "states", "is_cut", "bag" (none has it of older releases)
_KEY = "key"  # "key"

# What a record of our kinds has at least: names, axes and dtypes of arrays. Those of
# other kinds are looked at by who writes them.
_PARTS = {
    _LOGITS: (
        ("tokens", 1, ("int64",)),
        ("logits", 2, ("float32",)),
        ("is_cut", 0, ("bool",)),
    ),
    _STATES: (
        ("states", 3, ("float32", "float16", "uint16")),
        ("is_cut", 0, ("bool",)),
    ),
    _KEY: (("key", 1, ("float32",)),),
}

#: Length of a record's name.
NAME_BYTES = 20


class TextSweep(NamedTuple):
    """What a pass found of a text.

    Parameters
    ----------
    depths : ndarray of shape (m + 1, ...)
        Of each depth the states (P, H) or the logits (n_words,).
    is_cut : bool
        Whether the text was too long.
    bag : ndarray of uint16 or None
        Its bag of tokens, where states are read.
    """

    depths: npt.NDArray[Any]
    is_cut: bool
    bag: UInt16Array | None = None


@dataclass(frozen=True)
class Records:
    """What a store has of texts, as one backbone and one template read them.

    Attributes
    ----------
    settings : SweepSettings
    backbone : LoadedBackbone
    prompts : PromptEncoder
    store : Store or None
        Without one nothing is found and nothing is kept.
    """

    settings: SweepSettings
    backbone: LoadedBackbone
    prompts: PromptEncoder
    store: Store | None = None

    @kept_property
    def context(self) -> list[Any]:
        """What a sweep depends on beside the text, in values for JSON."""
        backbone = self.backbone
        return [
            backbone.fingerprint,
            backbone.config_hash,
            backbone.settings_hash,
            backbone.tokenizer.fingerprint,
            self.prompts.form,
            self.prompts.limit,
        ]

    @kept_property
    def key_context(self) -> list[Any] | None:
        """What a key depends on beside the text; None where that cannot be told."""
        encoder = self.settings.encoder
        if not self.settings.by_keys:
            return None
        if isinstance(encoder, Encoder):
            told = encoder.fingerprint()
            return None if told is None else ["encoder", told]
        if is_foreign(encoder):
            return None
        return ["depth", encoder and int(encoder), *self.context]

    def sweeps(
        self, samples: Sequence[Sample], token_ids: Sequence[int]
    ) -> list[TextSweep | None]:
        """Return the states of texts, or their logits for all of these tokens."""
        if self.settings.by_states:
            found = self.read(self._states_kind, self.context, samples)
            return [None if record is None else _states_of(record) for record in found]
        found = self.read(_LOGITS, self.context, samples)
        return [
            None if record is None else _logits_of(record, token_ids)
            for record in found
        ]

    def keys(self, samples: Sequence[Sample]) -> list[Float32Array | None]:
        """Return the keys of texts."""
        found = self.read(_KEY, self.key_context, samples)
        return [None if record is None else record["key"] for record in found]

    def write_logits(
        self,
        samples: Sequence[Sample],
        token_ids: Sequence[int],
        logits: Float32Array,
        is_cut: npt.NDArray[np.bool_],
    ) -> None:
        """Write logits; those of words that were named earlier stay in the records."""
        tokens = np.array(token_ids, dtype=np.int64)
        older = self.read(_LOGITS, self.context, samples)
        made = [
            _merged({"tokens": tokens, "logits": found, "is_cut": np.array(cut)}, old)
            for found, cut, old in zip(logits, is_cut, older, strict=True)
        ]
        self.write(_LOGITS, self.context, samples, made)

    def write_states(
        self,
        samples: Sequence[Sample],
        states: States,
        is_cut: npt.NDArray[np.bool_],
        bags: Sequence[UInt16Array],
    ) -> None:
        """Write states and bags of tokens, which hold all that a readout reads."""
        made = [
            {"states": found, "is_cut": np.array(cut), "bag": bag}
            for found, cut, bag in zip(states, is_cut, bags, strict=True)
        ]
        self.write(self._states_kind, self.context, samples, made)

    def write_keys(self, samples: Sequence[Sample], keys: Float32Array) -> None:
        """Write keys, where they can be named."""
        self.write(_KEY, self.key_context, samples, [{"key": key} for key in keys])

    def names_of_states(self, samples: Iterable[Sample]) -> list[bytes]:
        """Return the names under which the store has texts' states."""
        names: list[bytes] = []
        for some in pieces(samples):
            names += self._names(self._states_kind, self.context, some)
        return names

    def states_of(self, names: Sequence[bytes]) -> tuple[States, TokenBags | None]:
        """Read the states (n, m + 1, P, H) and bags of texts that were swept before.

        Parameters
        ----------
        names : sequence of n bytes
            Their `names_of_states`.

        Returns
        -------
        states : ndarray of shape (n, m + 1, P, H)
        bags : TokenBags or None
            None where an older release wrote some of the records.

        Raises
        ------
        ValueError
            If the store does not have all of them any more.
        """
        states: States | None = None
        bags: list[UInt16Array | None] = []
        n_done = 0
        for some in pieces(names):
            found = [] if self.store is None else self.store.read(some)
            known_as = (_as_known(self._states_kind, record) for record in found)
            records = [record for record in known_as if record is not None]
            known = [record["states"] for record in records]
            bags += [record.get("bag") for record in records]
            if len(known) < len(some):
                raise ValueError(
                    "partial_fit solves the readout again and needs the states of the "
                    "texts that were fitted before, and they are not in the memory any "
                    "more; set memory= to a folder before fit, or call fit on all "
                    "texts."
                )
            if states is None:
                states = room_for(len(names), known[0].shape, known[0].dtype)
            states[n_done : n_done + len(known)] = np.stack(known)
            n_done += len(known)
        assert states is not None
        return states, bags_of(bags)

    def read(
        self, kind: str, context: list[Any] | None, samples: Sequence[Sample]
    ) -> list[Arrays | None]:
        """Return the records of a kind; None for a text that has none."""
        if self.store is None or context is None:
            return [None] * len(samples)
        found = self.store.read(self._names(kind, context, samples))
        return [_as_known(kind, record) for record in found]

    def write(
        self,
        kind: str,
        context: list[Any] | None,
        samples: Sequence[Sample],
        records: Sequence[Arrays],
    ) -> None:
        """Keep records of a kind, one for each text."""
        if self.store is not None and context is not None:
            names = self._names(kind, context, samples)
            self.store.write(dict(zip(names, records, strict=True)))

    def _names(
        self, kind: str, context: list[Any], samples: Sequence[Sample]
    ) -> list[bytes]:
        """Return the names of records of a kind."""
        names = record_names(kind, context, samples)
        how = self.settings.long_texts
        if how == "cut":  # as the names were when there was nothing else
            return names
        of_long = record_names(kind, [*context, how], samples)
        both = zip(names, of_long, self._are_long(samples), strict=True)
        return [own if is_long else name for name, own, is_long in both]

    def _are_long(self, samples: Sequence[Sample]) -> list[bool]:
        """Say which texts are long; those of a chunk are asked for several times."""
        new = [sample for sample in samples if sample not in self._seen]
        if new:
            if len(self._seen) > CHUNK_SIZE:
                self._seen.clear()
                new = list(samples)
            self._seen.update(zip(new, self.prompts.are_long(new), strict=True))
        return [self._seen[sample] for sample in samples]

    @kept_property
    def _seen(self) -> dict[Sample, bool]:
        """Of some texts whether they are long."""
        return {}

    @property
    def _states_kind(self) -> str:
        return ":".join([_STATES, *(self.settings.state_kinds or ())])


def record_names(
    kind: str, context: Sequence[Any], samples: Iterable[Sample]
) -> list[bytes]:
    """Return the names of records.

    Parameters
    ----------
    kind : str
        What the records hold.
    context : sequence
        Everything beside the text on which they depend.
    samples : iterable of n tuples of str
        The texts, field by field.

    Returns
    -------
    list of n bytes
    """
    start = hashlib.blake2b(
        json.dumps([kind, *context]).encode(), digest_size=NAME_BYTES
    )
    names = []
    for fields in samples:
        digest = start.copy()
        for field in fields:
            data = field.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        names.append(digest.digest())
    return names


def bags_of(each: Sequence[UInt16Array | None]) -> TokenBags | None:
    """Return the bags of texts of which each is given; None where one is missing.

    Parameters
    ----------
    each : sequence of n ndarray or None
    """
    known = [bag for bag in each if bag is not None]
    return TokenBags.joined(known) if len(known) == len(each) else None


def _as_known(kind: str, record: Arrays | None) -> Arrays | None:
    """Return a record that is laid out as here; None for another release's."""
    if record is None:
        return None
    for part, n_axes, dtypes in _PARTS.get(kind.partition(":")[0], ()):
        array = record.get(part)
        if array is None or array.ndim != n_axes or array.dtype.name not in dtypes:
            return None
    return record


def _states_of(record: Arrays) -> TextSweep | None:
    """Return what a record holds; None for one that lacks the bag."""
    if "bag" not in record:
        return None
    return TextSweep(record["states"], bool(record["is_cut"]), record["bag"])


def _logits_of(record: Arrays, token_ids: Sequence[int]) -> TextSweep | None:
    """Return the logits of these tokens; None where the record lacks one."""
    tokens, logits = record["tokens"].tolist(), record["logits"]
    if not set(token_ids) <= set(tokens):
        return None
    if tokens != list(token_ids):
        logits = logits[:, [tokens.index(token) for token in token_ids]]
    return TextSweep(logits, bool(record["is_cut"]))


def _merged(new: Arrays, old: Arrays | None) -> Arrays:
    """Add the columns of an older record that the new one lacks."""
    if old is None:
        return new
    extra = ~np.isin(old["tokens"], new["tokens"])
    if not extra.any():
        return new
    return {
        "tokens": np.concatenate([new["tokens"], old["tokens"][extra]]),
        "logits": np.concatenate([new["logits"], old["logits"][:, extra]], axis=1),
        "is_cut": new["is_cut"],
    }
