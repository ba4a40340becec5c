"""Work off the loop against the standard library, and what the watchdog costs.

python bench/bench_offload.py
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from harness import Row, best_of, show

from sumida.runtime.blocking import spawn_blocking
from sumida.runtime.cpu import CpuPool
from sumida.runtime.watchdog import LoopWatchdog

CALLS: Final = 1_000
AT_ONCE: Final = 64

# One pass of the busy loop: long enough for the watchdog to look some 20 times.
PASSES: Final = 15
PASS_SECONDS: Final = 0.5


async def spawn_in_turn() -> None:
    """One call after the other."""
    for _ in range(CALLS):
        await spawn_blocking(int)


async def executor_in_turn() -> None:
    """The same on asyncio's default executor."""
    loop = asyncio.get_running_loop()
    for _ in range(CALLS):
        await loop.run_in_executor(None, int)


async def to_thread_in_turn() -> None:
    """The same with the context carried over, as ours does."""
    for _ in range(CALLS):
        await asyncio.to_thread(int)


async def _at_once(call: Callable[[], Awaitable[int]]) -> None:
    async def several() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(several())


async def spawn_at_once() -> None:
    """Sixty-four callers at once."""
    await _at_once(lambda: spawn_blocking(int))


async def to_thread_at_once() -> None:
    """The same with asyncio."""
    await _at_once(lambda: asyncio.to_thread(int))


def processes() -> tuple[float, float]:
    """Time a call in a process, one after the other, in nanoseconds."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        pool = CpuPool(1)
        ours = theirs = float("inf")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            await pool.run(int)
            await loop.run_in_executor(executor, int)
            for _ in range(7):
                start = time.perf_counter()
                for _ in range(200):
                    await pool.run(int)
                middle = time.perf_counter()
                for _ in range(200):
                    await loop.run_in_executor(executor, int)
                end = time.perf_counter()
                ours = min(ours, (middle - start) / 200)
                theirs = min(theirs, (end - middle) / 200)
        await pool.shutdown(10)
        return ours * 1e9, theirs * 1e9

    return asyncio.run(main())


def _run(
    work: Callable[[], Coroutine[object, object, float]], threshold: float | None
) -> tuple[float, float]:
    """Run `work` once, with a watchdog of this threshold in seconds, or without.

    Returns:
        What it returned; and the part of one core that the watchdog's thread took.
    """

    async def main() -> tuple[float, float]:
        if threshold is None:
            return await work(), 0.0
        loop = asyncio.get_running_loop()
        with LoopWatchdog(loop, threshold, report=lambda _: None):
            (ident,) = (
                thread.ident
                for thread in threading.enumerate()
                if thread.name == "sumida-watchdog"
            )
            clock = time.pthread_getcpuclockid(ident or 0)
            start, began = time.perf_counter(), time.clock_gettime(clock)
            result = await work()
            used = time.clock_gettime(clock) - began
            return result, used / (time.perf_counter() - start)

    return asyncio.run(main())


async def busy() -> float:
    """Run small callbacks for a while; the processor time of each, in nanoseconds."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    count = 0
    end = time.perf_counter() + PASS_SECONDS

    def step() -> None:
        nonlocal count
        count += 1
        if count % 256 or time.perf_counter() < end:
            loop.call_soon(step)
        else:
            done.set_result(None)

    start = time.process_time()
    step()
    await done
    return (time.process_time() - start) / count * 1e9


async def idle() -> float:
    """Wait; the processor time of each second, in nanoseconds."""
    start = time.process_time()
    await asyncio.sleep(PASS_SECONDS)
    return (time.process_time() - start) / PASS_SECONDS * 1e9


def watchdog_cost() -> tuple[float, float, float, float]:
    """Compare loops with and without a watchdog, in turn.

    What it takes from a busy loop is below the noise of most machines; so the loop is
    watched ten times as often as by default, and may lose ten times 1 %.

    Returns:
        Nanoseconds a callback without and with a watchdog of 0.01 s, the best of
        each; and what the thread of one of 0.1 s takes of each second of a busy and of
        an idle loop, in nanoseconds.
    """
    plain, watched = [], []
    for _ in range(PASSES):
        plain.append(_run(busy, None)[0])
        watched.append(_run(busy, 0.01)[0])
    running = sorted(_run(busy, 0.1)[1] for _ in range(5))[2]
    resting = sorted(_run(idle, 0.1)[1] for _ in range(5))[2]
    return min(plain), min(watched), running * 1e9, resting * 1e9


def rows() -> list[Row]:
    """Measure.

    Returns:
        The rows of the table.
    """
    ours, executor, to_thread = best_of(
        [spawn_in_turn, executor_in_turn, to_thread_in_turn], CALLS, rounds=9
    )
    ours_many, to_thread_many = best_of(
        [spawn_at_once, to_thread_at_once], CALLS // AT_ONCE * AT_ONCE, rounds=9
    )
    process, executor_process = processes()
    plain, watched, running, resting = watchdog_cost()
    return [
        Row("spawn_blocking, in turn", ours, "run_in_executor", executor),
        Row("spawn_blocking, in turn", ours, "asyncio.to_thread", to_thread),
        Row(
            "spawn_blocking, 64 callers", ours_many, "asyncio.to_thread", to_thread_many
        ),
        Row("CpuPool.run, in turn", process, "ProcessPoolExecutor", executor_process),
        Row("watchdog, each second of a busy loop", running, "1 %", 1e7, floor=1),
        Row("watchdog, each second of an idle loop", resting, "1 %", 1e7, floor=1),
        Row(
            "callback, watched 10 x as often", watched, "not watched", plain, floor=0.9
        ),
    ]


if __name__ == "__main__":
    show("off the loop", rows())
