"""Clients that mean no good, or can do no better."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.serve.clients import HOST

_HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
_BODY = json.dumps({"texts": ["a lovely film"]}).encode()


@contextmanager
def misbehaving(port: int, n_clients: int) -> Iterator[None]:
    """Let a third of the clients be slow, a third leave early, and a third send junk.

    Parameters
    ----------
    port : int
    n_clients : int
    """
    stop = threading.Event()
    ways = (_slow, _leaving, _junk)
    threads = [
        threading.Thread(target=_again, args=(ways[i % 3], port, i, stop))
        for i in range(n_clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _again(way, port: int, seed: int, stop: threading.Event) -> None:  # type: ignore[no-untyped-def]
    draw = random.Random(seed)
    while not stop.is_set():
        try:
            with socket.create_connection((HOST, port), timeout=10) as sock:
                way(sock, draw, stop)
        except OSError:  # closed by the other side, as it should be
            stop.wait(0.01)


def _slow(sock: socket.socket, draw: random.Random, stop: threading.Event) -> None:
    """Send a byte at a time, of the head or of the body."""
    if draw.random() < 0.5:
        sock.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n")
    while not stop.wait(0.1):
        sock.sendall(b"X")


def _leaving(sock: socket.socket, draw: random.Random, stop: threading.Event) -> None:
    """Send a part of a request, or all of it, and wait for nothing."""
    whole = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
    sock.sendall(whole[: draw.randrange(1, len(whole) + 1)])
    stop.wait(0.02)


def _junk(sock: socket.socket, draw: random.Random, stop: threading.Event) -> None:
    """Send bytes that are no request, or a body that is no question."""
    junk = draw.randbytes(draw.randrange(1, 2_000))
    if draw.random() < 0.7:
        sock.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(junk))
    sock.sendall(junk)
    sock.settimeout(2)
    sock.recv(4_096)
    stop.wait(0.02)
