"""Clients that ask for one text at a time, and what they saw."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.lines import Line

HOST = "127.0.0.1"
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """Texts, and what predict makes of them.

    Attributes
    ----------
    texts : list of str
    labels : list of object
    exits : list of int
    """

    texts: list[str]
    labels: list[Any]
    exits: list[int]


@dataclass
class Seen:
    """What clients saw.

    Attributes
    ----------
    seconds : list of float
        From question to answer, of what was answered.
    wrong : int
        Answers with another label or exit than predict's.
    lost : int
        Questions that were taken and got no answer, or another status than 200.
    refused : int
        Questions on a connection that could not be had, or was closed before.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    refused: int = 0

    def line(self, seconds: float) -> Line:
        """Return it as a line; nothing of times where nothing was answered."""
        found: Line = {"n": len(self.seconds), "wrong": self.wrong, "lost": self.lost}
        if self.refused:
            found["refused"] = self.refused
        if self.seconds:
            p50, p99 = np.percentile(self.seconds, [50, 99]) * 1e3
            found["texts_per_s"] = round(len(self.seconds) / seconds, 1)
            found |= {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
        return found


@contextmanager
def asking(port: int, n_clients: int, asked: Asked, retry: bool) -> Iterator[Seen]:
    """Let clients ask until the block ends; then wait for their last answers.

    Parameters
    ----------
    port : int
    n_clients : int
    asked : Asked
    retry : bool
        Whether a question without an answer is asked again and counts as refused, as
        over an end of the service.
    """
    seen, stop = Seen(), threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(port, i, asked, retry, stop, seen))
        for i in range(n_clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(
    port: int, first: int, asked: Asked, retry: bool, stop: Any, seen: Seen
) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    place = first * 37
    while not stop.is_set():
        place = (place + 1) % len(asked.texts)
        start = time.perf_counter()
        try:
            status, found = _answer(connection, asked.texts[place])
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # Cut off in the middle of an answer is lost in any case.
            if retry and not isinstance(error, http.client.IncompleteRead):
                seen.refused += 1
                time.sleep(0.05)
            else:
                seen.lost += 1
            continue
        if status == 503 and retry:  # it is being loaded
            seen.refused += 1
            continue
        if status != 200:
            seen.lost += 1
            continue
        seen.seconds.append(time.perf_counter() - start)
        same = (asked.labels[place], asked.exits[place])
        seen.wrong += (found["labels"][0], found["exit_layers"][0]) != same
    connection.close()


def _answer(connection: http.client.HTTPConnection, text: str) -> tuple[int, Any]:
    body = json.dumps({"texts": [text]})
    connection.request("POST", "/predict", body, _HEADERS)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def metric(port: int, name: str) -> float:
    """Return a number of the metrics."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = [one for one in text.splitlines() if one.startswith(f"{name} ")]
    return float(found[0].split()[1]) if found else 0.0


def is_ready(port: int) -> bool:
    """Whether the service has its model."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False
