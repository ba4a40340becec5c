"""What a codec is: write one by subclassing these, or anything of the same shape."""

from abc import abstractmethod
from typing import Protocol, TypeVar

from sumida.errors import IncompleteReadError

__all__ = ("Codec", "Decoder", "Encoder")

T_co = TypeVar("T_co", covariant=True)
U_contra = TypeVar("U_contra", contravariant=True)


class Decoder(Protocol[T_co]):
    """Finds messages in bytes; it never waits and knows no stream.

    One that can find many messages at once may have a method
    `decode_all(data: bytes) -> tuple[list, int]` beside these. It is called after
    `decode` gave a message, and gives the whole and good messages with which `data`
    begins, and how many bytes they are. It changes nothing in the codec: what comes
    then, half a message or a bad one, is for `decode`.

    Source:
        `tokio_util::codec::Decoder`
    """

    __slots__ = ()

    @abstractmethod
    def decode(self, buffer: bytearray) -> T_co | None:
        """Take the first message off the front of `buffer`.

        Args:
            buffer: What has arrived; what is used is removed. What an error is about
                is best removed too, or every later call fails.

        Returns:
            The message, or None when more must come: a message is never None.
        """
        raise NotImplementedError

    def decode_eof(self, buffer: bytearray) -> T_co | None:
        """As `decode`, when nothing more will come; called until it gives None.

        Unless it is written otherwise: what `decode` makes of it, and an error if bytes
        are left then.

        Args:
            buffer: What is left.

        Returns:
            A message, or None at the end.

        Raises:
            IncompleteReadError: The stream ended within a message; `partial` is what
                came of it.
        """
        frame = self.decode(buffer)
        if frame is None and buffer:
            partial = bytes(buffer)
            buffer.clear()
            raise IncompleteReadError(partial, None)
        return frame


class Encoder(Protocol[U_contra]):
    """Makes bytes of messages.

    Source:
        `tokio_util::codec::Encoder`
    """

    __slots__ = ()

    @abstractmethod
    def encode(self, frame: U_contra) -> bytes:
        """Make the bytes of one message.

        Args:
            frame: The message.

        Returns:
            Its bytes.
        """
        raise NotImplementedError


class Codec(Decoder[T_co], Encoder[U_contra], Protocol[T_co, U_contra]):
    """Both."""

    __slots__ = ()
