"""The reading side of every stream."""

from sys import getrefcount
from typing import Final, Literal, TypeAlias

from sumida.io._engine import Engine
from sumida.io._waits import (
    Peek,
    Read,
    Readable,
    ReadExact,
    ReadInteger,
    ReadToEnd,
    ReadUntil,
)
from sumida.operation import UNSHARED, Operation

__all__ = ("LINE_LIMIT", "READ_TO_END_LIMIT", "ByteOrder", "Reads")

ByteOrder: TypeAlias = Literal["big", "little"]

LINE_LIMIT: Final = 64 * 1024
"""Bytes that a line or another delimited piece may have, unless told otherwise."""

READ_TO_END_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that `read_to_end` takes at most, unless told otherwise."""


class Reads:
    """What the reading side can do."""

    __slots__ = ()

    _engine: Engine
    _spare: Read

    @property
    def at_eof(self) -> bool:
        """Whether the peer has ended its side and all it sent was read."""
        engine = self._engine
        return not engine.size and (engine.at_eof or engine.is_lost)

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and were not read."""
        return self._engine.size

    def read(self, limit: int = 65536) -> Operation[bytes]:
        """Take what has arrived, waiting while there is nothing.

        Args:
            limit: How many bytes at most, 1 or more.

        Returns:
            An operation that gives the bytes; none at the end of the stream.

        Raises:
            ValueError: `limit` is less than 1.
            Disconnected: When awaited: the connection broke.
            Elapsed: When awaited: nothing came within the read timeout.
            Closed: When awaited: this side has closed the stream.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        read = self._spare
        if getrefcount(read) == UNSHARED:
            read.limit = limit
            return read
        read = self._spare = Read(self._engine, limit)  # type: ignore[misc]  # a slot
        return read

    def readable(self) -> Operation[None]:
        """Wait until a read would not wait: there is data, or the stream has ended.

        Returns:
            An operation that takes nothing.

        Raises:
            Elapsed: When awaited: nothing came within the read timeout.
            BusyError: When awaited: another task reads.

        Cancel safety:
            Safe.

        Source:
            `tokio::net::TcpStream::readable`
        """
        return Readable(self._engine)

    def peek(self) -> Operation[bytes]:
        """Look at what has arrived and leave it, waiting while there is nothing.

        Returns:
            An operation that gives a copy; nothing at the end of the stream.

        Raises:
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe.
        """
        return Peek(self._engine)

    def read_exact(self, count: int) -> Operation[bytes]:
        """Take `count` bytes, waiting until all have arrived.

        Args:
            count: How many bytes, 0 or more; all of them are kept in memory.

        Returns:
            An operation that gives the bytes.

        Raises:
            ValueError: `count` is negative.
            IncompleteReadError: When awaited: the stream ended before; `partial` is
                what came.
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe: nothing is taken before all is there.
        """
        if count < 0:
            raise ValueError(f"count must be 0 bytes or more, not {count}")
        return ReadExact(self._engine, count)

    def read_until(self, separator: bytes, limit: int = LINE_LIMIT) -> Operation[bytes]:
        """Take all up to the next `separator`, and the separator.

        Args:
            separator: One byte or more.
            limit: How many bytes at most, with the separator.

        Returns:
            An operation that gives the bytes.

        Raises:
            ValueError: `separator` is empty, or longer than `limit`.
            IncompleteReadError: When awaited: the stream ended before it came.
            LimitExceededError: When awaited: it does not come within `limit`; nothing
                was taken.
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe: nothing is taken before all is there.
        """
        if not 1 <= len(separator) <= limit:
            raise ValueError(
                f"separator must have 1 to {limit} bytes, not {len(separator)}"
            )
        return ReadUntil(self._engine, separator, limit, is_line=False)

    def read_line(self, limit: int = LINE_LIMIT) -> Operation[bytes]:
        r"""Take the next line with its `\n`; the last one may have none.

        Args:
            limit: How many bytes at most, 1 or more.

        Returns:
            An operation that gives the line; nothing at the end of the stream.

        Raises:
            ValueError: `limit` is less than 1.
            LimitExceededError: When awaited: the line is longer; nothing was taken.
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe: nothing is taken before the whole line is there.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        return ReadUntil(self._engine, b"\n", limit, is_line=True)

    def read_to_end(self, limit: int = READ_TO_END_LIMIT) -> Operation[bytes]:
        """Take all that the peer sends until it ends its side.

        Args:
            limit: How many bytes at most, 0 or more; all of them are kept in memory.

        Returns:
            An operation that gives the bytes.

        Raises:
            ValueError: `limit` is negative.
            LimitExceededError: When awaited: there is more; nothing was taken.
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe: nothing is taken before the end.
        """
        if limit < 0:
            raise ValueError(f"limit must be 0 bytes or more, not {limit}")
        return ReadToEnd(self._engine, limit)

    def read_integer(
        self, size: int, order: ByteOrder = "big", *, signed: bool = False
    ) -> Operation[int]:
        """Take an integer of `size` bytes.

        Args:
            size: How many bytes, 1 or more.
            order: Which byte comes first: "big" the highest, as networks do.
            signed: Whether it may be negative, as a two's complement.

        Returns:
            An operation that gives the integer.

        Raises:
            ValueError: `size` is less than 1.
            IncompleteReadError: When awaited: the stream ended before.
            Disconnected: When awaited: as for `read`, and so `Elapsed`, `Closed`.

        Cancel safety:
            Safe: nothing is taken before all is there.
        """
        if size < 1:
            raise ValueError(f"size must be 1 byte or more, not {size}")
        return ReadInteger(self._engine, size, order, is_signed=signed)

    def read_u8(self) -> Operation[int]:
        """Take one byte as a number of 0 to 255; see `read_integer`.

        Cancel safety:
            Safe.
        """
        return ReadInteger(self._engine, 1, "big", is_signed=False)

    def read_u16(self, order: ByteOrder = "big") -> Operation[int]:
        """Take two bytes as a number; see `read_integer`.

        Cancel safety:
            Safe.
        """
        return ReadInteger(self._engine, 2, order, is_signed=False)

    def read_u32(self, order: ByteOrder = "big") -> Operation[int]:
        """Take four bytes as a number; see `read_integer`.

        Cancel safety:
            Safe.
        """
        return ReadInteger(self._engine, 4, order, is_signed=False)

    def read_u64(self, order: ByteOrder = "big") -> Operation[int]:
        """Take eight bytes as a number; see `read_integer`.

        Cancel safety:
            Safe.
        """
        return ReadInteger(self._engine, 8, order, is_signed=False)
