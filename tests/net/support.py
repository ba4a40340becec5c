"""What the tests of servers share: handlers, a client, a count."""

import asyncio
import os
from collections.abc import Callable

from sumida.net import TcpStream, serve

__all__ = ("LOCAL", "descriptors", "echo", "for_ever", "say", "say_nothing", "until")

LOCAL = "127.0.0.1"


async def echo(stream: TcpStream) -> None:
    """Give back what comes."""
    while data := await stream.read():
        await stream.write_all(data)


async def for_ever(_stream: TcpStream) -> None:
    """Wait for nothing."""
    await asyncio.get_running_loop().create_future()


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def descriptors() -> int:
    """Count the open ones."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count


async def say(port: int, data: bytes) -> bytes:
    """Send `data` to an echo server, end, and read what comes."""
    async with await TcpStream.connect(LOCAL, port) as stream:
        await stream.write_all(data)
        await stream.shutdown()
        return await stream.read_to_end()


async def say_nothing() -> None:
    """Have the loop open what it keeps, so that it is not counted."""
    async with await serve(echo, LOCAL, 0) as server:
        await say(server.port, b"")
