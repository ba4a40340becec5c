"""A connection in memory: two streams, each other's peer, without a socket.

For tests, and for parts of one program that talk in bytes. It is bounded and ends as a
socket does: half-close, reset and slow readers are the same.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections import deque
from typing import Any, Final, final

from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.io._marks import MarkedTransport
from sumida.io.stream import Stream

__all__ = ("DuplexStream", "duplex")


@final
class DuplexStream(Stream):
    """One end of a connection in memory; made by `duplex`.

    Source:
        `tokio::io::DuplexStream`
    """

    __slots__ = ()


@final
class _Transport(MarkedTransport):
    """Carries what is written to the other end's engine, in a turn of its own.

    Args:
        loop: The event loop.
        engine: Of this end.
    """

    __slots__ = (
        "_ends",
        "_is_lost",
        "_is_planned",
        "_is_reading",
        "_pieces",
        "peer",
    )

    def __init__(self, loop: AbstractEventLoop, engine: Engine) -> None:
        MarkedTransport.__init__(self, loop, engine)
        self._pieces: deque[bytes] = deque()
        self._ends = False
        self._is_reading = True
        self._is_planned = False
        self._is_lost = False
        self.peer: _Transport = self

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else "open"
        return f"<duplex transport {state}, {self._unsent} bytes unsent>"

    def write(self, data: Any) -> None:  # noqa: ANN401  # asyncio's signature
        """Keep `data` until the other end takes it."""
        if data and not self._is_lost:
            self._pieces.append(bytes(data))
            self._unsent += len(data)
            self._plan()
            self._look_at_marks()

    def write_eof(self) -> None:
        """End this side when all has been taken."""
        self._ends = True
        self._plan()

    def pause_reading(self) -> None:
        """Take nothing for now."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Take again."""
        self._is_reading = True
        self.peer._plan()

    def close(self) -> None:
        """Close when all has been taken."""
        if not self._is_closing:
            self._is_closing = True
            self._ends = True
            self._plan()

    def abort(self) -> None:
        """Close at once: the other end sees a reset, unless it was closed already."""
        if not self._is_lost:
            self._is_closing = True
            self._lose(None)
            self.peer._break()

    def _break(self) -> None:
        if not self._is_lost:
            self._is_closing = True
            self._lose(ConnectionResetError("the other end was aborted"))

    def _lose(self, error: Exception | None) -> None:
        self._is_lost = True
        self._pieces.clear()
        self._unsent = 0
        self._loop.call_soon(self._engine.connection_lost, error)

    def _plan(self) -> None:
        if not self._is_planned and not self._is_lost:
            self._is_planned = True
            self._loop.call_soon(self._carry)

    def _carry(self) -> None:
        """Give the other end what it takes."""
        self._is_planned = False
        peer = self.peer
        while self._pieces and peer._is_reading and not peer._is_closing:
            data = self._pieces.popleft()
            self._unsent -= len(data)
            peer._engine.data_received(data)
        if peer._is_closing and not self._is_lost and self._pieces:
            # As a socket: who writes to what was closed is told by a reset.
            self._lose(BrokenPipeError("the other end is closed"))
            return
        self._look_at_marks()
        if self._ends and not self._pieces and not self._is_lost:
            if not peer._is_lost and not peer._engine.at_eof:
                peer._engine.eof_received()
            if self._is_closing:
                self._lose(None)


_DEFAULT: Final = 64 * 1024


def duplex(
    limit: int = _DEFAULT,
    *,
    read_timeout: float | None = None,
    write_timeout: float | None = None,
) -> tuple[DuplexStream, DuplexStream]:
    """Make a connection in memory.

    Args:
        limit: Bytes that each end keeps for its reader, beyond which the writer of
            the other waits; 1 or more.
        read_timeout: How long one wait for data may take, in seconds; None for ever.
        write_timeout: As above, for one wait for room.

    Returns:
        The two ends.

    Raises:
        ValueError: An argument is out of range.
        RuntimeError: No event loop runs.

    Source:
        `tokio::io::duplex`
    """
    if limit < 1:
        raise ValueError(f"limit must be 1 byte or more, not {limit}")
    check_timeout("read_timeout", read_timeout)
    check_timeout("write_timeout", write_timeout)
    loop = asyncio.get_running_loop()
    engines = [
        Engine(
            "DuplexStream",
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            limit=limit,
        )
        for _ in range(2)
    ]
    transports = [_Transport(loop, engine) for engine in engines]
    for transport, peer, engine in zip(
        transports, reversed(transports), engines, strict=True
    ):
        transport.peer = peer
        transport.set_write_buffer_limits(limit)
        engine.connection_made(transport)
    return DuplexStream(engines[0]), DuplexStream(engines[1])
