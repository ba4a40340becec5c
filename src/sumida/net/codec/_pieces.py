"""Bytes up to a delimiter, of a limited length: what lines and chunks share."""

import re
from collections.abc import Callable
from typing import Final, TypeVar, final

from sumida.errors import FrameTooLargeError, InvalidFrameError

__all__ = ("MAX_LENGTH", "Pieces", "as_bytes", "check_int")

T = TypeVar("T")

MAX_LENGTH: Final = 64 * 1024
"""Bytes that a line or a chunk may have, unless told otherwise."""


def as_bytes(frame: object) -> bytes:
    """Check that a message is bytes, and copy it if it could change.

    Args:
        frame: The message.

    Returns:
        Its bytes.

    Raises:
        TypeError: It is no bytes.
    """
    if type(frame) is bytes:
        return frame
    if not isinstance(frame, bytes | bytearray | memoryview):
        raise TypeError(f"a frame must be bytes, not {type(frame).__name__}; encode it")
    return bytes(frame)


def check_int(name: str, value: int, least: int, most: int | None = None) -> int:
    """Check a number that configures a codec.

    Args:
        name: Its name.
        value: The number.
        least: The smallest that is allowed.
        most: The largest; None for any.

    Returns:
        The number.

    Raises:
        TypeError: It is no int.
        ValueError: It is out of range.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least or (most is not None and value > most):
        upto = "or more" if most is None else f"to {most}"
        raise ValueError(f"{name} must be {least} {upto}, not {value}")
    return value


@final
class Pieces:
    """Takes pieces off the front of a buffer; throws away what is too long.

    Args:
        what: What a piece is called in messages.
        delimiters: Single bytes, each of which ends a piece.
        max_length: Bytes that a piece may have, its delimiter not counted.

    Attributes:
        max_length: As above.
        is_discarding: Whether the rest of a piece that was too long is still to come.
    """

    __slots__ = (
        "_scanned",
        "_search",
        "_single",
        "_split",
        "_what",
        "is_discarding",
        "max_length",
    )

    def __init__(self, what: str, delimiters: bytes, max_length: int) -> None:
        self._what = what
        self.max_length = check_int("max_length", max_length, 1)
        self._single = delimiters if len(delimiters) == 1 else b""
        pattern = re.compile(b"[" + re.escape(delimiters) + b"]")
        self._search = pattern.search
        self._split = pattern.split
        # Where the next look begins: what was seen has no delimiter.
        self._scanned = 0
        self.is_discarding = False

    @property
    def is_amid(self) -> bool:
        """Whether a piece has begun that was looked at, or is being thrown away."""
        return self.is_discarding or self._scanned > 0

    def take(self, buffer: bytearray) -> bytes | None:
        """Take the next piece, without its delimiter.

        Args:
            buffer: What has arrived.

        Returns:
            The piece, or None when more must come.

        Raises:
            FrameTooLargeError: It is too long: told once. What comes up to the next
                delimiter is thrown away by the calls that follow.
        """
        if self.is_discarding:
            self._discard(buffer)
        found = self._find(buffer, self._scanned, self.max_length + 1)
        if found >= 0:
            self._scanned = 0
            piece = bytes(memoryview(buffer)[:found])
            del buffer[: found + 1]
            return piece
        size = len(buffer)
        if size > self.max_length:
            self._scanned = 0
            self.is_discarding = True
            raise FrameTooLargeError(self._what, size, self.max_length)
        self._scanned = size
        return None

    def _discard(self, buffer: bytearray) -> None:
        found = self._find(buffer, 0, len(buffer))
        if found < 0:
            buffer.clear()
            return
        del buffer[: found + 1]
        self.is_discarding = False

    def _find(self, buffer: bytearray, start: int, end: int) -> int:
        if self._single:
            return buffer.find(self._single, start, end)
        match = self._search(buffer, start, end)
        return -1 if match is None else match.start()

    def take_rest(self, buffer: bytearray) -> bytes:
        """Take what is left at the end of the stream.

        Args:
            buffer: What is left, in which `take` found nothing.

        Returns:
            All of it.
        """
        self._scanned = 0
        rest = bytes(buffer)
        buffer.clear()
        return rest

    def find_all(
        self, data: bytes, make: Callable[[bytes], T | None]
    ) -> tuple[list[T], int]:
        """Find all whole pieces up to the first that is bad.

        Args:
            data: What has arrived.
            make: Makes a message of a piece; None where there is none in it.

        Returns:
            The messages, and how many bytes they are.
        """
        frames: list[T] = []
        used = 0
        if self.is_amid:
            return frames, used
        pieces = data.split(self._single) if self._single else self._split(data)
        pieces.pop()
        limit = self.max_length
        for piece in pieces:
            if len(piece) > limit:
                break
            try:
                frame = make(piece)
            except InvalidFrameError:
                break
            used += len(piece) + 1
            if frame is not None:
                frames.append(frame)
        return frames, used
