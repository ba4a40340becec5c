"""The writing side of streams: what may be written, and how much waits."""

import array
import asyncio

import pytest

from sumida.errors import Closed, Disconnected
from sumida.io import Stream
from sumida.io._engine import HIGH_WATER
from sumida.net import UnixStream
from sumida.testing import turns
from tests.support import Run


def test_what_changes_after_a_write_does_not_change_what_was_written(run: Run) -> None:
    """Also while it waits to be sent: it is copied where it could change."""

    async def main() -> bool:
        a, b = await UnixStream.pair()
        async with a, b:
            await _fill(a)
            data = bytearray(b"old" * 10_000)
            view = memoryview(data)
            waiting = asyncio.create_task(a.write_all(view))
            await turns()
            data[:] = b"new" * 10_000
            got = 0
            while got < 1_000_000:
                got += len(await b.read(1_000_000 - got))
            await waiting
            return await b.read_exact(30_000) == b"old" * 10_000

    assert run(main)


async def _fill(stream: Stream) -> None:
    stream._engine.write(bytes(1_000_000))
    await turns()


def test_any_bytes_can_be_written(run: Run) -> None:
    """Views of other types count their bytes; pieces become one."""

    async def main() -> bytes:
        a, b = await UnixStream.pair()
        async with a, b:
            await a.write_all(memoryview(array.array("H", [1, 2])))
            await a.write_all(memoryview(b"abcdef")[::2])
            await a.write_all(b"")
            await a.write_vectored([b"x", bytearray(b"y"), memoryview(b"z")])
            await a.shutdown()
            return await b.read_to_end()

    assert run(main) in {b"\1\0\2\0acexyz", b"\0\1\0\2acexyz"}


def test_a_long_write_waits_in_small_parts(run: Run) -> None:
    """However long it is, little more than the high-water mark waits."""

    async def main() -> tuple[int, int]:
        a, b = await UnixStream.pair()
        async with a, b:
            writing = asyncio.create_task(a.write_all(bytes(5_000_000)))
            most = got = 0
            while got < 5_000_000:
                got += len(await b.read(100_000))
                most = max(most, a.unsent)
            await writing
            return got, most

    got, most = run(main)
    assert got == 5_000_000
    assert most <= 2 * HIGH_WATER


def test_a_write_that_waits_learns_of_the_end(run: Run) -> None:
    """Of the peer's reset, and of its own side's close."""

    async def main() -> None:
        a, b = await UnixStream.pair()
        writing = asyncio.create_task(a.write_all(bytes(5_000_000)))
        await turns(5)
        b.abort()
        with pytest.raises(Disconnected, match="write"):
            await writing
        a.close()
        await a.wait_closed()
        a, b = await UnixStream.pair()
        writing = asyncio.create_task(a.write_all(bytes(5_000_000)))
        await turns(5)
        a.abort()
        with pytest.raises((Closed, Disconnected)):
            await writing
        b.abort()
        await b.wait_closed()

    run(main)
