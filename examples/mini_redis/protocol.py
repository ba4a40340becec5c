r"""The Redis protocol, inwards: bytes become requests. It never waits, knows no socket.

A request is an array of byte strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or a
line of words, `GET k\r\n`, for those who type by hand. Clients that pipeline send
many at once; so what the codec gives is a *batch*: all the requests that have arrived,
which the session answers by one write.

Nothing is held without a limit, and arrays do not nest: what a client sends is either
a request, or a `ProtocolError`.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias, final

__all__ = ("MAX_BATCH", "Limits", "ProtocolError", "Request", "RequestCodec")

Request: TypeAlias = list[bytes]
"""The name of a command, and its arguments."""

MAX_BATCH: Final = 1024
"""Requests in one batch; after so many, other clients have their turn."""

_ARRAY: Final = ord("*")
_BULK: Final = ord("$")
_COUNTS: Final = {b"*%d" % count: count for count in range(1, 65)}
_LENGTHS: Final = {b"$%d" % length: length for length in range(4097)}
"""Common headers, looked up: a fifth of the time of taking them apart."""

_MAX_HEADER: Final = 32
"""Bytes of a header line: a sign, a number, and room for a wrong one."""

_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")

_WORD: Final = re.compile(
    rb"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']\S*))(?:\s+|$)"""
)
_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CONTROLS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


class ProtocolError(Exception):
    """A client has sent what is no request; nothing after it can be made out."""


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may make the server hold for one request.

    Attributes:
        bulk: Bytes of one argument. Redis allows 512 MiB; a client must not be able
            to take the memory of all the others.
        arguments: How many arguments, with the name; Redis' own number.
        total: Bytes of all arguments together.
        line: Bytes of a request that is a line of words; Redis' own number.
    """

    bulk: int = 16 * 1024 * 1024
    arguments: int = 1024 * 1024
    total: int = 64 * 1024 * 1024
    line: int = 64 * 1024


@final
class RequestCodec:
    """Bytes to batches of requests; for `sumida.net.Framed`.

    Args:
        limits: What one request may take.
    """

    __slots__ = (
        "_arguments",
        "_error",
        "_length",
        "_limits",
        "_missing",
        "_needed",
        "_total",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # The request that is under way: what there is of it, how many arguments are to
        # come, how long the next one is (None: its header has not come).
        self._arguments: Request = []
        self._missing = 0
        self._length: int | None = None
        self._total = 0
        # With fewer bytes than this there is no use in looking.
        self._needed = 1
        # What was wrong behind the batch that was given last.
        self._error: ProtocolError | None = None

    def decode(self, buffer: bytearray) -> list[Request] | None:
        """Take all whole requests off the front of `buffer`.

        Args:
            buffer: What has arrived; what is used is removed.

        Returns:
            One or more requests, in order; None when more bytes must come.

        Raises:
            ProtocolError: What comes next is no request. Those before it were given.
        """
        if self._error is not None:
            raise self._error
        if len(buffer) < self._needed:
            return None
        batch: list[Request] = []
        try:
            if not self._missing and buffer[0] == _ARRAY:
                _take_simple(buffer, batch)
            while buffer and len(batch) < MAX_BATCH:
                request = self._take(buffer)
                if request is None:
                    break
                batch.append(request)
        except ProtocolError as error:
            self._error = error
            if not batch:
                raise
        return batch or None

    def decode_eof(self, buffer: bytearray) -> list[Request] | None:
        """As `decode`; a request that was cut off by the end is dropped.

        Args:
            buffer: What is left.

        Returns:
            As `decode`.
        """
        return self.decode(buffer)

    def encode(self, frame: bytes) -> bytes:
        """Give the bytes of a reply, which `replies.encode` has made.

        Args:
            frame: The bytes.

        Returns:
            The same.
        """
        return frame

    def _take(self, buffer: bytearray) -> Request | None:
        """Take one request, carefully; None when more must come."""
        self._needed = 1
        while not self._missing:
            if not buffer:
                return None
            if buffer[0] != _ARRAY:
                words = self._take_line(buffer)
                if words is None or words:
                    return words
                continue  # an empty line says nothing
            count = self._take_header(buffer, "multibulk")
            if count is None:
                return None
            if count > self._limits.arguments:
                raise ProtocolError("invalid multibulk length")
            self._missing = max(0, count)  # an empty array, too
        return self._take_arguments(buffer)

    def _take_arguments(self, buffer: bytearray) -> Request | None:
        """Take what has come of the request's arguments; the request if that is all."""
        while self._missing:
            length = self._length
            if length is None:
                if buffer and buffer[0] != _BULK:
                    raise ProtocolError(f"expected '$', got {chr(buffer[0])!r}")
                length = self._take_header(buffer, "bulk")
                if length is None:
                    return None
                self._check_length(length)
                self._length = length
            end = length + 2
            if len(buffer) < end:
                self._needed = end
                return None
            if buffer[length:end] != b"\r\n":
                raise ProtocolError("expected CRLF after a bulk string")
            self._arguments.append(bytes(memoryview(buffer)[:length]))
            del buffer[:end]
            self._length = None
            self._missing -= 1
        request, self._arguments = self._arguments, []
        self._total = 0
        return request

    def _check_length(self, length: int) -> None:
        """Refuse an argument before any of it is kept."""
        if not 0 <= length <= self._limits.bulk:
            raise ProtocolError("invalid bulk length")
        self._total += length
        if self._total > self._limits.total:
            raise ProtocolError("too big a request")

    def _take_header(self, buffer: bytearray, what: str) -> int | None:
        """Take `*number` or `$number` and the end of its line."""
        end = buffer.find(b"\r\n", 0, _MAX_HEADER)
        if end < 0:
            if len(buffer) >= _MAX_HEADER:
                raise ProtocolError(f"too big {what} count string")
            self._needed = len(buffer) + 1
            return None
        digits = bytes(buffer[1:end])
        if not _NUMBER.fullmatch(digits):
            raise ProtocolError(f"invalid {what} length")
        del buffer[: end + 2]
        return int(digits)

    def _take_line(self, buffer: bytearray) -> Request | None:
        """Take a line of words."""
        end = buffer.find(b"\n", 0, self._limits.line)
        if end < 0:
            if len(buffer) >= self._limits.line:
                raise ProtocolError("too big inline request")
            self._needed = len(buffer) + 1
            return None
        line = bytes(buffer[:end])
        words = _words(line)
        del buffer[: end + 1]
        return words


def _take_simple(buffer: bytearray, batch: list[Request]) -> None:
    """Take short requests from the front, until one is not simple or not whole.

    Nearly all are simple: few arguments, none long, no line end inside. Cutting at the
    line ends finds them all at once, and the lengths tell whether the cuts were right.
    Whatever is in doubt stays where it is, for `RequestCodec._take`.
    """
    lines = bytes(buffer).split(b"\r\n")
    # The last piece is not a line: nothing, or the beginning of one.
    last = len(lines) - 1
    start = 0
    while start < last and len(batch) < MAX_BATCH:
        count = _COUNTS.get(lines[start])
        if count is None:
            break
        end = start + 1 + 2 * count
        if end > last:
            break
        arguments = lines[start + 2 : end : 2]
        # One map against another: no step of it is Python code.
        lengths = map(_LENGTHS.get, lines[start + 1 : end : 2])
        if [*lengths] != [*map(len, arguments)]:
            break
        batch.append(arguments)
        start = end
    if start == last and not lines[last]:
        buffer.clear()
    else:
        rest = sum(map(len, lines[start:])) + 2 * (last - start)
        del buffer[: len(buffer) - rest]


def _words(line: bytes) -> Request:
    r"""Split a line as a shell would: quotes hold blanks, `\x41` is a byte."""
    words: Request = []
    position = len(line) - len(line.lstrip())
    while position < len(line):
        match = _WORD.match(line, position)
        if match is None:
            raise ProtocolError("unbalanced quotes in request")
        double, single, bare = match.groups()
        if double is not None:
            words.append(_ESCAPE.sub(_unescape, double))
        else:
            words.append(bare if single is None else single.replace(b"\\'", b"'"))
        position = match.end()
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    code: bytes = match[1]
    if len(code) > 1:
        return bytes.fromhex(code[1:].decode())
    return _CONTROLS.get(code, code)
