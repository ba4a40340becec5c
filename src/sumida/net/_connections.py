"""What a pool knows of a connection: its times, whether it is good, how it closes."""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from sumida.io.stream import Stream
from sumida.net.framed import Framed
from sumida.runtime.timeouts import timeout

__all__ = ("Entry", "close_by_itself", "finish_closing", "is_good")

C = TypeVar("C")

_logger: Final = logging.getLogger("sumida")

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that closing one connection may take, before it is left to itself."""


@final
@dataclass(slots=True, eq=False)
class Entry(Generic[C]):
    """A connection and its times, in seconds of the loop's clock.

    Attributes:
        connection: The connection.
        loop: The event loop on which it was made.
        made_at: When it was made.
        idle_since: When it was last used.
        holder: The name of the task that uses it.
    """

    connection: C
    loop: AbstractEventLoop
    made_at: float
    idle_since: float
    holder: str = ""


def is_good(connection: object) -> bool:
    """Tell whether a connection can be used, as far as it knows itself.

    Args:
        connection: The connection.

    Returns:
        Whether it is open both ways, and has nothing to read that nobody asked for.
    """
    if isinstance(connection, Framed):
        if connection.read_buffer or connection.write_buffer:
            return False
        connection = connection.stream
    if isinstance(connection, Stream):
        return not (
            connection.is_closed
            or connection.buffered
            or connection.at_eof
            or connection._engine.has_ended_writing
        )
    # That of others may be a method, which may have to be awaited.
    return getattr(connection, "is_closed", False) is not True


def close_by_itself(connection: object) -> object:
    """Close a connection by its own method.

    Args:
        connection: The connection.

    Returns:
        What is to be awaited, or anything else.

    Raises:
        TypeError: It has neither `aclose` nor `close`.
    """
    if isinstance(connection, Framed):
        connection = connection.stream
    if isinstance(connection, Stream):
        if connection.unsent:
            # Nobody knows what the peer would make of half a message.
            connection.abort()
        else:
            connection.close()
        return connection.wait_closed()
    for name in ("aclose", "close"):
        method = getattr(connection, name, None)
        if method is not None:
            return method()
    raise TypeError(
        f"{connection!r} has neither aclose() nor close(); pass close= to the pool"
    )


async def finish_closing(connection: object, closing: Awaitable[object]) -> None:
    """Wait until a connection is closed, and no longer than is reasonable.

    Args:
        connection: The connection.
        closing: What its closing is to be awaited by.

    Cancel safety:
        Safe.
    """
    try:
        async with timeout(_CLOSE_TIMEOUT):
            await closing
    except Exception:
        _logger.exception("closing %r failed", connection)
        if isinstance(connection, Framed):
            connection = connection.stream
        if isinstance(connection, Stream):
            connection.abort()
