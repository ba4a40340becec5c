"""The writing side of every stream."""

from collections.abc import Iterable
from typing import TypeAlias

from sumida.io._engine import HIGH_WATER, Engine
from sumida.operation import Operation

__all__ = ("Data", "Writes")

Data: TypeAlias = bytes | bytearray | memoryview


class Writes:
    """What the writing side can do."""

    __slots__ = ()

    _engine: Engine

    @property
    def unsent(self) -> int:
        """Bytes that were written and have not gone to the kernel yet."""
        return self._engine.unsent

    async def write_all(self, data: Data) -> None:
        """Write all of `data`, waiting while the peer does not read.

        It returns when no more than the high-water mark (64 KiB) waits to go out; see
        `flush`.

        Args:
            data: Bytes; they are copied if they could change.

        Raises:
            TypeError: `data` is no bytes.
            Closed: This side has closed the stream, or its writing half.
            Disconnected: The connection is gone.
            Elapsed: There was no room within the write timeout.

        Cancel safety:
            Not safe: a cancelled call may have written a part.
        """
        engine = self._engine
        if engine.is_ready and type(data) is bytes and len(data) <= HIGH_WATER:
            # Nearly every call.
            send = engine.send
            send(data)
            if engine.is_congested:
                await engine.wait_for_room()
            return
        if not isinstance(data, bytes):
            data = _frozen(data)
        engine.check_writing()
        if engine.is_congested:
            await engine.wait_for_room()
        if len(data) <= HIGH_WATER:
            engine.write(data)
            if engine.is_congested:
                await engine.wait_for_room()
            return
        # A slice of what cannot change is no copy.
        view = memoryview(data)
        for start in range(0, len(data), HIGH_WATER):
            engine.check_writing()
            engine.write(view[start : start + HIGH_WATER])
            if engine.is_congested:
                await engine.wait_for_room()

    async def write_vectored(self, parts: Iterable[Data]) -> None:
        """Write several pieces as one.

        Args:
            parts: The pieces, in order.

        Raises:
            TypeError: One of them is no bytes.
            Closed: As for `write_all`, and so `Disconnected`, `Elapsed`.

        Cancel safety:
            Not safe: a cancelled call may have written a part.
        """
        await self.write_all(b"".join(parts))

    def writable(self) -> Operation[None]:
        """Wait until no more than the high-water mark waits to go out.

        Returns:
            An operation that writes nothing.

        Raises:
            Disconnected: When awaited: the connection is gone.
            Elapsed: When awaited: there was no room within the write timeout.

        Cancel safety:
            Safe.

        Source:
            `tokio::net::TcpStream::writable`
        """
        return self._engine.make_room()

    async def flush(self) -> None:
        """Wait until all that was written is in the kernel.

        Raises:
            Disconnected: The connection is gone.
            Elapsed: It takes longer than the write timeout.

        Cancel safety:
            Safe: call it again to wait on.
        """
        await self._engine.flush()

    async def shutdown(self) -> None:
        """End this side: the peer reads to the end, and may go on writing.

        Twice does no harm.

        Raises:
            Disconnected: The connection is gone.
            Elapsed: What was written does not go out within the write timeout.

        Cancel safety:
            Safe: it is ended at once; call it again to wait until that has gone out.
        """
        engine = self._engine
        if engine.is_closing:
            return
        if not engine.has_ended_writing:
            engine.check_writing()
            engine.end_writing()
        await engine.flush()


def _frozen(data: Data) -> bytes:
    """Copy what could change while it waits to be sent."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be bytes, not {type(data).__name__}; encode it")
    return bytes(data)
