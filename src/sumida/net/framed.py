"""Messages over a stream of bytes: a codec on a stream, or on its halves.

One read is not one message: TCP cuts and joins as it likes. A codec (see
`sumida.net.codec`) says where a message ends; `Framed` reads and writes for it.
`recv` and `send` are operations, so `select` takes them, and both are cancel-safe.
"""

from asyncio import Future
from collections import deque
from collections.abc import Generator, Iterable
from typing import Final, Generic, Literal, TypeVar, final

from sumida.errors import Closed
from sumida.io._engine import Engine
from sumida.io._waits import Read, Room
from sumida.io.stream import ReadHalf, Stream, WriteHalf
from sumida.net.codec.protocol import Codec, Decoder, Encoder
from sumida.operation import (
    PENDING,
    Operation,
    Pending,
    budget,
    park,
    ready,
    spend,
    wait_next_turn,
)

__all__ = ("Framed", "FramedRead", "FramedWrite")

T = TypeVar("T")
U = TypeVar("U")

_CHUNK: Final = 256 * 1024
"""Bytes taken from the stream at once: all that it keeps."""


class FramedRead(Operation[T], Generic[T]):
    """The messages that arrive on a stream; iterate over it, or call `recv`.

    It is itself the operation of `recv`. Only one task may wait on it at a time.

    Args:
        reader: A stream, or its reading half; nobody else may read from it.
        decoder: Where messages end.

    Source:
        `tokio_util::codec::FramedRead`
    """

    __slots__ = (
        "_buffer",
        "_decode_all",
        "_decoder",
        "_engine",
        "_error",
        "_frames",
        "_has_ended",
        "_read",
        "_reader",
    )

    def __init__(self, reader: Stream | ReadHalf, decoder: Decoder[T]) -> None:
        self._reader = reader
        self._engine: Engine = reader._engine
        self._decoder = decoder
        self._decode_all = getattr(decoder, "decode_all", None)
        self._read = Read(self._engine, _CHUNK)
        self._buffer = bytearray()
        self._frames: deque[T] = deque()
        self._error: Exception | None = None
        self._has_ended = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._decoder!r} over {self._reader!r}>"

    @property
    def read_buffer(self) -> bytearray:
        """What has arrived and is no message yet."""
        return self._buffer

    def recv(self) -> Operation[T]:
        """Take the next message, waiting while there is none.

        Returns:
            An operation that gives the message.

        Raises:
            Closed: When awaited: the stream has ended after the last message.
            Disconnected: When awaited: the connection broke.
            Elapsed: When awaited: nothing came within the stream's read timeout.
            Exception: When awaited: what the codec raises at a bad message; those
                before it were given.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        return self

    def __await__(self) -> Generator[object, None, T]:
        frames = self._frames
        left = budget.left - 1
        if frames and left:
            budget.left = left
            return frames.popleft()
            yield None  # type: ignore[unreachable]  # makes it a generator
        if spend():
            yield None
        result = self.poll()
        if result is PENDING:
            result = yield from self._wait()
        return result

    def _wait(self) -> Generator[object, None, T]:
        while True:
            data = yield from self._read.__await__()
            self._decode(data)
            result = self.poll()
            if result is not PENDING:
                return result

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Take a message if one is there; see `Operation.poll`.

        Returns:
            The message, or `PENDING`.

        Raises:
            Closed: The stream has ended.
        """
        frames = self._frames
        while not frames:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._has_ended:
                raise Closed(self._engine.what)
            data = self._read.poll()
            if data is PENDING:
                return PENDING
            self._decode(data)
        return frames.popleft()

    def _decode(self, data: bytes) -> None:
        """Find the messages in what has arrived."""
        buffer = self._buffer
        frames = self._frames
        try:
            if data:
                buffer += data
                if self._decode_all is not None:
                    frames.extend(self._decode_all(buffer))
                    return
                decode = self._decoder.decode
            else:
                self._has_ended = True
                decode = self._decoder.decode_eof
            while (frame := decode(buffer)) is not None:
                frames.append(frame)
        except Exception as error:  # noqa: BLE001  # it is the next call's
            self._error = error

    def arm(self, future: Future[object]) -> object:
        """Wait for bytes; see `Operation.arm`."""
        return self._read.arm(future)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._read.disarm()

    def __aiter__(self) -> "FramedRead[T]":
        return self

    async def __anext__(self) -> T:
        frames = self._frames
        left = budget.left - 1
        if frames and left:
            budget.left = left
            return frames.popleft()
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None


class _Writing(Generic[T]):
    """Messages that are written to a stream."""

    __slots__ = ()

    _encoder: Encoder[T]
    _output: Engine
    _pending: list[bytes]

    def send(self, frame: T) -> Operation[None]:
        """Write one message, waiting while the peer does not read.

        Done means handed over, with what `feed` had gathered before it; see `flush`.

        Args:
            frame: The message.

        Returns:
            An operation, spent once it is done.

        Raises:
            Exception: What the codec raises at a message that it cannot write.
            Closed: When awaited: this side has closed the stream.
            Disconnected: When awaited: the connection is gone.
            Elapsed: When awaited: there was no room within the write timeout.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has written nothing.
        """
        return _Send(self._output, self._pending, self._encoder.encode(frame))

    def send_many(self, frames: Iterable[T]) -> Operation[None]:
        """Write several messages at once; as `send`.

        Args:
            frames: The messages, in order.

        Returns:
            An operation, spent once it is done.

        Raises:
            Exception: What the codec raises at a message that it cannot write.
            Closed: As for `send`, and so `Disconnected`, `Elapsed`.

        Cancel safety:
            Safe: as `send`, for all of them.
        """
        encode = self._encoder.encode
        data = b"".join([encode(frame) for frame in frames])
        return _Send(self._output, self._pending, data)

    def feed(self, frame: T) -> None:
        """Gather a message, to be written with the next `send` or `flush`.

        Args:
            frame: The message.

        Raises:
            Exception: What the codec raises at a message that it cannot write.
        """
        self._pending.append(self._encoder.encode(frame))

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
            await _Send(self._output, self._pending, b"")
        await self._output.flush()


class FramedWrite(_Writing[T], Generic[T]):
    """The messages that are written to a stream.

    Args:
        writer: A stream, or its writing half.
        encoder: Makes bytes of them.

    Source:
        `tokio_util::codec::FramedWrite`
    """

    __slots__ = ("_encoder", "_output", "_pending", "_writer")

    def __init__(self, writer: Stream | WriteHalf, encoder: Encoder[T]) -> None:
        self._writer = writer
        self._output: Engine = writer._engine
        self._encoder = encoder
        self._pending: list[bytes] = []

    def __repr__(self) -> str:
        return f"<FramedWrite {self._encoder!r} over {self._writer!r}>"


@final
class Framed(FramedRead[T], _Writing[U], Generic[T, U]):
    """Messages both ways over one stream.

    Args:
        stream: Nobody else may read from it.
        codec: Finds messages, and makes bytes of them.

    Source:
        `tokio_util::codec::Framed`
    """

    __slots__ = ("_encoder", "_output", "_pending", "stream")

    def __init__(self, stream: Stream, codec: Codec[T, U]) -> None:
        FramedRead.__init__(self, stream, codec)
        self.stream = stream
        self._output = self._engine
        self._encoder = codec
        self._pending = []


@final
class _Send(Operation[None]):
    """Hand bytes to the transport, when there is room.

    Args:
        engine: Whose.
        pending: What was gathered before, and goes first.
        data: The bytes.
    """

    __slots__ = ("_data", "_engine", "_pending", "_room")

    def __init__(self, engine: Engine, pending: list[bytes], data: bytes) -> None:
        self._engine = engine
        self._pending = pending
        self._data: bytes | None = data
        self._room: Room | None = None

    def __repr__(self) -> str:
        state = "done" if self._data is None else "waiting"
        return f"<send {state} on {self._engine.what}>"

    def __await__(self) -> Generator[object, None, None]:
        if spend():
            return wait_next_turn(self)
        if self.poll() is PENDING:
            return park(self)
        return ready(None)

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
        engine.check_writing()
        if engine.is_congested and (self._room is None or self._room.poll() is PENDING):
            return PENDING
        self._data = None
        pending = self._pending
        if pending:
            data = b"".join([*pending, data])
            pending.clear()
        engine.write(data)
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
