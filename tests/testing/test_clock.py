"""The paused clock: time passes only while nothing runs."""

import asyncio
import socket
import time

import pytest

from sumida import Interval, operation, sleep, spawn_blocking, timeout
from sumida.channels import mpsc
from sumida.errors import Elapsed, MisuseError
from sumida.testing import advance, run_paused, turns


def test_hours_pass_at_once() -> None:
    """A sleep of a day takes no time, and the clock shows a day."""

    async def main() -> float:
        await sleep(86_400)
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    shown = run_paused(main)

    assert shown == 86_400 + 3_600
    assert time.monotonic() - started < 60


def test_timers_run_in_order() -> None:
    """What is due first runs first, however it was started."""

    async def main() -> list[float]:
        order: list[float] = []

        async def note(after: float) -> None:
            await sleep(after)
            order.append(after)

        async with asyncio.TaskGroup() as group:
            for after in (3.0, 1.0, 2.0, 0.5):
                group.create_task(note(after))
        return order

    assert run_paused(main) == [0.5, 1.0, 2.0, 3.0]


def test_two_runs_are_equal() -> None:
    """The same program does the same in the same order, whatever ran before."""

    async def main() -> list[tuple[float, int]]:
        seen: list[tuple[float, int]] = []

        async def tick(n: int) -> None:
            interval = Interval(0.1 * n)
            for _ in range(5):
                seen.append((await interval.tick(), n))

        async with asyncio.TaskGroup() as group:
            for n in range(1, 6):
                group.create_task(tick(n))
        return seen

    first = run_paused(main)
    operation.budget.left = 12

    assert run_paused(main) == first


def test_advance_is_exact() -> None:
    """The clock stands where it was told to."""

    async def main() -> float:
        await advance(1.5)
        await advance(0)
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 1.5


def test_deadlines_follow() -> None:
    """Our timeouts and asyncio's both end by the paused clock."""

    async def main() -> float:
        with pytest.raises(Elapsed):
            async with timeout(5):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 10


def test_the_clock_stands_while_a_thread_works() -> None:
    """A timer does not fire early because a thread takes its time."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await loop.run_in_executor(None, time.sleep, 0.01)
        return loop.time() - started

    assert run_paused(main) == 0


def test_a_blocking_call_can_be_awaited() -> None:
    """A thread of ours wakes the loop, although no timer is set."""

    async def main() -> int:
        return await spawn_blocking(sum, [1, 2])

    assert run_paused(main) == 3


def test_a_deadlock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in which nobody can go on raises, and says what each task waits for."""
    monkeypatch.setattr("sumida.testing.clock._PATIENCE", 0.05)

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            await rx.recv()

    with pytest.raises(MisuseError, match="Receiver 0/1"):
        run_paused(main)


def test_advance_needs_a_paused_clock() -> None:
    """With a real clock it is refused, and so is going back."""

    async def main() -> None:
        await advance(1)

    async def back() -> None:
        await advance(-1)

    with pytest.raises(MisuseError, match="real clock"):
        asyncio.run(main())
    with pytest.raises(ValueError, match="-1"):
        run_paused(back)


def test_the_clock_stands_while_a_blocking_call_runs() -> None:
    """A deadline does not pass because a thread of ours takes its time."""

    async def main() -> float:
        async with timeout(1):
            await spawn_blocking(time.sleep, 0.01)
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 0


def test_the_clock_stands_while_a_socket_is_ready() -> None:
    """What has come from outside goes before what is to come later."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
            sleeping = asyncio.ensure_future(sleep(100))
            await turns()
            theirs.send(b"x")
            assert await receiving == b"x"
        sleeping.cancel()
        return loop.time()

    assert run_paused(main) == 0


def test_time_goes_on_after_a_thread() -> None:
    """It stood only while the thread worked."""

    async def main() -> float:
        await spawn_blocking(int)
        await asyncio.to_thread(int)
        await sleep(100)
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 100


def test_threads_of_asyncio_are_waited_for_at_the_end() -> None:
    """As every loop does."""
    ended: list[str] = []

    def work() -> None:
        time.sleep(0.02)
        ended.append("work")

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    run_paused(main)

    assert ended == ["work"]


def test_no_timer_is_early_by_the_least() -> None:
    """A real clock may be rounded, this one is exact."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        first, second = 1.0, 1.0 + 5e-10
        shown: list[float] = []
        for moment in (first, second):
            loop.call_at(moment, lambda: shown.append(loop.time()))
        await sleep(2)
        return shown == [first, second]

    assert run_paused(main)


def test_advance_lets_a_wake_up_go_one_task_further() -> None:
    """Who waits for a task that was due has heard of its end."""

    async def main() -> bool:
        async def due() -> None:
            await sleep(5)

        async def wait(task: "asyncio.Task[None]") -> None:
            await task

        waiting = asyncio.create_task(wait(asyncio.create_task(due())))
        await turns(3)
        await advance(5)
        return waiting.done()

    assert run_paused(main)
