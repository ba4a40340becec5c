"""How tasks wait on streams: deadlines, readiness, and being run where bytes arrive."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import pytest

import sumida
from sumida import select
from sumida._core.sleeper import Sleeper
from sumida.errors import Closed, Disconnected, Elapsed
from sumida.io import DuplexStream, Stream, duplex
from sumida.net import UnixStream
from sumida.testing import run_paused, turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.support import Run


async def _read(stream: Stream) -> bytes:
    return await stream.read()


async def clog(stream: Stream) -> None:
    """Write more than the other end takes: 100 bytes of 200."""
    stream._engine.write(b"x" * 100)
    await turns()
    stream._engine.write(b"x" * 100)


# Readiness.


def test_readable_takes_nothing(run: Run) -> None:
    """It ends when a read would not wait: at data, at the end, at an error."""

    async def main() -> list[bytes]:
        a, b = duplex()
        async with a, b:
            waiting = asyncio.create_task(_await(b.readable()))
            await turns()
            assert not waiting.done()
            await a.write_all(b"data")
            await waiting
            seen = [await b.read()]
            await a.shutdown()
            await b.readable()
            seen.append(await b.read())
            b.abort()
            await b.readable()
            with pytest.raises(Disconnected):
                while not a.is_closed:
                    await a.read()
            return seen

    assert run(main) == [b"data", b""]


async def _await(awaitable: Awaitable[object]) -> None:
    await awaitable


def test_writable_waits_for_room(run: Run) -> None:
    """And is an operation: in a `select` it writes nothing."""

    async def main() -> tuple[int, object]:
        a, b = duplex(10)
        async with a, b:
            await a.writable()
            await clog(a)
            first, _ = await select(a.writable(), sumida.yield_now())
            waiting = asyncio.create_task(_select_writable(a))
            assert len(await b.read_exact(200)) == 200
            winner = await waiting
            b.abort()
            await turns()
            with pytest.raises(Disconnected):
                await a.writable()
            return first, winner

    assert run(main) == (1, 0)


async def _select_writable(stream: Stream) -> int:
    return (await select(stream.writable(), sumida.sleep(1e6)))[0]


# Deadlines.


def test_late_is_judged_for_each_wait() -> None:
    """A read that was cancelled in the tick of its deadline leaves no trace."""

    async def main() -> bytes:
        a, b = duplex(read_timeout=5)
        async with a, b:
            reading = asyncio.create_task(_read(b))
            await turns()
            # In the same turn, after the deadline has been noticed.
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + 5, reading.cancel)
            await asyncio.wait([reading])
            again = asyncio.create_task(_read(b))
            await asyncio.sleep(3)
            await a.write_all(b"in time")
            return await again

    assert run_paused(main) == b"in time"


def test_a_deadline_passes_in_a_select() -> None:
    """And the next turn of a loop begins anew."""

    async def main() -> list[float]:
        a, b = duplex(read_timeout=5)
        loop = asyncio.get_running_loop()
        seen = []
        async with a, b:
            for _ in range(2):
                with pytest.raises(Elapsed, match="data on DuplexStream"):
                    await select(b.read(), sumida.sleep(1e6))
                seen.append(loop.time())
            assert (await select(b.read(), sumida.sleep(4)))[0] == 1
            assert (await select(b.read(), sumida.sleep(4)))[0] == 1
            seen.append(loop.time())
        return seen

    assert run_paused(main) == [5, 10, 18]


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read_exact(6),
        lambda stream: stream.read_to_end(),
        lambda stream: stream.read_line(),
    ],
)
def test_a_read_is_late_when_nothing_comes(
    call: Callable[[DuplexStream], Awaitable[bytes]],
) -> None:
    """Whatever drips in begins the wait anew; silence ends it."""

    async def main() -> tuple[bytes, float]:
        a, b = duplex(read_timeout=5)
        loop = asyncio.get_running_loop()
        async with a, b:

            async def drip() -> None:
                for _ in range(5):
                    await asyncio.sleep(4)
                    await a.write_all(b"x")
                await asyncio.sleep(4)
                await a.write_all(b"\n")
                await a.shutdown()

            dripping = asyncio.create_task(drip())
            got = await call(b)
            await dripping
            silent, _peer = duplex(read_timeout=5)
            start = loop.time()
            with pytest.raises(Elapsed):
                await call(silent)
            silent.abort()
            _peer.close()
            return got, loop.time() - start

    assert run_paused(main) == (b"xxxxx\n", 5)


def test_each_writer_has_its_own_deadline() -> None:
    """Two may wait for room; the first is late first."""

    async def main() -> list[float]:
        a, b = duplex(10, write_timeout=5)
        loop = asyncio.get_running_loop()
        await clog(a)
        late: list[float] = []

        async def wait(after: float) -> None:
            await asyncio.sleep(after)
            with pytest.raises(Elapsed, match="room on"):
                await a.writable()
            late.append(loop.time())

        tasks = [asyncio.create_task(wait(after)) for after in (0, 3)]
        for task in tasks:
            await task
        a.abort()
        b.abort()
        await turns()
        return late

    assert run_paused(main) == [5, 8]


def test_a_close_has_the_write_timeout() -> None:
    """A peer that does not read holds nothing for ever."""

    async def main() -> float:
        a, b = duplex(10, write_timeout=5)
        loop = asyncio.get_running_loop()
        async with a:
            await clog(a)
        late = loop.time()
        with pytest.raises(Disconnected):
            while await b.read():
                pass
        b.close()
        return late

    assert run_paused(main) == 5


def test_flushes_do_not_disturb_each_other(run: Run) -> None:
    """One that is cancelled leaves the other waiting until all has gone."""

    async def main() -> int:
        a, b = duplex(10)
        async with a, b:
            await clog(a)
            first = asyncio.create_task(a.flush())
            second = asyncio.create_task(a.flush())
            await turns()
            first.cancel()
            await asyncio.wait([first])
            await b.read_exact(50)
            await turns()
            assert not second.done()
            await b.read_exact(150)
            await second
            return a.unsent

    assert run(main) == 0


# A task that is run where the bytes arrive.


def test_a_task_may_do_anything_where_it_is_run(run: Run) -> None:
    """It reads again, closes, aborts and spawns inside the transport's callback."""

    async def main() -> list[bytes]:
        seen: list[bytes] = []
        for end in (Stream.close, Stream.abort):
            a, b = await UnixStream.pair()

            async def work(stream: Stream, end: Callable[[Stream], None]) -> None:
                seen.append(await stream.read())
                seen.append(await stream.read())
                inner = asyncio.create_task(_read(stream))
                await turns()
                end(stream)
                with pytest.raises(Closed):
                    await inner

            working = asyncio.create_task(work(b, end))
            for piece in (b"one", b"two"):
                await a.write_all(piece)
                await asyncio.sleep(0.001)
            await working
            a.close()
            await a.wait_closed()
            await b.wait_closed()
        return seen

    assert run(main) == [b"one", b"two"] * 2


def test_a_task_is_not_run_within_another(run: Run) -> None:
    """Bytes that come while a task runs wake the reader a turn later."""

    async def main() -> tuple[bool, bytes]:
        a, b = duplex()
        async with a, b:
            reading = asyncio.create_task(_read(b))
            await turns()
            b._engine.data_received(b"from a task")
            return reading.done(), await reading

    assert run(main) == (False, b"from a task")


def test_a_context_that_is_in_use_is_no_obstacle(run: Run) -> None:
    """A callback may run in the very context of the task that reads."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            reading = loop.create_task(_read(b), context=context)
            await turns()
            loop.call_soon(b._engine.data_received, b"here", context=context)
            return await reading

    assert run(main) == b"here"


def test_an_exit_in_a_task_ends_the_loop(run: Run) -> None:
    """Wherever the task was run; no transport takes it for its own fault."""

    async def main() -> None:
        a, b = await UnixStream.pair()
        try:

            async def leave() -> None:
                await b.read()
                raise SystemExit(7)

            leaving = asyncio.create_task(leave())
            await turns()
            await a.write_all(b"go")
            with pytest.raises(SystemExit):
                await leaving
        finally:
            a.abort()
            b.abort()

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 7


def test_a_cancel_and_the_bytes_may_come_in_one_turn(run: Run) -> None:
    """In each order the bytes are the next read's, or were returned."""

    async def main() -> list[bytes]:
        seen = []
        for cancel_first in (True, False):
            a, b = duplex()
            async with a, b:
                reading = asyncio.create_task(_read(b))
                await turns()
                if cancel_first:
                    reading.cancel("because")
                b._engine.data_received(b"x")
                if not cancel_first:
                    reading.cancel("because")
                with pytest.raises(asyncio.CancelledError, match="because"):
                    await reading
                seen.append(await b.read())
        return seen

    assert run(main) == [b"x", b"x"]


def test_a_sleeper_serves_one_wait_after_the_other(run: Run) -> None:
    """A second reader in between gets one of its own; each cancel finds its task."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            first = asyncio.create_task(_read(b))
            await turns()
            sleeper = b._engine.reader
            assert repr(sleeper) == "<Sleeper waited for>"
            # Woken, and not run yet.
            b._engine.data_received(b"1")
            assert repr(sleeper) == "<Sleeper idle>"
            assert isinstance(sleeper, Sleeper)
            assert not sleeper.cancel()
            first.cancel()
            assert await b.read() == b"1"
            second = asyncio.create_task(_read(b))
            await asyncio.wait([first])
            assert first.cancelled()
            await turns()
            await a.write_all(b"2")
            assert await second == b"2"

    run(main)


def test_a_stream_works_in_debug_mode(run: Run) -> None:
    """The loop checks more there."""

    async def main() -> bytes:
        asyncio.get_running_loop().set_debug(True)
        a, b = await UnixStream.pair()
        async with a, b:
            reading = asyncio.create_task(_read(b))
            await turns()
            assert "wait_for=<Sleeper" in repr(reading) or "wait_for" not in repr(
                reading
            )
            await a.write_all(b"x")
            return await reading

    assert run(main) == b"x"


class Writing:
    """A world in which one task waits until it can write."""

    def __init__(self) -> None:
        self.a, self.b = duplex(10)
        self.a._engine.pause_writing()

    async def subject(self) -> None:
        """Wait."""
        await self.a.writable()

    def wakes(self) -> list[Callable[[], object]]:
        """Make room."""
        return [self.a._engine.resume_writing]

    async def check(self, outcome: Outcome) -> None:
        """Find nobody in line."""
        await turns()
        writers = self.a._engine.writers
        assert writers is None or not len(writers), outcome
        self.a.abort()
        self.b.abort()
        await turns()


def test_waiting_for_room_is_cancel_safe(run: Run) -> None:
    """It leaves the line wherever a cancel strikes."""

    async def main() -> int:
        return await cancel_everywhere(Writing)

    assert run(main) > 3


def test_many_small_writes_to_a_slow_peer_arrive_in_order(run: Run) -> None:
    """More pieces than one call of the kernel takes, behind one that is cut."""

    async def main() -> bytes:
        a, b = await UnixStream.pair()
        async with a, b:
            # Below the mark, so that writers go on, with no room in the kernel.
            a._engine.transport.set_write_buffer_limits(high=1 << 30)
            a._engine.write(bytes(1_000_000))
            for n in range(5000):
                await a.write_all(b"%d," % (n % 10))
            a._engine.transport.set_write_buffer_limits(high=65536)
            await b.read_exact(1_000_000)
            return await b.read_exact(10_000)

    assert run(main) == b"0,1,2,3,4,5,6,7,8,9," * 500


def test_the_end_stands_behind_what_was_not_read(run: Run) -> None:
    """A reader that comes late, when reading was held back, gets all, and then it."""
    size = 2_000_000

    async def main() -> tuple[bool, int, bytes]:
        a, b = await UnixStream.pair()
        async with b:

            async def write() -> None:
                async with a:
                    await a.write_all(bytes(size))

            writing = asyncio.create_task(write())
            await turns(100)
            is_held = 0 < b.buffered < size and not b.at_eof
            count = len(await b.read_to_end())
            await writing
            return is_held, count, await b.read()

    assert run(main) == (True, size, b"")


@pytest.mark.parametrize("ends", ["nobody", "peer", "own", "both"])
def test_a_block_can_be_left_in_every_state(run: Run, ends: str) -> None:
    """Half-closed, ended, with unread data: it closes, and nothing hangs."""

    async def main() -> list[bool]:
        a, b = await UnixStream.pair()
        async with a, b:
            await a.write_all(b"never read")
            if ends in {"peer", "both"}:
                await a.shutdown()
            if ends in {"own", "both"}:
                await b.shutdown()
            await b.readable()
        async with b:
            pass
        return [a.is_closed, b.is_closed]

    assert run(main) == [True, True]
