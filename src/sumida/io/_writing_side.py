"""The writing side of an engine: room, deadlines, the end.

Its base class, and nobody else's: the two share one timer.
"""

import asyncio
import time
from asyncio import AbstractEventLoop, Future, TimerHandle, Transport
from collections.abc import Callable
from math import inf
from typing import Final, cast

from sumida._core.sleeper import Sleeper
from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed, Disconnected
from sumida.io._sink import Sink
from sumida.io._transports import reset_on_close
from sumida.io._waits import End, Room

__all__ = ("HIGH_WATER", "WritingSide")

HIGH_WATER: Final = 64 * 1024
"""Bytes that may wait to be written before writers wait: asyncio's own number."""


class WritingSide(asyncio.Protocol):
    """What an engine does for those who write; its attributes are told there."""

    __slots__ = (
        "_timer",
        "_write_due",
        "clock",
        "closers",
        "error",
        "has_ended_writing",
        "high_water",
        "is_closing",
        "is_congested",
        "is_lost",
        "is_ready",
        "is_unusual",
        "late",
        "loop",
        "read_due",
        "read_timeout",
        "reader",
        "send",
        "target_of",
        "timer_due",
        "transport",
        "what",
        "write_timeout",
        "writers",
    )

    def __init__(
        self,
        what: str,
        read_timeout: float | None,
        write_timeout: float | None,
        high_water: int,
    ) -> None:
        self.what = what
        self.read_timeout = read_timeout
        self.write_timeout = write_timeout
        self.high_water = high_water
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.clock = _clock_of(self.loop)
        self.reader: Future[object] | Sleeper | None = None
        self.late: Future[object] | Sleeper | None = None
        self.read_due: float | None = None
        self._write_due: float | None = None
        self._timer: TimerHandle | None = None
        self.timer_due = inf
        self.error: BaseException | None = None
        self.is_closing = False
        self.is_lost = False
        self.is_unusual = False
        self.is_ready = False
        self.has_ended_writing = False
        self.is_congested = False
        self.target_of: Sink | None = None
        self.writers: WaiterQueue | None = None
        self.closers: WaiterQueue | None = None
        self.transport: Transport = cast("Transport", None)
        self.send: Callable[[bytes], object] = self.write

    def pause_writing(self) -> None:
        """Let writers wait from now on; see `asyncio.Protocol`."""
        self.is_congested = True
        self.is_ready = False

    def resume_writing(self) -> None:
        """Let writers go on; see `asyncio.Protocol`."""
        self.is_congested = False
        self.look_whether_ready()
        if self.target_of is not None:
            self.target_of.go_on()
        if self.writers is not None:
            self.writers.wake_all()

    # What a writer calls.

    def check_writing(self) -> None:
        """Refuse to write where nothing can arrive.

        Raises:
            Closed: This side has closed the stream, or its writing half.
            Disconnected: The connection is gone.
        """
        if self.is_closing or self.has_ended_writing:
            raise Closed(self.what)
        if self.is_lost or self.transport.is_closing():
            raise Disconnected(self.what, "write", str(self.error or "it has ended"))

    def look_whether_ready(self) -> None:
        """Set `is_ready`, by what is known."""
        self.is_ready = not (
            self.is_congested
            or self.is_closing
            or self.has_ended_writing
            or self.is_lost
        )

    def write(self, data: bytes | memoryview) -> None:
        """Hand `data` to the transport.

        Args:
            data: Bytes that nobody is going to change.
        """
        self.transport.write(data)

    def end_writing(self) -> None:
        """End this side when all that was written has gone out.

        Raises:
            Disconnected: The peer has reset it, which the transport does not know yet.
        """
        self.has_ended_writing = True
        self.is_ready = False
        try:
            self.transport.write_eof()
        except OSError as error:
            raise Disconnected(self.what, "write", str(error)) from error

    @property
    def unsent(self) -> int:
        """Bytes that were written and are not in the kernel yet."""
        return 0 if self.is_lost else self.transport.get_write_buffer_size()

    async def wait_for_room(self) -> None:
        """Wait until what waits to be written is below the low-water mark.

        Raises:
            Elapsed: It takes too long.
            Disconnected: The connection broke meanwhile.

        Cancel safety:
            Safe.
        """
        while self.is_congested and not self.is_lost:
            await self.make_room()
        if self.is_lost and not self.is_closing:
            raise Disconnected(self.what, "write", str(self.error or "it has ended"))

    def make_room(self) -> Room:
        """Give what waits for room.

        Returns:
            An operation.
        """
        if self.writers is None:
            self.writers = WaiterQueue(in_order=False)
        return Room(self, self.writers)

    async def flush(self) -> None:
        """Wait until all that was written is in the kernel.

        Raises:
            Elapsed: It takes too long.
            Disconnected: The connection broke meanwhile.

        Cancel safety:
            Safe.
        """
        # Again, for another flush may have set the mark back.
        while self.unsent:
            # A mark of 0 lets the transport tell when the last byte has gone.
            self.transport.set_write_buffer_limits(high=0)
            try:
                await self.make_room()
            finally:
                if not self.is_lost:
                    self.transport.set_write_buffer_limits(high=self.high_water)
        if self.is_lost and not self.is_closing:
            raise Disconnected(self.what, "write", str(self.error or "it has ended"))

    def watch_writing(self, due: float) -> None:
        """Look at those who wait for room when one of them is late.

        Args:
            due: When, by the loop's clock, in seconds.
        """
        if self._write_due is None or due < self._write_due:
            self._write_due = due
            if due < self.timer_due:
                self.set_timer(due)

    # Deadlines: one timer for both, which looks again when it was too early.

    def set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.timer_due = due
        self._timer = self.loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.timer_due = inf
        now = self.clock()
        if self.reader is None:
            self.read_due = None
        elif self.read_due is not None and self.read_due <= now:
            self.late = self.reader
            self.is_unusual = True
            self._wake_reader()
        if self._write_due is not None and self._write_due <= now:
            self._write_due = None
            if self.is_closing:
                # What was written before the close does not go out.
                self.abort()
            if self.writers is not None:
                self.writers.wake_all()
        dues = [due for due in (self.read_due, self._write_due) if due is not None]
        if dues and not self.is_lost and min(dues) < self.timer_due:
            self.set_timer(min(dues))

    def _wake_reader(self) -> None:
        future, self.reader = self.reader, None
        if future is not None and not future.done():
            future.set_result(self)

    # The end.

    def close(self) -> None:
        """Close when all that was written has gone out; twice does no harm.

        It has the write timeout for that, and is aborted then.
        """
        if self.is_closing:
            return
        self.is_closing = True
        self.is_ready = False
        self.is_unusual = True
        self.transport.close()
        self.watch_close()
        self._wake_reader()

    def watch_close(self) -> None:
        """Abort what has not gone out by the write timeout."""
        if self.write_timeout is not None and self.unsent:
            self.watch_writing(self.clock() + self.write_timeout)

    def abort(self) -> None:
        """Close at once; what was not sent is lost, and a TCP peer sees a reset."""
        self.is_closing = True
        self.is_ready = False
        self.is_unusual = True
        if not self.is_lost:
            reset_on_close(self.transport)
            self.transport.abort()
        self._wake_reader()

    async def wait_closed(self) -> None:
        """Wait until the transport has ended.

        Cancel safety:
            Safe.
        """
        while not self.is_lost:
            if self.closers is None:
                self.closers = WaiterQueue(in_order=False)
            await End(self, self.closers)


def _clock_of(loop: AbstractEventLoop) -> Callable[[], float]:
    """Give what tells a loop's time: what asyncio's own calls, where it is that."""
    is_plain = type(loop).time is asyncio.BaseEventLoop.time
    return time.monotonic if is_plain else loop.time
