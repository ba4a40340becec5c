"""What the rules async-* claim: the usual way and ours, each really run.

    python bench/bench_rules_async.py

What is counted (wrong ids, tasks left) is counted in a run of either way, and the same
in each run; what is timed is the best of some rounds in turn. What the primitives
themselves cost is measured by `bench_runtime.py` and `bench_offload.py`; the rules of
`select` and of cancellation are in `bench_rules_cancel.py`.
"""

import asyncio
import contextlib
import hashlib
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Final

from harness import Row, counted, show

from sumida import (
    JoinSet,
    TaskLocal,
    sleep,
    spawn_blocking,
    spawn_cpu,
    yield_now,
)
from sumida.process import Command
from sumida.runtime.blocking import shutdown_blocking
from sumida.runtime.cpu import shutdown_cpu
from sumida.sync import Mutex

ROUNDS: Final = 7
TICK: Final = 0.001
PAUSE: Final = 0.05
HASHES: Final = 200_000
STEPS: Final = 2_000_000

REQUESTS: Final = 1_000
CALLS: Final = 100
CHILDREN: Final = 100

REQUEST: Final = ContextVar[int]("request")

Way = Callable[[], Awaitable[object]]


async def stall(work: Way) -> float:
    """Run `work` beside a tick; the longest that the loop kept it waiting, in ms."""
    late = 0.0

    async def tick() -> None:
        nonlocal late
        while True:
            planned = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            late = max(late, time.perf_counter() - planned)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await work()
    await asyncio.sleep(2 * TICK)
    ticking.cancel()
    await asyncio.wait([ticking])
    return late * 1e3


async def stalls(*ways: Way) -> list[float]:
    """Measure the stall of each way, in turn; the best round of each."""
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for index, way in enumerate(ways):
            best[index] = min(best[index], await stall(way))
    return best


def hash_password() -> bytes:
    """Compute in C, which lets the interpreter go meanwhile."""
    return hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", HASHES)


def count_up(steps: int) -> int:
    """Compute in Python, which holds it."""
    total = 0
    for step in range(steps):
        total += step
    return total


async def offloaded() -> list[Row]:
    """async-spawn-blocking: how long the loop stands still."""

    async def hash_here() -> None:
        hash_password()

    async def count_here() -> None:
        count_up(STEPS)

    await spawn_cpu(count_up, 1)  # the process starts
    hashed, hashed_here = await stalls(lambda: spawn_blocking(hash_password), hash_here)
    apart, on_thread, here = await stalls(
        lambda: spawn_cpu(count_up, STEPS),
        lambda: spawn_blocking(count_up, STEPS),
        count_here,
    )
    await shutdown_cpu(10)
    await shutdown_blocking(10)
    rule = "async-spawn-blocking: longest stall"
    python = f"{rule}, Python that computes"
    return [
        Row(f"{rule}, a password hash", hashed, "on the loop", hashed_here, "ms"),
        Row(f"{python}, spawn_cpu", apart, "on the loop", here, "ms"),
        Row(f"{python}, spawn_cpu", apart, "a thread", on_thread, "ms"),
        Row(f"{python}, a thread", on_thread, "on the loop", here, "ms"),
    ]


async def wait_for_thread() -> None:
    """Wait for a lock of threads that another thread holds."""
    lock = threading.Lock()
    lock.acquire()
    holder = threading.Timer(PAUSE, lock.release)
    holder.start()
    lock.acquire()
    holder.join()


async def wait_for_thread_as_a_task() -> None:
    """Wait for a mutex that a thread holds."""
    mutex = Mutex(0)
    loop = asyncio.get_running_loop()

    def hold() -> None:
        guard = mutex.blocking_lock()
        time.sleep(PAUSE)
        loop.call_soon_threadsafe(guard.release)

    async with JoinSet[None]() as tasks:
        tasks.spawn(spawn_blocking(hold))
        while not mutex.is_locked:
            await yield_now()
        async with mutex.lock():
            pass


async def unblocked() -> list[Row]:
    """async-no-std-block: the stall of a blocking call of 50 ms, and of a wait."""
    nap = ("sleep", str(PAUSE))

    async def sleep_here() -> None:
        time.sleep(PAUSE)  # noqa: ASYNC251  # the fault itself

    async def run_here() -> None:
        subprocess.run(nap, check=True)  # noqa: ASYNC221, S603  # the fault itself

    cases: list[tuple[str, Way, str, Way]] = [
        ("a sleep of 50 ms", lambda: sleep(PAUSE), "time.sleep", sleep_here),
        (
            "a child of 50 ms",
            lambda: Command(*nap).status(),
            "subprocess.run",
            run_here,
        ),
        (
            "a lock that a thread holds for 50 ms",
            wait_for_thread_as_a_task,
            "threading.Lock",
            wait_for_thread,
        ),
    ]
    rows = []
    for what, ours, peer, theirs in cases:
        figures = await stalls(ours, theirs)
        case = f"async-no-std-block: longest stall, {what}"
        rows.append(Row(case, figures[0], peer, figures[1], "ms"))
    await shutdown_blocking(10)
    return rows


async def strangers(
    enter: Callable[[int], contextlib.AbstractContextManager[object]],
    current: Callable[[], int],
) -> int:
    """Handle requests at once; how many saw another's id, or none."""

    async def handle(number: int) -> bool:
        with enter(number):
            await asyncio.sleep(0)
            return current() != number

    return sum(await asyncio.gather(*map(handle, range(REQUESTS))))


async def strangers_on_threads(
    call: Callable[[Callable[[], int]], Awaitable[int]],
) -> int:
    """Ask for the id on a thread; how many saw another's, or none."""
    wrong = 0
    for number in range(CALLS):
        REQUEST.set(number)
        wrong += await call(lambda: REQUEST.get(-1)) != number
    return wrong


async def identified() -> list[Row]:
    """async-task-local: ids of others that a request sees."""
    request = TaskLocal[int]("request")
    place = threading.local()

    @contextlib.contextmanager
    def of_the_thread(number: int) -> Iterator[None]:
        place.number = number
        yield

    @contextlib.contextmanager
    def of_the_context(number: int) -> Iterator[None]:
        REQUEST.set(number)
        yield

    loop = asyncio.get_running_loop()
    what = f"async-task-local: wrong ids seen by {REQUESTS:,} requests"
    thread = f"async-task-local: ids not seen by {CALLS} calls on a thread"
    ours = await strangers(request.scope, request.get)
    by_thread = await strangers(of_the_thread, lambda: place.number)
    by_context = await strangers(of_the_context, REQUEST.get)
    carried = await strangers_on_threads(spawn_blocking)
    dropped = await strangers_on_threads(lambda fn: loop.run_in_executor(None, fn))
    await shutdown_blocking(10)
    return [
        counted(what, ours, "threading.local", by_thread),
        counted(what, ours, "ContextVar", by_context),
        counted(thread, carried, "run_in_executor", dropped),
    ]


async def forever() -> None:
    """Stand for a child that has much to do."""
    await asyncio.get_running_loop().create_future()


async def fail() -> None:
    """Stand for one that fails."""
    await asyncio.sleep(0)
    raise OSError("no route to host")


async def parent_with_tasks() -> None:
    """Start children, and fail."""
    children = [asyncio.create_task(forever()) for _ in range(CHILDREN)]
    await fail()
    await asyncio.wait(children)


async def parent_with_gather() -> None:
    """Gather children, one of which fails."""
    await asyncio.gather(*(forever() for _ in range(CHILDREN)), fail())


async def parent_with_group() -> None:
    """Start children in a group, and fail."""
    async with asyncio.TaskGroup() as group:
        for _ in range(CHILDREN):
            group.create_task(forever())
        await fail()


async def parent_with_set() -> None:
    """Start children in a set, and fail."""
    async with JoinSet[None]() as tasks:
        for _ in range(CHILDREN):
            tasks.spawn(forever())
        await fail()


async def orphans(parent: Way) -> int:
    """Let a parent fail; how many of its children run on."""
    with contextlib.suppress(OSError, ExceptionGroup):
        await parent()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    return len(left)


async def owned() -> list[Row]:
    """async-structured-concurrency: children that outlive who started them."""
    what = f"async-structured-concurrency: orphans left of {CHILDREN}"
    ours = await orphans(parent_with_set)
    peers = (
        ("create_task", parent_with_tasks),
        ("asyncio.gather", parent_with_gather),
        ("TaskGroup", parent_with_group),
    )
    return [counted(what, ours, peer, await orphans(parent)) for peer, parent in peers]


async def main() -> list[Row]:
    """Measure all of it on one loop."""
    return [
        row
        for rule in (offloaded, unblocked, identified, owned)
        for row in await rule()
    ]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return asyncio.run(main())


if __name__ == "__main__":
    show("rules async-*", rows())
