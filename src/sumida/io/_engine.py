"""What stands between an asyncio transport and the streams that people hold.

One engine has one transport. It keeps what has arrived until somebody takes it, tells
the kernel to hold back when that is too much, and watches the deadlines of those who
wait. It is a `Protocol`, so it works on every loop, over TCP, Unix sockets, pipes and
TLS alike.

Two things make it quick. What arrives is handed on as the very object that the
transport gave: no copy, unless two pieces have to become one. And a task that waits
for it runs at once, inside the transport's callback, where a future's own way would
be a turn of the loop later.
"""

import asyncio
from asyncio import AbstractEventLoop, Future, TimerHandle, Transport
from collections.abc import Callable
from typing import Final, cast

from sumida._core.waiters import WaiterQueue
from sumida.errors import BusyError, Closed, Disconnected, Elapsed
from sumida.io._sink import Sink
from sumida.io._waits import End, Room

__all__ = ("HIGH_WATER", "READ_LIMIT", "Engine")

READ_LIMIT: Final = 256 * 1024
"""Bytes that may wait to be read before reading stops: one full read of asyncio's."""

HIGH_WATER: Final = 64 * 1024
"""Bytes that may wait to be written before writers wait: asyncio's own number."""

RECEIVE_SIZE: Final = 64 * 1024
"""Bytes asked of the kernel at once on asyncio's loop.

Its own 256 KiB are more than malloc keeps at hand, so each read maps fresh memory.
"""


class Engine(asyncio.Protocol):
    """The state of one connection, and its side towards the event loop.

    Args:
        what: What it is, for messages: "TcpStream 127.0.0.1:80".
        read_timeout: How long one wait for data may take, in seconds; None for ever.
        write_timeout: How long one wait for room may take, in seconds; None for ever.
        limit: Bytes that may wait, either way; the usual numbers when None.

    Attributes:
        what: As above.
        read_timeout: As above.
        write_timeout: As above.
        read_limit: Bytes that may wait to be read before reading stops.
        high_water: Bytes that may wait to be written before writers wait.
        loop: The event loop.
        transport: The transport, once connected.
        size: Bytes that have arrived and were not taken.
        wanted: Bytes that the reader waits for.
        reader: The future of the one who waits to read, or None.
        at_eof: Whether the peer has ended its side.
        error: What the connection was lost by, or None.
        is_closing: Whether this side closed it.
        is_lost: Whether the transport has ended.
        has_ended_writing: Whether this side was shut down.
        is_congested: Whether more than the high-water mark waits to be written.
        is_late_reader: Whether the read deadline has passed.
        is_late_writer: Whether the write deadline has passed.
        on_disconnect: Called when the peer ends its side, or the connection breaks.
        sink: Takes what arrives in the place of a reader.
        target_of: What writes here from another engine, and wants to know of room.
        writers: Those who wait for room.
        closers: Those who wait for the end.
    """

    __slots__ = (
        "_buffer",
        "_chunk",
        "_is_direct",
        "_is_paused",
        "_pause_at",
        "_read_due",
        "_timer",
        "_write_due",
        "at_eof",
        "closers",
        "error",
        "has_ended_writing",
        "high_water",
        "is_closing",
        "is_congested",
        "is_late_reader",
        "is_late_writer",
        "is_lost",
        "loop",
        "on_disconnect",
        "read_limit",
        "read_timeout",
        "reader",
        "sink",
        "size",
        "target_of",
        "transport",
        "wanted",
        "what",
        "write_timeout",
        "writers",
    )

    def __init__(
        self,
        what: str,
        *,
        read_timeout: float | None,
        write_timeout: float | None,
        limit: int | None = None,
    ) -> None:
        self.what = what
        self.read_timeout = read_timeout
        self.write_timeout = write_timeout
        self.read_limit = limit or READ_LIMIT
        self.high_water = limit or HIGH_WATER
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self._chunk = b""
        self._buffer: bytearray | None = None
        self.size = 0
        self.wanted = 1
        self.reader: Future[object] | None = None
        self._is_direct = False
        self._is_paused = False
        self._pause_at = self.read_limit
        self._read_due: float | None = None
        self._write_due: float | None = None
        self._timer: TimerHandle | None = None
        self.at_eof = False
        self.error: BaseException | None = None
        self.is_closing = False
        self.is_lost = False
        self.has_ended_writing = False
        self.is_congested = False
        self.is_late_reader = False
        self.is_late_writer = False
        self.sink: Sink | None = None
        self.target_of: Sink | None = None
        self.on_disconnect: Callable[[], object] | None = None
        self.writers: WaiterQueue | None = None
        self.closers: WaiterQueue | None = None
        self.transport: Transport = cast("Transport", None)

    def __repr__(self) -> str:
        return f"<Engine of {self.what}, {self.state}, {self.size} bytes to read>"

    @property
    def state(self) -> str:
        """One word for a `repr`."""
        if self.is_lost:
            return "disconnected" if self.error is not None else "closed"
        if self.is_closing:
            return "closing"
        if self.at_eof:
            return "ended by both" if self.has_ended_writing else "ended by the peer"
        return "half-closed" if self.has_ended_writing else "open"

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; see `asyncio.Protocol`."""
        self.transport = cast("Transport", transport)
        if hasattr(transport, "max_size"):
            setattr(transport, "max_size", RECEIVE_SIZE)  # noqa: B010  # of asyncio's own

    def data_received(self, data: bytes) -> None:
        """Keep `data`, and run who waits for it; see `asyncio.Protocol`."""
        if self.sink is not None:
            self.sink.feed(data)
            return
        if self.size:
            buffer = self._buffer
            if buffer is None:
                buffer = self._buffer = bytearray(self._chunk)
                self._chunk = b""
            buffer += data
            self.size += len(data)
        else:
            self._chunk = data
            self.size = len(data)
        if self.size > self._pause_at and not self._is_paused:
            self._pause()
        if self.reader is not None and self.size >= self.wanted:
            self._wake_reader()

    def eof_received(self) -> bool:
        """Note that the peer ended its side; see `asyncio.Protocol`."""
        self.at_eof = True
        if self.on_disconnect is not None:
            self.on_disconnect()
        if self.sink is not None:
            self.sink.end()
        self._wake_reader()
        # Ours stays open until we end it.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait; see `asyncio.Protocol`."""
        self.is_lost = True
        self.error = exc
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.on_disconnect is not None and not self.is_closing:
            self.on_disconnect()
        if self.sink is not None and not self.at_eof:
            self.sink.lose(exc)
        if self.target_of is not None:
            self.target_of.lose(exc)
        self._wake_reader()
        if self.writers is not None:
            self.writers.wake_all()
        if self.closers is not None:
            self.closers.wake_all()

    def pause_writing(self) -> None:
        """Let writers wait from now on; see `asyncio.Protocol`."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Let writers go on; see `asyncio.Protocol`."""
        self.is_congested = False
        if self.target_of is not None:
            self.target_of.go_on()
        if self.writers is not None:
            self.writers.wake_all()

    # What a reader calls.

    def wait_for_data(self, future: Future[object], *, is_direct: bool) -> None:
        """Let `future` be set when there is something to read, or an end.

        Args:
            future: Of the task that waits.
            is_direct: Whether the future is waited for by one task and nobody else
                knows of it, so that the task may be run without a turn of the loop.

        Raises:
            BusyError: Somebody waits to read already.
        """
        if self.reader is not None and not self.reader.done():
            raise BusyError(
                f"two tasks read from one {self.what} at once",
                "let one task read; split() gives a half for reading and one for "
                "writing",
            )
        self.reader = future
        self._is_direct = is_direct
        self._pause_at = max(self._pause_at, self.wanted)
        if self._is_paused and self.size < self._pause_at:
            self._resume_reading()
        if self.read_timeout is not None:
            self._read_due = due = self.loop.time() + self.read_timeout
            if self._timer is None or self._timer.when() > due:
                self._set_timer(due)

    def stop_waiting_for_data(self) -> None:
        """Forget the future of `wait_for_data`."""
        self.reader = None
        self.wanted = 1
        self._pause_at = self.read_limit
        self._read_due = None

    def _wake_reader(self) -> None:
        future = self.reader
        if future is None:
            return
        self.reader = None
        self._read_due = None
        if future.done():
            return
        if self._is_direct and asyncio.current_task(self.loop) is None:
            callbacks = future._callbacks
            if callbacks is not None and len(callbacks) == 1:
                # The task's own. What the future would do in the next turn:
                callback, context = callbacks[0]
                future.remove_done_callback(callback)
                future.set_result(None)
                context.run(callback, future)
                return
        future.set_result(self)

    def take(self, limit: int) -> bytes:
        """Take what has arrived.

        Args:
            limit: How many bytes at most; there may be fewer.

        Returns:
            The bytes.
        """
        if self.size <= limit:
            buffer = self._buffer
            if buffer is None:
                data = self._chunk
            else:
                data = bytes(buffer)
                self._buffer = None
            self._chunk = b""
            self.size = 0
        else:
            buffer = self.gathered()
            data = bytes(memoryview(buffer)[:limit])
            del buffer[:limit]
            self.size -= limit
        if self._is_paused and self.size < self._pause_at:
            self._resume_reading()
        # Late, and there all the same.
        self.is_late_reader = False
        return data

    def gathered(self) -> bytearray:
        """Give all that has arrived in one piece, to be looked at and not changed.

        Returns:
            The buffer itself.
        """
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = bytearray(self._chunk)
            self._chunk = b""
        return buffer

    def check_reading(self) -> bool:
        """Tell, when not enough is there, whether more may come.

        Returns:
            Whether it may; False at the end of the stream.

        Raises:
            Elapsed: The wait has taken too long.
            Disconnected: The connection broke.
            Closed: This side has closed the stream.
        """
        if self.is_late_reader:
            self.is_late_reader = False
            raise Elapsed(self.read_timeout or 0.0, f"data on {self.what}")
        if self.at_eof:
            return False
        if self.is_closing:
            raise Closed(self.what)
        if self.is_lost:
            if self.error is None:
                return False
            raise Disconnected(self.what, "read", str(self.error))
        return True

    def _resume_reading(self) -> None:
        self._is_paused = False
        if not self.is_lost and not self.is_closing:
            self.transport.resume_reading()

    def _pause(self) -> None:
        self._is_paused = True
        self.transport.pause_reading()

    def hold(self) -> None:
        """Let nothing arrive until `let_read`."""
        self._pause_at = -1
        if not self._is_paused:
            self._pause()

    def let_read(self) -> None:
        """Let bytes arrive again."""
        self._pause_at = self.read_limit
        if self._is_paused:
            self._resume_reading()

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

    def write(self, data: bytes | memoryview) -> None:
        """Hand `data` to the transport.

        Args:
            data: Bytes that nobody is going to change.
        """
        self.transport.write(data)

    def end_writing(self) -> None:
        """End this side when all that was written has gone out."""
        self.has_ended_writing = True
        self.transport.write_eof()

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
            self.writers = WaiterQueue()
        return Room(self, self.writers)

    async def flush(self) -> None:
        """Wait until all that was written is in the kernel.

        Raises:
            Elapsed: It takes too long.
            Disconnected: The connection broke meanwhile.

        Cancel safety:
            Safe.
        """
        if self.unsent:
            # A mark of 0 lets the transport tell when the last byte has gone.
            self.transport.set_write_buffer_limits(high=0)
            try:
                while self.is_congested and not self.is_lost:
                    await self.make_room()
            finally:
                if not self.is_lost:
                    self.transport.set_write_buffer_limits(high=self.high_water)
        if self.is_lost and not self.is_closing:
            raise Disconnected(self.what, "write", str(self.error or "it has ended"))

    def watch_writing(self) -> None:
        """Begin the deadline of a wait for room."""
        if self.write_timeout is not None:
            self._write_due = due = self.loop.time() + self.write_timeout
            if self._timer is None or self._timer.when() > due:
                self._set_timer(due)

    # Deadlines: one timer for both, which looks again when it was too early.

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self.loop.time()
        if self._read_due is not None and self._read_due <= now:
            self._read_due = None
            self.is_late_reader = True
            self._wake_reader()
        if self._write_due is not None and self._write_due <= now:
            self._write_due = None
            if self.writers is not None and self.writers.head is not None:
                self.is_late_writer = True
                self.writers.wake_all()
        dues = [due for due in (self._read_due, self._write_due) if due is not None]
        if dues and self._timer is None and not self.is_lost:
            self._timer = self.loop.call_at(min(dues), self._tick)

    # The end.

    def close(self) -> None:
        """Close when all that was written has gone out; twice does no harm."""
        if self.is_closing:
            return
        self.is_closing = True
        self.transport.close()
        self._wake_reader()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self.is_closing = True
        self.transport.abort()
        self._wake_reader()

    async def wait_closed(self) -> None:
        """Wait until the transport has ended.

        Cancel safety:
            Safe.
        """
        while not self.is_lost:
            if self.closers is None:
                self.closers = WaiterQueue()
            await End(self, self.closers)
