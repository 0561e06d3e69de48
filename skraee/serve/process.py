"""A service as a process: its port, its start, and its end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from skraee.serve.application import application, service_of
from skraee.serve.connection import watched_protocol
from skraee.serve.limits import Limits
from skraee.serve.service import Service

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from skraee.serve.model import Classifier

# Seconds that a connection may idle between two requests.
_IDLE = 5
_LARGEST_HEAD = 16_384  # bytes
_BACKLOG = 1_024


def run(
    clf: Classifier,
    host: str,
    port: int,
    *,
    limits: Limits,
    token: str | None,
    stop_timeout: int,
    on_start: Callable[[str], None],
) -> None:
    """Serve a classifier until a signal comes.

    After SIGTERM or SIGINT no connection is taken any more, what was taken is
    answered, and the signal then has the effect that it had before.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier or baseline
        Fitted.
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    limits : Limits
    token : str or None
    stop_timeout : int
        Seconds to answer what was taken.
    on_start : callable
        Told the address as soon as connections are taken.

    Raises
    ------
    ImportError
        If the extra `serve` is not installed.
    OSError
        If the port cannot be had, or the backbone is not there.
    Exception
        What loading the backbone raises.
    """
    service = service_of(clf, limits)
    api = application(service, token)
    with listening(host, port) as sock:
        on_start(address_of(sock, host))
        asyncio.run(serve(server_of(api, limits, stop_timeout), service, sock))


def server_of(api: FastAPI, limits: Limits, stop_timeout: int) -> uvicorn.Server:
    """Return uvicorn's server of an application, with the limits on connections.

    Parameters
    ----------
    api : fastapi.FastAPI
    limits : Limits
    stop_timeout : int
        Seconds to answer what was taken.

    Returns
    -------
    uvicorn.Server
    """
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            api,
            http=watched_protocol(limits),
            ws="none",
            lifespan="on",
            log_config=None,  # the process's own
            access_log=False,
            log_level="error",
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=stop_timeout,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
        )
    )


async def serve(server: uvicorn.Server, service: Service, sock: socket.socket) -> None:
    """Serve until a signal, or until it is clear that the model cannot be loaded.

    Parameters
    ----------
    server : uvicorn.Server
    service : Service
    sock : socket
        That listens.

    Raises
    ------
    Exception
        What loading the model raised.
    """
    loading = asyncio.create_task(service.load())

    def stop(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            server.should_exit = True

    loading.add_done_callback(stop)
    await server.serve([sock])
    if loading.done():
        loading.result()
    else:
        loading.cancel()


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Raises
    ------
    OSError
        If the address is none of this machine, or another process has the port.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _not_had(host, port, error) from error
    try:
        if os.name == "posix":  # elsewhere it lets two processes have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(_BACKLOG)  # who comes from here on is answered
    except OSError as error:
        sock.close()
        raise _not_had(host, port, error) from error
    return sock


def address_of(sock: socket.socket, host: str) -> str:
    """Return the address for a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{sock.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _not_had(host: str, port: int, error: OSError) -> OSError:
    return OSError(
        f"cannot listen on {host}, port {port} ({error.strerror or error}); name "
        "another with --port or --host."
    )
