"""What stands between an asyncio transport and the streams that people hold.

One engine has one transport. It keeps what has arrived until somebody takes it, tells
the kernel to hold back when that is too much, and watches the deadlines of those who
wait. It is a `Protocol`, so it works on every loop, over TCP, Unix sockets, pipes and
TLS alike.

Two things make it quick. What arrives is handed on as the very object that the
transport gave: no copy, unless two pieces have to become one. And a task that waits
for data runs at once, inside the transport's callback, where a future's own way would
be a turn of the loop later. Ends and errors, which come once, take that way.
"""

import asyncio
from asyncio import Future, Transport
from collections.abc import Callable
from typing import Final, cast

from sumida._core.sleeper import Racer, Sleeper
from sumida.errors import BusyError, Closed, Disconnected, Elapsed
from sumida.io._sink import Sink
from sumida.io._writing_side import HIGH_WATER, WritingSide

__all__ = ("HIGH_WATER", "READ_LIMIT", "Engine")

READ_LIMIT: Final = 256 * 1024
"""Bytes that may wait to be read before reading stops: one full read of uvloop's."""


class Engine(WritingSide):
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
        reader: What the one who waits to read waits for, or None.
        send: The transport's `write`, or what encrypts before.
        spare: A sleeper that is nobody's, to be used again.
        at_eof: Whether the peer has ended its side.
        error: What the connection was lost by, or None.
        is_closing: Whether this side closed it.
        is_lost: Whether the transport has ended.
        has_ended_writing: Whether this side was shut down.
        is_congested: Whether more than the high-water mark waits to be written.
        is_unusual: Whether there is more to a read than to wait for data: an end,
            a pause, a copy, a late wait. True may be out of date, False is not.
        is_ready: Whether nothing speaks against writing, and there is room.
        late: What was `reader` in a wait that has taken too long, or None.
        on_disconnect: Called once when the peer ends its side, or the connection
            breaks.
        sink: Takes what arrives in the place of a reader.
        target_of: What writes here from another engine, and wants to know of room.
        writers: Those who wait for room.
        closers: Those who wait for the end.
    """

    __slots__ = (
        "_buffer",
        "_is_paused",
        "_pause_at",
        "at_eof",
        "chunk",
        "on_disconnect",
        "read_limit",
        "sink",
        "size",
        "spare",
        "wanted",
    )

    def __init__(
        self,
        what: str,
        *,
        read_timeout: float | None,
        write_timeout: float | None,
        limit: int | None = None,
    ) -> None:
        WritingSide.__init__(
            self, what, read_timeout, write_timeout, limit or HIGH_WATER
        )
        self.read_limit = limit or READ_LIMIT
        self.chunk = b""
        self._buffer: bytearray | None = None
        self.size = 0
        self.wanted = 1
        self.spare: Sleeper | None = None
        self._is_paused = False
        self._pause_at = self.read_limit
        self.at_eof = False
        self.sink: Sink | None = None
        self.on_disconnect: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<Engine of {self.what}, {self.state}, {self.size} bytes to read>"

    @property
    def state(self) -> str:
        """One word for a `repr`."""
        if self.is_lost:
            is_ours = self.is_closing or self.error is None
            return "closed" if is_ours else "disconnected"
        if self.is_closing:
            return "closing"
        if self.at_eof:
            return "ended by both" if self.has_ended_writing else "ended by the peer"
        return "half-closed" if self.has_ended_writing else "open"

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; see `asyncio.Protocol`."""
        self.transport = cast("Transport", transport)
        # The reading end of a pipe has none.
        self.send = getattr(transport, "write", self.write)
        self.is_ready = not self.is_congested

    def data_received(self, data: bytes) -> None:
        """Keep `data`, and run who waits for it; see `asyncio.Protocol`."""
        reader = self.reader
        size = len(data)
        if type(reader) is Sleeper and self.wanted == 1 and size <= self._pause_at:
            # Who waits for any byte waits only where there is none: nearly all that
            # ever arrives.
            self.reader = None
            self.chunk = data
            self.size = size
            reader.run()
        elif self.sink is not None:
            self.sink.feed(data)
        else:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        size = len(data)
        if self.size:
            buffer = self._buffer
            if buffer is None:
                buffer = self._buffer = bytearray(self.chunk)
                self.chunk = b""
            buffer += data
            size += self.size
        else:
            self.chunk = data
        self.size = size
        reader = self.reader
        if reader is not None and size < self.wanted:
            # Something came: the wait for more begins anew.
            if self.read_due is not None and self.read_timeout is not None:
                self.read_due = self.clock() + self.read_timeout
            return
        if size > self._pause_at and not self._is_paused:
            self._pause()
        if reader is None:
            return
        # The deadline stays, and is nobody's: the next to wait sets a new one.
        self.reader = None
        if type(reader) is Sleeper:
            reader.run()
        elif type(reader) is Racer:
            reader.run_with(self)
        elif not reader.done():
            reader.set_result(self)

    def eof_received(self) -> bool:
        """Note that the peer ended its side; see `asyncio.Protocol`."""
        self.at_eof = True
        self.is_unusual = True
        if self.sink is not None:
            self.sink.end()
        self._wake_reader()
        self.tell_disconnect()
        # Ours stays open until we end it.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait; see `asyncio.Protocol`."""
        self.is_lost = True
        self.is_unusual = True
        self.is_ready = False
        self.error = exc
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.sink is not None and not self.at_eof:
            self.sink.lose(exc, self.what)
        if self.target_of is not None:
            self.target_of.lose(exc, self.what)
        self._wake_reader()
        if self.writers is not None:
            self.writers.wake_all()
        if self.closers is not None:
            self.closers.wake_all()
        if not self.is_closing:
            self.tell_disconnect()

    def tell_disconnect(self) -> None:
        """Call `on_disconnect`, if that has not been done."""
        tell, self.on_disconnect = self.on_disconnect, None
        if tell is not None:
            tell()

    # What a reader calls.

    def wait_for_data(self, reader: Future[object] | Sleeper, wanted: int) -> None:
        """Let `reader` be set when there is enough to read, or an end.

        Args:
            reader: Of the task that waits.
            wanted: How many bytes are enough.

        Raises:
            BusyError: Somebody waits to read already, or a copy takes what arrives.
        """
        if self.reader is not None or self.sink is not None:
            self.check_free()
        self.reader = reader
        self.wanted = wanted
        self.late = None
        if self._is_paused:
            # More is wanted than is there, whatever the limit.
            self._resume_reading()
        self.is_unusual = False
        if self.read_timeout is None:
            self.read_due = None
        else:
            self.read_due = due = self.clock() + self.read_timeout
            if due < self.timer_due:
                self.set_timer(due)

    def stop_waiting_for_data(self) -> None:
        """Forget the reader of `wait_for_data`."""
        self.reader = None

    def check_free(self) -> None:
        """Refuse a second reader.

        Raises:
            BusyError: Somebody waits to read already, or a copy takes what arrives.
        """
        if self.sink is None and (self.reader is None or self.reader.done()):
            return
        if self.sink is not None:
            raise BusyError(
                f"{self.what} is read while it is being copied",
                "wait until copy_bidirectional has returned",
            )
        raise BusyError(
            f"two tasks read from one {self.what} at once",
            "let one task read; split() gives a half for reading and one for writing",
        )

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
                data = self.chunk
            else:
                data = bytes(buffer)
                self._buffer = None
            self.chunk = b""
            self.size = 0
        else:
            buffer = self.gathered()
            data = bytes(memoryview(buffer)[:limit])
            del buffer[:limit]
            self.size -= limit
        if self._is_paused and self.size < self._pause_at:
            self._resume_reading()
        return data

    def gathered(self) -> bytearray:
        """Give all that has arrived in one piece, to be looked at and not changed.

        Returns:
            The buffer itself.
        """
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = bytearray(self.chunk)
            self.chunk = b""
        return buffer

    def check_reading(self, waited: object) -> bool:
        """Tell, when not enough is there, whether more may come.

        Args:
            waited: The future of the caller's last wait, if it has waited.

        Returns:
            Whether it may; False at the end of the stream.

        Raises:
            Elapsed: The wait has taken too long.
            Disconnected: The connection broke.
            Closed: This side has closed the stream.
        """
        if self.at_eof:
            return False
        if self.is_closing:
            raise Closed(self.what)
        if self.is_lost:
            if self.error is None:
                return False
            raise Disconnected(self.what, "read", str(self.error))
        if waited is not None and self.late is waited:
            self.late = None
            raise Elapsed(self.read_timeout or 0.0, f"data on {self.what}")
        return True

    def _resume_reading(self) -> None:
        self._is_paused = False
        if not self.is_lost and not self.transport.is_closing():
            self.transport.resume_reading()

    def _pause(self) -> None:
        self._is_paused = self.is_unusual = True
        if not self.is_lost and not self.transport.is_closing():
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
