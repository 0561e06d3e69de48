"""Clients that are slow, leave, or speak something else: nothing stays of them."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.services import (
    Answer,
    Client,
    everything,
    serving,
    wait_until,
)

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

BODY = json.dumps({"texts": ["a lovely film"]}).encode()


def request(body: bytes = BODY, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"Host: a\r\nContent-Type: application/json\r\nContent-Length: {size}"
    return f"POST /predict HTTP/1.1\r\n{head}\r\n\r\n".encode() + body


@pytest.fixture(autouse=True)
def nothing_stays(service: Client) -> Iterator[None]:
    yield
    assert service.predict("a lovely film").status == 200
    assert service.metric("skraee_queue_texts") == 0


def seconds_until_closed(sock: socket.socket) -> tuple[float, bytes]:
    start = time.monotonic()
    try:
        found = everything(sock)
    except ConnectionResetError:
        found = b""
    return time.monotonic() - start, found


def test_head_that_drips_is_ended_however_often_a_byte_comes(service: Client):
    start = time.monotonic()
    with service.raw() as sock:
        sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\n")
        found = b""
        sock.settimeout(0.1)
        while not found:
            try:
                sock.sendall(b"X")
                found = sock.recv(1_000)
            except TimeoutError:
                continue
    assert time.monotonic() - start < 5
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"the request did not come in time" in found


def test_connection_on_which_nothing_comes_is_closed(service: Client):
    with service.raw() as sock:
        seconds, found = seconds_until_closed(sock)
    assert seconds < 5
    assert found == b""


def test_body_that_drips_is_refused_in_time(service: Client):
    with service.raw() as sock:
        sock.sendall(request(b'{"te', length=400))
        seconds, found = seconds_until_closed(sock)
    assert seconds < 6
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come within 1 s" in found


def test_body_that_nobody_reads_does_not_hold_the_connection(service: Client):
    with service.raw() as sock:
        sock.sendall(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        seconds, found = seconds_until_closed(sock)
    assert found.startswith(b"HTTP/1.1 404 ")
    assert seconds < 10


@pytest.mark.parametrize("n_bytes", [1, 20, 100, len(request()) - 1])
def test_half_a_request_and_a_goodbye_leave_nothing(service: Client, n_bytes: int):
    for _ in range(5):
        with service.raw() as sock:
            sock.sendall(request()[:n_bytes])


def test_client_that_leaves_before_its_answer_is_counted(service: Client):
    before = service.metric("skraee_gone_total")
    for _ in range(10):
        with service.raw() as sock:
            sock.sendall(request())
    wait_until(lambda: service.metric("skraee_queue_texts") == 0)
    assert service.metric("skraee_gone_total") - before <= 10


def test_requests_in_one_piece_are_answered_in_their_order(service: Client):
    texts = ["a lovely film", "a dull story", "the waiter was cold"]
    bodies = [json.dumps({"texts": [text]}).encode() for text in texts]
    with service.raw() as sock:
        sock.sendall(b"".join(map(request, bodies)))
        found = b""
        while found.count(b"exit_layers") < len(texts):
            found += sock.recv(65_536)
    labels = re.findall(rb'"labels":\["(\w+)"\]', found)
    expected = [service.predict(text).json["labels"][0] for text in texts]
    assert [label.decode() for label in labels] == expected


def test_one_connection_serves_many_requests(service: Client):
    with service.connection() as connection:
        for _ in range(20):
            connection.request(
                "POST", "/predict", BODY, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            assert response.status == 200
            response.read()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # of TLS
        b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\naa",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000,
    ],
)
def test_junk_is_refused_as_json_and_the_connection_closed(
    service: Client, junk: bytes
):
    with service.raw() as sock:
        with suppress(OSError):  # it may be closed while this still sends
            sock.sendall(junk)
            sock.shutdown(socket.SHUT_WR)
        _, found = seconds_until_closed(sock)
    if found or len(junk) < 1_000:  # the rest of what is sent may reset the connection
        head, _, body = found.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert "no request of HTTP/1.1" in Answer(400, {}, body).error


def test_random_bytes_leave_nothing(service: Client):
    draw = random.Random(0)
    whole = request()
    for _ in range(60):
        junk = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            junk[draw.randrange(len(junk))] = draw.randrange(256)
        with service.raw() as sock:
            sock.sendall(junk)
            sock.settimeout(0.02)
            try:
                sock.recv(1_000)
            except (TimeoutError, ConnectionResetError):
                continue


def test_more_connections_than_may_be_open_are_refused_and_room_comes_back(
    service: Client,
):
    socks = [service.raw() for _ in range(60)]
    try:
        answers = []
        for sock in socks:
            sock.settimeout(0.3)
            try:
                answers.append(sock.recv(1_000))
            except (TimeoutError, ConnectionResetError):
                answers.append(b"")
        refused = [one for one in answers if one.startswith(b"HTTP/1.1 503 ")]
        assert len(refused) >= 15
        assert b"too many connections are open" in refused[0]
    finally:
        for sock in socks:
            sock.close()

    def is_room() -> bool:
        try:
            return service.get("/healthz").status == 200
        except OSError:
            return False

    wait_until(is_room)


def test_client_that_takes_no_answer_is_let_go(clf: Any):
    """Its answers fill what the systems on both sides hold, and one more waits."""
    with serving(clf, receive_timeout=1.0, max_texts=256) as client:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", client.port))
        with sock:
            page = b"GET /docs HTTP/1.1\r\nHost: a\r\n\r\n"
            before = client.metric("process_open_fds")
            ended = False
            start = time.monotonic()
            while not ended and time.monotonic() - start < 25:
                try:
                    sock.sendall(page * 100)
                except OSError:
                    ended = True
            assert ended
        wait_until(lambda: client.metric("process_open_fds") < before + 1)
