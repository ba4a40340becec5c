"""Bytes as they come: no framing at all."""

from typing import final

from sumida.net.codec._pieces import as_bytes
from sumida.net.codec.protocol import Codec

__all__ = ("BytesCodec",)


@final
class BytesCodec(Codec[bytes, bytes | bytearray | memoryview]):
    """Gives what has arrived, whatever that is; holds nothing back.

    To send and receive by `Framed` and `select` what has no messages in it.

    Source:
        `tokio_util::codec::BytesCodec`
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "BytesCodec()"

    def decode(self, buffer: bytearray) -> bytes | None:
        """Take all of `buffer`.

        Args:
            buffer: What has arrived.

        Returns:
            The bytes; None if there are none.
        """
        if not buffer:
            return None
        data = bytes(buffer)
        buffer.clear()
        return data

    def encode(self, frame: bytes | bytearray | memoryview) -> bytes:
        """Give the bytes themselves.

        Args:
            frame: The bytes; they are copied if they could change.

        Returns:
            The bytes.

        Raises:
            TypeError: `frame` is no bytes.
        """
        return as_bytes(frame)
