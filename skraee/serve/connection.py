"""Connections that are slow, too many, or speak something else.

uvicorn ends a connection that idles between two requests. What it waits for without end
are the first line and headers of a request, a body that nobody reads any more, and a
client that takes no answer: a few hundred of these would fill it up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skraee.serve.limits import Limits

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds that the application has to refuse a slow body itself, and to read the rest.
_GRACE = 5.0


def watched_protocol(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's protocol, with an end to all of its waiting.

    Parameters
    ----------
    limits : Limits
        Of which the number of connections and `receive_timeout` count.

    Returns
    -------
    type
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    return type("WatchedProtocol", (_Watched, H11Protocol), {"limits": limits})


class _Timer:
    """Calls something after a while, if it is not stopped before."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._handle: Any = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float, call: Callable[[], None]) -> None:
        self.stop()
        self._handle = self._loop.call_later(seconds, call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None


class _Watched:
    """What stands before uvicorn's class: a request must come, an answer must go."""

    limits: Limits

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._coming = _Timer(self.loop)
        self._going = _Timer(self.loop)

    # As uvicorn's class has them.
    loop: Any
    conn: Any
    transport: Any
    connections: Any

    def connection_made(self, transport: Any) -> None:
        # Told of whatever is not sent at once, however little.
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)  # type: ignore[misc]
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "too many connections are open; come again later.")
        else:
            self._watch_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        self._watch_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()  # type: ignore[misc]
        self._watch_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._coming.stop()
        self._going.stop()
        super().connection_lost(exc)  # type: ignore[misc]

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]
        self._going.start(self.limits.receive_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._going.stop()
        super().resume_writing()  # type: ignore[misc]

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no request of HTTP/1.1 that can be understood.")

    def _watch_request(self) -> None:
        """Wait for the rest of a request, or for none if it is whole."""
        import h11

        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._coming.stop()
        elif not self._coming.runs and not self.transport.is_closing():
            self._coming.start(self.limits.receive_timeout, self._too_slow)

    def _too_slow(self) -> None:
        import h11

        if self.conn.their_state is h11.SEND_BODY:
            self._coming.start(_GRACE, self.transport.abort)
        elif self.conn.trailing_data[0]:
            self._refuse(408, "the request did not come in time; send it faster.")
        else:
            self.transport.close()

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what the application never hears of, and close."""
        import h11

        if self.transport.is_closing():
            return
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # half an answer is on its way
            return
        body = json.dumps({"error": sentence}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        start = h11.Response(status_code=status, headers=headers)
        for event in (start, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
