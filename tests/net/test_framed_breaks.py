"""Messages and what breaks them: cancels, resets, any pieces."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida import select, sleep
from sumida.errors import Closed, Disconnected, IncompleteReadError
from sumida.io import Stream, duplex
from sumida.net import (
    AnyDelimiterCodec,
    Codec,
    Framed,
    JsonLinesCodec,
    LengthDelimitedCodec,
    LinesCodec,
    Pool,
    TcpStream,
    serve,
)
from sumida.testing import turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.net.certificates import client_context, server_context
from tests.net.sockets import facing, reset
from tests.support import Run

FRAME = b"\0\0\0\x05hello"
Receive = Callable[[Framed[bytes, bytes]], Awaitable[object]]


async def first_of(framed: Framed[bytes, bytes]) -> object:
    """Receive in a select."""
    return (await select(framed, sleep(1e6)))[1]


async def iterated(framed: Framed[bytes, bytes]) -> object:
    """Receive by a loop."""
    async for frame in framed:
        return frame
    return None


class Receiving:
    """One task receives a message that comes in two pieces.

    Args:
        stream: Over which.
        write: Writes at its other end.
        call: How it is received.
    """

    def __init__(
        self, stream: Stream, write: Callable[[bytes], object], call: Receive
    ) -> None:
        self.framed = Framed(stream, LengthDelimitedCodec())
        self.write = write
        self.call = call
        self.sent = b""

    async def subject(self) -> object:
        """Receive."""
        return await self.call(self.framed)

    def wakes(self) -> list[Callable[[], object]]:
        """Send a part of it, and then the rest with another message."""
        return [lambda: self.send(6), lambda: self.send(18)]

    def send(self, upto: int) -> None:
        """Send the next bytes."""
        data = (FRAME + b"\0\0\0\x05again")[len(self.sent) : upto]
        self.sent += data
        self.write(data)

    async def check(self, outcome: Outcome) -> None:
        """Find both messages, each once."""
        self.send(18)
        expected = [b"hello", b"again"]
        if outcome.returned:
            assert outcome.value == expected.pop(0)
        for frame in expected:
            assert await self.framed.recv() == frame
        assert self.framed.read_buffer == b""


async def one_of_many(framed: Framed[bytes, bytes]) -> object:
    """Receive as many as there are, up to one."""
    return (await framed.recv_many(1))[0]


CALLS = [lambda framed: framed.recv(), first_of, iterated, one_of_many]


@pytest.mark.parametrize("call", CALLS)
def test_a_cancelled_recv_loses_no_byte(run: Run, call: Receive) -> None:
    """Wherever the cancel strikes, in memory."""

    async def main() -> int:
        streams: list[Stream] = []

        def world() -> Receiving:
            a, b = duplex()
            streams.extend((a, b))
            return Receiving(b, a._engine.write, call)

        runs = await cancel_everywhere(world)
        for stream in streams:
            stream.abort()
        return runs

    assert run(main) > 12


@pytest.mark.parametrize("call", CALLS)
def test_a_cancelled_recv_loses_no_byte_of_a_socket(run: Run, call: Receive) -> None:
    """Wherever the cancel strikes, on a connection that goes on meanwhile."""

    async def main() -> int:
        async with facing() as (stream, peer):
            return await cancel_everywhere(
                lambda: Receiving(stream, peer.sendall, call)
            )

    assert run(main) > 12


class Sending:
    """One task sends to a peer that does not read yet.

    Args:
        feeds: Whether it is by `feed`.
    """

    def __init__(self, *, feeds: bool) -> None:
        self.a, self.b = duplex(100)
        self.framed = Framed(self.a, LengthDelimitedCodec())
        self.feeds = feeds
        # The first is with the peer, the second waits.
        self.a._engine.write(b"x" * 1000)
        self.a._engine.write(b"x" * 1000)

    async def subject(self) -> None:
        """Send."""
        if self.feeds:
            await self.framed.feed(b"f" * 8188)
            await self.framed.feed(b"hello")
        else:
            await select(self.framed.send(b"hello"), sleep(1e6))

    def wakes(self) -> list[Callable[[], object]]:
        """Let the peer read."""
        return [lambda: self.b.read_exact(1000)]

    async def check(self, outcome: Outcome) -> None:
        """Find the message if it was sent, and the stream in order."""

        async def end() -> None:
            await self.framed.feed(b"last")
            await self.framed.shutdown()

        ending = asyncio.create_task(end())
        rest = await self.b.read_to_end()
        await ending
        hello = FRAME if outcome.returned else b""
        assert rest.endswith(hello + b"\0\0\0\x04last"), outcome
        assert rest.count(b"hello") == len(hello) // len(FRAME)
        self.a.abort()
        self.b.abort()


@pytest.mark.parametrize("feeds", [False, True])
def test_a_cancelled_send_has_written_nothing(run: Run, *, feeds: bool) -> None:
    """Wherever the cancel strikes; and never a part."""

    async def main() -> int:
        runs = await cancel_everywhere(lambda: Sending(feeds=feeds))
        await turns()
        return runs

    assert run(main) > 5


TWO = b"\0\0\0\x01a\0\0\0\x02bc"


@pytest.mark.parametrize("waits", [True, False], ids=["in time", "at once"])
@pytest.mark.parametrize("cut", range(len(TWO) + 1))
def test_a_reset_after_each_byte_keeps_the_messages_before(
    run: Run, cut: int, *, waits: bool
) -> None:
    """Those that had arrived whole are given, and then it is a reset, never an end."""

    async def main() -> list[bytes]:
        async with facing() as (stream, peer):
            framed = Framed(stream, LengthDelimitedCodec())
            receiving = asyncio.ensure_future(framed.recv())
            await turns()
            peer.sendall(TWO[:cut])
            if waits:
                await turns()
            reset(peer)
            got: list[bytes] = []
            with pytest.raises(Disconnected) as caught:
                got.append(await receiving)
                while True:
                    got.append(await framed.recv())
            assert caught.value.direction == "read"
            # It stays so.
            with pytest.raises(Disconnected):
                await framed.recv()
            return got

    assert run(main) == [b"a", b"bc"][: (cut >= 5) + (cut >= 11)]


@pytest.mark.parametrize("cut", range(len(FRAME) + 1))
def test_a_reset_within_a_message_that_is_sent_is_told(run: Run, cut: int) -> None:
    """To who sends next, and to who receives, after so many bytes were read."""

    async def main() -> None:
        async with facing() as (stream, peer):
            framed = Framed(stream, LengthDelimitedCodec())
            await framed.send(b"hello")
            await framed.flush()
            await turns()
            if cut:
                assert peer.recv(cut) == FRAME[:cut]
            reset(peer)
            with pytest.raises(Disconnected):
                await framed.recv()
            with pytest.raises(Disconnected) as caught:
                await framed.send(b"hello")
            assert caught.value.direction == "write"

    run(main)


@pytest.mark.parametrize("cut", range(len(TWO) + 1))
def test_an_end_after_each_byte_is_told(run: Run, cut: int) -> None:
    """Between messages it is the end, within one an error with what came of it."""

    async def main() -> list[bytes]:
        async with facing() as (stream, peer):
            framed = Framed(stream, LengthDelimitedCodec())
            peer.sendall(TWO[:cut])
            peer.shutdown(socket.SHUT_WR)
            got: list[bytes] = []
            if cut in {0, 5, 11}:
                got = [frame async for frame in framed]
            else:
                with pytest.raises(IncompleteReadError) as caught:
                    while True:
                        got.append(await framed.recv())
                assert (
                    caught.value.partial == TWO[cut - len(caught.value.partial) : cut]
                )
            with pytest.raises(Closed):
                await framed.recv()
            return got

    assert run(main) == [b"a", b"bc"][: (cut >= 5) + (cut >= 11)]


def test_a_peer_that_is_gone_is_told_to_a_sender_who_waits(run: Run) -> None:
    """A reset ends the wait for room, too."""

    async def main() -> None:
        async with facing() as (stream, peer):
            framed = Framed(stream, LengthDelimitedCodec())

            async def send() -> None:
                while True:
                    await framed.send(b"x" * 60_000)

            sending = asyncio.create_task(send())
            while not stream.unsent:
                await turns()
            reset(peer)
            with pytest.raises(Disconnected):
                await sending

    run(main)


def test_messages_and_pools_go_over_tls(run: Run) -> None:
    """As over TCP; a connection on which something was left is not used again."""

    async def echo(stream: TcpStream) -> None:
        lines = Framed(stream, LinesCodec())
        async for line in lines:
            await lines.send_many([line] * (2 if line == "twice" else 1))

    async def main() -> list[tuple[int, str]]:
        tls, client_tls = server_context(), client_context()
        async with await serve(echo, "localhost", 0, tls=tls) as server:
            made: list[Stream] = []

            async def connect() -> Framed[str, str]:
                stream = await TcpStream.connect(
                    "localhost", server.port, tls=client_tls
                )
                made.append(stream)
                return Framed(stream, LinesCodec())

            got = []
            async with Pool(connect, max_size=1) as pool:
                for question in ("x", "twice", "y"):
                    async with pool.acquire() as lines:
                        await lines.send(question)
                        got.append((made.index(lines.stream), await lines.recv()))
            return got

    assert run(main) == [(0, "x"), (0, "twice"), (1, "y")]


CODECS: list[tuple[Callable[[], Codec[object, object]], st.SearchStrategy[object]]] = [
    (LengthDelimitedCodec, st.binary(max_size=40)),  # type: ignore[list-item]  # of bytes
    (LinesCodec, st.text("abc é", max_size=40)),  # type: ignore[list-item]  # of str
    (AnyDelimiterCodec, st.text("ab c", max_size=40).map(str.encode)),  # type: ignore[list-item]  # of bytes
    (JsonLinesCodec, st.lists(st.integers(-9, 9))),
]


@pytest.mark.parametrize(("make", "frames"), CODECS)
def test_messages_cross_a_stream_whole(
    make: Callable[[], Codec[object, object]], frames: st.SearchStrategy[object]
) -> None:
    """In whatever pieces they come, and however they are taken; and so do the rest."""

    @settings(max_examples=40, deadline=None)
    @given(
        messages=st.lists(frames, max_size=30),
        sizes=st.lists(st.integers(1, 60), max_size=30),
        taken=st.integers(0, 30),
    )
    def check(messages: list[object], sizes: list[int], taken: int) -> None:
        async def main() -> tuple[list[object], bytes]:
            async with AsyncExitStack() as stack:
                a, b = duplex(256)
                await stack.enter_async_context(a)
                await stack.enter_async_context(b)
                codec = make()
                data = b"".join(map(codec.encode, messages))

                async def write() -> None:
                    rest = data
                    for size in (*sizes, len(data)):
                        await a.write_all(rest[:size])
                        rest = rest[size:]
                        await turns(size % 3)
                    await a.shutdown()

                writing = asyncio.create_task(write())
                framed = Framed(b, codec)
                got = [await framed.recv() for _ in messages[:taken]]
                before = framed.into_parts().read_buffer
                after = await b.read_to_end()
                await writing
                return got, before + after

        codec = make()
        assert asyncio.run(main()) == (
            messages[:taken],
            b"".join(map(codec.encode, messages[taken:])),
        )

    check()
