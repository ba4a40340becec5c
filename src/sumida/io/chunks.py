"""A big file in pieces, in constant memory.

`async for chunk in io.read_chunks("disk.img"): hasher.update(chunk)`. While one piece
is worked on the next is read on a thread; never more than these two are in memory, and
the one that the caller keeps.
"""

import os
from collections.abc import AsyncIterator
from functools import partial
from io import FileIO
from os import PathLike
from types import TracebackType
from typing import Final, Self, final

from sumida.errors import BusyError, Closed
from sumida.io._feeding import Feed
from sumida.io._handle import Handle
from sumida.io._offload import acquire
from sumida.io._raw import open_raw

__all__ = ("CHUNK_SIZE", "Chunks", "read_chunks")

CHUNK_SIZE: Final = 1024 * 1024
"""Bytes of a piece, unless told otherwise: a call on a thread costs little of that."""


@final
class Chunks:
    """The pieces of a file; made by `read_chunks`.

    The file is opened for the first piece, and closed after the last, by an error, by
    `aclose`, and by leaving an `async with`. A loop that is left by `break` or by a
    cancel drops its iterator, and CPython closes the file with it, at once; who keeps a
    reference, or does not rely on that, writes `async with`.

    Args:
        path: The file.
        size: Bytes of a piece.
    """

    __slots__ = ("_feed", "_is_closed", "_is_opening", "_path", "_size")

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size
        self._feed: Feed | None = None
        self._is_opening = False
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "new" if self._feed is None else "open"
        return f"<Chunks of {self._path!r} {state}>"

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_closed:
            raise StopAsyncIteration
        try:
            feed = self._feed or await self._open()
            ahead = feed.handle.ahead
            # Another task may have taken what came.
            while not ahead:
                if not await feed.more():
                    await self.aclose()
                    raise StopAsyncIteration
        except Closed:
            if self._is_closed:
                # By another task, which may have found the end.
                raise StopAsyncIteration from None
            raise
        except OSError:
            await self.aclose()
            raise
        chunk = ahead.take(self._size)
        feed.begin()
        return chunk

    async def _open(self) -> Feed:
        if self._is_opening:
            raise BusyError(
                f"{self!r} is awaited by two tasks at once", "let one task read"
            )
        self._is_opening = True
        try:
            raw = await acquire(partial(open_raw, self._path, "r", 0), FileIO.close)
        finally:
            self._is_opening = False
        if self._is_closed:
            # Closed by another task meanwhile.
            raw.close()
            raise StopAsyncIteration
        handle = Handle(raw, f"Chunks of {self._path!r}", self._path)
        self._feed = feed = Feed(handle, self._size)
        return feed

    async def aclose(self) -> None:
        """Close the file, when the read under way has ended; twice does no harm.

        Cancel safety:
            Safe: it is closed all the same.
        """
        self._is_closed = True
        if self._feed is not None:
            await self._feed.handle.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._feed is not None:
            self._feed.handle.drop()


def read_chunks(path: str | PathLike[str], size: int = CHUNK_SIZE) -> Chunks:
    """Read a file in pieces, the next one while the last is worked on.

    Args:
        path: The file.
        size: Bytes of a piece, 1 or more; the last one may be smaller.

    Returns:
        An async iterator, which opens the file when it is first asked. It raises what
        `open` and reading raise.

    Raises:
        ValueError: `size` is less than 1.

    Source:
        `tokio_util::io::ReaderStream`
    """
    if size < 1:
        raise ValueError(f"size must be 1 byte or more, not {size}")
    return Chunks(os.fspath(path), size)
