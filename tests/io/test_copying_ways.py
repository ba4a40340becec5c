"""Copies both ways, over every pair of kinds of streams: the same results on all."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import Disconnected
from sumida.io import CopyCounts, Stream, _relay, copy_bidirectional, copying, duplex
from sumida.io._splice import CAN_SPLICE, drop_pipes
from sumida.net import TcpListener, TcpStream, UnixStream
from sumida.testing import turns
from tests.net.certificates import client_context, server_context
from tests.support import Run

Pair = tuple[Stream, Stream]
MakePair = Callable[[], Awaitable[Pair]]


async def memory() -> Pair:
    """Make a pair in memory."""
    return duplex(1 << 16)


async def unix() -> Pair:
    """Make a pair of Unix sockets."""
    return await UnixStream.pair()


async def tcp() -> Pair:
    """Make a pair over TCP."""
    async with await TcpListener.bind("127.0.0.1", 0) as listener:
        client = await TcpStream.connect("127.0.0.1", listener.port)
        return client, await listener.accept()


async def tls() -> Pair:
    """Make a pair with TLS."""
    async with await TcpListener.bind("localhost", 0, tls=server_context()) as listener:
        accepting = asyncio.create_task(_accept(listener))
        client = await TcpStream.connect(
            "localhost", listener.port, tls=client_context()
        )
        return client, await accepting


async def _accept(listener: TcpListener) -> TcpStream:
    return await listener.accept()


KINDS = {"memory": memory, "unix": unix, "tcp": tcp, "tls": tls}


@pytest.fixture(autouse=True)
def grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go over to the kernel in the middle of a copy."""
    monkeypatch.setattr(_relay, "GROWN", 20_000)


@pytest.fixture(params=product(KINDS, KINDS), ids="-".join)
def pairs(request: pytest.FixtureRequest) -> tuple[MakePair, MakePair]:
    """Give each combination of what stands before and behind a proxy."""
    near, far = request.param
    return KINDS[near], KINDS[far]


async def proxied(
    near: MakePair, far: MakePair, counts: CopyCounts | None = None
) -> tuple[Stream, Stream, "asyncio.Task[tuple[int, int]]"]:
    """Make client, server and the copy between them."""
    client, a = await near()
    b, server = await far()

    async def carry() -> tuple[int, int]:
        async with a, b:
            return await copy_bidirectional(a, b, counts=counts)

    return client, server, asyncio.create_task(carry())


async def _say(stream: Stream, data: bytes) -> None:
    await stream.write_all(data)
    await stream.shutdown()


@pytest.mark.parametrize("first", ["client", "server", "both"])
def test_half_close_in_every_combination(
    run: Run, pairs: tuple[MakePair, MakePair], first: str
) -> None:
    """Whoever ends first, and whatever carries it: all arrives, and then the end."""
    question, answer = b"q" * 200_000, b"a" * 300_000

    async def main() -> tuple[bytes, bytes, tuple[int, int]]:
        client, server, carrying = await proxied(*pairs)
        one, other = (server, client) if first == "server" else (client, server)
        async with client, server:
            asking = asyncio.create_task(_say(one, question))
            if first == "both":
                answering = asyncio.create_task(_say(other, answer))
                heard = await other.read_to_end()
            else:
                heard = await other.read_to_end()
                assert not one.at_eof
                answering = asyncio.create_task(_say(other, answer))
            said = await one.read_to_end()
            await asking
            await answering
            return heard, said, await carrying

    heard, said, counts = run(main)
    assert (heard, said) == (question, answer)
    expected = (len(question), len(answer))
    assert counts == (expected if first != "server" else expected[::-1])


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_told_to_the_other_side(
    run: Run, pairs: tuple[MakePair, MakePair], who: str
) -> None:
    """As a broken connection where the kind can say so, and never as silence."""
    if pairs[0 if who == "client" else 1] is unix:
        pytest.skip("the abort of a Unix socket is an end like any other")

    async def main() -> None:
        client, server, carrying = await proxied(*pairs)
        one, other = (client, server) if who == "client" else (server, client)
        await one.write_all(b"x" * 1000)
        assert await other.read_exact(1000)
        one.abort()
        with pytest.raises(Disconnected):
            await carrying
        if isinstance(other, UnixStream):
            assert await other.read_to_end() == b""
        else:
            with pytest.raises(Disconnected):
                await other.read_to_end()
        other.abort()
        await other.wait_closed()
        await one.wait_closed()

    run(main)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("before", [10, 1_000_000])
def test_a_copy_says_which_side_broke(run: Run, side: int, before: int) -> None:
    """By its name, before it has gone over to the kernel and after that."""

    async def main() -> bool:
        (client, a), (b, server) = await tcp(), await tcp()
        peers = client, server
        copying_both = asyncio.create_task(_copy(a, b))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(peers[side].write_all(b"x" * before))
            assert await peers[1 - side].read_exact(before)
        peers[side].abort()
        with pytest.raises(Disconnected) as caught:
            await copying_both
        for stream in (client, a, b, server):
            stream.abort()
            await stream.wait_closed()
        return caught.value.what == (a, b)[side]._engine.what

    assert run(main)


async def _copy(a: Stream, b: Stream) -> None:
    await copy_bidirectional(a, b)


@pytest.mark.parametrize("kind", ["tcp", "tls", "memory"])
def test_a_cancelled_copy_does_not_look_complete(run: Run, kind: str) -> None:
    """Both peers see a reset, and the counts tell how far it came."""

    async def main() -> tuple[int, int]:
        counts = CopyCounts()
        client, server, carrying = await proxied(KINDS[kind], KINDS[kind], counts)
        await client.write_all(b"half of it")
        assert await server.read_exact(10) == b"half of it"
        carrying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await carrying
        for end in (client, server):
            with pytest.raises(Disconnected):
                await end.read()
            end.abort()
            await end.wait_closed()
        return counts.sent, counts.received

    assert run(main) == (10, 0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_cancel_at_every_await_leaks_nothing(run: Run, kind: str) -> None:
    """No descriptor; and what the counts tell is at least what has arrived."""

    async def main() -> set[int]:
        opened = set()
        for steps in range(1, 25):
            counts = CopyCounts()
            client, server, carrying = await proxied(KINDS[kind], KINDS[kind], counts)
            writing = asyncio.create_task(_say(client, b"x" * 50_000))
            await turns(steps)
            carrying.cancel()
            await asyncio.wait([carrying, writing])
            if not writing.cancelled():
                writing.exception()
            got = 0
            try:
                while data := await server.read():
                    got += len(data)
            except Disconnected:
                pass
            assert got <= counts.sent or carrying.cancelled() is False
            for end in (client, server):
                end.abort()
                await end.wait_closed()
            await turns(3)
            drop_pipes()
            opened.add(len(os.listdir("/proc/self/fd")))  # noqa: PTH208  # a count
        return opened

    assert len(run(main)) == 1


@pytest.mark.skipif(not CAN_SPLICE, reason="this system has no splice")
@settings(max_examples=40, deadline=None)
@given(
    there=st.lists(st.integers(0, 200_000), max_size=5),
    back=st.lists(st.integers(0, 200_000), max_size=5),
    early=st.integers(0, 70_000),
    after=st.sampled_from([None, 0, 1, 100_000]),
    kind=st.sampled_from([tcp, unix]),
)
def test_the_kernel_and_python_give_the_same(
    there: list[int], back: list[int], early: int, after: int | None, kind: MakePair
) -> None:
    """For any sizes, also of what had arrived before the copy began."""

    async def main() -> tuple[bytes, bytes, tuple[int, int]]:
        client, a = await kind()
        b, server = await kind()
        async with client, a, b, server:
            await client.write_all(b"e" * early)
            if early:
                await a.readable()
            carrying = asyncio.create_task(copy_bidirectional(a, b))
            tasks = [
                asyncio.create_task(_talk(client, there)),
                asyncio.create_task(_talk(server, back)),
            ]
            answer, question = [await task for task in tasks]
            return question, answer, await carrying

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "CAN_SPLICE", after is not None)
        patch.setattr(_relay, "GROWN", after or 0)
        question, answer, counts = asyncio.run(main())
    assert question == b"e" * early + _content(there)
    assert answer == _content(back)
    assert counts == (len(question), len(answer))


def _content(sizes: list[int]) -> bytes:
    return b"".join(bytes([index]) * size for index, size in enumerate(sizes))


async def _talk(stream: Stream, sizes: list[int]) -> bytes:
    reader, writer = stream.split()

    async def write() -> None:
        for index, size in enumerate(sizes):
            await writer.write_all(bytes([index]) * size)
            await asyncio.sleep(0)
        await writer.shutdown()

    writing = asyncio.create_task(write())
    data = await reader.read_to_end()
    await writing
    return data
