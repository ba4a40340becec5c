"""The writing side of `Framed`: messages are gathered, and handed to the transport."""

from asyncio import Future
from collections.abc import Generator, Iterable
from typing import Final, Generic, Literal, NoReturn, TypeVar, final

from sumida.errors import Closed, ReleasedError
from sumida.io._engine import Engine
from sumida.io._waits import Room
from sumida.io.stream import Stream, WriteHalf
from sumida.net.codec.protocol import Encoder
from sumida.operation import (
    DONE,
    PENDING,
    Operation,
    Pending,
    park,
    spend,
    wait_next_turn,
)

__all__ = ("FrameWriting", "GivenUp", "Send")

T_contra = TypeVar("T_contra", contravariant=True)

_BOUNDARY: Final = 8 * 1024
"""Bytes that `feed` gathers before it writes: Tokio's number."""


class FrameWriting(Generic[T_contra]):
    """Messages that are written to a stream."""

    __slots__ = ()

    _encoder: Encoder[T_contra]
    _output: Engine
    _pending: bytearray
    _writer: Stream | WriteHalf

    @property
    def write_buffer(self) -> bytes:
        """What was fed and not yet written."""
        return bytes(self._pending)

    def send(self, frame: T_contra) -> Operation[None]:
        """Write one message, waiting while the peer does not read.

        Done means handed over, with what `feed` had gathered before it; see `flush`.

        Args:
            frame: The message.

        Returns:
            An operation, spent once it is done.

        Raises:
            Exception: What the codec raises at a message that it cannot write; nothing
                was written.
            Closed: When awaited: this side has closed the stream.
            Disconnected: When awaited: the connection is gone.
            Elapsed: When awaited: there was no room within the write timeout.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has written nothing.
        """
        return Send(self._output, self._pending, self._encoder.encode(frame), 0)

    def send_many(self, frames: Iterable[T_contra]) -> Operation[None]:
        """Write several messages at once; as `send`.

        Args:
            frames: The messages, in order; the bytes of all are kept in memory.

        Returns:
            An operation, spent once it is done.

        Raises:
            Exception: What the codec raises at a message that it cannot write; nothing
                was written.
            Closed: As for `send`, and so `Disconnected`, `Elapsed`.

        Cancel safety:
            Safe: as `send`, for all of them.
        """
        encode = self._encoder.encode
        data = b"".join([encode(frame) for frame in frames])
        return Send(self._output, self._pending, data, 0)

    def feed(self, frame: T_contra) -> Operation[None]:
        """Gather a message, to be written with the next `send` or `flush`.

        It waits only when 8 KiB are gathered, which are then written as by `send`.

        Args:
            frame: The message.

        Returns:
            An operation, spent once it is done.

        Raises:
            Exception: What the codec raises at a message that it cannot write.
            Closed: As for `send`, and so `Disconnected`, `Elapsed`.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has gathered nothing.
        """
        return Send(self._output, self._pending, self._encoder.encode(frame), _BOUNDARY)

    async def flush(self) -> None:
        """Write what was fed, and wait until all is in the kernel.

        Raises:
            Closed: This side has closed the stream.
            Disconnected: The connection is gone.
            Elapsed: It takes longer than the write timeout.

        Cancel safety:
            Safe: call it again to wait on.
        """
        if self._pending:
            await Send(self._output, self._pending, b"", 0)
        await self._output.flush()

    async def shutdown(self) -> None:
        """Write what was fed, and end this side: the peer reads to the end.

        It can still write, and this side read. Twice does no harm.

        Raises:
            Closed: This side had ended before what was fed was written.
            Disconnected: The connection is gone.
            Elapsed: It takes longer than the write timeout.

        Cancel safety:
            Safe: call it again to wait on.
        """
        if self._pending:
            await Send(self._output, self._pending, b"", 0)
        await self._writer.shutdown()


@final
class Send(Operation[None]):
    """Hand bytes to the transport, when there is room.

    Args:
        engine: Whose.
        pending: What was gathered before, and goes first.
        data: The bytes.
        boundary: With fewer bytes gathered than this, these are gathered too.
    """

    __slots__ = ("_boundary", "_data", "_engine", "_pending", "_room")

    def __init__(
        self, engine: Engine, pending: bytearray, data: bytes, boundary: int
    ) -> None:
        self._engine = engine
        self._pending = pending
        self._data: bytes | None = data
        self._boundary = boundary
        self._room: Room | None = None

    def __repr__(self) -> str:
        state = "done" if self._data is None else "waiting"
        return f"<send {state} on {self._engine.what}>"

    def __await__(self) -> Generator[object, None, None]:
        if spend():
            return wait_next_turn(self)
        if self.poll() is PENDING:
            return park(self)
        return DONE

    def poll(self) -> Literal[Pending.PENDING] | None:
        """Write if there is room; see `Operation.poll`.

        Returns:
            None when it is written, or `PENDING`.

        Raises:
            Closed: This side has closed the stream, or this was sent already.
        """
        engine = self._engine
        data = self._data
        if data is None:
            raise Closed("this send, which is done")
        if not engine.is_ready:
            engine.check_writing()
        pending = self._pending
        if len(pending) < self._boundary:
            pending += data
            self._data = None
            return None
        if engine.is_congested and (self._room is None or self._room.poll() is PENDING):
            return PENDING
        self._data = None
        if pending:
            data = bytes(pending) + data
            pending.clear()
        send = engine.send
        send(data)
        return None

    def arm(self, future: Future[object]) -> object:
        """Wait for room; see `Operation.arm`."""
        room = self._room
        if room is None:
            room = self._room = self._engine.make_room()
        return room.arm(future)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        if self._room is not None:
            self._room.disarm()


@final
class GivenUp:
    """The codec of one that has none any more: it refuses all.

    Args:
        what: Whose.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __repr__(self) -> str:
        return "nothing"

    def decode(self, buffer: bytearray) -> NoReturn:  # noqa: ARG002  # a decoder's
        """Refuse."""
        raise ReleasedError(f"{self._what} was given up", "use what has its parts")

    def decode_eof(self, buffer: bytearray) -> NoReturn:
        """Refuse."""
        self.decode(buffer)

    def encode(self, frame: object) -> NoReturn:  # noqa: ARG002  # an encoder's
        """Refuse."""
        self.decode(bytearray())
