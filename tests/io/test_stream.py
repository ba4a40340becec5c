"""Streams of bytes: what every one of them can do, on a connection in memory."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

import sumida
from sumida import select
from sumida.errors import (
    BusyError,
    Closed,
    Disconnected,
    Elapsed,
    IncompleteReadError,
    LimitExceededError,
)
from sumida.io import Stream, duplex
from sumida.testing import run_paused, turns
from tests.support import Run


def test_what_is_written_is_read(run: Run) -> None:
    """In order, in any pieces."""

    async def main() -> list[bytes]:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"hello ")
            await a.write_vectored([b"wor", bytearray(b"ld")])
            await a.shutdown()
            return [await b.read(3), await b.read(), await b.read(), await b.read()]

    assert run(main) in (
        [b"hel", b"lo world", b"", b""],
        [b"hel", b"lo ", b"world", b""],
    )


def test_each_kind_of_read_takes_its_part(run: Run) -> None:
    """Exact counts, separators, lines, integers, the rest."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"abc;line\n" + bytes(range(1, 16)) + b"\xfftail")
            await a.shutdown()
            assert await b.peek() == b"abc;line\n" + bytes(range(1, 16)) + b"\xfftail"
            assert await b.read_exact(0) == b""
            assert await b.read_until(b";") == b"abc;"
            assert await b.read_line() == b"line\n"
            assert await b.read_u8() == 1
            assert await b.read_u16() == 0x0203
            assert await b.read_u32("little") == 0x07060504
            assert await b.read_u64() == 0x08090A0B0C0D0E0F
            assert await b.read_integer(1, signed=True) == -1
            assert await b.read_line() == b"tail"
            assert await b.read_line() == b""
            assert await b.read_to_end() == b""
            assert b.at_eof

    run(main)


def test_the_end_comes_before_all_is_there(run: Run) -> None:
    """What came is in the error."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"abc")
            await a.shutdown()
            with pytest.raises(
                IncompleteReadError, match="3 bytes, before 5"
            ) as caught:
                await b.read_exact(5)
            assert caught.value.partial == b"abc"
            assert caught.value.expected == 5
            with pytest.raises(IncompleteReadError, match="the separator"):
                await b.read_until(b";")
            with pytest.raises(IncompleteReadError):
                await b.read_u32()

    run(main)


def test_a_limit_refuses_and_takes_nothing(run: Run) -> None:
    """The stream can be read on."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"x" * 100)
            await a.shutdown()
            for refused in (
                b.read_until(b";", limit=10),
                b.read_line(limit=10),
                b.read_to_end(limit=10),
            ):
                with pytest.raises(LimitExceededError, match="limit of 10"):
                    await refused
            return await b.read_to_end()

    assert run(main) == b"x" * 100


def test_a_separator_may_be_cut_anywhere(run: Run) -> None:
    """It is found although its two halves came apart."""

    async def main() -> list[bytes]:
        a, b = duplex()
        async with a, b:
            reading = asyncio.create_task(_await(b.read_until(b"\r\n")))
            for piece in (b"ab", b"c\r", b"\nrest"):
                await turns(3)
                await a.write_all(piece)
            first = await reading
            return [first, await b.read()]

    assert run(main) == [b"abc\r\n", b"rest"]


async def _await(awaitable: Awaitable[bytes]) -> bytes:
    return await awaitable


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read(0),
        lambda stream: stream.read_exact(-1),
        lambda stream: stream.read_until(b""),
        lambda stream: stream.read_until(b"abc", limit=2),
        lambda stream: stream.read_line(limit=0),
        lambda stream: stream.read_to_end(limit=-1),
        lambda stream: stream.read_integer(0),
    ],
)
def test_bad_arguments_are_refused_at_the_call(
    call: Callable[[Stream], object],
) -> None:
    """With the value and what is allowed."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            with pytest.raises(ValueError, match=r"not|must"):
                call(a)
            with pytest.raises(ValueError, match="read_timeout must be more than 0"):
                a.read_timeout = 0
            with pytest.raises(TypeError, match="must be bytes, not str"):
                await a.write_all("text")  # type: ignore[arg-type]  # on purpose

    asyncio.run(main())


def test_two_readers_at_once_are_refused(run: Run) -> None:
    """The first goes on."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            reading = asyncio.create_task(_await(b.read()))
            await turns()
            with pytest.raises(BusyError, match="two tasks read"):
                await b.read_line()
            await a.write_all(b"for the first")
            return await reading

    assert run(main) == b"for the first"


def test_halves_live_in_two_tasks(run: Run) -> None:
    """One reads while the other writes; shutdown of the one leaves the other."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            reader, writer = a.split()
            reading = asyncio.create_task(_await(reader.read_to_end()))
            await writer.write_all(b"ping")
            await writer.shutdown()
            assert await b.read_to_end() == b"ping"
            await b.write_all(b"pong")
            await b.shutdown()
            assert "ReadHalf" in repr(reader)
            assert "WriteHalf" in repr(writer)
            return await reading

    assert run(main) == b"pong"


def test_a_writer_waits_for_a_slow_reader(run: Run) -> None:
    """And memory stays bounded: the limit of each end, and one write."""

    async def main() -> int:
        a, b = duplex(1000)
        async with a, b:
            writing = asyncio.create_task(_write_many(a, 100))
            await turns(200)
            assert not writing.done()
            held = a.unsent + b.buffered
            total = 0
            while total < 100_000:
                total += len(await b.read())
            await writing
            return held

    assert run(main) <= 4000


async def _write_many(stream: Stream, count: int) -> None:
    for _ in range(count):
        await stream.write_all(b"x" * 1000)


def test_a_reset_is_one_error_with_its_direction(run: Run) -> None:
    """For who reads, who writes and who flushes; what came before is given first."""

    async def main() -> None:
        a, b = duplex()
        await a.write_all(b"last words")
        await turns()
        a.abort()
        await turns()
        assert await b.read() == b"last words"
        with pytest.raises(Disconnected, match="read") as reading:
            await b.read()
        with pytest.raises(Disconnected, match="write") as writing:
            await b.write_all(b"x")
        assert (reading.value.direction, writing.value.direction) == ("read", "write")
        assert isinstance(reading.value, ConnectionError)
        with pytest.raises(Disconnected):
            await b.flush()
        assert b.is_closed
        b.close()

    run(main)


def test_a_reset_wakes_who_waits(run: Run) -> None:
    """Reader and writer alike."""

    async def main() -> None:
        a, b = duplex(10)
        reading = asyncio.create_task(_await(b.read_exact(5)))
        writing = asyncio.create_task(_write_many(b, 5))
        await turns()
        a.abort()
        with pytest.raises(Disconnected):
            await reading
        with pytest.raises(Disconnected):
            await writing
        b.close()

    run(main)


def test_use_after_close_is_refused(run: Run) -> None:
    """With `Closed`; closing twice does no harm, and who reads is woken."""

    async def main() -> None:
        a, b = duplex()
        reading = asyncio.create_task(_await(a.read()))
        await turns()
        a.close()
        a.close()
        with pytest.raises(Closed):
            await reading
        with pytest.raises(Closed):
            await a.write_all(b"x")
        await a.shutdown()
        await a.wait_closed()
        await b.shutdown()
        with pytest.raises(Closed):
            await b.write_all(b"after the end")
        await b.shutdown()
        b.close()

    run(main)


def test_late_is_elapsed() -> None:
    """For reads and writes; the deadline is of one wait, and the stream goes on."""

    async def main() -> list[float]:
        a, b = duplex(10, read_timeout=60, write_timeout=5)
        start = sumida_now()
        with pytest.raises(Elapsed, match="after 60 s, waiting for data") as caught:
            await b.read()
        times = [sumida_now() - start, caught.value.after]
        writing = asyncio.create_task(_write_many(a, 3))
        with pytest.raises(Elapsed, match="after 5 s, waiting for room"):
            await writing
        times.append(sumida_now() - start)
        assert await b.read(3) == b"xxx"
        b.read_timeout = None
        a.abort()
        b.abort()
        return times

    assert run_paused(main) == [60, 60, 65]


def sumida_now() -> float:
    """Read the loop's clock."""
    return asyncio.get_running_loop().time()


def test_a_deadline_begins_anew_with_each_wait() -> None:
    """A peer that sends a byte now and then is not late."""

    async def main() -> int:
        a, b = duplex(read_timeout=10)
        async with a, b:

            async def drip() -> None:
                for _ in range(5):
                    await sumida.sleep(9)
                    await a.write_all(b"x")

            dripping = asyncio.create_task(drip())
            count = 0
            while count < 5:
                count += len(await b.read())
            await dripping
            return count

    assert run_paused(main) == 5


def test_reads_are_operations_for_select(run: Run) -> None:
    """The one that loses has taken nothing."""

    async def main() -> tuple[object, bytes]:
        a, b = duplex()
        c, d = duplex()
        async with a, b, c, d:
            waiting = asyncio.create_task(_select(b, d))
            await turns()
            await c.write_all(b"second")
            winner = await waiting
            await a.write_all(b"first")
            return winner, await b.read()

    assert run(main) == ((1, b"second"), b"first")


async def _select(b: Stream, d: Stream) -> tuple[int, bytes]:
    return await select(b.read(), d.read(), biased=True)


def test_a_graceful_close_leaves_nothing_unread(run: Run) -> None:
    """It flushes, ends its side, drains the peer's, and closes."""

    async def main() -> bytes:
        a, b = duplex(100)

        async def peer() -> bytes:
            got = await b.read_to_end()
            await b.write_all(b"y" * 1000)
            await b.shutdown()
            return got

        task = asyncio.create_task(peer())
        await a.write_all(b"x" * 10)
        await a.close_gracefully()
        assert a.is_closed
        got = await task
        b.close()
        return got

    assert run(main) == b"x" * 10


def test_a_graceful_close_ends_in_time() -> None:
    """Also when the peer never ends its side."""

    async def main() -> float:
        a, b = duplex()
        start = sumida_now()
        await a.close_gracefully(timeout=3)
        b.abort()
        with pytest.raises(ValueError, match="timeout"):
            await a.close_gracefully(-1)
        return sumida_now() - start

    assert run_paused(main) == 3


def test_leaving_the_block_by_an_error_closes(run: Run) -> None:
    """At once, with what is not sent."""

    async def main() -> bool:
        a, b = duplex(10)
        with pytest.raises(KeyError):
            async with a:
                a._engine.write(b"x" * 100)
                raise KeyError
        await turns()
        with pytest.raises(Disconnected):
            while await b.read():
                pass
        return a.is_closed

    assert run(main)


def test_a_stream_that_is_dropped_is_closed_and_told(run: Run) -> None:
    """By a ResourceWarning, and the peer sees it."""

    async def main() -> None:
        a, b = duplex()
        with pytest.warns(ResourceWarning, match="was collected while open"):
            del a
            gc.collect()
        with pytest.raises(Disconnected):
            await b.read()
        b.close()

    run(main)


def test_a_repr_tells_the_state(run: Run) -> None:
    """Open, half-closed, ended, closed."""

    async def main() -> list[str]:
        a, b = duplex()
        seen = [repr(a)]
        await a.shutdown()
        seen.append(repr(a))
        await b.read()
        seen.append(repr(b))
        a.close()
        b.abort()
        await turns()
        return [*seen, repr(a), repr(b.read()), repr(a._engine)]

    assert run(main) == [
        "<DuplexStream open>",
        "<DuplexStream half-closed>",
        "<DuplexStream ended by the peer>",
        "<DuplexStream closed>",
        "<Read from DuplexStream>",
        "<Engine of DuplexStream, closed, 0 bytes to read>",
    ]
