"""Stands before the application: who may ask, and what comes of errors."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from skraee.serve.bodies import Headers, Message, Receive, drain, headers_of
from skraee.serve.metrics import Metrics
from skraee.serve.refusals import ClientGone, Refusal

Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

log = logging.getLogger("skraee.serve")


class Guard:
    """Lets in who has the token, and answers every error as JSON.

    Parameters
    ----------
    app : callable
        Of ASGI.
    metrics : Metrics
    paths : collection of str
        Those that are counted by their names.
    open_paths : collection of str
        Those that need no token.
    token : str or None
    """

    def __init__(
        self,
        app: Application,
        metrics: Metrics,
        paths: Collection[str],
        open_paths: Collection[str],
        token: str | None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths
        self._open_paths = open_paths
        self._token = None if token is None else _digest(token.encode())

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        start = time.perf_counter()
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            self._check_token(path, headers_of(scope))
            await self._app(scope, exchange.receive, exchange.send)
        except ClientGone:
            self._metrics.gone()
            return
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except Exception as error:
            # What it says may repeat a text, so its kind alone is logged.
            log.error("a request failed with %s", type(error).__name__)
            await self._refuse(exchange, _failed(error))
        name = path if path in self._paths else "other"
        seconds = time.perf_counter() - start
        self._metrics.request(name, exchange.status, seconds)

    def _check_token(self, path: str, headers: Headers) -> None:
        if self._token is None or path in self._open_paths:
            return
        given = headers.get(b"authorization", [b""])
        scheme, _, token = given[0].partition(b" ")
        is_right = hmac.compare_digest(_digest(token.strip()), self._token)
        if len(given) > 1 or scheme.lower() != b"bearer" or not is_right:
            raise Refusal(
                401,
                "this needs the service's token; send it as Authorization: Bearer "
                "TOKEN.",
                "no_token",
                {"WWW-Authenticate": "Bearer"},
            )

    async def _refuse(self, exchange: _Exchange, refusal: Refusal) -> None:
        self._metrics.rejected(refusal.reason)
        if exchange.status == 0:  # else half an answer is on its way
            await exchange.refuse(refusal)


class _Exchange:
    """A request and its answer, with how far both have come."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_read = False
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a sentence; what was not read of the request is left aside."""
        body = json.dumps({"error": refusal.sentence}).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **refusal.headers,
        }
        if not self._is_read:
            headers["Connection"] = "close"
        raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        start = {"type": "http.response.start", "status": refusal.status}
        await self.send({**start, "headers": raw})
        part = {"type": "http.response.body", "body": body}
        await self.send({**part, "more_body": not self._is_read})
        if not self._is_read:
            await drain(self.receive)
            await self.send({"type": "http.response.body", "body": b""})


def _digest(token: bytes) -> bytes:
    # Of one length, so that the time to compare tells nothing of the token's.
    return hashlib.sha256(token).digest()


def _failed(error: Exception) -> Refusal:
    return Refusal(
        500,
        f"the service failed with a {type(error).__name__}; its log has the time.",
        "failed",
    )
