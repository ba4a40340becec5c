"""Send a file down a stream, in the kernel where that can be done.

`sendfile` moves a file's pages to a TCP or Unix socket without a copy in Python
(Linux, on asyncio and uvloop, which has no such thing). Over TLS, or where the kernel
cannot, the same bytes are read on a thread and written. For streams on both sides
there is `copy_bidirectional`.
"""

import asyncio
import errno
import os
from functools import partial
from typing import Final

from sumida.errors import Disconnected, Elapsed
from sumida.io._engine import Engine
from sumida.io._offload import acquire, complete
from sumida.io.stream import Stream
from sumida.runtime.timeouts import timeout
from sumida.runtime.yielding import yield_now

__all__ = ("sendfile",)

_CHUNK: Final = 1024 * 1024
"""Bytes that the kernel is asked to send at once."""

_READ_SIZE: Final = 256 * 1024
"""Bytes that are read at once where they come to Python."""

_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What the kernel says of files that it cannot send, such as those of /proc."""


async def sendfile(
    source: str | os.PathLike[str] | int,
    stream: Stream,
    *,
    offset: int = 0,
    count: int | None = None,
) -> int:
    """Send a file, or a part of it.

    What was written to the stream before goes first; nobody else may write meanwhile.
    The stream is neither flushed nor ended: that is the caller's to say.

    Args:
        source: A path, or the descriptor of a regular file, which stays open and
            keeps its position.
        stream: Where to.
        offset: Where to begin, in bytes.
        count: How many bytes at most; None for all up to the end of the file.

    Returns:
        How many bytes were sent.

    Raises:
        ValueError: `offset` or `count` is negative.
        OSError: The file cannot be opened or read.
        Closed: This side has closed the stream, or its writing half.
        Disconnected: The connection broke.
        Elapsed: There was no room within the write timeout.

    Cancel safety:
        Not safe: a cancelled call may have sent a part.

    Source:
        sendfile(2)
    """
    if offset < 0:
        raise ValueError(f"offset must be 0 bytes or more, not {offset}")
    if count is not None and count < 0:
        raise ValueError(f"count must be 0 bytes or more, not {count}")
    stream._engine.check_writing()
    if isinstance(source, int):
        return await _send(source, stream, offset, count)
    flags = os.O_RDONLY | os.O_CLOEXEC
    number = await acquire(partial(os.open, source, flags), os.close)
    try:
        return await _send(number, stream, offset, count)
    finally:
        os.close(number)


async def _send(number: int, stream: Stream, offset: int, count: int | None) -> int:
    engine = stream._engine
    sent = 0
    if _can_send(engine):
        await engine.flush()
        # A duplicate: the stream may be closed meanwhile, and its number reused.
        target = os.dup(engine.transport.get_extra_info("socket").fileno())
        try:
            sent, is_done = await _in_kernel(number, engine, target, offset, count)
        finally:
            os.close(target)
        if is_done:
            return sent
    while count is None or sent < count:
        size = _READ_SIZE if count is None else min(_READ_SIZE, count - sent)
        # A duplicate for each, as a read goes on when its caller is cancelled.
        read = partial(_read_and_close, os.dup(number), size, offset + sent)
        data = await complete(read)
        if not data:
            break
        await stream.write_all(data)
        sent += len(data)
    return sent


def _read_and_close(number: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(number, size, offset)
    finally:
        os.close(number)


def _can_send(engine: Engine) -> bool:
    """Tell whether nothing but the kernel stands between the engine and its peer."""
    if not hasattr(os, "sendfile") or type(engine) is not Engine or engine.is_lost:
        return False
    return engine.transport.get_extra_info("socket") is not None


async def _in_kernel(
    number: int, engine: Engine, target: int, offset: int, count: int | None
) -> tuple[int, bool]:
    """Send what the kernel takes.

    Returns:
        Bytes sent, and whether that is all; False where it cannot send this file.
    """
    sent = 0
    while count is None or sent < count:
        engine.check_writing()
        size = _CHUNK if count is None else min(_CHUNK, count - sent)
        try:
            moved = os.sendfile(target, number, offset + sent, size)
        except BlockingIOError:
            await _wait_writable(engine, target)
            continue
        except ConnectionError as error:
            reason = error.strerror or str(error)
            raise Disconnected(engine.what, "write", reason) from error
        except OSError as error:
            if error.errno in _CANNOT:
                return sent, False
            raise
        if not moved:
            # The kernel says this of files without a size, too.
            return sent, False
        sent += moved
        if moved == size:
            await yield_now()
    return sent, True


async def _wait_writable(engine: Engine, target: int) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_writer(target, wake)
    try:
        async with timeout(engine.write_timeout):
            await future
    except Elapsed as late:
        raise Elapsed(late.after, f"room on {engine.what}") from None
    finally:
        loop.remove_writer(target)
