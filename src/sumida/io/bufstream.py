"""A reader and a writer with buffers, over one connection.

It cannot be forgotten to flush: whenever the reader is about to wait, what was written
is sent first, and while it waits nothing is held back.
"""

from types import TracebackType
from typing import Protocol, Self, TypeVar, final

from sumida.io._writing import Data
from sumida.io.bufreader import BufReader
from sumida.io.bufwriter import BUFFER_SIZE, BufWriter
from sumida.io.copying import Readable, Writable

__all__ = ("BufStream", "Duplex")


class Duplex(Readable, Writable, Protocol):
    """What can be read and written: a stream of this library, or your own."""


D = TypeVar("D", bound=Duplex)


@final
class BufStream(BufReader[D]):
    """A connection with a buffer for each direction.

    One task may read and one write at a time. Leaving its `async with` flushes; the
    connection itself stays for its owner to close.

    Args:
        inner: The connection.
        capacity: Of each buffer, in bytes, 1 or more.

    Raises:
        ValueError: `capacity` is less than 1.

    Source:
        `tokio::io::BufStream`
    """

    __slots__ = ("_writer",)

    def __init__(self, inner: D, capacity: int = BUFFER_SIZE) -> None:
        self._writer = BufWriter(inner, capacity)
        super().__init__(inner, capacity, flush_first=self._writer)

    @property
    def unsent(self) -> int:
        """Bytes that were gathered and not handed on."""
        return self._writer.unsent

    async def write_all(self, data: Data) -> None:
        """Write all of `data`, when there is more, or when an answer is waited for.

        Args:
            data: Bytes.

        Raises:
            TypeError: `data` is no bytes.
            BusyError: Another task writes.
            Disconnected: The connection is gone.

        Cancel safety:
            Not safe: `data` may have been taken or not; see `BufWriter.write_all`.
        """
        await self._writer.write_all(data)

    async def flush(self) -> None:
        """Send what was gathered.

        Raises:
            BusyError: Another task writes.
            Disconnected: The connection is gone.

        Cancel safety:
            Safe: it is on its way; call it again to wait on.
        """
        await self._writer.flush()

    async def shutdown(self) -> None:
        """Send what was gathered, and end the writing side.

        Raises:
            BusyError: Another task writes.
            Disconnected: The connection is gone.

        Cancel safety:
            Safe: call it again to go on.
        """
        await self._writer.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._writer.__aexit__(exc_type, exc, traceback)
