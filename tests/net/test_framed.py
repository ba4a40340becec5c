"""Messages over a stream: order, ends, errors, back-pressure, a change of codec."""

import asyncio
from itertools import cycle
from typing import assert_type

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida import select, sleep
from sumida.errors import (
    BusyError,
    Closed,
    Elapsed,
    FrameTooLargeError,
    IncompleteReadError,
    InvalidFrameError,
)
from sumida.io import DuplexStream, duplex
from sumida.net import (
    Codec,
    Framed,
    FramedRead,
    FramedWrite,
    LengthDelimitedCodec,
    LinesCodec,
)
from sumida.operation import Operation
from sumida.runtime.yielding import yield_now
from sumida.sync import Notify
from sumida.testing import run_paused, turns
from tests.support import Run


def lines(stream: DuplexStream, limit: int = 100) -> Framed[str, str]:
    """Make lines of a stream."""
    return Framed(stream, LinesCodec(limit))


def test_messages_go_both_ways(run: Run) -> None:
    """In order; a loop over them ends when the peer ends its side."""

    async def main() -> tuple[list[str], list[str]]:
        a, b = duplex()
        async with a, b:
            here, there = lines(a), lines(b)
            await here.send("one")
            await here.send_many(["two", "three"])
            await here.shutdown()
            got = [line async for line in there]
            await there.send("answer")
            await there.shutdown()
            return got, [line async for line in here]

    assert run(main) == (["one", "two", "three"], ["answer"])


def test_halves_carry_messages_too(run: Run) -> None:
    """Of two kinds, in two tasks."""

    async def main() -> list[bytes]:
        a, b = duplex()
        async with a, b:
            reader, writer = b.split()
            incoming = FramedRead(reader, LinesCodec())
            outgoing = FramedWrite(writer, LengthDelimitedCodec())

            async def answer() -> None:
                async for line in incoming:
                    await outgoing.send(line.encode())
                await outgoing.shutdown()

            answering = asyncio.create_task(answer())
            await a.write_all(b"a\nbc\n")
            await a.shutdown()
            await answering
            return [frame async for frame in FramedRead(a, LengthDelimitedCodec())]

    assert run(main) == [b"a", b"bc"]


def test_a_message_in_pieces_is_given_whole(run: Run) -> None:
    """However it comes."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            frames = FramedRead(b, LengthDelimitedCodec())
            task = asyncio.ensure_future(frames.recv())
            for byte in b"\0\0\0\x03abc":
                await a.write_all(bytes([byte]))
                await turns()
            return await task

    assert run(main) == b"abc"


def test_messages_are_taken_many_at_once(run: Run) -> None:
    """Up to a limit, in order, with one call or another; nothing is the end."""

    async def main() -> list[list[str]]:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            await a.write_all(b"1\n2\n3\n4\n5\n6\nha")
            got = [await framed.recv_many(3)]
            got.append([await framed.recv()])
            assert framed.read_buffer == b"5\n6\nha"
            assert await select(late=sleep(60), many=framed.recv_many(9)) == (
                "many",
                ["5", "6"],
            )
            waiting = asyncio.ensure_future(framed.recv_many(9))
            await turns()
            await a.write_all(b"lf\n")
            got.append(await waiting)
            await a.shutdown()
            got.append(await framed.recv_many(9))
            with pytest.raises(ValueError, match="1 message or more, not 0"):
                framed.recv_many(0)
            return got

    assert run(main) == [["1", "2", "3"], ["4"], ["half"], []]


def test_messages_before_an_error_are_taken_first(run: Run) -> None:
    """Then it is raised, and the next call goes on."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b, 5)
            await a.write_all(b"1\n2\n1234567\n3\n")
            assert await framed.recv_many(9) == ["1", "2"]
            with pytest.raises(FrameTooLargeError):
                await framed.recv_many(9)
            assert await framed.recv_many(9) == ["3"]

    run(main)


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(0, 300),
    limits=st.lists(st.integers(1, 200), min_size=1, max_size=10),
    peeks=st.booleans(),
)
def test_no_message_is_lost_whatever_the_limits(
    count: int, limits: list[int], *, peeks: bool
) -> None:
    """Also where the budget of the turn ends amid what was found."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            await a.write_all(b"".join(b"%d\n" % n for n in range(count)))
            await a.shutdown()
            got: list[str] = []
            for limit in cycle(limits):
                if peeks:
                    assert framed.is_ready() or not got
                    assert len(framed.read_buffer) >= 0
                messages = await framed.recv_many(limit)
                assert len(messages) <= limit
                got += messages
                if not messages:
                    return got
        return []

    assert asyncio.run(main()) == [str(n) for n in range(count)]


def test_types_follow_the_codec(run: Run) -> None:
    """Those of what is received and sent; in a loop and a select."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            here = Framed(a, LengthDelimitedCodec())
            there = Framed(b, LinesCodec())
            await there.send("x")
            await a.write_all(b"1\n2\n3\n4\n5\n")
            await a.shutdown()
            assert_type(await there.recv(), str)
            assert_type(await there.recv_many(1), list[str])
            assert_type((await select(there))[1], str)
            async for line in there:
                assert_type(line, str)
            assert_type(here.recv(), Operation[bytes])
            takes_bytes: Framed[bytes, bytes] = here
            assert takes_bytes is here

    run(main)


def test_the_end_comes_again_and_again(run: Run) -> None:
    """Each call is told, and nothing was lost before."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            await a.write_all(b"a\nb")
            await a.shutdown()
            assert [await framed.recv(), await framed.recv()] == ["a", "b"]
            for _ in range(2):
                with pytest.raises(Closed):
                    await framed.recv()
            assert [line async for line in framed] == []

    run(main)


def test_the_end_within_a_message_is_an_error_once(run: Run) -> None:
    """With what came of it; then it is the end."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = Framed(b, LengthDelimitedCodec())
            await a.write_all(b"\0\0\0\x01x\0\0\0\x05ab")
            await a.shutdown()
            got = []
            with pytest.raises(IncompleteReadError) as caught:
                async for frame in framed:
                    got.append(frame)
            assert got == [b"x"]
            assert caught.value.partial == b"ab"
            assert framed.read_buffer == b""
            with pytest.raises(Closed):
                await framed.recv()

    run(main)


def test_an_error_waits_for_the_messages_before_it(run: Run) -> None:
    """They are given first; it leaves the loop; the next loop goes on."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b, 5)
            await a.write_all(b"a\nb\nc\n123456789\nd\n\xff\ne\n")
            await a.shutdown()
            got: list[str] = []
            with pytest.raises(FrameTooLargeError):
                async for line in framed:
                    got.append(line)
            assert got == ["a", "b", "c"]
            with pytest.raises(InvalidFrameError):
                async for line in framed:
                    got.append(line)
            assert got == ["a", "b", "c", "d"]
            assert await framed.recv() == "e"
            with pytest.raises(Closed):
                await framed.recv()

    run(main)


def test_a_frame_that_is_too_large_stays_an_error(run: Run) -> None:
    """Where the next one begins is not known."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = Framed(b, LengthDelimitedCodec(5))
            await a.write_all(b"\0\0\0\x01x\0\0\0\x06abcdef")
            assert await framed.recv() == b"x"
            for _ in range(2):
                with pytest.raises(FrameTooLargeError):
                    await framed.recv()

    run(main)


class Careless(Codec[bytes, bytes]):
    """One byte each; raises where it must not."""

    def decode(self, buffer: bytearray) -> bytes | None:
        """Take one."""
        return bytes([buffer.pop(0)]) if buffer else None

    def decode_all(self, data: bytes) -> tuple[list[bytes], int]:
        """Fail."""
        raise InvalidFrameError("careless", data)

    def encode(self, frame: bytes) -> bytes:
        """Give it."""
        return frame


def test_a_codec_that_fails_ahead_loses_nothing(run: Run) -> None:
    """The message before is given after the error."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = Framed(b, Careless())
            await a.write_all(b"ab")
            with pytest.raises(InvalidFrameError):
                await framed.recv()
            assert framed.read_buffer == b"b"
            assert [await framed.recv(), await framed.recv()] == [b"a", b"b"]

    run(main)


def test_a_late_message_is_an_error_and_comes_all_the_same() -> None:
    """The deadline is the stream's."""

    async def main() -> str:
        a, b = duplex()
        async with a, b:
            b.read_timeout = 3
            framed = lines(b)
            await a.write_all(b"la")
            with pytest.raises(Elapsed):
                await framed.recv()
            await a.write_all(b"te\n")
            return await framed.recv()

    assert run_paused(main) == "late"


def test_two_tasks_cannot_wait_at_once(run: Run) -> None:
    """The second is told."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            first = asyncio.ensure_future(framed.recv())
            await turns()
            with pytest.raises(BusyError, match="two tasks read from one"):
                await framed.recv()
            await a.write_all(b"x\n")
            assert await first == "x"

    run(main)


def test_messages_that_are_there_let_others_run(run: Run) -> None:
    """A loop over thousands yields now and then."""

    async def main() -> int:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"x\n" * 5000)
            await a.shutdown()
            turned = 0

            async def turn() -> None:
                nonlocal turned
                while True:
                    await yield_now()
                    turned += 1

            turning = asyncio.create_task(turn())
            assert len([line async for line in lines(b)]) == 5000
            turning.cancel()
            await asyncio.wait([turning])
            return turned

    assert run(main) >= 8


def test_select_takes_what_is_framed(run: Run) -> None:
    """As an operation, and as a branch of a loop; a send, too."""

    async def main() -> list[tuple[str, object]]:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            stop = Notify()
            got: list[tuple[str, object]] = []
            assert await select(a.read(), framed.send("x")) == (1, None)
            await a.write_all(b"1\n2\n")
            async for name, value in select.loop(
                msg=framed, stop=stop.notified(), biased=True
            ):
                got.append((name, value))
                if name == "stop":
                    break
                if value == "2":
                    await a.write_all(b"3\n")
                    stop.notify_one()
            got.append(await select(msg=framed.recv(), late=sleep(60)))
            return got

    assert run(main) == [("msg", "1"), ("msg", "2"), ("stop", None), ("msg", "3")]


def test_select_loop_ends_with_the_messages(run: Run) -> None:
    """As with the last sender of a channel."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"1\n2\n")
            await a.shutdown()
            return [value async for _, value in select.loop(msg=lines(b))]

    assert run(main) == ["1", "2"]


def test_half_a_message_ends_no_coroutine_of_a_select(run: Run) -> None:
    """Only a whole one wins; an error, or the end, is a result too."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            framed = lines(b, 5)
            happened: list[str] = []

            async def work() -> None:
                try:
                    await sleep(60)
                except asyncio.CancelledError:
                    happened.append("ended")
                    raise

            async def race() -> str:
                _, value = await select(framed.recv(), work())
                return str(value)

            task = asyncio.create_task(race())
            for piece in (b"ha", b"lf"):
                await a.write_all(piece)
                await turns()
                happened.append("half")
            await a.write_all(b"\nmore\n1234567\n")
            happened.append(await task)
            happened.append(await race())
            with pytest.raises(FrameTooLargeError):
                await race()
            await a.shutdown()
            with pytest.raises(Closed):
                await race()
            return happened

    assert run(main) == ["half", "half", "ended", "half", "more", "ended"]


def test_a_message_found_for_a_select_that_is_cancelled_is_kept(run: Run) -> None:
    """And so is an error; the bytes behind it stay bytes."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b, 5)
            await a.write_all(b"1\n2\n3\n")
            await turns()
            assert framed.is_ready()
            assert framed.read_buffer == b"2\n3\n"
            assert [await framed.recv() for _ in range(3)] == ["1", "2", "3"]
            assert not framed.is_ready()
            await a.write_all(b"1234567\n4\n")
            await turns()
            assert framed.is_ready()
            assert framed.is_ready()
            with pytest.raises(FrameTooLargeError):
                await framed.recv()
            assert await framed.recv() == "4"

    run(main)
