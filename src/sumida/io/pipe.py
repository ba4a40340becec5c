"""Pipes: bytes one way, between tasks, threads or processes.

`pipe()` makes both ends at once. A FIFO has a name in the file system: open its ends
with `open_receiver` and `open_sender`. Both ends are read and written as every stream.
"""

import fcntl
import os
import stat
from functools import partial
from os import PathLike
from typing import Self, final

from sumida.errors import Disconnected, MisuseError
from sumida.io._checks import check_timeout
from sumida.io._descriptors import ReadTransport, WriteTransport
from sumida.io._ends import End, make_engine
from sumida.io._offload import acquire
from sumida.io._reading import Reads
from sumida.io._waits import Read
from sumida.io._writing import Writes

__all__ = ("PipeReceiver", "PipeSender", "open_receiver", "open_sender", "pipe")


@final
class PipeReceiver(Reads, End):
    """The end of a pipe that is read; made by `pipe`, `open_receiver`, `from_fd`.

    One task may read at a time. It ends when the last sender has closed.

    Args:
        fd: The descriptor, which does not block and is the object's from now on.
        what: What it is, for messages.
        read_timeout: How long one wait for data may take, in seconds; None for ever.

    Source:
        `tokio::net::unix::pipe::Receiver`
    """

    __slots__ = ("__weakref__", "_engine", "_spare", "_transport")

    def __init__(
        self, fd: int, what: str, *, read_timeout: float | None = None
    ) -> None:
        self._engine = engine = make_engine(what, read_timeout)
        self._transport = ReadTransport(engine.loop, fd, engine)
        engine.connection_made(self._transport)
        # Until somebody reads: it may be given away before.
        engine.hold()
        self._spare = Read(engine, 1)

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over the reading end of a pipe.

        Its description is made non-blocking (`O_NONBLOCK`), for everybody who has it:
        for a standard stream, which others have too, use `stdin`.

        Args:
            fd: The descriptor, which is closed with the receiver.

        Returns:
            The receiver.

        Raises:
            ValueError: It is no pipe, or is not open for reading.

        Source:
            `tokio::net::unix::pipe::Receiver::from_file`
        """
        _check_end(fd, os.O_RDONLY, f"descriptor {fd}")
        return cls(fd, f"PipeReceiver {fd}")

    def into_fd(self) -> int:
        """Give up the receiver for its descriptor, which the caller has to close.

        Returns:
            The descriptor, which does not block (`os.set_blocking` changes that).

        Raises:
            MisuseError: Something was read ahead from it, or it is closed.

        Source:
            `tokio::net::unix::pipe::Receiver::into_nonblocking_fd`
        """
        engine = self._engine
        if engine.size or engine.reader is not None or self.is_closed:
            raise MisuseError(
                f"{self!r} cannot be given away any more", "do so before it is read"
            )
        engine.is_closing = True
        return self._transport.release()


@final
class PipeSender(Writes, End):
    """The end of a pipe that is written; made by `pipe`, `open_sender`, `from_fd`.

    Args:
        fd: The descriptor, which does not block and is the object's from now on.
        what: What it is, for messages.
        write_timeout: How long one wait for room may take, in seconds; None for ever.

    Source:
        `tokio::net::unix::pipe::Sender`
    """

    __slots__ = ("__weakref__", "_engine", "_transport")

    def __init__(
        self, fd: int, what: str, *, write_timeout: float | None = None
    ) -> None:
        self._engine = engine = make_engine(what, None, write_timeout)
        self._transport = WriteTransport(engine.loop, fd, engine)
        engine.connection_made(self._transport)

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over the writing end of a pipe.

        Its description is made non-blocking (`O_NONBLOCK`), for everybody who has it:
        for a standard stream, which others have too, use `stdout` or `stderr`.

        Args:
            fd: The descriptor, which is closed with the sender.

        Returns:
            The sender.

        Raises:
            ValueError: It is no pipe, or is not open for writing.

        Source:
            `tokio::net::unix::pipe::Sender::from_file`
        """
        _check_end(fd, os.O_WRONLY, f"descriptor {fd}")
        return cls(fd, f"PipeSender {fd}")

    async def shutdown(self) -> None:
        """Close it, and wait until all that was written has gone out.

        Twice does no harm.

        Raises:
            Disconnected: The last receiver has gone before.
            Elapsed: There was no room within the write timeout.

        Cancel safety:
            Safe: it is closed at once; call it again to wait until all has gone out.
        """
        engine = self._engine
        engine.close()
        await engine.wait_closed()
        if engine.error is not None:
            raise Disconnected(engine.what, "write", str(engine.error))

    def into_fd(self) -> int:
        """Give up the sender for its descriptor, which the caller has to close.

        Returns:
            The descriptor, which does not block (`os.set_blocking` changes that).

        Raises:
            MisuseError: Not all that was written has gone out, or it is closed.

        Source:
            `tokio::net::unix::pipe::Sender::into_nonblocking_fd`
        """
        if self._engine.unsent or self.is_closed:
            raise MisuseError(
                f"{self!r} cannot be given away any more",
                "flush it first, and do not close it",
            )
        self._engine.is_closing = True
        return self._transport.release()


def pipe(
    *, read_timeout: float | None = None, write_timeout: float | None = None
) -> tuple[PipeSender, PipeReceiver]:
    """Make a pipe.

    Args:
        read_timeout: How long one wait for data may take, in seconds; None for ever.
        write_timeout: How long one wait for room may take, in seconds; None for ever.

    Returns:
        The end to write to, and the end to read from, as Tokio's.

    Raises:
        ValueError: A timeout is not more than 0.
        RuntimeError: No event loop runs.

    Source:
        `tokio::net::unix::pipe::pipe`
    """
    check_timeout("read_timeout", read_timeout)
    check_timeout("write_timeout", write_timeout)
    reading, writing = os.pipe()
    return (
        PipeSender(writing, "PipeSender", write_timeout=write_timeout),
        PipeReceiver(reading, "PipeReceiver", read_timeout=read_timeout),
    )


async def open_receiver(
    path: str | PathLike[str],
    *,
    read_write: bool = False,
    read_timeout: float | None = None,
) -> PipeReceiver:
    """Open the reading end of a FIFO; it need not have a writer yet.

    Args:
        path: The FIFO.
        read_write: Open it for writing as well, so that it has no end when the last
            writer goes: the next one is read as well. Linux only.
        read_timeout: How long one wait for data may take, in seconds; None for ever.

    Returns:
        The receiver.

    Raises:
        ValueError: The path is no FIFO, or the timeout is not more than 0.
        FileNotFoundError: There is nothing.
        OSError: The system refused for another reason.

    Cancel safety:
        Safe: what a cancelled call has opened is closed.

    Source:
        `tokio::net::unix::pipe::OpenOptions::open_receiver`
    """
    check_timeout("read_timeout", read_timeout)
    name = os.fspath(path)
    access = os.O_RDWR if read_write else os.O_RDONLY
    fd = await acquire(partial(_open_end, name, access, os.O_RDONLY), os.close)
    return PipeReceiver(fd, f"PipeReceiver {name!r}", read_timeout=read_timeout)


async def open_sender(
    path: str | PathLike[str],
    *,
    read_write: bool = False,
    write_timeout: float | None = None,
) -> PipeSender:
    """Open the writing end of a FIFO, which must have a reader.

    Args:
        path: The FIFO.
        read_write: Open it for reading as well, so that it needs no reader; what is
            written waits for one. Linux only.
        write_timeout: How long one wait for room may take, in seconds; None for ever.

    Returns:
        The sender.

    Raises:
        ValueError: The path is no FIFO, or the timeout is not more than 0.
        FileNotFoundError: There is nothing.
        OSError: Nobody reads (its `errno` is `ENXIO`: try again later), or the system
            refused for another reason.

    Cancel safety:
        Safe: what a cancelled call has opened is closed.

    Source:
        `tokio::net::unix::pipe::OpenOptions::open_sender`
    """
    check_timeout("write_timeout", write_timeout)
    name = os.fspath(path)
    access = os.O_RDWR if read_write else os.O_WRONLY
    fd = await acquire(partial(_open_end, name, access, os.O_WRONLY), os.close)
    return PipeSender(fd, f"PipeSender {name!r}", write_timeout=write_timeout)


def _open_end(path: str, access: int, wanted: int) -> int:
    """Open one end of a FIFO; on a thread."""
    fd = os.open(path, access | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_end(fd, wanted, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_end(fd: int, wanted: int, what: str) -> None:
    """Refuse what is no pipe, or the wrong end of one."""
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        raise ValueError(f"{what} is no pipe; for a file use open()")
    access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    if access not in (wanted, os.O_RDWR):
        way = "reading" if wanted == os.O_RDONLY else "writing"
        raise ValueError(f"{what} is not open for {way}; it is the other end")
