"""Calls that block: their threads, their order, and what a cancelled caller leaves."""

import asyncio
import contextlib
import contextvars
import gc
import threading
import traceback
import weakref

import pytest

from sumida.runtime.blocking import (
    BlockingPool,
    blocking_cancelled,
    spawn_blocking,
)
from tests.runtime.support import LONG, Gate, until
from tests.support import Run

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request")


def test_spawn_blocking_returns_what_the_function_returns(run: Run) -> None:
    """Arguments go in, the result comes out, and it runs on another thread."""

    def work(a: int, *, fn: int) -> tuple[int, str, bool]:
        thread = threading.current_thread()
        return a + fn, thread.name, thread.daemon

    async def main() -> tuple[int, str, bool]:
        return await spawn_blocking(work, 1, fn=2)

    total, name, is_daemon = run(main)

    assert total == 3
    assert name.startswith("sumida-blocking-")
    assert is_daemon


def test_context_goes_in_and_does_not_come_back(run: Run) -> None:
    """The function sees the caller's variables; what it sets stays with it."""

    def work() -> str:
        seen = REQUEST.get()
        REQUEST.set("changed")
        return seen

    async def main() -> tuple[str, str]:
        REQUEST.set("r-1")
        return await spawn_blocking(work), REQUEST.get()

    assert run(main) == ("r-1", "r-1")


def test_peers_35_a_thread_inherits_no_context_of_its_first_caller(run: Run) -> None:
    """A second caller sees nothing of the first, and the thread is the same."""

    async def main() -> tuple[str | None, str | None, int]:
        pool = BlockingPool(1)

        async def first() -> str | None:
            REQUEST.set("r-1")
            return await pool.run(REQUEST.get, None)

        one = await asyncio.create_task(first())
        other = await pool.run(REQUEST.get, None)
        count = len(pool)
        await pool.shutdown(LONG)
        return one, other, count

    assert run(main) == ("r-1", None, 1)


def test_an_exception_is_raised_in_the_caller(run: Run) -> None:
    """It is the same object, and its traceback leads into the function."""
    error = KeyError("lost")

    def fail() -> None:
        raise error

    async def main() -> str:
        with pytest.raises(KeyError) as caught:
            await spawn_blocking(fail)
        assert caught.value is error
        return "".join(traceback.format_tb(caught.tb))

    text = run(main)

    assert "in fail" in text
    assert "_delivery" not in text


def test_an_exception_makes_no_cycle(run: Run) -> None:
    """What a failed call held is freed at once, without the collector."""

    class Thing:
        """Something that can be watched."""

    def fail(_thing: Thing) -> None:
        raise KeyError

    async def main() -> bool:
        thing = Thing()
        gone = weakref.ref(thing)
        with contextlib.suppress(KeyError):
            await spawn_blocking(fail, thing)
        del thing
        await until(lambda: gone() is None)
        return True

    gc.disable()
    try:
        assert run(main)
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [StopIteration(7), asyncio.CancelledError("no")])
def test_what_a_coroutine_cannot_raise_is_wrapped(
    run: Run, error: BaseException
) -> None:
    """StopIteration and CancelledError come as the cause of a RuntimeError."""

    def fail() -> None:
        raise error

    async def main() -> None:
        with pytest.raises(RuntimeError, match="fail raised") as caught:
            await spawn_blocking(fail)
        assert caught.value.__cause__ is error

    run(main)


def test_bad_functions_are_refused(run: Run) -> None:
    """Neither what cannot be called nor an async function goes to a thread."""

    async def work() -> None:
        pass

    async def main() -> None:
        with pytest.raises(TypeError, match="fn must be a function, not 5"):
            await spawn_blocking(5)  # type: ignore[arg-type]  # the point
        with pytest.raises(TypeError, match="work is an async function"):
            await (await spawn_blocking(work))

    run(main)


@pytest.mark.parametrize(
    ("threads", "alive", "error"),
    [(0, 1.0, ValueError), (True, 1.0, TypeError), (1, -1.0, ValueError)],
)
def test_bad_limits_are_refused(
    threads: int, alive: float, error: type[Exception]
) -> None:
    """The value is shown in the message."""
    with pytest.raises(error, match="must be"):
        BlockingPool(threads, keep_alive=alive)


def test_cancelled_before_its_turn_it_never_runs(run: Run) -> None:
    """A call that waits for a thread leaves the line when its caller goes."""

    async def main() -> tuple[list[object], int]:
        gate, pool = Gate(), BlockingPool(1)
        first = asyncio.create_task(pool.run(gate.hold, "first"))
        await gate.until_entered()
        second = asyncio.create_task(pool.run(gate.hold, "second"))
        await until(lambda: pool.queued == 1)
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        queued = pool.queued
        gate.opened.set()
        await first
        await pool.shutdown(LONG)
        return gate.passed, queued

    assert run(main) == (["first"], 0)


def test_peers_12_a_cancelled_caller_is_free_and_the_function_can_know(
    run: Run,
) -> None:
    """The caller goes at once; blocking_cancelled() is True from then on."""

    async def main() -> list[bool]:
        entered, told = threading.Event(), threading.Event()
        seen = [blocking_cancelled()]

        def work() -> None:
            seen.append(blocking_cancelled())
            entered.set()
            assert told.wait(LONG)
            seen.append(blocking_cancelled())

        pool = BlockingPool(1)
        task = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(entered.wait, LONG)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        told.set()
        assert await pool.shutdown(LONG) == []
        return seen

    assert run(main) == [False, False, True]


def test_a_new_call_on_the_thread_is_not_cancelled(run: Run) -> None:
    """The flag belongs to the call, not to the thread."""

    async def main() -> bool:
        gate, pool = Gate(), BlockingPool(1)
        task = asyncio.create_task(pool.run(gate.hold))
        await gate.until_entered()
        task.cancel()
        await asyncio.wait([task])
        gate.opened.set()
        flag = await pool.run(blocking_cancelled)
        await pool.shutdown(LONG)
        return flag

    assert run(main) is False


@pytest.mark.parametrize("when", ["running", "ended"])
def test_a_failure_that_nobody_waits_for_is_reported(run: Run, when: str) -> None:
    """Cancelled while it runs, or after it ended: the loop's handler is told once."""

    async def main() -> list[str]:
        reports: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _, context: reports.append(
                f"{context['message']}: {context['exception']!r}"
            )
        )
        gate, pool = Gate(), BlockingPool(1, keep_alive=0)
        threads: list[threading.Thread] = []

        def fail() -> None:
            threads.append(threading.current_thread())
            gate.hold()
            raise KeyError("late")

        task = asyncio.create_task(pool.run(fail))
        await gate.until_entered()
        if when == "ended":
            gate.opened.set()
            threads[0].join(LONG)  # delivered, and the loop has not looked
            loop.call_soon(task.cancel)
        else:
            task.cancel()
        await asyncio.wait([task])
        gate.opened.set()
        await until(lambda: bool(reports) or not task.cancelled())
        await pool.shutdown(LONG)
        return reports

    reports = run(main)

    assert len(reports) == 1
    assert "fail failed after its caller had gone: KeyError('late')" in reports[0]


def test_many_results_wake_the_loop_once() -> None:
    """What ends while the loop is busy is delivered by one wake-up."""

    class Counting(asyncio.SelectorEventLoop):
        """Counts the wake-ups that come from threads."""

        wake_ups = 0

        def call_soon_threadsafe(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # any arguments
            self.wake_ups += 1
            return super().call_soon_threadsafe(*args, **kwargs)  # type: ignore[arg-type]  # as given

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        pool = BlockingPool(8, keep_alive=0)
        barrier = threading.Barrier(9)
        threads: list[threading.Thread] = []

        def work() -> None:
            threads.append(threading.current_thread())
            barrier.wait(LONG)

        tasks = [asyncio.create_task(pool.run(work)) for _ in range(8)]
        await until(lambda: len(threads) == 8)
        before = loop.wake_ups
        barrier.wait(LONG)
        for thread in threads:
            thread.join(LONG)  # the loop stands still meanwhile, on purpose
        await asyncio.wait(tasks)
        return loop.wake_ups - before

    with asyncio.Runner(loop_factory=Counting) as runner:
        assert runner.run(main()) == 1


def test_several_loops_use_one_pool_at_once(run: Run) -> None:
    """Each gets its own results, on its own thread."""
    pool = BlockingPool(4)
    totals: list[int] = []

    async def count() -> int:
        tasks = [asyncio.create_task(pool.run(int, n)) for n in range(100)]
        await asyncio.wait(tasks)
        return sum(task.result() for task in tasks)

    async def main() -> None:
        others = [
            threading.Thread(target=lambda: totals.append(asyncio.run(count())))
            for _ in range(3)
        ]
        for other in others:
            other.start()
        totals.append(await count())
        for other in others:
            await asyncio.to_thread(other.join, LONG)
        await pool.shutdown(LONG)

    run(main)

    assert totals == [4950] * 4


@pytest.mark.parametrize("fails", [False, True])
def test_a_loop_that_was_closed_meanwhile_is_left_alone(
    run: Run,
    fails: bool,  # a parameter of the test
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The result is dropped and the thread goes on; a failure is logged."""
    gate, pool = Gate(), BlockingPool(1, keep_alive=0)
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        gate.hold()
        if fails:
            raise KeyError("late")

    async def main() -> None:
        task = asyncio.create_task(pool.run(work))
        await gate.until_entered()
        task.cancel()
        await asyncio.wait([task])

    run(main)
    gate.opened.set()
    threads[0].join(LONG)

    assert pool.blocking_shutdown(LONG) == []
    assert ("failed after its event loop was closed" in caplog.text) == fails
