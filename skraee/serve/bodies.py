"""The body of a request, taken within its limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from skraee.serve.limits import Limits
from skraee.serve.refusals import ClientGone, Refusal

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = dict[bytes, list[bytes]]

# What a client that was refused may still send, so that it comes to read why.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 * 2**20


def headers_of(scope: Any) -> Headers:
    """Return the headers of a request by name, each as often as it came."""
    found: Headers = {}
    for name, value in scope["headers"]:
        found.setdefault(bytes(name).lower(), []).append(bytes(value))
    return found


def check_headers(headers: Headers, limits: Limits) -> None:
    """Refuse a body by what its headers say of it, before any of it is read.

    Raises
    ------
    Refusal
        415 for what is not plain JSON, 413 for one that says it is too large.
    """
    kind = b"".join(headers.get(b"content-type", [])[:1]).partition(b";")[0]
    if kind.strip().lower() != b"application/json":
        raise Refusal(
            415,
            "the body must be JSON, and its type application/json; set the header "
            "Content-Type.",
            "wrong_type",
        )
    encoding = b",".join(headers.get(b"content-encoding", [])).strip().lower()
    if encoding not in (b"", b"identity"):
        raise Refusal(
            415,
            "the body must not be compressed; leave out the header Content-Encoding.",
            "compressed",
        )
    length = headers.get(b"content-length", [b"0"])[0]
    if length.isdigit() and int(length[:20]) > limits.max_body:
        raise _too_large(limits)


async def read_body(receive: Receive, limits: Limits) -> bytes:
    """Return a request's body.

    Parameters
    ----------
    receive : callable
        Of ASGI.
    limits : Limits

    Returns
    -------
    bytes

    Raises
    ------
    Refusal
        413 as soon as more came than may, 408 if it did not come in time.
    ClientGone
        If the client left in the middle of it.
    """
    try:
        async with asyncio.timeout(limits.receive_timeout):
            return await _whole(receive, limits)
    except TimeoutError:
        raise Refusal(
            408,
            f"the body did not come within {limits.receive_timeout:g} s; send it "
            "faster, or less of it.",
            "too_slow",
        ) from None


async def _whole(receive: Receive, limits: Limits) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.max_body:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return b"".join(parts)


async def until_gone(receive: Receive) -> None:
    """Return when the client has left; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def drain(receive: Receive) -> None:
    """Read on and keep nothing, for a moment.

    A connection that is closed while the other side still sends is reset, and what was
    answered may be lost on the way. Many clients read nothing before all is sent.
    """
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while size < _LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the body may have {limits.max_body} bytes here; send fewer texts at a time.",
        "body_too_large",
    )
