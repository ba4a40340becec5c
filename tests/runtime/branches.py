"""Branches for a select: coroutines, awaitables, operations of one's own."""

import asyncio
from collections.abc import Generator
from typing import Literal

from sumida.operation import PENDING, Operation, Pending, Source


async def value_of(value: object) -> object:
    """Give `value`, in a coroutine."""
    return value


class Recorder:
    """A coroutine that tells what happened to it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def wait(self, *, turns_to_end: int = 0) -> str:
        """Wait for ever, and take `turns_to_end` turns to end when cancelled."""
        self.told.append("started")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.told.append("cancelled")
            for _ in range(turns_to_end):
                await asyncio.sleep(0)
            self.told.append("ended")
        return "never"


class Awaited:
    """An awaitable that is neither a coroutine nor a future."""

    def __await__(self) -> Generator[object, None, str]:
        yield from asyncio.sleep(0).__await__()
        return "awaited"


class Flag(Operation[str]):
    """An operation as a user writes one: done once it is set."""

    def __init__(self) -> None:
        self.is_set = False
        self.future: asyncio.Future[object] | None = None

    def set(self) -> None:
        """Set it."""
        self.is_set = True
        if self.future is not None and not self.future.done():
            self.future.set_result(self)

    def poll(self) -> str | Literal[Pending.PENDING]:
        """Look."""
        return "set" if self.is_set else PENDING

    def arm(self, future: asyncio.Future[object]) -> object:
        """Wait."""
        self.future = future
        return self

    def disarm(self) -> None:
        """Wait no more."""
        self.future = None


class Flags(Source[str]):
    """A source as a user writes one."""

    def __init__(self) -> None:
        self.flag = Flag()

    def operation(self) -> Operation[str]:
        """Give the flag."""
        return self.flag


class Listener:
    """Tells what is waited for."""

    def __init__(self) -> None:
        self.waits = 0
        self.calls = 0

    def created(self, thing: object) -> None:
        """Do nothing."""

    def waiting(self, operation: object) -> None:
        """Count."""
        self.waits += 1
        self.calls += 1

    def resumed(self, operation: object) -> None:
        """Count."""
        self.waits -= 1

    def acquired(self, thing: object, guard: object) -> None:
        """Do nothing."""

    def released(self, thing: object, guard: object) -> None:
        """Do nothing."""
