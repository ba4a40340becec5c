"""A writer that gathers small pieces, over anything that has `write_all`.

A write of a few bytes costs as much as one of a few thousand. `flush` it, or leave its
`async with`, or what is in it is lost; one that is collected with bytes in it says so.
"""

import asyncio
import contextlib
import warnings
from asyncio import Future, Task
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar, cast, final

from sumida._core.settle import cancel_and_wait
from sumida.errors import BusyError
from sumida.io._checks import freeze
from sumida.io._writing import Data
from sumida.io.copying import Writable

__all__ = ("BUFFER_SIZE", "BufWriter")

W_co = TypeVar("W_co", bound=Writable, covariant=True)

BUFFER_SIZE: Final = 64 * 1024
"""Bytes kept unless told otherwise; Tokio's are 8 KiB, an `await` costs more here."""


class _Flushes(Protocol):
    async def flush(self) -> object: ...


class _ShutsDown(Protocol):
    async def shutdown(self) -> object: ...


@final
class BufWriter(Generic[W_co]):
    """Gathers what is written, and hands it on in big pieces.

    One task may write at a time. What is handed on goes on its way in a task of its
    own: a call that is cancelled leaves it, and the next call waits for it, so that
    nothing is lost and nothing written twice.

    Args:
        inner: Where it goes.
        capacity: How many bytes are gathered, 1 or more; what is as big goes past.

    Raises:
        ValueError: `capacity` is less than 1.

    Source:
        `tokio::io::BufWriter`
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_capacity",
        "_inner",
        "_is_busy",
        "_task",
        "waiting",
    )

    def __init__(self, inner: W_co, capacity: int = BUFFER_SIZE) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 byte or more, not {capacity}")
        self._inner = inner
        self._capacity = capacity
        self._buffer = bytearray()
        self._is_busy = False
        self._task: Task[None] | None = None
        # Readers that wait for an answer to what is written here.
        self.waiting = 0

    def __repr__(self) -> str:
        return f"<BufWriter of {self._inner!r}, {self.unsent} bytes gathered>"

    @property
    def inner(self) -> W_co:
        """What it writes to; what is written there directly overtakes."""
        return self._inner

    @property
    def unsent(self) -> int:
        """Bytes that were gathered and not handed on."""
        return len(self._buffer)

    async def write_all(self, data: Data) -> None:
        """Write all of `data`, perhaps later.

        Args:
            data: Bytes.

        Raises:
            TypeError: `data` is no bytes.
            BusyError: Another task writes.
            Disconnected: As what it writes to raises, and whatever else that raises.

        Cancel safety:
            Not safe: what was gathered before goes out, and comes before what is
            written next; `data` may have been taken or not.
        """
        data = freeze(data)
        self._enter()
        try:
            if self._task is not None or len(self._buffer) + len(data) > self._capacity:
                await self._hand_on()
            if len(data) >= self._capacity:
                await self._carry(data)
            else:
                self._buffer += data
                if self.waiting:
                    # Somebody waits for an answer already: gathering would hang both.
                    await self._hand_on()
        finally:
            self._is_busy = False

    async def flush(self) -> None:
        """Hand on what was gathered, and flush what it writes to.

        Raises:
            BusyError: Another task writes.
            Disconnected: As what it writes to raises, and whatever else that raises.

        Cancel safety:
            Safe: it is on its way; call it again to wait on.
        """
        self._enter()
        try:
            await self._hand_on()
            if hasattr(self._inner, "flush"):
                await cast("_Flushes", self._inner).flush()
        finally:
            self._is_busy = False

    async def flush_for_reader(self) -> None:
        """Do as `flush` for a reader that is about to wait.

        While another task writes nothing is done: it flushes itself, since the reader
        counts as waiting.

        Raises:
            Disconnected: As what it writes to raises, and whatever else that raises.

        Cancel safety:
            Safe: as `flush`.
        """
        if not self._is_busy and (self._buffer or self._task is not None):
            await self.flush()

    async def shutdown(self) -> None:
        """Flush, and end the writing side of what it writes to, if that has an end.

        Raises:
            BusyError: Another task writes.
            Disconnected: As what it writes to raises, and whatever else that raises.

        Cancel safety:
            Safe: call it again to go on.
        """
        await self.flush()
        if hasattr(self._inner, "shutdown"):
            await cast("_ShutsDown", self._inner).shutdown()

    def into_inner(self) -> tuple[W_co, bytes]:
        """Give up the buffer.

        Returns:
            What it wrote to, and what was gathered and not handed on. (In Tokio that
            is lost.)

        Raises:
            BusyError: A write is on its way.
        """
        if self._task is not None or self._is_busy:
            raise BusyError(
                f"{self!r} is given up while it writes", "wait for flush() first"
            )
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._inner, rest

    def _enter(self) -> None:
        if self._is_busy:
            raise BusyError(
                f"two tasks write to {self!r} at once", "let one task write"
            )
        self._is_busy = True

    async def _hand_on(self) -> None:
        await self._carry(None)
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            await self._carry(data)

    async def _write(self, data: bytes) -> None:
        await self._inner.write_all(data)

    async def _carry(self, data: bytes | None) -> None:
        """See the write under way end; or, when there is none, that of `data`."""
        task = self._task
        if task is None:
            if data is None:
                return
            task = asyncio.create_task(self._write(data), name="BufWriter")
            self._task = task
        while not task.done():
            done: Future[None] = task.get_loop().create_future()

            def wake(_: object, done: Future[None] = done) -> None:
                if not done.done():
                    done.set_result(None)

            task.add_done_callback(wake)
            try:
                await done
            finally:
                task.remove_done_callback(wake)
        self._task = None
        task.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                await self.flush()
        finally:
            self._buffer.clear()
            task, self._task = self._task, None
            if task is not None:
                with contextlib.suppress(Exception):
                    await cancel_and_wait([task])

    def __del__(self) -> None:
        # One whose constructor raised has none.
        if getattr(self, "_buffer", None):
            warnings.warn(
                f"{self!r} was collected, and they are lost; flush it, or use "
                "`async with`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
