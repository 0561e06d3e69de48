"""How much a service takes: of one request, and of all that wait."""

from __future__ import annotations

from dataclasses import Field, dataclass, fields


@dataclass(frozen=True)
class Limits:
    """What a service refuses, and how long it waits.

    Parameters
    ----------
    max_texts : int, default=256
        Texts of a request, and of a batch. Lower it where a request must not wait long
        for the batch before it, raise it for clients that send many at a time.
    max_length : int, default=20_000
        Characters of a text, all of its fields together. Lower it to what your texts
        have: the model reads no more than its `max_length` tokens of each.
    max_body : int, default=1_048_576
        Bytes of a request's body. Raise it together with the two above.
    max_queue : int, default=1_024
        Texts that wait for the model. Past it requests are refused at once (429), so
        that none waits for an answer that comes too late. Set it to what the model
        answers within `timeout`.
    max_explained : int, default=8
        Texts of a request to explain; each takes some full passes of the model.
    max_connections : int, default=512
        Connections that are open at a time. Only ``skraee serve`` counts them; an
        application that is mounted has the limits of its server.
    receive_timeout : float, default=10.0
        Seconds within which a request must have come, from its first line to the end
        of its body, and its answer must be taken. Raise it for clients on slow lines.
    timeout : float, default=30.0
        Seconds after which a request that was not answered is given up (503). Set it
        to how long your clients wait.

    Raises
    ------
    ValueError
        If one of them is no number above 0, or a request would never fit.

    Examples
    --------
    >>> from skraee.serve import Limits
    >>> Limits(max_texts=32).max_queue
    1024
    """

    max_texts: int = 256
    max_length: int = 20_000
    max_body: int = 1_048_576
    max_queue: int = 1_024
    max_explained: int = 8
    max_connections: int = 512
    receive_timeout: float = 10.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field, getattr(self, field.name))
        if self.max_queue < max(self.max_texts, self.max_explained):
            raise ValueError(
                f"max_queue={self.max_queue} is less than one request may hold "
                f"({max(self.max_texts, self.max_explained)} texts); raise it to that."
            )


def _check(field: Field[float], value: object) -> None:
    is_whole = field.name.startswith("max")
    if (
        isinstance(value, bool)
        or not isinstance(value, int if is_whole else int | float)
        or not 0 < value < float("inf")
    ):
        kind = "whole number" if is_whole else "number"
        raise ValueError(
            f"{field.name} must be a {kind} above 0, got {value!r}; try "
            f"{field.default}."
        )
