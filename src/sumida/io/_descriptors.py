"""Transports over a descriptor of our own: a pipe, a FIFO, a terminal.

The loops' own are connected in a turn of the loop, in which a caller may be cancelled.
These are there at once, behave the same on every loop, and begin to read only when
somebody wants to.
"""

import asyncio
import errno
import os
from asyncio import AbstractEventLoop
from collections import deque
from typing import Any, Final, final

from sumida.io._engine import Engine
from sumida.io._marks import MarkedTransport

__all__ = ("ReadTransport", "WriteTransport")

READ_SIZE: Final = 64 * 1024
"""Bytes asked of the kernel at once: what malloc keeps at hand."""

_ROUNDS: Final = 16
"""Reads in one turn of the loop: who writes without end is not alone."""


@final
class ReadTransport(asyncio.Transport):
    """Reads from a descriptor, once it is asked to.

    Args:
        loop: The event loop.
        fd: The descriptor; closed with the transport.
        engine: What takes the bytes.
    """

    __slots__ = ("_engine", "_fd", "_is_closing", "_is_reading", "_loop")

    def __init__(self, loop: AbstractEventLoop, fd: int, engine: Engine) -> None:
        super().__init__()
        self._loop = loop
        self._fd = fd
        self._engine = engine
        self._is_reading = False
        self._is_closing = False
        os.set_blocking(fd, False)

    def __repr__(self) -> str:
        return f"<ReadTransport {'closed' if self._is_closing else self._fd}>"

    def fileno(self) -> int:
        """Give the descriptor; -1 when it is closed."""
        return self._fd

    def resume_reading(self) -> None:
        """Read from now on."""
        if not self._is_reading and not self._is_closing:
            self._is_reading = True
            self._loop.add_reader(self._fd, self._read)

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def is_reading(self) -> bool:
        """Tell whether it reads."""
        return self._is_reading

    def _read(self) -> None:
        for _ in range(_ROUNDS):
            if not self._is_reading:
                return
            try:
                data = os.read(self._fd, READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno != errno.EIO:
                    self._end(error)
                    return
                # The last process on the other side of a terminal has gone.
                data = b""
            if not data:
                self.pause_reading()
                self._engine.eof_received()
                self._end(None)
                return
            self._engine.data_received(data)

    def release(self) -> int:
        """Give the descriptor away.

        Returns:
            The descriptor; the transport is closed, and the caller closes it.
        """
        self.pause_reading()
        fd, self._fd = self._fd, -1
        self._end(None)
        return fd

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self._is_closing

    def close(self) -> None:
        """Close it."""
        self._end(None)

    def abort(self) -> None:
        """Close it."""
        self._end(None)

    def get_write_buffer_size(self) -> int:
        """Count what waits to be written: nothing."""
        return 0

    def _end(self, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.pause_reading()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        self._loop.call_soon(self._engine.connection_lost, error)


@final
class WriteTransport(MarkedTransport):
    """Writes to a descriptor.

    Args:
        loop: The event loop.
        fd: The descriptor; closed with the transport.
        engine: What is told of room, and of the end.
    """

    __slots__ = (
        "_fd",
        "_is_lost",
        "_is_writing",
        "_pieces",
    )

    def __init__(self, loop: AbstractEventLoop, fd: int, engine: Engine) -> None:
        MarkedTransport.__init__(self, loop, engine)
        self._fd = fd
        self._pieces: deque[bytes | memoryview] = deque()
        self._is_writing = False
        self._is_lost = False
        os.set_blocking(fd, False)

    def __repr__(self) -> str:
        return f"<WriteTransport {self._fd}, {self._unsent} bytes unsent>"

    def fileno(self) -> int:
        """Give the descriptor; -1 when it is closed."""
        return self._fd

    def write(self, data: Any) -> None:  # noqa: ANN401  # asyncio's signature
        """Write what goes at once, and keep the rest."""
        if not data or self._is_lost:
            return
        self._pieces.append(data)
        self._unsent += len(data)
        if self._is_writing:
            self._look_at_marks()
        else:
            self._write()

    def _write(self) -> None:
        pieces = self._pieces
        while pieces:
            piece = pieces[0]
            try:
                sent = os.write(self._fd, piece)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._lose(error)
                return
            self._unsent -= sent
            if sent == len(piece):
                pieces.popleft()
            else:
                pieces[0] = memoryview(piece)[sent:]
        if bool(pieces) is not self._is_writing:
            self._is_writing = bool(pieces)
            if pieces:
                self._loop.add_writer(self._fd, self._write)
            else:
                self._loop.remove_writer(self._fd)
        self._look_at_marks()
        if self._is_closing and not pieces:
            self._lose(None)

    def release(self) -> int:
        """Give the descriptor away.

        Returns:
            The descriptor; the transport is closed, and the caller closes it.
        """
        fd, self._fd = self._fd, -1
        self._lose(None)
        return fd

    def write_eof(self) -> None:
        """End it when all has been written: a pipe has no other direction."""
        self.close()

    def close(self) -> None:
        """Close it when all has been written."""
        if not self._is_closing:
            self._is_closing = True
            if not self._pieces:
                self._lose(None)

    def abort(self) -> None:
        """Close it at once."""
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._pieces.clear()
        self._unsent = 0
        fd = self._fd
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(fd)
        self._fd = -1
        if fd >= 0:
            os.close(fd)
        self._loop.call_soon(self._engine.connection_lost, error)
