"""Lines of text."""

import codecs
from typing import Final, final

from sumida.errors import InvalidFrameError
from sumida.net.codec._pieces import MAX_LENGTH, Pieces
from sumida.net.codec.protocol import Codec

__all__ = ("LinesCodec",)

# In these a newline is one byte, and no other byte can become one.
_SIMPLE: Final = frozenset({"ascii", "iso8859-1", "utf-8"})


@final
class LinesCodec(Codec[str, str]):
    r"""Lines of text, each ended by `\n`; a `\r` before it belongs to the end.

    A line that is too long is an error once; what comes up to its end is thrown away,
    and the next line can be read. So is a line that is no text in `encoding`. A last
    line without an end is a line, too.

    Args:
        max_length: Bytes that a line may have before its `\n`, a `\r` counted, 1 or
            more. (Tokio's has no limit unless asked: then a peer decides how much
            memory is used.)
        encoding: Of the text; one in which `\n` is one byte.

    Raises:
        TypeError: `max_length` is no int.
        ValueError: `max_length` is less than 1, or a newline in `encoding` is more
            than a byte.
        LookupError: There is no such encoding.

    Source:
        `tokio_util::codec::LinesCodec`
    """

    __slots__ = ("_encoding", "_is_simple", "_pieces")

    def __init__(
        self, max_length: int = MAX_LENGTH, *, encoding: str = "utf-8"
    ) -> None:
        self._pieces = Pieces("line", b"\n", max_length)
        self._encoding = codecs.lookup(encoding).name
        if "\r\n".encode(encoding) != b"\r\n":
            raise ValueError(
                f"encoding must have a newline of one byte, and {encoding} has not; "
                "decode such lines yourself, over a LengthDelimitedCodec"
            )
        self._is_simple = self._encoding in _SIMPLE

    def __repr__(self) -> str:
        encoding = "" if self._encoding == "utf-8" else f", encoding={self._encoding!r}"
        return f"LinesCodec(max_length={self.max_length}{encoding})"

    @property
    def max_length(self) -> int:
        """Bytes that a line may have."""
        return self._pieces.max_length

    def decode(self, buffer: bytearray) -> str | None:
        """Take the next line, without its end.

        Args:
            buffer: What has arrived.

        Returns:
            The line, or None when more must come.

        Raises:
            FrameTooLargeError: It is too long.
            InvalidFrameError: It is no text in this encoding; it was taken.
        """
        line = self._pieces.take(buffer)
        return None if line is None else self._text(line)

    def _text(self, line: bytes) -> str:
        try:
            return line.removesuffix(b"\r").decode(self._encoding)
        except UnicodeDecodeError as error:
            reason = f"line is not {self._encoding} text: {error.reason}"
            raise InvalidFrameError(reason, line) from None

    def decode_eof(self, buffer: bytearray) -> str | None:
        r"""Take the next line, or the last, which may have no end.

        Args:
            buffer: What is left.

        Returns:
            The line, or None at the end; a lone `\r` is no line.

        Raises:
            FrameTooLargeError: It is too long.
            InvalidFrameError: It is no text in this encoding; it was taken.
        """
        line = self.decode(buffer)
        if line is not None or not buffer or buffer == b"\r":
            return line
        return self._text(self._pieces.take_rest(buffer))

    def decode_all(self, data: bytes) -> tuple[list[str], int]:
        """Find all lines up to the first that is bad; see `Decoder`.

        Args:
            data: What has arrived.

        Returns:
            The lines, and how many bytes they are.
        """
        pieces = self._pieces
        end = data.rfind(b"\n") + 1
        if not end or pieces.is_amid:
            return [], 0
        if self._is_simple and (
            end <= pieces.max_length
            or max(map(len, data[:end].split(b"\n"))) <= pieces.max_length
        ):
            try:
                text = str(memoryview(data)[:end], self._encoding)
            except UnicodeDecodeError:
                pass
            else:
                if "\r" in text:
                    text = text.replace("\r\n", "\n")
                lines = text.split("\n")
                lines.pop()
                return lines, end
        return pieces.find_all(data, self._text)

    def encode(self, frame: str) -> bytes:
        r"""Make the bytes of a line.

        Args:
            frame: The line, without its end; with a `\n` in it, it is several.

        Returns:
            Its bytes, with a `\n`.

        Raises:
            TypeError: `frame` is no str.
            InvalidFrameError: It cannot be written in this encoding.
        """
        if not isinstance(frame, str):
            raise TypeError(f"a line must be a str, not {type(frame).__name__}")
        try:
            return frame.encode(self._encoding) + b"\n"
        except UnicodeEncodeError as error:
            reason = f"line cannot be written in {self._encoding}: {error.reason}"
            shown = frame.encode("utf-8", "backslashreplace")
            raise InvalidFrameError(reason, shown) from None
