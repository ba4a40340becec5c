"""The whole server: listen, serve, expire, stop."""

import asyncio
from collections.abc import Callable
from typing import Final, final

from sumida import CancellationToken, Interval, JoinSet, yield_now
from sumida.net import TcpStream, serve

from .client import Shared
from .protocol import Limits
from .session import Session

__all__ = ("MiniRedis",)

_DRAIN: Final = 5.0
"""Seconds that clients have, after the stop, to read the replies to what they sent."""

_WRITE_TIMEOUT: Final = 30.0
"""Seconds that a client may read nothing while there is something to read."""

_KEEPALIVE: Final = 300.0
"""Idle seconds after which the kernel asks whether a client is still there."""

_EXPIRE_EVERY: Final = 0.1
"""Seconds between two looks for what has expired; Redis' own number."""

_EXPIRE_AT_ONCE: Final = 200
"""Keys that are deleted before other tasks run."""


@final
class MiniRedis:
    """A server, and what it holds.

    Args:
        limits: What one request may take; see `Limits` when None.
        max_clients: How many may be connected; others wait in the kernel.

    Attributes:
        shared: The data, and all who act on it.
    """

    __slots__ = ("_max_clients", "_sessions", "shared")

    def __init__(
        self, limits: Limits | None = None, *, max_clients: int = 10_000
    ) -> None:
        self.shared = Shared(asyncio.get_running_loop().time, limits or Limits())
        self._max_clients = max_clients
        self._sessions: set[Session] = set()

    async def serve(
        self,
        host: str,
        port: int,
        stop: CancellationToken,
        on_ready: Callable[[int], object],
    ) -> None:
        """Serve until the stop, and answer what has arrived by then.

        Args:
            host: The address to listen on.
            port: The port; 0 for any that is free.
            stop: Ends the server when it is cancelled.
            on_ready: Called once with the port that is listened on.

        Cancel safety:
            Safe: a cancelled call has ended every client's task.
        """
        async with JoinSet[None]() as tasks:
            tasks.spawn(self._expire(), name="expire")
            async with await serve(
                lambda stream: self._welcome(stream, server.stopping),
                host,
                port,
                max_connections=self._max_clients,
                drain=_DRAIN,
                # A client may be silent for as long as it likes.
                read_timeout=None,
                write_timeout=_WRITE_TIMEOUT,
                keepalive=_KEEPALIVE,
            ) as server:
                self.shared.port = server.port
                tasks.spawn(self._say_goodbye(server.stopping), name="goodbye")
                on_ready(server.port)
                await stop.cancelled()
            tasks.abort_all()

    async def _welcome(self, stream: TcpStream, stopping: CancellationToken) -> None:
        """Serve one client; its task is the server's."""
        session = Session(stream, self.shared, stopping)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def _expire(self) -> None:
        """Delete what has expired, a little at a time."""
        async for _ in Interval(_EXPIRE_EVERY, missed="delay"):
            while self.shared.store.delete_expired(_EXPIRE_AT_ONCE):
                await yield_now()

    async def _say_goodbye(self, stopping: CancellationToken) -> None:
        """End the sessions that wait; those that answer end by themselves."""
        await stopping.cancelled()
        # One turn of the loop, for what has arrived and was not read yet.
        await yield_now()
        async with JoinSet[None]() as farewells:
            for session in self._sessions:
                if session.is_idle:
                    farewells.spawn(session.leave())
