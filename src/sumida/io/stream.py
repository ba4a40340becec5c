"""Streams of bytes: what a socket, a pipe and a TLS connection have in common.

`Stream` reads and writes; `split` gives a half for each, for two tasks. Every wait has
a deadline, reading and writing are held back when the other side is slow, and a
broken connection is always the same error. For messages instead of bytes put a
`sumida.net.Framed` over it.
"""

import contextlib
import warnings
from types import TracebackType
from typing import Final, Self, final

from sumida.errors import Disconnected, Elapsed
from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.io._reading import READ_TO_END_LIMIT, ByteOrder, Reads
from sumida.io._waits import Read
from sumida.io._writing import Writes
from sumida.runtime.timeouts import timeout

__all__ = ("READ_TO_END_LIMIT", "ByteOrder", "ReadHalf", "Stream", "WriteHalf")

_DRAIN_SIZE: Final = 64 * 1024
"""Bytes that are read and thrown away at once while a stream is closed gracefully."""


@final
class ReadHalf(Reads):
    """The reading side of a stream; made by `Stream.split`.

    Source:
        `tokio::net::tcp::OwnedReadHalf`
    """

    __slots__ = ("_engine", "_spare", "_stream")

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._engine = stream._engine
        self._spare = Read(self._engine, 1)

    def __repr__(self) -> str:
        return f"<ReadHalf of {self._stream!r}>"


@final
class WriteHalf(Writes):
    """The writing side of a stream; made by `Stream.split`.

    `shutdown` ends it, and the other half can still read.

    Source:
        `tokio::net::tcp::OwnedWriteHalf`
    """

    __slots__ = ("_engine", "_stream")

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._engine = stream._engine

    def __repr__(self) -> str:
        return f"<WriteHalf of {self._stream!r}>"


class Stream(Reads, Writes):
    """A connection that carries bytes both ways; made by `connect`, `accept`, `duplex`.

    Leave it by `async with`, or close it. One task may read and one write at a time.

    Source:
        `tokio::io::AsyncRead`, `AsyncWrite`
    """

    __slots__ = ("__weakref__", "_engine", "_spare")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._spare = Read(engine, 1)

    def __repr__(self) -> str:
        return f"<{self._engine.what} {self._engine.state}>"

    @property
    def is_closed(self) -> bool:
        """Whether this side has closed it, or the connection is gone."""
        return self._engine.is_closing or self._engine.is_lost

    @property
    def read_timeout(self) -> float | None:
        """How long one wait for data may take, in seconds; None for ever."""
        return self._engine.read_timeout

    @read_timeout.setter
    def read_timeout(self, seconds: float | None) -> None:
        engine = self._engine
        engine.read_timeout = check_timeout("read_timeout", seconds)
        if engine.reader is None:
            # What is left of an earlier wait.
            engine.read_due = None

    @property
    def write_timeout(self) -> float | None:
        """How long one wait for room may take, in seconds; None for ever."""
        return self._engine.write_timeout

    @write_timeout.setter
    def write_timeout(self, seconds: float | None) -> None:
        self._engine.write_timeout = check_timeout("write_timeout", seconds)

    def split(self) -> tuple[ReadHalf, WriteHalf]:
        """Give a half to read and a half to write, for two tasks.

        Returns:
            The two; the stream stays usable, and is closed as before.
        """
        return ReadHalf(self), WriteHalf(self)

    def close(self) -> None:
        """Close it when all that was written has gone out; do not wait for that.

        What has not gone within the write timeout is lost. Twice does no harm.
        """
        self._engine.close()

    def abort(self) -> None:
        """Close it at once: what was not sent is lost, and a TCP peer sees a reset."""
        self._engine.abort()

    async def wait_closed(self) -> None:
        """Wait until a stream that was closed has gone.

        Cancel safety:
            Safe.
        """
        await self._engine.wait_closed()

    async def close_gracefully(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  # of the whole, as the name says
        """Flush, end this side, read the peer's side to its end, and close.

        So the peer has read all that was written: a close with unread input would be
        a reset, which can destroy what is still under way. When `timeout` passes
        first, or the connection breaks, it is closed all the same.

        Args:
            timeout: How long all of it may take, in seconds.

        Raises:
            ValueError: `timeout` is negative.

        Cancel safety:
            Safe: a cancelled call has closed it.
        """
        if not timeout >= 0:
            raise ValueError(f"timeout must be 0 seconds or more, not {timeout}")
        engine = self._engine
        try:
            with contextlib.suppress(Elapsed, Disconnected):
                await self._drain(timeout)
        finally:
            if engine.unsent:
                engine.abort()
            engine.close()
        await engine.wait_closed()

    async def _drain(self, seconds: float) -> None:
        async with timeout(seconds):
            await self.shutdown()
            while not self._engine.is_closing and await self.read(_DRAIN_SIZE):
                pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engine = self._engine
        if exc_type is not None and engine.is_congested and not engine.is_lost:
            # Nobody knows what the peer would make of half a message.
            engine.abort()
            return
        engine.close()
        if exc_type is None:
            await engine.wait_closed()

    def __del__(self) -> None:
        engine = self._engine
        if engine.is_closing or engine.is_lost:
            return
        loop = engine.loop
        if not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(engine.abort)
        warnings.warn(
            f"{self!r} was collected while open; use `async with`, or close it",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
