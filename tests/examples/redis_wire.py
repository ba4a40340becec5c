"""What the tests of the example share: a server in this process, and a bare client."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self, final

from examples.mini_redis import MiniRedis
from examples.mini_redis.protocol import Limits
from sumida import CancellationToken, JoinSet
from sumida.channels import oneshot
from sumida.net import TcpStream

__all__ = ("NO_ARRAY", "Failure", "Running", "Wire", "request", "serving")

NO_ARRAY = "no array"
"""What is read where an array might be, and is not (RESP2)."""


@final
class Running:
    """A server that runs in this process.

    Args:
        server: It.
        port: Where it listens.
        stop: Stops it.
    """

    def __init__(self, server: MiniRedis, port: int, stop: CancellationToken) -> None:
        self.server = server
        self.port = port
        self.stop = stop

    async def connect(self, *, receive_buffer: int | None = None) -> "Wire":
        """Connect a client.

        Cancel safety:
            Safe.
        """
        stream = await TcpStream.connect(
            "127.0.0.1", self.port, receive_buffer=receive_buffer, read_timeout=30
        )
        return Wire(stream)


@asynccontextmanager
async def serving(limits: Limits | None = None) -> AsyncIterator[Running]:
    """Run a server; leaving the block stops it, and waits until it has drained.

    Cancel safety:
        Safe.
    """
    server = MiniRedis(limits)
    stop = CancellationToken()
    ready: oneshot.Sender[int]
    listening: oneshot.Receiver[int]
    ready, listening = oneshot.channel()
    async with JoinSet[None]() as tasks:
        tasks.spawn(server.serve("127.0.0.1", 0, stop, ready.send))
        with stop.drop_guard():
            yield Running(server, await listening, stop)


@final
class Failure(str):
    """An error that was replied."""

    __slots__ = ()


@final
class Wire:
    """A client that sends bytes and reads replies, one by one.

    Args:
        stream: Its connection.
    """

    def __init__(self, stream: TcpStream) -> None:
        self.stream = stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        self.stream.close()
        await self.stream.wait_closed()

    async def send(self, *words: bytes | str | int) -> None:
        """Send one request."""
        await self.stream.write_all(request(*words))

    async def ask(self, *words: bytes | str | int) -> object:
        """Send one request, and read one reply."""
        await self.send(*words)
        return await self.read()

    async def read(self) -> object:
        """Read one reply: a bulk string is bytes, a short text str, a push a tuple.

        Cancel safety:
            Not safe: a part of the reply may be lost.
        """
        line = (await self.stream.read_until(b"\r\n"))[:-2]
        sign, rest = line[:1], line[1:]
        if sign in _WORDS:
            return _WORDS[sign](rest.decode())
        count = int(rest)
        if sign == b"$":
            return None if count < 0 else (await self.stream.read_exact(count + 2))[:-2]
        if count < 0:
            return NO_ARRAY
        if sign == b"%":
            return {await self.read(): await self.read() for _ in range(count)}
        parts = [await self.read() for _ in range(count)]
        return tuple(parts) if sign == b">" else parts


_WORDS: dict[bytes, Callable[[str], object]] = {
    b"+": str,
    b"-": Failure,
    b":": int,
    b",": float,
    b"_": lambda _: None,
}


def request(*words: bytes | str | int) -> bytes:
    """Make the bytes of a request."""
    raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in raw
    )
