"""Bytes that end at any of several delimiters."""

from typing import final

from sumida.net.codec._pieces import MAX_LENGTH, Pieces, as_bytes
from sumida.net.codec.protocol import Codec

__all__ = ("AnyDelimiterCodec",)


@final
class AnyDelimiterCodec(Codec[bytes, bytes | bytearray | memoryview]):
    r"""Chunks of bytes, each ended by one of several bytes; a chunk may be empty.

    A chunk that is too long is an error once; what comes up to the next delimiter is
    thrown away, and the next chunk can be read. A last chunk without a delimiter is a
    chunk, too.

    Args:
        delimiters: Bytes each of which ends a chunk, 1 or more.
        sequence: What is written after a chunk: any bytes.
        max_length: Bytes that a chunk may have, 1 or more.

    Raises:
        TypeError: `delimiters` or `sequence` is no bytes, `max_length` no int.
        ValueError: There are no delimiters, or `max_length` is less than 1.

    Source:
        `tokio_util::codec::AnyDelimiterCodec`
    """

    __slots__ = ("_delimiters", "_pieces", "_sequence")

    def __init__(
        self,
        delimiters: bytes = b",;\n\r",
        sequence: bytes = b",",
        *,
        max_length: int = MAX_LENGTH,
    ) -> None:
        self._delimiters = as_bytes(delimiters)
        self._sequence = as_bytes(sequence)
        if not delimiters:
            raise ValueError(f"delimiters must be 1 byte or more, not {delimiters!r}")
        self._pieces = Pieces("chunk", self._delimiters, max_length)

    def __repr__(self) -> str:
        return (
            f"AnyDelimiterCodec({self._delimiters!r}, {self._sequence!r}, "
            f"max_length={self.max_length})"
        )

    @property
    def max_length(self) -> int:
        """Bytes that a chunk may have."""
        return self._pieces.max_length

    def decode(self, buffer: bytearray) -> bytes | None:
        """Take the next chunk, without its delimiter.

        Args:
            buffer: What has arrived.

        Returns:
            The chunk, or None when more must come.

        Raises:
            FrameTooLargeError: It is too long.
        """
        return self._pieces.take(buffer)

    def decode_eof(self, buffer: bytearray) -> bytes | None:
        """Take the next chunk, or the last, which may have no delimiter.

        Args:
            buffer: What is left.

        Returns:
            The chunk, or None at the end.

        Raises:
            FrameTooLargeError: It is too long.
        """
        chunk = self._pieces.take(buffer)
        if chunk is not None or not buffer:
            return chunk
        return self._pieces.take_rest(buffer)

    def decode_all(self, data: bytes) -> tuple[list[bytes], int]:
        """Find all chunks up to the first that is too long; see `Decoder`.

        Args:
            data: What has arrived.

        Returns:
            The chunks, and how many bytes they are.
        """
        return self._pieces.find_all(data, bytes)

    def encode(self, frame: bytes | bytearray | memoryview) -> bytes:
        """Make the bytes of a chunk.

        Args:
            frame: The chunk; with a delimiter in it, it is several.

        Returns:
            Its bytes, with the sequence that ends it.

        Raises:
            TypeError: `frame` is no bytes.
        """
        return as_bytes(frame) + self._sequence
