"""What the tests of the core and the channels share: turns, and running on the side."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import TypeVar

from sumida.errors import SumidaError

T = TypeVar("T")


async def turns(count: int = 5) -> None:
    """Let the other tasks run `count` times: more than any of them needs to park."""
    for _ in range(count):
        await asyncio.sleep(0)


class TurnCounter:
    """Counts the turns that a task has among the others.

    Attributes:
        count: How many it has had.
    """

    def __init__(self) -> None:
        self.count = 0

    async def count_on(self) -> None:
        """Count, for ever."""
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def of(awaitable: Awaitable[T]) -> T:
    """Make a coroutine of an operation, so that it can be a task."""
    return await awaitable


async def started(awaitable: Awaitable[T]) -> asyncio.Task[T]:
    """Start a task that awaits `awaitable`, and let it come to where it waits."""
    task = asyncio.create_task(of(awaitable))
    await turns()
    return task


async def cancelled(task: asyncio.Task[T]) -> bool:
    """Cancel `task` and wait until it has ended; whether it ended cancelled."""
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def outcome(main: Coroutine[object, object, T]) -> T | SumidaError:
    """Give the result of `main`, or the error of this library that it raised."""
    try:
        return await main
    except SumidaError as error:
        return error
