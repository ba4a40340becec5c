"""Replies, outwards: Python values become the bytes of RESP2 or RESP3.

A command returns plain values, and does not care which protocol its client speaks: a
`dict` is a map for a client of RESP3, and a flat array for one of RESP2.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, final

__all__ = (
    "ABSENT",
    "OK",
    "PONG",
    "QUEUED",
    "RESP2",
    "RESP3",
    "WRONG_TYPE",
    "Absent",
    "Many",
    "Push",
    "Reply",
    "ReplyError",
    "Simple",
    "encode",
    "pieces",
)


@final
class Simple(bytes):
    """A short text of the server's own: `+OK`."""

    __slots__ = ()


@final
class Push(tuple["Reply", ...]):
    """What comes without being asked for: a message, or the answer to SUBSCRIBE."""

    __slots__ = ()


@final
class Many(tuple["Reply", ...]):
    """Several replies to one request: SUBSCRIBE answers once for each channel."""

    __slots__ = ()


@final
class Absent(tuple["Reply", ...]):
    """No array, where there might be one: RESP2 tells it from no string."""

    __slots__ = ()


@final
class ReplyError(Exception):
    """What a client is told when its request fails; the connection goes on.

    Args:
        text: A code in capitals, then words: "ERR syntax error".
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text


Reply: TypeAlias = (
    "bytes | int | float | ReplyError | Sequence[Reply] | Mapping[bytes, Reply] | None"
)
"""What a command may return. (`bytes` is binary, as long as it likes.)"""

ABSENT: Final = Absent()
OK: Final = Simple(b"OK")
PONG: Final = Simple(b"PONG")
QUEUED: Final = Simple(b"QUEUED")
WRONG_TYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
RESP2: Final = 2
RESP3: Final = 3


def encode(reply: Reply, protocol: int) -> bytes:
    """Make the bytes of a reply that has no parts.

    Args:
        reply: What the command returned.
        protocol: 2 or 3, as the client asked by HELLO.

    Returns:
        The bytes.

    Raises:
        TypeError: It has parts, or no command may return it.
    """
    # The usual kinds first.
    if isinstance(reply, bytes):
        if type(reply) is Simple:
            return b"+%b\r\n" % reply
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if reply is None:
        return b"_\r\n" if protocol == RESP3 else b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, ReplyError):
        # A line end in it, from the client's own words, would end the reply.
        line = reply.text.replace("\r", " ").replace("\n", " ")
        return b"-%b\r\n" % line.encode(errors="surrogateescape")
    if isinstance(reply, float):
        number = repr(reply).removesuffix(".0").encode()
        return b",%b\r\n" % number if protocol == RESP3 else encode(number, protocol)
    raise TypeError(f"no command may reply with {reply!r}")


def pieces(reply: Reply, protocol: int) -> Iterator[bytes]:
    """Make the bytes of any reply, bit by bit: all of it may be more than fits.

    Args:
        reply: What the command returned. It is not to be changed meanwhile.
        protocol: As for `encode`.

    Yields:
        The bytes, in pieces.
    """
    if isinstance(reply, Mapping):
        if protocol == RESP3:
            yield b"%%%d\r\n" % len(reply)
        else:
            yield b"*%d\r\n" % (2 * len(reply))
        for key, value in reply.items():
            yield encode(key, protocol)
            yield from pieces(value, protocol)
    elif isinstance(reply, Absent):
        yield b"_\r\n" if protocol == RESP3 else b"*-1\r\n"
    elif isinstance(reply, list | tuple):
        if isinstance(reply, Push) and protocol == RESP3:
            yield b">%d\r\n" % len(reply)
        elif not isinstance(reply, Many):
            yield b"*%d\r\n" % len(reply)
        for part in reply:
            yield from pieces(part, protocol)
    else:
        yield encode(reply, protocol)
