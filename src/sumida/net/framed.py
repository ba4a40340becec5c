"""Messages over a stream of bytes: a codec on a stream, or on its halves.

One read is not one message: TCP cuts and joins as it likes. A codec (see
`sumida.net.codec`) says where a message ends; `Framed` reads and writes for it.
`recv` and `send` are operations, so `select` takes them, and both are cancel-safe.
"""

from asyncio import Future
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Generic, Literal, Self, TypeVar, final

from sumida.errors import Closed
from sumida.io._engine import Engine
from sumida.io._waits import Read
from sumida.io.stream import ReadHalf, Stream, WriteHalf
from sumida.net._frame_writing import FrameWriting, GivenUp
from sumida.net.codec.protocol import Codec, Decoder, Encoder
from sumida.operation import (
    PENDING,
    Operation,
    Pending,
    budget,
    spend,
)

__all__ = ("Framed", "FramedParts", "FramedRead", "FramedWrite")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U_contra = TypeVar("U_contra", contravariant=True)

_CHUNK: Final = 256 * 1024
"""Bytes taken from the stream at once: all that it keeps."""

_CHEAP: Final = 4
"""Messages that were found already and count as one operation of the turn's budget."""

_AHEAD: Final = 64 * 1024
"""Bytes whose messages are found at once, before they are asked for.

A message of a few bytes is an object of fifty: this is what keeps them few.
"""


class FramedRead(Operation[T_co], Generic[T_co]):
    """The messages that arrive on a stream; iterate over it, or call `recv`.

    It is itself the operation of `recv`, so `select` takes it as it stands. Only one
    task may wait on it at a time.

    After an error of the codec the next call goes on as the codec can: the lines after
    one that was too long are read. (Tokio's ends once before it goes on, for a loop
    there does not stop at an error by itself.) At the end of the stream a message that
    is not whole is an `IncompleteReadError` of the codec, and then the end.

    What waits is bounded: 64 KiB of messages that were found and not yet asked for, a
    message that is not whole, and what the stream keeps.

    Args:
        reader: A stream, or its reading half; nobody else may read from it.
        decoder: Where messages end.
        read_buffer: Bytes that come before those of the stream.

    Source:
        `tokio_util::codec::FramedRead`
    """

    __slots__ = (
        "_ahead",
        "_ahead_count",
        "_ahead_size",
        "_buffer",
        "_decode_all",
        "_decoder",
        "_engine",
        "_error",
        "_frames",
        "_has_ended",
        "_is_hungry",
        "_later",
        "_read",
        "_reader",
    )

    def __init__(
        self,
        reader: Stream | ReadHalf,
        decoder: Decoder[T_co],
        *,
        read_buffer: bytes = b"",
    ) -> None:
        self._reader = reader
        self._engine: Engine = reader._engine
        self._decoder = decoder
        self._decode_all: Callable[[bytes], tuple[list[T_co], int]] | None = getattr(
            decoder, "decode_all", None
        )
        self._read = Read(self._engine, _CHUNK)
        self._buffer = bytearray(read_buffer)
        # What was found and not given, the next one at the end: what the budget of the
        # turn has been charged for, and what comes after that.
        self._frames: list[T_co] = []
        self._later: list[T_co] = []
        # What was found at once: it begins with that many messages of that many bytes.
        self._ahead = b""
        self._ahead_size = 0
        self._ahead_count = 0
        # What `is_ready` has met, for the next `poll`.
        self._error: Exception | None = None
        self._has_ended = False
        # Whether the codec has asked for more than there is.
        self._is_hungry = not read_buffer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._decoder!r} over {self._reader!r}>"

    @property
    def read_buffer(self) -> bytes:
        """What has arrived and was not given as a message."""
        self._go_back()
        return bytes(self._buffer)

    def recv(self) -> Operation[T_co]:
        """Take the next message, waiting while there is none.

        Returns:
            An operation that gives the message; this object itself.

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

    def recv_many(self, limit: int) -> Operation[list[T_co]]:
        """Take the messages that are there, up to `limit`, waiting while there is none.

        Args:
            limit: How many messages at the most, 1 or more; those that are found at
                once are in 64 KiB.

        Returns:
            An operation that gives 1 to `limit` messages in order, or `[]` at the end
            of the stream.

        Raises:
            ValueError: `limit` is less than 1.
            Disconnected: When awaited: as for `recv`, and so `Elapsed`, and what the
                codec raises; messages before that were given.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 message or more, not {limit}")
        return _ReceiveMany(self, limit)

    def __await__(self) -> Generator[object, None, T_co]:
        frames = self._frames
        if frames:
            return frames.pop()
            yield None  # type: ignore[unreachable]  # makes it a generator
        if spend():
            yield None
        while True:
            result = self.poll()
            if result is not PENDING:
                return result
            # `poll` has found nothing to read, so this waits; no `park`, because a
            # stream can run a lone reader without a turn of the loop.
            data = yield from self._read.__await__()
            self._take(data)

    def poll(self) -> T_co | Literal[Pending.PENDING]:
        """Take a message if one is there; see `Operation.poll`.

        Returns:
            The message, or `PENDING`.

        Raises:
            Closed: The stream has ended.
            ReleasedError: It was given up, by `into_parts`.
        """
        if self._later:
            self._pay()
        frames = self._frames
        if frames:
            return frames.pop()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        while True:
            if not self._is_hungry:
                frame = self._find()
                if frame is not None:
                    return frame
            if self._has_ended:
                raise Closed(self._engine.what)
            data = self._read.poll()
            if data is PENDING:
                return PENDING
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Keep what has arrived; nothing is the end."""
        if data:
            self._buffer += data
        else:
            self._has_ended = True
        self._is_hungry = False

    def _find(self) -> T_co | None:
        """Ask the codec for a message, and for those behind it."""
        buffer = self._buffer
        # All of it was given: one who now waits keeps none of it.
        self._ahead = b""
        self._ahead_count = 0
        if self._has_ended:
            frame = self._decoder.decode_eof(buffer)
        else:
            frame = self._decoder.decode(buffer)
            if frame is not None and buffer and self._decode_all is not None:
                try:
                    self._find_ahead(self._decode_all)
                except Exception:
                    # It is not to raise; but if it does, `frame` can still be taken.
                    self._frames.append(frame)
                    raise
        if frame is None:
            self._is_hungry = True
        return frame

    def _find_ahead(
        self, decode_all: Callable[[bytes], tuple[list[T_co], int]]
    ) -> None:
        ahead = bytes(memoryview(self._buffer)[:_AHEAD])
        frames, used = decode_all(ahead)
        if used:
            del self._buffer[:used]
            self._ahead = ahead
            self._ahead_size = used
            self._ahead_count = len(frames)
            frames.reverse()
            self._later = frames
            self._pay()

    def _pay(self) -> None:
        """Charge the budget for what was found, all at once."""
        if self._frames:
            return
        later = self._later
        # One that is there already is cheap, and asks nobody else.
        count = max(1, (budget.left - 1) * _CHEAP)
        if count >= len(later):
            self._frames, self._later = later, []
        else:
            self._frames = later[-count:]
            del later[-count:]
        budget.left = max(1, budget.left - len(self._frames) // _CHEAP)

    def _go_back(self) -> None:
        """Make bytes again of the messages that were found ahead and not given."""
        frames = [*self._later, *self._frames]
        # -1 if there is one before them, which `is_ready` has put there.
        taken = self._ahead_count - len(frames)
        if len(frames) > (taken < 0):
            # The codec is as it was then, for finding ahead changes nothing in it.
            rest = bytearray(self._ahead[: self._ahead_size])
            for _ in range(taken):
                self._decoder.decode(rest)
            self._buffer[:0] = rest
            self._is_hungry = False
            self._ahead_count = 0
            self._later.clear()
            self._frames = frames[len(frames) - (taken < 0) :]

    def is_ready(self) -> bool:
        """Tell whether a whole message is there; see `Operation.is_ready`.

        Half a message wakes a `select`, too, and must not end its coroutines.
        """
        if not (self._frames or self._later or self._error):
            try:
                frame = self.poll()
            except Exception as error:  # noqa: BLE001  # `poll` is to raise it
                self._error = error
                return True
            if frame is PENDING:
                return False
            self._frames.append(frame)
        return True

    def arm(self, future: Future[object]) -> object:
        """Wait for bytes; see `Operation.arm`."""
        return self._read.arm(future)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._read.disarm()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        frames = self._frames
        if frames:
            return frames.pop()
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None


@final
class _ReceiveMany(Operation[list[T]], Generic[T]):
    """Take several messages at once: `FramedRead.recv_many`.

    Args:
        framed: Where from.
        limit: How many at most.
    """

    __slots__ = ("_framed", "_limit")

    def __init__(self, framed: FramedRead[T], limit: int) -> None:
        self._framed = framed
        self._limit = limit

    def __repr__(self) -> str:
        return f"<ReceiveMany {self._limit} from {self._framed!r}>"

    def __await__(self) -> Generator[object, None, list[T]]:
        framed = self._framed
        if spend():
            yield None
        while True:
            result = self.poll()
            if result is not PENDING:
                return result
            data = yield from framed._read.__await__()
            framed._take(data)

    def poll(self) -> list[T] | Literal[Pending.PENDING]:
        """Take what there is, if anything; see `Operation.poll`."""
        framed = self._framed
        try:
            first = framed.poll()
        except Closed:
            if framed._has_ended:
                return []
            raise
        if first is PENDING:
            return PENDING
        messages = [first]
        for found in (framed._frames, framed._later):
            count = min(self._limit - len(messages), len(found))
            if count:
                messages += found[: -count - 1 : -1]
                del found[-count:]
        return messages

    def arm(self, future: Future[object]) -> object:
        """Wait for bytes; see `Operation.arm`."""
        return self._framed.arm(future)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._framed.disarm()

    def is_ready(self) -> bool:
        """Tell whether a whole message is there; see `Operation.is_ready`."""
        return self._framed.is_ready()


@final
class FramedWrite(FrameWriting[U_contra], Generic[U_contra]):
    """The messages that are written to a stream.

    Args:
        writer: A stream, or its writing half.
        encoder: Makes bytes of them.
        write_buffer: Bytes to be written before them, as if they were fed.

    Source:
        `tokio_util::codec::FramedWrite`
    """

    __slots__ = ("_encoder", "_output", "_pending", "_writer")

    def __init__(
        self,
        writer: Stream | WriteHalf,
        encoder: Encoder[U_contra],
        *,
        write_buffer: bytes = b"",
    ) -> None:
        self._writer = writer
        self._output: Engine = writer._engine
        self._encoder = encoder
        self._pending = bytearray(write_buffer)

    def __repr__(self) -> str:
        return f"<FramedWrite {self._encoder!r} over {self._writer!r}>"


@final
@dataclass(frozen=True, slots=True)
class FramedParts(Generic[T_co, U_contra]):
    """What a `Framed` was made of, and what it had begun; see `Framed.into_parts`.

    Attributes:
        stream: The stream.
        codec: The codec.
        read_buffer: What has arrived and was not given as a message.
        write_buffer: What was fed and not written.

    Source:
        `tokio_util::codec::FramedParts`
    """

    stream: Stream
    codec: Codec[T_co, U_contra]
    read_buffer: bytes
    write_buffer: bytes


@final
class Framed(FramedRead[T_co], FrameWriting[U_contra], Generic[T_co, U_contra]):
    """Messages both ways over one stream, which stays its owner's to close.

    Args:
        stream: Nobody else may read from it.
        codec: Finds messages, and makes bytes of them.
        read_buffer: Bytes that come before those of the stream.
        write_buffer: Bytes to be written first, as if they were fed.

    Attributes:
        stream: As above.
        codec: As above.

    Source:
        `tokio_util::codec::Framed`
    """

    __slots__ = ("_encoder", "_output", "_pending", "_writer", "codec", "stream")

    def __init__(
        self,
        stream: Stream,
        codec: Codec[T_co, U_contra],
        *,
        read_buffer: bytes = b"",
        write_buffer: bytes = b"",
    ) -> None:
        FramedRead.__init__(self, stream, codec, read_buffer=read_buffer)
        self.stream = self._writer = stream
        self.codec = codec
        self._output = self._engine
        self._encoder = codec
        self._pending = bytearray(write_buffer)

    def into_parts(self) -> FramedParts[T_co, U_contra]:
        """Give this up, for what it was made of: to go on with another codec.

        No byte is lost: what has arrived and was not given as a message is there as
        bytes, to be passed to the next `Framed`.

        Returns:
            The parts.
        """
        parts = FramedParts(
            self.stream, self.codec, self.read_buffer, self.write_buffer
        )
        self._buffer.clear()
        self._pending.clear()
        self._decoder = self._encoder = GivenUp(repr(self))
        self._is_hungry = False
        return parts
