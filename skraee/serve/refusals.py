"""Answers that are none: a status, a sentence, and why, for the metrics."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A request is refused.

    Parameters
    ----------
    status : int
        Of HTTP.
    sentence : str
        What is wrong and what to do, without any word of the request's texts.
    reason : str
        One word for the metrics.
    headers : mapping, optional
        Of the response.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        reason: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.reason = reason
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """Nobody waits for the answer any more."""
