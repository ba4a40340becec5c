"""The standard streams of the process, read and written as every stream.

They are shared with the shell that started the program, and with its other children. To
make them non-blocking, as is often done, makes all of those fail (`BlockingIOError` in
a `print`, a shell that ends). Here that is never done. A terminal and a pipe are opened
a second time (by way of `/proc`), which gives a description of our own; where that is
not possible, and for files, a thread waits. A read that is cancelled has taken nothing,
and none keeps the program from ending.
"""

import os
import stat
import sys
from collections.abc import Callable
from functools import partial
from typing import Final, TextIO, final

from sumida.errors import Disconnected
from sumida.io._descriptors import ReadTransport, WriteTransport
from sumida.io._ends import End, make_engine
from sumida.io._offload import acquire, off_loop
from sumida.io._reading import Reads
from sumida.io._threaded import ThreadReadTransport, ThreadWriteTransport
from sumida.io._waits import Read
from sumida.io._writing import Writes

__all__ = ("StandardInput", "StandardOutput", "stderr", "stdin", "stdout")

_SHARED: Final = -1
"""Stands for a descriptor that could not be opened a second time."""


@final
class StandardInput(Reads, End):
    """The process's input; made by `stdin`.

    Closing it closes what was opened for it, and leaves descriptor 0 as it is.

    Args:
        fd: The shared descriptor, which is left as it is.
        own: A description of our own for the same; -1 to let a thread wait.
        what: What it is, for messages.

    Source:
        `tokio::io::Stdin`
    """

    __slots__ = ("__weakref__", "_engine", "_spare")

    def __init__(self, fd: int, own: int, what: str) -> None:
        self._engine = engine = make_engine(what)
        transport = (
            ThreadReadTransport(engine.loop, fd, engine)
            if own == _SHARED
            else ReadTransport(engine.loop, own, engine)
        )
        engine.connection_made(transport)
        # Nothing is taken from who reads after us before somebody asks.
        engine.hold()
        self._spare = Read(engine, 1)

    @property
    def is_threaded(self) -> bool:
        """Whether a thread waits for it."""
        return isinstance(self._engine.transport, ThreadReadTransport)


@final
class StandardOutput(Writes, End):
    """The process's output; made by `stdout` and `stderr`.

    `flush` it, or leave its `async with`, before the program ends. Closing it closes
    what was opened for it, and leaves descriptors 1 and 2 as they are.

    Args:
        fd: The shared descriptor, which is left as it is.
        own: A description of our own for the same; -1 to let a thread write.
        what: What it is, for messages.

    Source:
        `tokio::io::Stdout`, `Stderr`
    """

    __slots__ = ("__weakref__", "_engine")

    def __init__(self, fd: int, own: int, what: str) -> None:
        self._engine = engine = make_engine(what)
        transport = (
            ThreadWriteTransport(engine.loop, fd, engine)
            if own == _SHARED
            else WriteTransport(engine.loop, own, engine)
        )
        engine.connection_made(transport)

    @property
    def is_threaded(self) -> bool:
        """Whether a thread writes it."""
        return isinstance(self._engine.transport, ThreadWriteTransport)

    async def shutdown(self) -> None:
        """Close it, and wait until all that was written has gone out.

        Twice does no harm.

        Raises:
            Disconnected: Nobody reads it any more.

        Cancel safety:
            Safe: it is closed at once; call it again to wait until all has gone out.
        """
        engine = self._engine
        engine.close()
        await engine.wait_closed()
        if engine.error is not None:
            raise Disconnected(engine.what, "write", str(engine.error))


async def stdin() -> StandardInput:
    """Open the standard input, to be read as a stream.

    What `sys.stdin` has read ahead is not seen here, so use one or the other. One task
    may read at a time; what was read ahead here and not taken is lost when it is
    closed.

    Returns:
        The stream, whose reads can be cancelled, and raced in a `select`.

    Raises:
        OSError: There is no standard input.

    Cancel safety:
        Safe: a cancelled call leaves nothing open.

    Source:
        `tokio::io::stdin`
    """
    own = await acquire(partial(_open_again, 0, os.O_RDONLY), _close)
    return StandardInput(0, own, "stdin")


async def stdout() -> StandardOutput:
    """Open the standard output, to be written as a stream.

    What `print` has written before goes out first.

    Returns:
        The stream, whose writes wait while nobody reads.

    Raises:
        OSError: There is no standard output.

    Cancel safety:
        Safe: a cancelled call leaves nothing open.

    Source:
        `tokio::io::stdout`
    """
    return await _output(1, "stdout", lambda: sys.stdout)


async def stderr() -> StandardOutput:
    """Open the standard error, to be written as a stream; see `stdout`.

    Returns:
        The stream.

    Raises:
        OSError: There is no standard error.

    Cancel safety:
        Safe: a cancelled call leaves nothing open.

    Source:
        `tokio::io::stderr`
    """
    return await _output(2, "stderr", lambda: sys.stderr)


async def _output(
    fd: int, what: str, text: Callable[[], TextIO | None]
) -> StandardOutput:
    stream = text()
    if stream is not None and not stream.closed:
        await off_loop(stream.flush)
    own = await acquire(partial(_open_again, fd, os.O_WRONLY), _close)
    return StandardOutput(fd, own, what)


def _open_again(fd: int, access: int) -> int:
    """Get a description of our own for what `fd` is; on a thread.

    Args:
        fd: A standard stream.
        access: `os.O_RDONLY` or `os.O_WRONLY`.

    Returns:
        A descriptor that does not block; -1 if there can be none.
    """
    old = os.fstat(fd)
    # A file must not be opened again: its position is a matter of the description.
    if not (stat.S_ISFIFO(old.st_mode) or os.isatty(fd)):
        return _SHARED
    try:
        own = os.open(
            f"/proc/self/fd/{fd}",
            access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
        )
    except OSError:
        # No such folder; another user's terminal; a pipe that nobody reads.
        return _SHARED
    new = os.fstat(own)
    if (new.st_dev, new.st_ino, new.st_rdev) != (old.st_dev, old.st_ino, old.st_rdev):
        os.close(own)
        return _SHARED
    return own


def _close(own: int) -> None:
    if own != _SHARED:
        os.close(own)
