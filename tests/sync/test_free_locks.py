"""Entering locks that are free: who never has to wait yields all the same."""

import asyncio
from collections.abc import Callable

import pytest

from sumida.errors import MisuseError
from sumida.operation import BUDGET, budget
from sumida.sync import (
    Mutex,
    MutexGuard,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
    SemaphorePermit,
)
from tests.core.support import TurnCounter, cancelled, turns
from tests.support import Run

Guard = MutexGuard[int] | SemaphorePermit | RwLockReadGuard[int] | RwLockWriteGuard[int]
Enter = Callable[[], Guard]

LOCKS: list[Callable[[], Enter]] = [
    lambda: Mutex(0).lock,
    lambda: Semaphore(1).acquire,
    lambda: RwLock(0).read,
    lambda: RwLock(0).write,
]


@pytest.mark.parametrize("make", LOCKS)
def test_others_run_once_in_a_budget(run: Run, make: Callable[[], Enter]) -> None:
    """Where a lock is entered again and again, and never waited for."""

    async def main() -> int:
        enter = make()
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        for _ in range(BUDGET * 4):
            async with enter():
                pass
        seen = turned.count
        await cancelled(counting)
        return seen

    assert run(main) in {4, 5}


@pytest.mark.parametrize("make", LOCKS)
def test_a_cancel_at_the_end_of_the_budget_takes_nothing(
    run: Run, make: Callable[[], Enter]
) -> None:
    """The lock is as free as before."""

    async def main() -> str:
        enter = make()
        assert await cancelled(await _yielding(enter()))
        return await _enter(enter())

    assert run(main) == "inside"


def test_who_yields_waits_for_one_who_came_meanwhile(run: Run) -> None:
    """And a guard with which another has come is refused."""

    async def main() -> list[str]:
        mutex = Mutex(0)
        order: list[str] = []

        async def take(name: str) -> None:
            async with mutex.lock():
                order.append(f"{name} in")
                await turns(2)
                order.append(f"{name} out")

        budget.left = 1
        tasks = [asyncio.create_task(take(name)) for name in ("first", "second")]
        await asyncio.wait(tasks)

        guard = mutex.lock()
        yielding = await _yielding(guard)
        async with guard:
            with pytest.raises(MisuseError):
                await yielding
        return order

    assert run(main) == ["second in", "second out", "first in", "first out"]


async def _enter(guard: Guard) -> str:
    async with guard:
        return "inside"


async def _yielding(guard: Guard) -> asyncio.Task[str]:
    """Start a task that enters at the end of the budget, and let it come to there."""
    budget.left = 1
    task = asyncio.create_task(_enter(guard))
    if budget.left == 1:  # lazy
        await turns(1)
    assert not task.done()
    return task
