"""Our ends of a child's streams: what it writes, and what it reads.

They are read and written as every stream of this library; see `sumida.io`. Nothing is
read before somebody asks, so that a stream may also be given to another child, as
`Command.stdin(child.stdout)`.
"""

import contextlib
import fcntl
import os
from types import TracebackType
from typing import Final, Self, final

from sumida.errors import Disconnected, MisuseError
from sumida.io._descriptors import ReadTransport, WriteTransport
from sumida.io._engine import Engine
from sumida.io._reading import Reads
from sumida.io._sink import Sink
from sumida.io._waits import Read
from sumida.io._writing import Writes

__all__ = ("PipeReader", "PipeWriter")

_WIDE: Final = 1024 * 1024
"""Bytes in a wide pipe: what Linux allows to everybody."""


class _Pipe:
    """One end of a pipe, and its closing."""

    __slots__ = ()

    _engine: Engine

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or its other end has gone."""
        return self._engine.is_closing or self._engine.is_lost

    def close(self) -> None:
        """Close it when all that was written has gone out; twice does no harm."""
        self._engine.close()

    def abort(self) -> None:
        """Close it at once; what was not sent is lost."""
        self._engine.abort()

    async def wait_closed(self) -> None:
        """Wait until it has gone, after it was closed.

        Cancel safety:
            Safe.
        """
        await self._engine.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self._engine.abort()
        self._engine.close()
        await self._engine.wait_closed()

    def __del__(self) -> None:
        engine = self._engine
        if engine.is_closing or engine.is_lost:
            return
        loop = engine.loop
        if not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(engine.abort)


def _widen(fd: int) -> None:
    """Let the kernel keep more, so that much output takes fewer turns."""
    with contextlib.suppress(OSError):  # a terminal, or no more is allowed
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _WIDE)


def _release(transport: ReadTransport | WriteTransport) -> int:
    """Give a descriptor away, blocking again, as a child expects it."""
    fd = transport.release()
    os.set_blocking(fd, True)  # the stdlib's signature
    return fd


def _open(what: str) -> Engine:
    # No deadline: a child may be silent for as long as it likes.
    return Engine(what, read_timeout=None, write_timeout=None)


@final
class PipeReader(Reads, _Pipe):
    """What a child writes; made by `Command.spawn`.

    One task may read at a time. It ends when the child and all that inherited the
    stream have closed it.

    Source:
        `tokio::process::ChildStdout`, `ChildStderr`
    """

    __slots__ = ("__weakref__", "_engine", "_spare", "_transport")

    def __init__(self, fd: int, what: str) -> None:
        self._engine = engine = _open(what)
        self._transport = ReadTransport(engine.loop, fd, engine)
        engine.connection_made(self._transport)
        # Until somebody reads.
        engine.hold()
        self._spare = Read(engine, 1)

    def __repr__(self) -> str:
        return f"<{self._engine.what} {self._engine.state}>"

    def fileno(self) -> int:
        """Give the descriptor, to be looked at; -1 when it is closed."""
        return self._transport.fileno()

    def collect_into(self, sink: Sink) -> None:
        """Hand all that arrives to `sink`, in the place of a reader.

        Args:
            sink: What takes it; it cannot hold it back.
        """
        _widen(self._transport.fileno())
        self._engine.sink = sink
        self._engine.let_read()

    def into_fd(self) -> int:
        """Give up the stream for its descriptor, which the caller has to close.

        Returns:
            The descriptor; it blocks.

        Raises:
            MisuseError: Something was read from it already, or it is closed.
        """
        if self._engine.size or self._engine.reader is not None or self.is_closed:
            raise MisuseError(
                f"{self!r} cannot be given away any more",
                "give it to another child before anything is read from it",
            )
        self._engine.is_closing = True
        return _release(self._transport)


@final
class PipeWriter(Writes, _Pipe):
    """What a child reads; made by `Command.spawn`.

    `shutdown` or `close` tells the child that nothing more comes.

    Source:
        `tokio::process::ChildStdin`
    """

    __slots__ = ("__weakref__", "_engine", "_transport")

    def __init__(self, fd: int, what: str) -> None:
        self._engine = engine = _open(what)
        self._transport = WriteTransport(engine.loop, fd, engine)
        engine.connection_made(self._transport)

    def __repr__(self) -> str:
        return f"<{self._engine.what} {self._engine.state}>"

    def fileno(self) -> int:
        """Give the descriptor, to be looked at; -1 when it is closed."""
        return self._transport.fileno()

    def put(self, data: bytes) -> None:
        """Write all of `data`, and keep in memory what does not go at once.

        Args:
            data: Bytes.
        """
        self._transport.write(data)

    async def shutdown(self) -> None:
        """Close it, and wait until all that was written has gone out.

        Raises:
            Disconnected: The child has closed its end before.

        Cancel safety:
            Safe: it is closed at once; call it again to wait until all has gone out.
        """
        engine = self._engine
        engine.close()
        await engine.wait_closed()
        if engine.error is not None:
            raise Disconnected(engine.what, "write", str(engine.error))

    def into_fd(self) -> int:
        """Give up the stream for its descriptor, which the caller has to close.

        Returns:
            The descriptor; it blocks.

        Raises:
            MisuseError: Not all that was written has gone out, or it is closed.
        """
        if self._engine.unsent or self.is_closed:
            raise MisuseError(
                f"{self!r} cannot be given away any more",
                "flush it first, and do not close it",
            )
        self._engine.is_closing = True
        return _release(self._transport)
