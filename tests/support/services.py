"""Services on loopback, in a thread of the tests or as a process; and who asks them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is all that there is."""
        found = self.json
        assert [*found] == ["error"], found
        return str(found["error"])


@dataclass(frozen=True)
class Client:
    """Asks a service, each time on a connection of its own."""

    port: int
    token: str | None = None

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str | None
    ) -> Answer:
        """Ask; a body that is no bytes becomes JSON, a header None is left out."""
        sent: dict[str, str | None] = {} if body is None else dict(JSON)
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with self.connection() as connection:
            given = {k: v for k, v in sent.items() if v is not None}
            connection.request(method, path, body=body, headers=given)
            return answer_of(connection)

    def post(self, path: str, body: Any, **headers: str | None) -> Answer:
        return self.ask("POST", path, body, **headers)

    def predict(self, *texts: Any) -> Answer:
        return self.post("/predict", {"texts": [*texts]})

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, **headers)

    def metric(self, name: str) -> float:
        """Return a number of the metrics, labels written as they stand there."""
        text = self.get("/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            yield made
        finally:
            made.close()

    def raw(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def wait_until_ready(self, process: subprocess.Popen[str] | None = None) -> None:
        def ready() -> bool:
            assert process is None or process.poll() is None, "it has ended"
            return self.get("/readyz").status == 200

        wait_until(ready, 120)


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def everything(sock: socket.socket) -> bytes:
    """Read a connection to its end."""
    parts = []
    while part := sock.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@contextmanager
def serving(clf: Any, *, token: str | None = None, **limits: Any) -> Iterator[Client]:
    """Serve a classifier from a thread, over a real port."""
    from skraee.serve.application import application, service_of
    from skraee.serve.limits import Limits
    from skraee.serve.process import listening, serve, server_of

    given = Limits(**limits)
    service = service_of(clf, given)
    server = server_of(application(service, token), given, stop_timeout=10)
    with listening("127.0.0.1", 0) as sock:
        client = Client(sock.getsockname()[1], token)
        thread = threading.Thread(
            target=lambda: asyncio.run(serve(server, service, sock))
        )
        thread.start()
        try:
            client.wait_until_ready()
            yield client
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


@contextmanager
def process(
    model: Path, *options: str, token: str | None = None, ready: bool = True
) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Run ``skraee serve`` on a free port; it is killed at the end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if token is not None:
        environment["SKRAEE_TOKEN"] = token
    command = [sys.executable, "-m", "skraee", "serve", str(model), "--port", "0"]
    started = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert started.stderr is not None
        lines = []
        while (line := started.stderr.readline()) and "http://" not in line:
            lines.append(line)
        found = re.search(r"http://[^:]+:(\d+)", line)
        assert found, lines
        client = Client(int(found[1]), token)
        if ready:
            client.wait_until_ready(started)
        yield started, client
    finally:
        started.kill()
        started.communicate()
