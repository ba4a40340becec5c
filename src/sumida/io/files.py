"""Files, whose every operation waits on a thread and not in the event loop.

`async with await io.open("access.log") as file:` and read, write or take its lines. For
a whole file at once there are `io.read` and `io.write`, for a big one in pieces
`io.read_chunks`.

A write is complete when it returns: nothing waits in a buffer of ours, and an error is
raised where it belongs. (In Tokio a write returns before, and its error comes with the
next.) Several tasks may use one file; their operations come one after the other.
"""

import os
import warnings
from collections.abc import Callable
from functools import partial
from io import FileIO
from types import TracebackType
from typing import Final, Self, TypeVar, final

from sumida.errors import IncompleteReadError, LimitExceededError
from sumida.io._checks import freeze
from sumida.io._cutting import Cutter
from sumida.io._feeding import Feed
from sumida.io._handle import Handle, read_fully, write_fully
from sumida.io._reading import READ_TO_END_LIMIT
from sumida.io._writing import Data
from sumida.io.lines import LINE_LIMIT, Lines

__all__ = ("File",)

T = TypeVar("T")

_BLOCK: Final = 1024 * 1024
"""Bytes read at once for lines: to cut them takes 1.3 ms, to hand them over 0.1."""


@final
class File:
    """An open file; made by `open`.

    Leave it by `async with`, or close it. One that is collected open is closed, with
    a `ResourceWarning`.

    An operation that is cancelled goes on to its end on its thread, and the next one
    waits for it. What a cancelled read has read is read again by the next.

    Source:
        `tokio::fs::File`
    """

    __slots__ = ("__weakref__", "_handle")

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        handle = self._handle
        state = (
            "closed"
            if handle.is_closed
            else "closing"
            if handle.is_closing
            else "busy"
            if handle.is_busy
            else "open"
        )
        return f"<{handle.what} {state}>"

    @property
    def name(self) -> str:
        """The path by which it was opened."""
        return self._handle.path

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or is about to be."""
        return self._handle.is_closing

    def fileno(self) -> int:
        """Give the descriptor.

        What is read and written by it directly knows nothing of what was read ahead.

        Returns:
            Its number.

        Raises:
            ValueError: It is closed.
        """
        return self._handle.raw.fileno()

    # Reading.

    async def read(self, limit: int = 65536) -> bytes:
        """Read some bytes.

        Args:
            limit: How many at most, 1 or more.

        Returns:
            The bytes, as many as one read gives; none at the end of the file.

        Raises:
            ValueError: `limit` is less than 1.
            Closed: The file was closed.
            OSError: The system refused, or the file is not open for reading.

        Cancel safety:
            Safe: what a cancelled call has read is what the next one begins with.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        handle = self._handle
        if not handle.is_busy:
            handle.ahead.settle()
            if handle.ahead and not handle.is_closing:
                return handle.ahead.take(limit)
        await handle.wait_for_turn()
        handle.ahead.settle()
        if not handle.ahead:
            await handle.run(partial(handle.raw.read, limit), kept=handle.ahead.keep)
        data = handle.ahead.take(limit)
        handle.let_go()
        return data

    async def read_exact(self, count: int) -> bytes:
        """Read `count` bytes.

        Args:
            count: How many, 0 or more; all of them are kept in memory.

        Returns:
            The bytes.

        Raises:
            ValueError: `count` is negative.
            IncompleteReadError: The file ends before; `partial` is what there was.
            Closed: As for `read`, and so `OSError`.

        Cancel safety:
            Safe: what a cancelled call has read is what the next one begins with.
        """
        if count < 0:
            raise ValueError(f"count must be 0 bytes or more, not {count}")
        handle = self._handle
        await self._gather(count)
        data = handle.ahead.take(count)
        handle.let_go()
        if len(data) < count:
            raise IncompleteReadError(data, count)
        return data

    async def read_to_end(self, limit: int = READ_TO_END_LIMIT) -> bytes:
        """Read all from here to the end.

        Args:
            limit: How many bytes at most, 0 or more; all of them are kept in memory.

        Returns:
            The bytes.

        Raises:
            ValueError: `limit` is negative.
            LimitExceededError: There is more; nothing was taken.
            Closed: As for `read`, and so `OSError`.

        Cancel safety:
            Safe: what a cancelled call has read is what the next one begins with.
        """
        if limit < 0:
            raise ValueError(f"limit must be 0 bytes or more, not {limit}")
        handle = self._handle
        await self._gather(limit + 1)
        size = len(handle.ahead)
        data = b"" if size > limit else handle.ahead.take(size)
        handle.let_go()
        if size > limit:
            raise LimitExceededError(handle.what, size, limit)
        return data

    async def _gather(self, count: int) -> None:
        """Take the turn, and read until so many bytes are ahead, or the file ends."""
        handle = self._handle
        await handle.wait_for_turn()
        handle.ahead.settle()
        missing = count - len(handle.ahead)
        if missing > 0:
            await handle.run(
                partial(read_fully, handle.raw, missing), kept=handle.ahead.keep
            )
        handle.ahead.join()

    def lines(
        self,
        encoding: str = "utf-8",
        errors: str = "strict",
        *,
        limit: int = LINE_LIMIT,
    ) -> Lines:
        r"""Read the file as text, line by line.

        Lines end with `\n` or `\r\n`, which is taken off; the last may have no end. The
        file is read ahead in big blocks, some 3 MiB of memory; leaving the loop gives
        back what was not handed out, and whatever is read next begins behind the last
        line.

        Args:
            encoding: Of the text; one in which the end of line is the byte 10.
            errors: What to do about bytes that are not text, as for `bytes.decode`.
            limit: How many bytes a line may have at most, with its end; 1 or more.

        Returns:
            An async iterator of `str`; its `batches()` gives lists, for speed.

        Raises:
            LookupError: There is no such encoding, or no such way with errors.
            ValueError: `limit` is less than 1, or the encoding is not fit.
        """
        feed = Feed(self._handle, _BLOCK)
        return Lines(
            self._handle.ahead,
            self._handle.what,
            Cutter(encoding, errors),
            limit,
            fill=feed.more,
            prefetch=feed.begin,
        )

    # Writing.

    async def write(self, data: Data) -> int:
        """Write `data` by one call of the system.

        Args:
            data: Bytes; they are copied if they could change.

        Returns:
            How many bytes were written, which may be fewer; see `write_all`.

        Raises:
            TypeError: `data` is no bytes.
            StorageFullError: The disk is full.
            Closed: The file was closed.
            OSError: The system refused, or the file is not open for writing.

        Cancel safety:
            Not safe: a cancelled call may write all the same; if it fails then, the
            next write, `flush`, `sync_all` or `close` raises the error.
        """
        kept = freeze(data)
        written = await self._change(lambda raw: raw.write(kept))
        return written or 0

    async def write_all(self, data: Data) -> None:
        """Write all of `data`; it has gone to the system when this returns.

        Args:
            data: Bytes; they are copied if they could change.

        Raises:
            TypeError: `data` is no bytes.
            StorageFullError: The disk is full; a part may have been written.
            Closed: As for `write`, and so `OSError`.

        Cancel safety:
            Not safe: as `write`.
        """
        kept = freeze(data)
        await self._change(lambda raw: write_fully(raw, kept))

    async def truncate(self, size: int | None = None) -> int:
        """Cut the file off, or make it longer by zeros; the position stays.

        Args:
            size: Its new size in bytes, 0 or more; up to the position when None.

        Returns:
            The new size.

        Raises:
            ValueError: `size` is negative.
            Closed: As for `write`, and so `OSError`.

        Cancel safety:
            Not safe: as `write`.
        """
        if size is not None and size < 0:
            raise ValueError(f"size must be 0 bytes or more, not {size}")
        return await self._change(lambda raw: raw.truncate(size))

    async def flush(self) -> None:
        """Wait for what is being done, and learn what became of it.

        Nothing that was written waits in a buffer of ours; see `sync_all` for the
        system's.

        Raises:
            Closed: The file was closed.
            OSError: A write whose task was cancelled has failed.

        Cancel safety:
            Safe.
        """
        handle = self._handle
        await handle.wait_for_turn()
        handle.let_go()
        handle.raise_late()

    async def sync_all(self) -> None:
        """Wait until all that was written is on the disk, with what is known of it.

        Raises:
            StorageFullError: The disk is full.
            Closed: As for `write`, and so `OSError`.

        Cancel safety:
            Not safe: as `write`.

        Source:
            `tokio::fs::File::sync_all`
        """
        await self._change(lambda raw: os.fsync(raw.fileno()))

    async def sync_data(self) -> None:
        """Wait until all that was written is on the disk; times may come later.

        Raises:
            StorageFullError: The disk is full.
            Closed: As for `write`, and so `OSError`.

        Cancel safety:
            Not safe: as `write`.
        """
        sync = getattr(os, "fdatasync", os.fsync)
        await self._change(lambda raw: sync(raw.fileno()))

    async def _change(
        self, work: Callable[[FileIO], T], *, is_writing: bool = True
    ) -> T:
        """Do something that counts from where the reader stands."""
        handle = self._handle
        await handle.wait_for_turn()
        if is_writing and handle.late is not None:
            handle.let_go()
            handle.raise_late()
        handle.ahead.settle()
        ahead = handle.ahead.forget()
        result = await handle.run(
            partial(_step_back_and, work, handle.raw, ahead), is_writing=is_writing
        )
        handle.let_go()
        return result

    # The position.

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place.

        Args:
            offset: How far, in bytes.
            whence: From where: `os.SEEK_SET` the beginning, `os.SEEK_CUR` the position,
                `os.SEEK_END` the end.

        Returns:
            The new position, in bytes from the beginning.

        Raises:
            Closed: The file was closed.
            OSError: The place is before the beginning, or the file has no places.

        Cancel safety:
            Not safe: the position may be the old or the new one.
        """
        return await self._change(
            lambda raw: raw.seek(offset, whence), is_writing=False
        )

    async def tell(self) -> int:
        """Tell where the next read or write begins.

        Returns:
            The position, in bytes from the beginning.

        Raises:
            Closed: The file was closed.
            OSError: The file has no places.

        Cancel safety:
            Safe.
        """
        handle = self._handle
        await handle.wait_for_turn()
        handle.ahead.settle()
        place = await handle.run(handle.raw.tell) - len(handle.ahead)
        handle.let_go()
        return place

    async def metadata(self) -> os.stat_result:
        """Look at the open file.

        Returns:
            What the system knows of it; `st_size` is its size in bytes.

        Raises:
            Closed: The file was closed.
            OSError: The system refused.

        Cancel safety:
            Safe.
        """
        handle = self._handle
        await handle.wait_for_turn()
        found = await handle.run(lambda: os.fstat(handle.raw.fileno()))
        handle.let_go()
        return found

    # The end.

    async def close(self) -> None:
        """Close the file, when the operation under way has ended.

        Others that wait are refused with `Closed`. Twice does no harm.

        Raises:
            StorageFullError: A write whose task was cancelled found the disk full.
            OSError: It failed in another way, or closing did.

        Cancel safety:
            Safe: it is closed all the same.
        """
        await self._handle.close()
        self._handle.raise_late()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            await self.close()
            return
        await self._handle.close()
        late, self._handle.late = self._handle.late, None
        if late is not None:
            # The error that ended the block says more.
            exc.add_note(f"and a write to {self._handle.what} failed: {late!r}")

    def __del__(self) -> None:
        handle = self._handle
        if handle.is_closing:
            return
        handle.drop()
        warnings.warn(
            f"{self!r} was collected while open; use `async with`, or close it",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


def _step_back_and(work: Callable[[FileIO], T], raw: FileIO, ahead: int) -> T:
    """Go back to where the reader stands and do `work`; on a thread."""
    if ahead:
        raw.seek(-ahead, os.SEEK_CUR)
    return work(raw)
