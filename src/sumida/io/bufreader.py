"""A reader that reads ahead, over anything that has `read`.

For what is taken in small pieces: lines, numbers, headers. Sockets, pipes and files of
this library read ahead themselves, and need it only for `read_line` and `read_until` of
a file. Over two halves of a connection pair it with the writer (`flush_first=`), or use
a `BufStream`, so that a question is sent before its answer is waited for.
"""

import os
from typing import Final, Generic, Protocol, TypeVar, cast

from sumida.errors import (
    BusyError,
    IncompleteReadError,
    LimitExceededError,
    MisuseError,
)
from sumida.io._ahead import Ahead
from sumida.io._cutting import Cutter
from sumida.io._reading import READ_TO_END_LIMIT
from sumida.io.bufwriter import BUFFER_SIZE, BufWriter
from sumida.io.copying import Readable, Writable
from sumida.io.lines import LINE_LIMIT, Lines

__all__ = ("BufReader",)

R = TypeVar("R", bound=Readable)

_NEWLINE: Final = b"\n"


class _Seeks(Protocol):
    async def seek(self, offset: int, whence: int = ...) -> int: ...


class BufReader(Generic[R]):
    """Reads ahead, and gives what is asked for.

    One task may read at a time. No call that is cancelled loses anything, provided
    that the `read` below does not.

    Args:
        inner: Where it comes from.
        capacity: How many bytes are read at once, 1 or more; a `read` of as many goes
            past the buffer.
        flush_first: Flushed whenever this reader is about to wait: the writer of the
            same connection.

    Raises:
        ValueError: `capacity` is less than 1.

    Source:
        `tokio::io::BufReader`
    """

    __slots__ = ("_ahead", "_capacity", "_flush_first", "_inner", "_is_busy")

    def __init__(
        self,
        inner: R,
        capacity: int = BUFFER_SIZE,
        *,
        flush_first: BufWriter[Writable] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 byte or more, not {capacity}")
        self._inner = inner
        self._capacity = capacity
        self._flush_first = flush_first
        self._ahead = Ahead()
        self._is_busy = False

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} of {self._inner!r}, {self.buffered} bytes ahead>"

    @property
    def inner(self) -> R:
        """What it reads from; what is read there directly is behind what is here."""
        return self._inner

    @property
    def buffered(self) -> int:
        """Bytes that were read ahead and not taken."""
        self._ahead.settle()
        return len(self._ahead)

    async def read(self, limit: int = BUFFER_SIZE) -> bytes:
        """Take what is there, or what one read below gives.

        Args:
            limit: How many bytes at most, 1 or more.

        Returns:
            The bytes; none at the end.

        Raises:
            ValueError: `limit` is less than 1.
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe: a cancelled call has taken nothing.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        ahead = self._ahead
        ahead.settle()
        if not ahead:
            if limit >= self._capacity:
                return await self._read_on(limit)
            await self._fill()
        return ahead.take(limit)

    async def peek(self) -> bytes:
        """Look at what is there, reading if there is nothing, and leave it.

        Returns:
            A copy; nothing at the end.

        Raises:
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe.

        Source:
            `tokio::io::AsyncBufRead::poll_fill_buf`
        """
        ahead = self._ahead
        ahead.settle()
        if not ahead:
            await self._fill()
        ahead.join()
        return ahead.data

    async def read_exact(self, count: int) -> bytes:
        """Take `count` bytes.

        Args:
            count: How many, 0 or more; all of them are kept in memory.

        Returns:
            The bytes.

        Raises:
            ValueError: `count` is negative.
            IncompleteReadError: It ended before; `partial` is what came.
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe: nothing is taken before all is there.
        """
        if count < 0:
            raise ValueError(f"count must be 0 bytes or more, not {count}")
        ahead = self._ahead
        ahead.settle()
        while len(ahead) < count:
            if not await self._fill():
                raise IncompleteReadError(self._take(count), count)
        return self._take(count)

    async def read_until(self, separator: bytes, limit: int = LINE_LIMIT) -> bytes:
        """Take all up to the next `separator`, and the separator.

        Args:
            separator: One byte or more.
            limit: How many bytes at most, with the separator.

        Returns:
            The bytes.

        Raises:
            ValueError: `separator` is empty, or longer than `limit`.
            IncompleteReadError: It ended before the separator came.
            LimitExceededError: There is none within `limit`; nothing was taken.
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe: nothing is taken before all is there.
        """
        if not 1 <= len(separator) <= limit:
            raise ValueError(
                f"separator must have 1 to {limit} bytes, not {len(separator)}"
            )
        found = await self._find(separator, limit)
        if found:
            return self._take(found)
        raise IncompleteReadError(self._take(limit), None)

    async def read_line(self, limit: int = LINE_LIMIT) -> bytes:
        r"""Take the next line with its `\n`; the last one may have none.

        Args:
            limit: How many bytes at most, 1 or more.

        Returns:
            The line; nothing at the end.

        Raises:
            ValueError: `limit` is less than 1.
            LimitExceededError: The line is longer; nothing was taken.
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe: nothing is taken before the whole line is there.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        found = await self._find(_NEWLINE, limit)
        return self._take(found or limit)

    async def read_to_end(self, limit: int = READ_TO_END_LIMIT) -> bytes:
        """Take all there will be, until it ends.

        Args:
            limit: How many bytes at most, 0 or more; all of them are kept in memory.

        Returns:
            The bytes.

        Raises:
            ValueError: `limit` is negative.
            LimitExceededError: There is more; nothing was taken.
            BusyError: Another task reads.
            Disconnected: As what it reads from raises, and whatever else that raises.

        Cancel safety:
            Safe: nothing is taken before the end.
        """
        if limit < 0:
            raise ValueError(f"limit must be 0 bytes or more, not {limit}")
        ahead = self._ahead
        ahead.settle()
        while len(ahead) <= limit:
            if not await self._fill():
                return self._take(limit)
        raise LimitExceededError(repr(self._inner), len(ahead), limit)

    def lines(
        self,
        encoding: str = "utf-8",
        errors: str = "strict",
        *,
        limit: int = LINE_LIMIT,
    ) -> Lines:
        r"""Read as text, line by line; see `File.lines`.

        Args:
            encoding: Of the text; one in which the end of line is the byte 10.
            errors: What to do about bytes that are not text, as for `bytes.decode`.
            limit: How many bytes a line may have at most, with its end; 1 or more.

        Returns:
            An async iterator of `str`.

        Raises:
            LookupError: There is no such encoding, or no such way with errors.
            ValueError: `limit` is less than 1, or the encoding is not fit.
        """
        cutter = Cutter(encoding, errors)
        return Lines(
            self._ahead, repr(self), cutter, limit, fill=self._fill, prefetch=_nothing
        )

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, from where this reader stands; forget what was read.

        Args:
            offset: How far, in bytes.
            whence: From where; see `File.seek`.

        Returns:
            The new position, in bytes from the beginning.

        Raises:
            MisuseError: What it reads from has no places.
            OSError: The place is before the beginning.

        Cancel safety:
            Not safe: the position may be the old or the new one.
        """
        if not hasattr(self._inner, "seek"):
            raise MisuseError(f"{self!r} cannot seek", "seek in files only")
        if whence == os.SEEK_CUR:
            offset -= self.buffered
        place = await cast("_Seeks", self._inner).seek(offset, whence)
        self._ahead.settle()
        self._ahead.forget()
        return place

    def into_inner(self) -> tuple[R, bytes]:
        """Give up the buffer.

        Returns:
            What it read from, and what was read ahead and not taken. (In Tokio that is
            lost.)
        """
        return self._inner, self._take(self.buffered)

    def _take(self, limit: int) -> bytes:
        """Take as much as there is, up to the limit."""
        ahead = self._ahead
        if ahead.blocks:
            ahead.join()
        return ahead.take(limit) if limit else b""

    async def _find(self, separator: bytes, limit: int) -> int:
        """Find where the next piece ends; 0 when all ended before."""
        ahead = self._ahead
        ahead.settle()
        seen = 0
        while True:
            if ahead.blocks:
                ahead.join()
            found = ahead.data.find(separator, ahead.at + seen)
            end = found + len(separator) - ahead.at
            if found >= 0 and end <= limit:
                return end
            if found >= 0 or len(ahead) >= limit:
                raise LimitExceededError(repr(self._inner), len(ahead), limit)
            seen = max(0, len(ahead) - len(separator) + 1)
            if not await self._fill():
                return 0

    async def _fill(self) -> bool:
        """Read on; tell whether there was any."""
        data = await self._read_on(self._capacity)
        self._ahead.keep(data)
        return bool(data)

    async def _read_on(self, limit: int) -> bytes:
        """Read below, when the writer has sent what may be the question."""
        if self._is_busy:
            raise BusyError(f"two tasks read from {self!r} at once", "let one read")
        writer = self._flush_first
        self._is_busy = True
        try:
            if writer is None:
                return await self._inner.read(limit)
            # Before it flushes, so that what is written meanwhile goes out as well.
            writer.waiting += 1
            try:
                await writer.flush_for_reader()
                return await self._inner.read(limit)
            finally:
                writer.waiting -= 1
        finally:
            self._is_busy = False


def _nothing() -> None:
    """Begin to read nothing: what is below reads ahead itself, or is quick."""
