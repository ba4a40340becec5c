"""Behind each "Cancel safety: Safe" of the room: a cancel at every place.

The operations of the locks have theirs in their own files; here they are entered.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sumida import select
from sumida.sync import (
    Barrier,
    CancellationToken,
    Mutex,
    OnceCell,
    RwLock,
    Semaphore,
    SetOnce,
)
from sumida.testing import Order, Outcome, World, cancel_everywhere, turns
from tests.core.support import cancelled, started
from tests.support import Run


class Entering:
    """Two tasks would enter a lock that is held; the first is cancelled."""

    def __init__(self) -> None:
        self.inside = 0
        self.entered = 0
        self.gate = asyncio.Event()
        self.hold()

    def hold(self) -> None:
        """Take the lock, for `let_go` to give back."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Give the lock back."""
        raise NotImplementedError

    def is_free(self) -> bool:
        """Tell whether nobody has the lock."""
        raise NotImplementedError

    async def enter(self) -> None:
        """Enter, count, and leave."""
        raise NotImplementedError

    async def work(self) -> None:
        """Be inside for a turn."""
        self.inside += 1
        assert self.inside == 1
        self.entered += 1
        try:
            await turns(1)
        finally:
            self.inside -= 1

    async def subject(self) -> None:
        """Be the first in line, with another behind."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.follow)
        await self.enter()

    def follow(self) -> None:
        """Let another come behind."""
        self.second = asyncio.ensure_future(self.enter())

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Give the lock back; the turn inside ends by itself."""
        return [self.let_go]

    async def check(self, outcome: Outcome) -> None:
        """The second has entered, and the lock is free."""
        assert outcome.error is None
        if outcome.order is not None and not outcome.is_woken:
            self.let_go()
        await turns()
        second = getattr(self, "second", None)
        if second is not None:
            assert second.done(), "the lock is lost"
            second.result()
        assert self.is_free()
        assert self.inside == 0
        await self.enter()


class EnteringMutex(Entering):
    """`async with mutex.lock()`."""

    def hold(self) -> None:
        self.mutex = Mutex(0)
        self.guard = self.mutex.try_lock()

    def let_go(self) -> None:
        self.guard.release()

    def is_free(self) -> bool:
        return not self.mutex.is_locked

    async def enter(self) -> None:
        async with self.mutex.lock():
            await self.work()


class EnteringSemaphore(Entering):
    """`async with semaphore.acquire()`."""

    permits = 1

    def hold(self) -> None:
        self.semaphore = Semaphore(self.permits)
        self.held = self.semaphore.try_acquire()

    def let_go(self) -> None:
        self.held.release()

    def is_free(self) -> bool:
        return self.semaphore.available_permits == self.permits

    async def enter(self) -> None:
        async with self.semaphore.acquire(self.permits):
            await self.work()


class EnteringForMany(EnteringSemaphore):
    """`async with semaphore.acquire(3)`, with two of them free."""

    permits = 3


class EnteringToRead(Entering):
    """`async with lock.read()`, behind a writer."""

    def hold(self) -> None:
        self.lock = RwLock(0)
        self.guard = self.lock.try_write()

    def let_go(self) -> None:
        self.guard.release()

    def is_free(self) -> bool:
        self.lock.try_write().release()
        return True

    async def enter(self) -> None:
        async with self.lock.read():
            self.entered += 1


class EnteringToWrite(EnteringToRead):
    """`async with lock.write()`, behind a writer."""

    async def enter(self) -> None:
        async with self.lock.write():
            await self.work()


class BarrierWaiting:
    """`Barrier.wait`, for one other."""

    def __init__(self) -> None:
        self.barrier = Barrier(2)
        self.other: asyncio.Task[object] | None = None

    async def wait(self) -> object:
        """Arrive."""
        return await self.barrier.wait()

    async def subject(self) -> object:
        """Arrive first."""
        return await self.barrier.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the other arrive."""
        return [self.arrive]

    def arrive(self) -> None:
        """Arrive second."""
        self.other = asyncio.ensure_future(self.wait())

    async def check(self, outcome: Outcome) -> None:
        """Who left does not count, and nobody waits for ever."""
        await turns()
        if outcome.returned:
            assert self.other is not None
            assert self.other.done()
        elif self.other is not None and not self.other.done():
            # The first had left before it came.
            third = await started(self.wait())
            await third
            await self.other
        pair = [await started(self.wait()), await started(self.wait())]
        assert len({repr(await task) for task in pair}) == 2


class BarrierLeaving(BarrierWaiting):
    """`Barrier.wait`, for one who comes in the very turn of the cancel."""

    passed = False

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Arrive, or see that the other is about to leave."""
        return [self.look]

    async def look(self) -> None:
        """Pass, if the barrier opens at once."""
        won = await select(self.barrier.wait(), turns(1), biased=True)
        self.passed = won[0] == 0

    async def check(self, outcome: Outcome) -> None:
        """Two have passed, or none."""
        is_late = outcome.is_woken and outcome.order is not Order.CANCEL_WAKE
        assert self.passed == (outcome.returned or is_late)
        await BarrierWaiting.check(self, replace(outcome, returned=False))


class CellMaking:
    """`OnceCell.get_or_init`, by the one who makes the value."""

    def __init__(self) -> None:
        self.cell: OnceCell[int] = OnceCell()
        self.gate = asyncio.Event()

    async def make(self) -> int:
        """Make the value, when it is allowed."""
        await self.gate.wait()
        return 7

    async def subject(self) -> object:
        """Make it."""
        return await self.cell.get_or_init(self.make)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Allow it."""
        return [self.gate.set]

    async def check(self, outcome: Outcome) -> None:
        """There is a value if it returned, and the next makes one if not."""
        assert self.cell.is_initialized == outcome.returned
        self.gate.set()
        assert await self.cell.get_or_init(self.make) == 7


class CellWaiting(CellMaking):
    """`OnceCell.get_or_init`, by one who waits while another makes the value."""

    async def subject(self) -> object:
        """Wait for the other."""
        self.first = await started(self.first_make())
        return await self.cell.get_or_init(self.make)

    async def first_make(self) -> int:
        """Make it, as another."""
        return await self.cell.get_or_init(self.make)

    async def check(self, outcome: Outcome) -> None:
        """The other is not disturbed."""
        self.gate.set()
        await turns()
        if outcome.at or outcome.order is None:
            assert await self.first == 7
            assert self.cell.get() == 7
        assert await self.cell.get_or_init(self.make) == 7


class CellInheriting(CellWaiting):
    """`OnceCell.get_or_init`, by one who waits for another that is cancelled."""

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Cancel the other, then allow the own."""
        return [self.cancel_first, self.gate.set]

    def cancel_first(self) -> None:
        """Cancel the other."""
        self.first.cancel()

    async def check(self, outcome: Outcome) -> None:
        """Whoever is left makes it."""
        if hasattr(self, "first"):
            await cancelled(self.first)
        assert self.cell.is_initialized == outcome.returned
        self.gate.set()
        assert await self.cell.get_or_init(self.make) == 7


class SetOnceWaiting:
    """`SetOnce.wait`."""

    def __init__(self) -> None:
        self.cell: SetOnce[str] = SetOnce()

    async def subject(self) -> object:
        """Wait for the value."""
        return await self.cell.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Set it."""
        return [lambda: self.cell.set("x")]

    async def check(self, outcome: Outcome) -> None:
        """It is there for the next, and nobody is left in the queue."""
        if not self.cell.is_initialized:
            assert repr(self.cell) == "<SetOnce unset, 0 waiting>"
            self.cell.set("x")
        assert outcome.value == ("x" if outcome.returned else None)
        assert await self.cell.wait() == "x"


class TokenWaiting:
    """`CancellationToken.cancelled`, of a child whose parent is cancelled."""

    def __init__(self) -> None:
        self.parent = CancellationToken()
        self.token = self.parent.child_token()

    async def subject(self) -> object:
        """Wait for the end."""
        return await self.token.cancelled()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Cancel the parent."""
        return [lambda: self.parent.cancel("enough")]

    async def check(self, outcome: Outcome) -> None:
        """The token tells of what was asked for, and of no more."""
        asked = outcome.order is None or outcome.is_woken
        assert self.token.is_cancelled == asked
        self.parent.cancel()
        await self.token.cancelled()


class TokenRunning:
    """`CancellationToken.run_until_cancelled`, of work that ends by itself."""

    def __init__(self) -> None:
        self.token = CancellationToken()
        self.gate = asyncio.Event()
        self.started = self.ended = 0

    async def work(self) -> str:
        """Work until it is allowed to end; take a turn to clean up."""
        self.started += 1
        try:
            await self.gate.wait()
        finally:
            try:
                await turns(1)
            finally:
                self.ended += 1
        return "done"

    async def subject(self) -> object:
        """Run it."""
        return await self.token.run_until_cancelled(self.work())

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let it end."""
        return [self.gate.set]

    def check(self, outcome: Outcome) -> None:
        """The work has ended, whoever was cancelled."""
        assert self.ended == self.started
        assert outcome.value == ("done" if outcome.returned else None)


class TokenStopping(TokenRunning):
    """`CancellationToken.run_until_cancelled`, of work that the token ends."""

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Cancel the token."""
        return [self.token.cancel]

    def check(self, outcome: Outcome) -> None:
        """The work has ended, and there is no result."""
        assert self.ended == self.started
        assert outcome.value is None


WORLDS: tuple[tuple[Callable[[], World], int], ...] = (
    (EnteringMutex, 8),
    (EnteringSemaphore, 8),
    (EnteringForMany, 8),
    (EnteringToRead, 8),
    (EnteringToWrite, 8),
    (BarrierWaiting, 8),
    (BarrierLeaving, 8),
    (CellMaking, 8),
    (CellWaiting, 8),
    (CellInheriting, 13),
    (SetOnceWaiting, 8),
    (TokenWaiting, 8),
    (TokenRunning, 8),
    (TokenStopping, 8),
)


@pytest.mark.parametrize(("world", "runs"), WORLDS)
def test_waits_are_cancel_safe(run: Run, world: Callable[[], World], runs: int) -> None:
    """Nothing is lost or doubled, wherever the cancel strikes."""
    assert run(cancel_everywhere, world) == runs
