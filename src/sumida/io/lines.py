r"""Lines of text, out of a file or of anything buffered.

`async for line in file.lines():` gives each as `str` without its end. One `await` for
each line costs more than a short line's reading; where that matters take them in
batches, which cost little more than Python's own files:

    async for batch in file.lines().batches():
        for line in batch:
            ...
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Final, final

from sumida.errors import BusyError, LimitExceededError
from sumida.io._ahead import Ahead
from sumida.io._cutting import Cutter, end_of_lines
from sumida.runtime.yielding import yield_now

__all__ = ("LINE_LIMIT", "LineBatches", "Lines")

LINE_LIMIT: Final = 1024 * 1024
"""Bytes that a line of a file may have, unless told otherwise.

More than a peer's on a socket: a log may hold a long trace, and means no harm.
"""

_PIECE: Final = 128 * 1024
"""Bytes cut at once, whose text and lines stay in the processor's cache."""

_BATCH: Final = 2048
"""Lines in a batch at most; after as many others may run, which is some 0.4 ms."""


@final
class Lines:
    """An async iterator of lines; made by `File.lines` and `BufReader.lines`.

    It ends at the end of the file; begun again it goes on with what was written since.
    A loop that is left gives back what was read ahead, so that the next read begins
    behind the last line.

    Args:
        ahead: What was read.
        what: What is read, for messages.
        cutter: Knows the encoding.
        limit: How many bytes a line may have, with its end; 1 or more.
        fill: Reads more; tells whether there was any.
        prefetch: Begins to read more.

    Raises:
        ValueError: `limit` is less than 1.
        LimitExceededError: When iterated: a line is longer; nothing was taken.
        UnicodeDecodeError: When iterated: the next line is not text; it was taken.
        BusyError: When iterated: another task waits for a line.
        Closed: When iterated: the file was closed.
        OSError: When iterated: the system refused.

    Source:
        `tokio::io::Lines`
    """

    __slots__ = (
        "_ahead",
        "_batch",
        "_count",
        "_cut",
        "_cutter",
        "_fill",
        "_is_filling",
        "_limit",
        "_prefetch",
        "_since",
        "_size",
        "_what",
    )

    def __init__(  # noqa: PLR0913  # the parts of two kinds of readers
        self,
        ahead: Ahead,
        what: str,
        cutter: Cutter,
        limit: int,
        *,
        fill: Callable[[], Coroutine[object, object, bool]],
        prefetch: Callable[[], object],
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        self._ahead = ahead
        self._what = what
        self._cutter = cutter
        self._limit = limit
        self._fill = fill
        self._prefetch = prefetch
        self._is_filling = False
        # The next `_size` bytes are `_count` lines: the last of them are in `_cut`,
        # those before in `_batch` (the next one last), the rest was handed out.
        self._size = 0
        self._count = 0
        # Lines handed out since others could run.
        self._since = 0
        self._cut: list[str] = []
        self._batch: list[str] = []

    def __repr__(self) -> str:
        return f"<Lines of {self._what}>"

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            return self._batch.pop()
        except IndexError:
            pass
        batch = await self.next_batch()
        batch.reverse()
        self._batch = batch
        try:
            return batch.pop()
        except IndexError:
            raise StopAsyncIteration from None

    def batches(self) -> "LineBatches":
        """Take lines by the list.

        Returns:
            An async iterator of lists.
        """
        return LineBatches(self)

    def let_go(self) -> int:
        """Give back the lines that were not handed out; for the reader."""
        handed = self._count - len(self._cut) - len(self._batch)
        size = self._size
        if handed < self._count:
            ahead = self._ahead
            size = end_of_lines(ahead.data, ahead.at, handed) - ahead.at
        self._forget()
        return size

    def _forget(self) -> None:
        self._size = self._count = 0
        self._cut = []
        self._batch = []

    async def next_batch(self) -> list[str]:
        """Take the next lines, as many as are at hand and 2048 at most.

        Returns:
            The lines; none at the end.

        Raises:
            LimitExceededError: A line is too long; nothing was taken.
            UnicodeDecodeError: The next line is not text; it was taken.
            BusyError: Another task waits for a line.
            Closed: The file was closed.
            OSError: The system refused.

        Cancel safety:
            Safe: a cancelled call has taken nothing.
        """
        if self._batch:
            batch, self._batch = self._batch, []
            batch.reverse()
            return batch
        if self._since >= _BATCH:
            # A loop which never has to wait lets others run all the same.
            self._since = 0
            await yield_now()
        if self._is_filling:
            # It would hand out the same lines.
            raise BusyError(
                f"{self!r} is awaited by two tasks at once", "let one task read"
            )
        ahead = self._ahead
        if ahead.hold is not self:
            ahead.settle()
            ahead.hold = self
        if not self._cut:
            ahead.at += self._size
            self._forget()
            await self._next_piece()
            self._count = len(self._cut)
        batch = self._cut
        if len(batch) > _BATCH:
            batch = self._cut[:_BATCH]
            del self._cut[:_BATCH]
        else:
            self._cut = []
        self._since += len(batch)
        if not batch:
            ahead.settle()
        return batch

    async def _next_piece(self) -> None:
        """Cut the next piece; nothing at the end."""
        ahead = self._ahead
        while True:
            end = self._find_end()
            if end > ahead.at:
                self._take(ahead.data, ahead.at, end)
                return
            if not ahead.blocks:
                left = len(ahead)
                if left >= self._limit:
                    raise LimitExceededError(self._what, left, self._limit)
                self._is_filling = True
                try:
                    is_more = await self._fill()
                finally:
                    self._is_filling = False
                if not is_more:
                    break
                # Somebody else may have read meanwhile.
                if ahead.hold is not self:
                    ahead.settle()
                    ahead.hold = self
            if ahead.blocks:
                ahead.advance()
            if not ahead.blocks:
                self._prefetch()
        if ahead:
            self._cut = [self._cutter.last(ahead.data[ahead.at :])]
            self._size = len(ahead)

    def _find_end(self) -> int:
        """Find where the next piece ends; where it begins if there is no line."""
        ahead = self._ahead
        data, at = ahead.data, ahead.at
        end = data.rfind(b"\n", at, at + _PIECE) + 1
        if not end:
            end = data.find(b"\n", at + _PIECE) + 1
        if not end:
            return at
        if end - at <= self._limit:
            return end
        # There may be a line that is too long: take those before it.
        fit = at
        while True:
            next_end = data.index(b"\n", fit) + 1
            if next_end - fit > self._limit:
                break
            fit = next_end
            if fit == end:
                return end
        if fit == at:
            raise LimitExceededError(self._what, next_end - at, self._limit)
        return fit

    def _take(self, data: bytes, at: int, end: int) -> None:
        """Cut a piece into lines."""
        try:
            self._cut, is_whole = self._cutter.cut(memoryview(data)[at:end])
        except UnicodeDecodeError:
            # The line that is no text was looked at, and is not looked at again.
            self._ahead.at = end_of_lines(data, at, 1)
            raise
        if not is_whole:
            end = end_of_lines(data, at, len(self._cut))
        self._size = end - at


@final
class LineBatches:
    """An async iterator of lists of lines; made by `Lines.batches`.

    Each has one line or more, and 2048 at most.

    Args:
        lines: Whose.
    """

    __slots__ = ("_lines",)

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __repr__(self) -> str:
        return f"<LineBatches of {self._lines!r}>"

    def __aiter__(self) -> AsyncIterator[list[str]]:
        return self

    async def __anext__(self) -> list[str]:
        batch = await self._lines.next_batch()
        if not batch:
            raise StopAsyncIteration
        return batch
