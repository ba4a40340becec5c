"""Transports over a descriptor that others have too, and whose flags are theirs.

A shared description must not be made non-blocking: the shell that gave it, and every
`print`, would fail. So a thread of its own waits for it. It is a daemon and sleeps in
`poll`, where closing wakes it: a read that nobody wants any more takes nothing, and
stops no program from ending.
"""

import asyncio
import contextlib
import os
import select
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, final

from sumida.io._engine import Engine
from sumida.io._marks import MarkedTransport

__all__ = ("ThreadReadTransport", "ThreadWriteTransport")

READ_SIZE: Final = 64 * 1024
"""Bytes asked of the kernel at once: what malloc keeps at hand."""


def _tell(loop: AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    """Call something on the loop, if that is there still."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)


def _start(thread: threading.Thread) -> None:
    """Start a thread in an empty context, where it may inherit one (CPython 3.14)."""
    Context().run(thread.start)


@final
class ThreadReadTransport(asyncio.Transport):
    """Reads from a copy of a descriptor, on a thread, when it is asked to.

    Args:
        loop: The event loop.
        fd: The descriptor; it is copied, and not closed.
        engine: What takes the bytes.
    """

    __slots__ = (
        "_engine",
        "_fd",
        "_is_closing",
        "_is_reading",
        "_is_working",
        "_loop",
        "_wake",
    )

    def __init__(self, loop: AbstractEventLoop, fd: int, engine: Engine) -> None:
        super().__init__()
        self._loop = loop
        self._engine = engine
        self._fd = os.dup(fd)
        self._is_closing = False
        self._is_reading = False
        self._is_working = False
        # Readable for ever once its other end is closed.
        self._wake = os.pipe()

    def __repr__(self) -> str:
        return f"<ThreadReadTransport {'closed' if self._is_closing else self._fd}>"

    def resume_reading(self) -> None:
        """Read from now on."""
        self._is_reading = True
        self._work()

    def pause_reading(self) -> None:
        """Read no more for now, after what is being waited for."""
        self._is_reading = False

    def is_reading(self) -> bool:
        """Tell whether it reads."""
        return self._is_reading

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Count what waits to be written: nothing."""
        return 0

    def _work(self) -> None:
        if self._is_working or self._is_closing or not self._is_reading:
            return
        self._is_working = True
        # A thread each time: none is there while nobody reads, and input by hand, or
        # a file in big pieces, is not so quick that it would matter.
        _start(threading.Thread(target=self._wait, name="sumida-input", daemon=True))

    def _wait(self) -> None:
        """Wait until there is something, and read it; on the thread."""
        data = b""
        error: OSError | None = None
        try:
            poller = select.poll()
            poller.register(self._fd, select.POLLIN)
            poller.register(self._wake[0], select.POLLIN)
            ready = {fd for fd, _ in poller.poll()}
            if self._wake[0] not in ready:
                data = os.read(self._fd, READ_SIZE)
        except OSError as failure:
            error = failure
        _tell(self._loop, self._arrived, data, error)

    def _arrived(self, data: bytes, error: OSError | None) -> None:
        self._is_working = False
        if self._is_closing:
            self._release(None)
        elif error is not None:
            self._is_closing = True
            self._release(error)
        elif not data:
            self._engine.eof_received()
            self.close()
        else:
            self._engine.data_received(data)
            self._work()

    def close(self) -> None:
        """Close it."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._is_working:
            os.close(self._wake[1])
            self._wake = (self._wake[0], -1)
            # The thread sees that, and the rest is done when it has.
            self._loop.call_soon(self._engine.connection_lost, None)
        else:
            self._release(None)

    def abort(self) -> None:
        """Close it."""
        self.close()

    def _release(self, error: OSError | None) -> None:
        is_told = self._wake[1] < 0
        for fd in (self._fd, *self._wake):
            if fd >= 0:
                os.close(fd)
        self._fd = -1
        self._wake = (-1, -1)
        if not is_told:
            self._loop.call_soon(self._engine.connection_lost, error)

    def __del__(self) -> None:
        # Of one whose loop was closed under it.
        for fd in (self._fd, *self._wake):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)


@final
class ThreadWriteTransport(MarkedTransport):
    """Writes to a copy of a descriptor, on a thread.

    Args:
        loop: The event loop.
        fd: The descriptor; it is copied, and not closed.
        engine: What is told of room, and of the end.
    """

    __slots__ = (
        "_fd",
        "_is_lost",
        "_is_working",
        "_pieces",
    )

    def __init__(self, loop: AbstractEventLoop, fd: int, engine: Engine) -> None:
        MarkedTransport.__init__(self, loop, engine)
        self._fd = os.dup(fd)
        self._pieces: deque[bytes] = deque()
        self._is_working = False
        self._is_lost = False

    def __repr__(self) -> str:
        return f"<ThreadWriteTransport {self._fd}, {self._unsent} bytes unsent>"

    def write(self, data: Any) -> None:  # noqa: ANN401  # asyncio's signature
        """Give `data` to the thread."""
        if data and not self._is_lost:
            self._pieces.append(bytes(data))
            self._unsent += len(data)
            self._work()
            self._look_at_marks()

    def _work(self) -> None:
        if self._is_working or not self._pieces:
            return
        self._is_working = True
        pieces = b"".join(self._pieces)
        self._pieces.clear()
        writing = threading.Thread(
            target=self._write, args=(pieces,), name="sumida-output", daemon=True
        )
        _start(writing)

    def _write(self, data: bytes) -> None:
        """Write all of `data`; on the thread."""
        error: OSError | None = None
        try:
            view = memoryview(data)
            while view and not self._is_lost:
                view = view[os.write(self._fd, view) :]
        except OSError as failure:
            error = failure
        _tell(self._loop, self._written, len(data), error)

    def _written(self, count: int, error: OSError | None) -> None:
        self._is_working = False
        self._unsent -= count
        if self._is_lost:
            self._release()
        elif error is not None:
            self._lose(error)
        else:
            self._work()
            self._look_at_marks()
            if self._is_closing and not self._is_working:
                self._lose(None)

    def write_eof(self) -> None:
        """End it when all has been written."""
        self.close()

    def close(self) -> None:
        """Close it when all has been written."""
        if not self._is_closing:
            self._is_closing = True
            if not self._is_working:
                self._lose(None)

    def abort(self) -> None:
        """Close it at once; what the thread is writing it goes on to write."""
        self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._pieces.clear()
        if not self._is_working:
            self._release()
        self._loop.call_soon(self._engine.connection_lost, error)

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)

    def __del__(self) -> None:
        # Of one whose loop was closed under it.
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
