"""What a backbone is, told in hashes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """What a backbone is.

    Attributes
    ----------
    weights : str
        Hash of them as loaded, so it depends on dtype.
    tokenizer : str or None
        Hash of it; None where it is not known (a pickle of an older skraee).
    settings : str or None
        Hash of configuration, modules and buffers. It changes with the versions of
        the libraries; None where none can be compared with.
    """

    weights: str
    tokenizer: str | None = None
    settings: str | None = None

    def change_to(self, now: Identity) -> str | None:
        """Return what is another there; None where nothing that is known is.

        Parameters
        ----------
        now : Identity
        """
        if self.weights != now.weights:
            return "weights"
        if self.tokenizer not in (None, now.tokenizer):
            return "tokenizer's tokens and settings"
        if self.settings not in (None, now.settings):
            return "configuration and modules"
        return None
