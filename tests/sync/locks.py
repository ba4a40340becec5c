"""What the tests of all locks share: how each is entered, by one at a time."""

import asyncio
from collections.abc import Callable

from sumida.operation import budget
from sumida.sync import (
    Mutex,
    MutexGuard,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
    SemaphorePermit,
)
from sumida.testing import turns

Guard = MutexGuard[int] | SemaphorePermit | RwLockReadGuard[int] | RwLockWriteGuard[int]
Enter = Callable[[], Guard]

LOCKS: list[Callable[[], Enter]] = [
    lambda: Mutex(0).lock,
    lambda: Semaphore(1).acquire,
    lambda: RwLock(0, max_readers=1).read,
    lambda: RwLock(0).write,
]
"""Each is for one at a time."""


async def inside(guard: Guard) -> str:
    """Enter, and leave."""
    async with guard:
        return "inside"


async def held_for_a_turn(guard: Guard) -> str:
    """Await the guard, and release it."""
    with await guard:
        await turns(1)
    return "released"


async def given(guard: Guard) -> Guard:
    """Await the guard, and give it."""
    return await guard


async def nothing() -> None:
    """End at once: a branch that wins."""


async def yielding(guard: Guard) -> asyncio.Task[str]:
    """Start a task that enters at the end of the budget, and let it come to there."""
    budget.left = 1
    task = asyncio.create_task(inside(guard))
    if budget.left == 1:  # lazy
        await turns(1)
    assert not task.done()
    return task
