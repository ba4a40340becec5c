"""JSON, one value a line."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast, final, overload

from sumida.errors import InvalidFrameError
from sumida.net.codec._pieces import MAX_LENGTH, Pieces
from sumida.net.codec.protocol import Codec

__all__ = ("JsonLinesCodec",)

T = TypeVar("T")


@final
class JsonLinesCodec(Codec[T, object], Generic[T]):
    r"""JSON values, each on a line of its own; lines that are blank are passed over.

    It needs msgspec: `pip install "sumida[json]"`. The first one made imports it, which
    blocks for a while: import it, or make one, before the loop runs.

    A line that is too long, or no JSON, or not of the type, is an error once; it was
    taken, and the next can be read. A `null` is no message, in neither direction: a
    decoder's None says "not yet".

    Args:
        type: What a value has to be: a dataclass, a TypedDict, a `msgspec.Struct`, a
            union of them, `dict[str, int]`. Any JSON by default.
        max_length: Bytes that a line may have before its `\n`, 1 or more.

    Raises:
        ModuleNotFoundError: msgspec is not installed.
        TypeError: `type` is none that msgspec knows, or `max_length` no int.
        ValueError: `max_length` is less than 1.
    """

    __slots__ = ("_decode", "_encode", "_error", "_pieces", "_type")

    @overload
    def __init__(self, type: type[T], *, max_length: int = ...) -> None: ...
    @overload
    def __init__(
        self: "JsonLinesCodec[object]", type: object = ..., *, max_length: int = ...
    ) -> None: ...
    def __init__(
        self,
        type: object = object,  # noqa: A002  # what else
        *,
        max_length: int = MAX_LENGTH,
    ) -> None:
        try:
            import msgspec  # noqa: PLC0415  # an optional dependency
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "JsonLinesCodec needs msgspec, which is not installed; "
                "pip install 'sumida[json]'",
                name=error.name,
            ) from error
        self._pieces = Pieces("line", b"\n", max_length)
        self._type = type
        # To msgspec, `object` would be a class that it does not know.
        wanted = Any if type is object else type
        decoder = msgspec.json.Decoder(cast("Any", wanted))
        self._decode: Callable[[bytes], T | None] = decoder.decode
        self._encode = msgspec.json.Encoder().encode
        self._error = msgspec.MsgspecError

    def __repr__(self) -> str:
        name = getattr(self._type, "__name__", repr(self._type))
        kind = "" if self._type is object else f"{name}, "
        return f"JsonLinesCodec({kind}max_length={self.max_length})"

    @property
    def max_length(self) -> int:
        """Bytes that a line may have."""
        return self._pieces.max_length

    def decode(self, buffer: bytearray) -> T | None:
        """Take the next value.

        Args:
            buffer: What has arrived.

        Returns:
            The value, or None when more must come.

        Raises:
            FrameTooLargeError: The line is too long.
            InvalidFrameError: The line is no JSON, or not of the type; it was taken.
        """
        while True:
            line = self._pieces.take(buffer)
            if line is None:
                return None
            value = self._value(line)
            if value is not None:
                return value

    def _value(self, line: bytes) -> T | None:
        try:
            value = self._decode(line)
        except (self._error, UnicodeDecodeError) as error:
            if not line.strip():
                return None
            raise InvalidFrameError(f"line is no such JSON: {error}", line) from None
        if value is None:
            raise InvalidFrameError("line is null, which is no message", line)
        return value

    def decode_eof(self, buffer: bytearray) -> T | None:
        r"""Take the next value, or the last, whose line may have no end.

        Args:
            buffer: What is left.

        Returns:
            The value, or None at the end.

        Raises:
            FrameTooLargeError: The line is too long.
            InvalidFrameError: The line is no JSON, or not of the type; it was taken.
        """
        value = self.decode(buffer)
        if value is not None or not buffer:
            return value
        return self._value(self._pieces.take_rest(buffer))

    def decode_all(self, data: bytes) -> tuple[list[T], int]:
        """Find all values up to the first line that is bad; see `Decoder`.

        Args:
            data: What has arrived.

        Returns:
            The values, and how many bytes they are.
        """
        return self._pieces.find_all(data, self._value)

    def encode(self, frame: object) -> bytes:
        r"""Make a line of a value.

        Args:
            frame: Anything that msgspec can write; not None.

        Returns:
            The JSON, with a `\n`.

        Raises:
            TypeError: msgspec cannot write it.
            InvalidFrameError: It is None.
        """
        if frame is None:
            raise InvalidFrameError("None is no message", b"null")
        return self._encode(frame) + b"\n"
