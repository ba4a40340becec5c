"""Errors of streams of bytes: sockets, pipes, files."""

from typing import Final, Self, final

from sumida.errors.root import SumidaError

__all__ = (
    "ConnectError",
    "Disconnected",
    "FrameError",
    "FrameTooLargeError",
    "IncompleteReadError",
    "InvalidFrameError",
    "LimitExceededError",
)

_SHOWN: Final = 64
"""Bytes of a bad message that its error shows."""


@final
class Disconnected(SumidaError, ConnectionError):
    """The connection broke: the peer reset it, or the network did.

    That the peer ended its side in order is no error but the end of the stream.

    Args:
        what: The stream.
        direction: What was being done, "read" or "write".
        reason: What the system said.

    Attributes:
        what: As above.
        direction: As above.
        reason: As above.
    """

    def __init__(self, what: str, direction: str, reason: str) -> None:
        # An OSError takes what it is given for errno, text and file name.
        super().__init__(f"cannot {direction}, {what} is disconnected: {reason}")
        self.what = what
        self.direction = direction
        self.reason = reason

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.what, self.direction, self.reason)


@final
class ConnectError(SumidaError, ConnectionError):
    """No address of the host answered, or its name is not known.

    Args:
        host: What was asked for.
        failures: Each address that was tried, and what became of it.

    Attributes:
        host: As above.
        failures: As above.
    """

    def __init__(self, host: str, failures: tuple[str, ...]) -> None:
        tried = "; ".join(map(str, failures))
        super().__init__(f"cannot reach {host}: {tried or 'it has no address'}")
        self.host = host
        self.failures = failures

    def __reduce__(self) -> tuple[type[Self], tuple[str, tuple[str, ...]]]:
        return type(self), (self.host, self.failures)


@final
class IncompleteReadError(SumidaError, EOFError):
    """The stream ended before all was there that was asked for.

    Args:
        partial: What came before the end, which was taken.
        expected: How many bytes were asked for; None when it was a separator.

    Attributes:
        partial: As above.
        expected: As above.

    Source:
        `std::io::ErrorKind::UnexpectedEof`
    """

    def __init__(self, partial: bytes, expected: int | None) -> None:
        super().__init__(partial, expected)
        self.partial = partial
        self.expected = expected

    def __str__(self) -> str:
        what = "the separator" if self.expected is None else f"{self.expected} bytes"
        return f"the stream ended after {len(self.partial)} bytes, before {what}"


@final
class LimitExceededError(SumidaError):
    """More came than was allowed; nothing was taken, and the stream can be read on.

    Args:
        what: The stream.
        size: Bytes that are there.
        limit: Bytes that were allowed.

    Attributes:
        what: As above.
        size: As above.
        limit: As above.
    """

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(what, size, limit)
        self.what = what
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.what} has {self.size} bytes and no end within the limit of "
            f"{self.limit}; raise limit=, or close the stream"
        )


class FrameError(SumidaError):
    """A message that a codec cannot read, or cannot write."""


@final
class FrameTooLargeError(FrameError):
    """A message is larger than the codec's limit.

    Args:
        what: What the codec calls it: "frame", "line", "chunk".
        size: Its size in bytes, or how much of it has come.
        limit: Bytes that are allowed.

    Attributes:
        what: As above.
        size: As above.
        limit: As above.

    Source:
        `tokio_util::codec::LengthDelimitedCodecError`
    """

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(what, size, limit)
        self.what = what
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.what} of {self.size} bytes is above the limit of "
            f"{self.limit}; raise the codec's limit, or fix the peer"
        )


@final
class InvalidFrameError(FrameError):
    """A message is not what it should be.

    Args:
        reason: What is wrong with it.
        data: Its bytes, or those that tell.

    Attributes:
        reason: As above.
        data: As above.
    """

    def __init__(self, reason: str, data: bytes) -> None:
        super().__init__(reason, data)
        self.reason = reason
        self.data = data

    def __str__(self) -> str:
        start = self.data[:_SHOWN]
        more = "" if len(self.data) <= _SHOWN else f" and {len(self.data)} bytes in all"
        return f"{self.reason}: {start!r}{more}"
