"""What a server's worker process does: take the parent's sockets, serve, drain, end."""

import asyncio
import logging
import pkgutil
import signal
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from socket import socket
from typing import Any, Final, final

from sumida.net.server import OnDisconnect, Server
from sumida.net.tcp import TcpListener, TcpStream
from sumida.runtime.selection import select
from sumida.sync.cancellation import CancellationToken

__all__ = ("READY", "Setup", "work")

READY: Final = b"ready"

_logger: Final = logging.getLogger("sumida")

_EXTRA_GRACE: Final = 10.0
"""Seconds beyond the drain in which a worker ends by itself."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is told: it crosses to another process.

    Attributes:
        handler: An async function of one stream, importable by its name.
        sockets: Listening.
        max_connections: As in `Server`.
        drain: As in `Server`, in seconds.
        on_disconnect: As in `Server`.
        tls: Makes the context; importable by its name.
        handshake_timeout: As in `TcpListener`, in seconds.
        options: Of the connections.
    """

    handler: Callable[[TcpStream], Awaitable[object]]
    sockets: tuple[socket, ...]
    max_connections: int
    drain: float
    on_disconnect: OnDisconnect
    tls: Callable[[], ssl.SSLContext] | None
    handshake_timeout: float | None
    options: dict[str, Any]


def work(setup: Setup, ready: Connection) -> None:
    """Serve until the parent says stop, or is gone; the main function of a worker.

    Args:
        setup: What to serve.
        ready: Told when it serves.
    """
    # A worker is a whole program, and that room stands above this one.
    run: Callable[..., None] = pkgutil.resolve_name("sumida.program:run")
    run(_serve, setup, ready, grace=setup.drain + _EXTRA_GRACE)


async def _serve(setup: Setup, ready: Connection) -> None:
    # Ctrl-C reaches the whole group; the parent says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    token: CancellationToken = pkgutil.resolve_name("sumida.program:shutdown_token")()
    context = None if setup.tls is None else setup.tls()
    listeners = [
        TcpListener.from_socket(
            sock,
            tls=context,
            handshake_timeout=setup.handshake_timeout,
            **setup.options,
        )
        for sock in setup.sockets
    ]
    server = Server(
        setup.handler,
        listeners,
        max_connections=setup.max_connections,
        drain=setup.drain,
        on_disconnect=setup.on_disconnect,
    )
    async with server:
        ready.send_bytes(READY)
        ready.close()
        which, _ = await select(
            token.cancelled(), server.stopping.cancelled(), _orphaned()
        )
        if which == 2:  # noqa: PLR2004  # the third
            _logger.error("the parent of a worker of %r is gone; it stops", server)


async def _orphaned() -> None:
    """Wait until the parent process has ended."""
    parent = parent_process()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    if parent is None:
        await future
        return

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_reader(parent.sentinel, wake)
    try:
        await future
    finally:
        loop.remove_reader(parent.sentinel)
