"""Copies: one way, and both ways with every kind of end."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from sumida.errors import BusyError, Disconnected, Elapsed
from sumida.io import Stream, _relay, copy, copy_bidirectional, copying, duplex
from sumida.io._splice import CAN_SPLICE, drop_pipes
from sumida.net import UnixStream
from sumida.testing import run_paused, turns
from tests.support import Run

Pair = tuple[Stream, Stream]
MakePair = Callable[[], Awaitable[Pair]]


async def in_memory() -> Pair:
    """Make a pair that is handed from transport to transport."""
    return duplex(1 << 16)


async def in_kernel() -> Pair:
    """Make a pair that is spliced."""
    return await UnixStream.pair()


@pytest.fixture(params=[in_memory, in_kernel], ids=["relay", "splice"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MakePair:
    """Give each way of copying."""
    if request.param is in_kernel:
        if not CAN_SPLICE:
            pytest.skip("this system has no splice")
        monkeypatch.setattr(_relay, "GROWN", 0)
    made: MakePair = request.param
    return made


async def proxied(
    pair: MakePair,
) -> tuple[Stream, Stream, "asyncio.Task[tuple[int, int]]"]:
    """Make client, server and the copy between them."""
    client, a = await pair()
    b, server = await pair()

    async def carry() -> tuple[int, int]:
        async with a, b:
            return await copy_bidirectional(a, b)

    return client, server, asyncio.create_task(carry())


def test_copy_counts_what_it_copied(run: Run) -> None:
    """And leaves the writer open."""

    async def main() -> tuple[int, bytes]:
        a, b = duplex()
        c, d = duplex()
        async with a, b, c, d:
            await a.write_all(b"x" * 1000)
            await a.shutdown()
            count = await copy(b, c, size=100)
            await c.write_all(b"!")
            await c.shutdown()
            with pytest.raises(ValueError, match="size must be 1 byte or more"):
                await copy(b, c, size=0)
            return count, await d.read_to_end()

    assert run(main) == (1000, b"x" * 1000 + b"!")


@pytest.mark.parametrize("first", ["client", "server"])
def test_half_close_is_carried_across(run: Run, pair: MakePair, first: str) -> None:
    """Whoever ends first still gets the answer."""

    async def main() -> tuple[bytes, bytes, tuple[int, int]]:
        client, server, carrying = await proxied(pair)
        async with client, server:
            one, other = (client, server) if first == "client" else (server, client)
            await one.write_all(b"question")
            await one.shutdown()
            question = await other.read_to_end()
            await other.write_all(b"the answer")
            await other.shutdown()
            answer = await one.read_to_end()
            return question, answer, await carrying

    question, answer, counts = run(main)
    assert (question, answer) == (b"question", b"the answer")
    assert counts == ((8, 10) if first == "client" else (10, 8))


def test_what_was_buffered_before_goes_first(run: Run, pair: MakePair) -> None:
    """A proxy may have read a header, and looked at what follows it."""

    async def main() -> tuple[bytes, tuple[int, int]]:
        client, a = await pair()
        b, server = await pair()
        async with client, a, b, server:
            await client.write_all(b"header\nbody")
            assert await a.read_line() == b"header\n"
            await client.shutdown()
            await server.shutdown()
            counts = await copy_bidirectional(a, b)
            return await server.read_to_end(), counts

    assert run(main) == (b"body", (4, 0))


def test_much_is_carried_both_ways_at_once(run: Run, pair: MakePair) -> None:
    """With readers that are slower than the writers."""
    size = 1 << 20

    async def main() -> tuple[int, int, tuple[int, int]]:
        client, server, carrying = await proxied(pair)

        async def talk(stream: Stream) -> int:
            reader, writer = stream.split()

            async def write() -> None:
                for _ in range(16):
                    await writer.write_all(b"x" * (size // 16))
                await writer.shutdown()

            writing = asyncio.create_task(write())
            count = 0
            while data := await reader.read(5000):
                count += len(data)
                if count % 7 == 0:
                    await asyncio.sleep(0)
            await writing
            return count

        async with client, server:
            tasks = [asyncio.create_task(talk(end)) for end in (client, server)]
            there, back = [await task for task in tasks]
            return there, back, await carrying

    assert run(main) == (size, size, (size, size))


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_ends_both_sides(run: Run, pair: MakePair, who: str) -> None:
    """With a typed error."""

    async def main() -> None:
        client, server, carrying = await proxied(pair)
        one, other = (client, server) if who == "client" else (server, client)
        await one.write_all(b"x")
        assert await other.read() == b"x"
        # Unread input makes a close a reset.
        await other.write_all(b"never read")
        await turns(20)
        one.abort()
        with pytest.raises(Disconnected):
            await other.write_all(b"y" * 100_000)
            while True:
                await other.write_all(b"y" * 100_000)
        with pytest.raises(Disconnected):
            await carrying
        one.abort()
        other.abort()

    run(main)


def test_a_cancel_closes_both_and_leaks_nothing(run: Run, pair: MakePair) -> None:
    """Not one descriptor, wherever it strikes."""

    async def main() -> list[int]:
        counts = []
        for steps in range(1, 13):
            client, server, carrying = await proxied(pair)
            await client.write_all(b"x" * 1000)
            await turns(steps)
            carrying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await carrying
            with pytest.raises(Disconnected):
                while True:
                    await client.write_all(b"x" * 100_000)
            client.abort()
            server.abort()
            await client.wait_closed()
            await server.wait_closed()
            await turns()
            drop_pipes()
            counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208  # a count
        return counts

    counts = run(main)
    assert len(set(counts)) == 1


def test_when_nothing_moves_it_is_late() -> None:
    """After the idle timeout; one busy direction keeps both."""

    async def main() -> float:
        client, a = duplex(read_timeout=40)
        b, server = duplex(read_timeout=40)
        loop = asyncio.get_running_loop()

        async def drip() -> None:
            for _ in range(4):
                await client.write_all(b"x")
                await asyncio.sleep(30)

        dripping = asyncio.create_task(drip())
        start = loop.time()
        with pytest.raises(Elapsed, match="bytes on"):
            await copy_bidirectional(a, b)
        late = loop.time() - start
        await dripping
        with pytest.raises(ValueError, match="idle_timeout"):
            await copy_bidirectional(a, b, idle_timeout=0)
        client.abort()
        server.abort()
        return late

    assert 90 + 40 <= run_paused(main) <= 90 + 60


def test_without_a_deadline_it_waits_for_ever() -> None:
    """As asked for."""

    async def main() -> bool:
        client, a = duplex()
        b, server = duplex()
        task = asyncio.create_task(_carry(a, b))
        await asyncio.sleep(1e6)
        is_waiting = not task.done()
        await client.shutdown()
        await server.shutdown()
        await task
        for end in (client, a, b, server):
            end.close()
        return is_waiting

    assert run_paused(main)


async def _carry(a: Stream, b: Stream) -> tuple[int, int]:
    return await copy_bidirectional(a, b, idle_timeout=None)


def test_the_kernel_can_be_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are handed from transport to transport then: the same result."""
    monkeypatch.setattr(copying, "CAN_SPLICE", False)

    async def main() -> tuple[bytes, tuple[int, int]]:
        client, server, carrying = await proxied(in_kernel)
        async with client, server:
            await client.write_all(b"question")
            await client.shutdown()
            await server.shutdown()
            return await server.read_to_end(), await carrying

    assert run(main) == (b"question", (8, 0))


def test_a_peer_that_has_gone_before_is_told(run: Run, pair: MakePair) -> None:
    """Copying between the dead is an error, or ends at once."""

    async def main() -> None:
        client, a = await pair()
        b, server = await pair()
        await server.write_all(b"unread")
        client.abort()
        await turns(20)
        try:
            await copy_bidirectional(a, b)
        except Disconnected:
            pass
        else:
            pytest.fail("the copy went on")
        server.abort()

    run(main)


def test_a_stream_that_is_read_is_not_copied(run: Run, pair: MakePair) -> None:
    """Nor is one read that is copied: one of the two would get half of it."""

    async def main() -> bytes:
        client, a = await pair()
        b, server = await pair()
        async with client, a, b, server:
            with pytest.raises(ValueError, match="two streams"):
                await copy_bidirectional(a, a)
            reading = asyncio.create_task(_read(a))
            await turns()
            with pytest.raises(BusyError, match="two tasks read"):
                await copy_bidirectional(a, b)
            await client.write_all(b"for the reader")
            assert await reading == b"for the reader"
            copying_ = asyncio.create_task(_carry(a, b))
            await turns(5)
            with pytest.raises(BusyError, match="while it is being copied"):
                await a.read()
            with pytest.raises(BusyError, match="while it is being copied"):
                await copy_bidirectional(b, a)
            await client.write_all(b"for the copy")
            await client.shutdown()
            await server.shutdown()
            await copying_
            return await server.read_to_end()

    assert run(main) == b"for the copy"


async def _read(stream: Stream) -> bytes:
    return await stream.read()
