"""What the rules sync-* claim: the usual way and ours, each really run.

    python bench/bench_rules_sync.py

What is counted (lost updates, programs that stand still) is counted in a run of either
way; what is timed is the best of some rounds in turn. What a lock costs that is free is
measured by `bench_sync.py`, and between threads by `bench_threads.py`. Where the source
of a rule claims a figure, the row tells it.
"""

import asyncio
import contextlib
import os
import resource
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Final

from bench_threads import Number, adding, crowd, entering, row
from harness import Row, best_of, counted, show

from sumida.errors import HeldAcrossAwaitError
from sumida.sync import Mutex, RwLock, Semaphore
from sumida.sync.threads import AtomicInt, ThreadMutex

Main = Callable[[], Coroutine[object, object, None]]

TASKS: Final = 1_000
THREADS: Final = 8
ADDS: Final = 20_000
RUNS: Final = 5
OFTEN: Final = 1e-6
"""Between two switches of threads, in seconds: what else is rare happens at once."""

READERS: Final = 100
PAUSE: Final = 0.001

PROGRAMS: Final = 5
PATIENCE: Final = 0.1

LIMIT: Final = 10
OPENED: Final = 500
DESCRIPTORS: Final = 100

TURNS: Final = 8_000


async def lost_by_tasks(add: Callable[[], Awaitable[None]]) -> None:
    """Let a thousand tasks add 1."""

    async def one() -> None:
        await add()

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(one())


async def lost_by_bare_tasks() -> int:
    """Read, wait and write without a lock; the updates lost."""
    total = 0

    async def add() -> None:
        nonlocal total
        before = total
        await asyncio.sleep(0)
        total = before + 1

    await lost_by_tasks(add)
    return TASKS - total


async def lost_by_lock() -> int:
    """Do the same under a lock beside the value; as above."""
    total = 0
    lock = asyncio.Lock()

    async def add() -> None:
        nonlocal total
        async with lock:
            before = total
            await asyncio.sleep(0)
            total = before + 1

    await lost_by_tasks(add)
    return TASKS - total


async def lost_by_mutex() -> int:
    """Do the same with the value in the lock; as above."""
    mutex = Mutex(0)

    async def add() -> None:
        async with mutex.lock() as total:
            before = total.value
            await asyncio.sleep(0)
            total.value = before + 1

    await lost_by_tasks(add)
    async with mutex.lock() as total:
        return TASKS - total.value


def lost_by_threads(add: Callable[[], object], take: Callable[[], int]) -> int:
    """Let some threads add 1, which switch often.

    Args:
        add: Adds 1.
        take: Gives the sum, and sets it to 0.

    Returns:
        The updates lost in the worst of some runs: it is a matter of chance.
    """

    def work(turns: int) -> None:
        for _ in range(turns):
            add()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    lost = 0
    try:
        for _ in range(RUNS):
            crowd(work, THREADS)(THREADS * ADDS)
            lost = max(lost, THREADS * ADDS - take())
    finally:
        sys.setswitchinterval(interval)
    return lost


def plus_one(number: int) -> int:
    """Stand for what is done between the read and the write."""
    return number + 1


def owned() -> list[Row]:
    """sync-arc-mutex-shared, and that a counter counts: the updates lost."""
    rule = "sync-arc-mutex-shared: updates lost"
    tasks = f"{rule} of {TASKS:,}, tasks"
    threads = f"of {THREADS * ADDS:,}, {THREADS} threads, worst of {RUNS} runs"
    number = Number()

    def add_bare() -> None:
        number.value = plus_one(number.value)

    def take_bare() -> int:
        total, number.value = number.value, 0
        return total

    mutex, atomic = ThreadMutex(0), AtomicInt()
    bare = lost_by_threads(add_bare, take_bare)
    locked = lost_by_threads(lambda: mutex.update(plus_one), lambda: mutex.replace(0))
    added = lost_by_threads(lambda: atomic.add(1), lambda: atomic.swap(0))
    ours = asyncio.run(lost_by_mutex())
    return [
        counted(tasks, ours, "a bare value", asyncio.run(lost_by_bare_tasks())),
        counted(tasks, ours, "asyncio.Lock", asyncio.run(lost_by_lock())),
        counted(f"{rule} {threads}", locked, "a bare value", bare),
        counted(
            f"sync-atomic-counters: updates lost {threads}",
            added,
            "a bare value",
            bare,
        ),
    ]


async def _readers(read: Main) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(read())


async def read_waiting() -> None:
    """A hundred readers wait inside, by our lock."""
    table = RwLock(0)

    async def read() -> None:
        async with table.read():
            await asyncio.sleep(PAUSE)

    await _readers(read)


async def lock_waiting() -> None:
    """Do the same by a plain lock."""
    lock = asyncio.Lock()

    async def read() -> None:
        async with lock:
            await asyncio.sleep(PAUSE)

    await _readers(read)


async def read_looking() -> None:
    """A hundred readers look something up, by our lock."""
    table = RwLock({7: 0})

    async def read() -> None:
        async with table.read() as reader:
            reader.value.get(7)

    await _readers(read)


async def lock_looking() -> None:
    """Do the same by a plain lock."""
    lock = asyncio.Lock()
    table = {7: 0}

    async def read() -> None:
        async with lock:
            table.get(7)

    await _readers(read)


def shared() -> list[Row]:
    """sync-rwlock-read-heavy: many readers at once."""
    waiting, their_waiting = best_of([read_waiting, lock_waiting], READERS, rounds=5)
    looking, their_looking = best_of([read_looking, lock_looking], READERS)
    rule = f"sync-rwlock-read-heavy (claimed 10-100 x): each of {READERS} readers"
    return [
        Row(f"{rule} that wait 1 ms", waiting, "asyncio.Lock", their_waiting),
        Row(f"{rule} that look up", looking, "asyncio.Lock", their_looking),
    ]


def crowded() -> list[Row]:
    """sync-atomic-counters and sync-parking-lot: eight threads want the same."""
    number, hand = AtomicInt(), Number()
    mutex, plain = ThreadMutex(0), threading.Lock()

    def with_plain(turns: int) -> None:
        for _ in range(turns):
            with plain:
                pass

    return [
        row(
            f"sync-atomic-counters (claimed 10-50 x): {THREADS} threads add",
            "Lock, in a method",
            crowd(adding(number.add), THREADS),
            crowd(adding(hand.add), THREADS),
            turns=TURNS,
        ),
        row(
            f"sync-parking-lot (claimed 2-3 x): {THREADS} threads lock",
            "Lock",
            crowd(entering(mutex.lock), THREADS),
            crowd(with_plain, THREADS),
            turns=TURNS,
        ),
    ]


def stands_still(hold: Main, free: Callable[[], None]) -> tuple[bool, bool]:
    """Run a program of two tasks that hold a lock of threads while they wait.

    Args:
        hold: What each does.
        free: Ends the deadlock from outside, so that the program ends.

    Returns:
        Whether it stood still, and whether it was refused.
    """
    refused: list[HeldAcrossAwaitError] = []

    async def one() -> None:
        try:
            await hold()
        except HeldAcrossAwaitError as error:
            refused.append(error)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(one())
            group.create_task(one())

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(PATIENCE)
    is_stuck = thread.is_alive()
    if is_stuck:
        free()
    thread.join()
    return is_stuck, bool(refused)


def held_by_lock() -> tuple[bool, bool]:
    """Hold a lock of the standard library; see `stands_still`."""
    lock = threading.Lock()

    async def hold() -> None:
        # Who is freed from outside gives back a lock that is free.
        with contextlib.suppress(RuntimeError), lock:
            await asyncio.sleep(0)

    return stands_still(hold, lock.release)


def held_by_mutex() -> tuple[bool, bool]:
    """Hold our mutex; see `stands_still`."""
    mutex = ThreadMutex(0)

    async def hold() -> None:
        with mutex.lock():
            await asyncio.sleep(0)

    return stands_still(hold, lambda: None)


def across_await() -> list[Row]:
    """sync-avoid-lock-await: the deadlock, and the refusal."""
    ours = [held_by_mutex() for _ in range(PROGRAMS)]
    theirs = [held_by_lock() for _ in range(PROGRAMS)]
    what = f"sync-avoid-lock-await: of {PROGRAMS} programs"
    stuck = [sum(is_stuck for is_stuck, _ in each) for each in (ours, theirs)]
    quiet = [sum(not refused for _, refused in each) for each in (ours, theirs)]
    return [
        counted(f"{what}, stand still", stuck[0], "threading.Lock", stuck[1]),
        counted(f"{what}, not refused", quiet[0], "threading.Lock", quiet[1]),
    ]


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """Let the process open so many files, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = sum(1 for _ in Path("/dev/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def open_many(within: Callable[[Main], Awaitable[None]]) -> tuple[int, int]:
    """Let many tasks open a file each, and wait.

    Args:
        within: Calls what it is given, with whatever limits it.

    Returns:
        How many were open at once, and how many tasks found no descriptor.
    """
    peak = running = failed = 0

    async def one() -> None:
        nonlocal peak, running, failed
        try:
            file = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            failed += 1
            return
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1
        os.close(file)

    await asyncio.gather(*(within(one) for _ in range(OPENED)))
    return peak, failed


def limited() -> list[Row]:
    """sync-semaphore-limit: how much happens at once."""

    async def ours() -> tuple[int, int]:
        slots = Semaphore(LIMIT)

        async def in_slot(open_one: Main) -> None:
            async with slots.acquire():
                await open_one()

        return await open_many(in_slot)

    async def theirs() -> tuple[int, int]:
        return await open_many(lambda open_one: open_one())

    peak, their_peak = asyncio.run(ours())[0], asyncio.run(theirs())[0]
    with few_descriptors():
        failed, their_failed = asyncio.run(ours())[1], asyncio.run(theirs())[1]
    rule = f"sync-semaphore-limit: of {OPENED} tasks that open a file"
    return [
        Row(
            f"{rule}, at once, a limit of {LIMIT}",
            peak,
            "asyncio.gather",
            their_peak,
            "",
        ),
        counted(
            f"{rule}, failed, {DESCRIPTORS} descriptors left",
            failed,
            "asyncio.gather",
            their_failed,
        ),
    ]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return [*owned(), *shared(), *crowded(), *across_await(), *limited()]


if __name__ == "__main__":
    show("rules sync-*", rows())
