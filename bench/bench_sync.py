"""Locks and semaphores against asyncio's.

python bench/bench_sync.py
"""

import asyncio
from collections.abc import Callable, Coroutine

from harness import Row, best_of, show

from sumida.sync import Mutex, RwLock, Semaphore

ALONE = 20_000
TASKS = 100
TURNS = 100

Main = Callable[[], Coroutine[object, object, None]]


async def mutex_alone() -> None:
    """Lock a free mutex."""
    mutex = Mutex(0)
    for _ in range(ALONE):
        async with mutex.lock():
            pass


async def asyncio_lock_alone() -> None:
    """Lock a free `asyncio.Lock`."""
    lock = asyncio.Lock()
    for _ in range(ALONE):
        async with lock:
            pass


class Nothing:
    """What a guard would be that guards nothing."""

    def lock(self) -> "Nothing":
        """Give itself."""
        return self

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


async def nothing_alone() -> None:
    """Enter and leave a block, and do nothing."""
    nothing = Nothing()
    for _ in range(ALONE):
        async with nothing.lock():
            pass


async def semaphore_alone() -> None:
    """Take a free permit."""
    semaphore = Semaphore(2)
    for _ in range(ALONE):
        async with semaphore.acquire():
            pass


async def asyncio_semaphore_alone() -> None:
    """Take a free permit of `asyncio.Semaphore`."""
    semaphore = asyncio.Semaphore(2)
    for _ in range(ALONE):
        async with semaphore:
            pass


async def rwlock_alone() -> None:
    """Lock a free read-write lock to read."""
    lock = RwLock(0)
    for _ in range(ALONE):
        async with lock.read():
            pass


async def rwlock_alone_to_write() -> None:
    """Lock a free read-write lock to write."""
    lock = RwLock(0)
    for _ in range(ALONE):
        async with lock.write():
            pass


async def _many(work: Main) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(work())


async def mutex_contended() -> None:
    """A hundred tasks take turns."""
    mutex = Mutex(0)

    async def work() -> None:
        for _ in range(TURNS):
            async with mutex.lock():
                await asyncio.sleep(0)

    await _many(work)


async def asyncio_lock_contended() -> None:
    """A hundred tasks take turns, with `asyncio.Lock`."""
    lock = asyncio.Lock()

    async def work() -> None:
        for _ in range(TURNS):
            async with lock:
                await asyncio.sleep(0)

    await _many(work)


async def semaphore_contended() -> None:
    """A hundred tasks share ten permits."""
    semaphore = Semaphore(10)

    async def work() -> None:
        for _ in range(TURNS):
            async with semaphore.acquire():
                await asyncio.sleep(0)

    await _many(work)


async def asyncio_semaphore_contended() -> None:
    """A hundred tasks share ten permits of `asyncio.Semaphore`."""
    semaphore = asyncio.Semaphore(10)

    async def work() -> None:
        for _ in range(TURNS):
            async with semaphore:
                await asyncio.sleep(0)

    await _many(work)


async def rwlock_contended() -> None:
    """A hundred tasks read, and write every tenth time."""
    table = RwLock(0)
    entries = [table.read] * 9 + [table.write]

    async def work() -> None:
        for _ in range(TURNS // len(entries)):
            for enter in entries:
                async with enter():
                    await asyncio.sleep(0)

    await _many(work)


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    mutex, lock, nothing, semaphore, theirs, reader, writer = best_of(
        [
            mutex_alone,
            asyncio_lock_alone,
            nothing_alone,
            semaphore_alone,
            asyncio_semaphore_alone,
            rwlock_alone,
            rwlock_alone_to_write,
        ],
        ALONE,
    )
    busy_mutex, busy_lock, busy_semaphore, busy_theirs, busy_rwlock = best_of(
        [
            mutex_contended,
            asyncio_lock_contended,
            semaphore_contended,
            asyncio_semaphore_contended,
            rwlock_contended,
        ],
        TASKS * TURNS,
        rounds=9,
    )
    return [
        Row("Mutex, free", mutex, "asyncio.Lock", lock, floor=1),
        Row("Mutex, free", mutex, "an empty async with", nothing),
        Row("Semaphore, free", semaphore, "asyncio.Semaphore", theirs, floor=1),
        Row("RwLock.read, free", reader, "asyncio.Lock", lock, floor=1),
        Row("RwLock.write, free", writer, "asyncio.Lock", lock),
        Row("Mutex, 100 tasks", busy_mutex, "asyncio.Lock", busy_lock, floor=1),
        Row(
            "Semaphore, 100 tasks",
            busy_semaphore,
            "asyncio.Semaphore",
            busy_theirs,
            floor=1,
        ),
        Row(
            "RwLock, 100 tasks that read 9 times of 10",
            busy_rwlock,
            "asyncio.Lock",
            busy_lock,
            floor=1,
        ),
    ]


if __name__ == "__main__":
    show("sync", rows())
