"""The locks against a simple model, with random operations.

A lock is a number of permits handed out in order: a `Mutex` has one, a reader of an
`RwLock` takes one of several and a writer all of them. Each rule does one thing and
lets the loop run until nobody moves; then the model says who holds and who waits. Half
of those who want a lock await it, and half enter it in a block of a task of their own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from sumida.errors import Closed, NoPermits, WouldBlock
from sumida.sync import (
    Mutex,
    MutexGuard,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
    SemaphorePermit,
)
from tests.core.machine import SETTINGS, Machine

Guard = MutexGuard[int] | RwLockReadGuard[int] | RwLockWriteGuard[int] | SemaphorePermit
GUARDS = (MutexGuard, RwLockReadGuard, RwLockWriteGuard, SemaphorePermit)


@dataclass(eq=False)
class Waiting:
    """Somebody who waits for permits, and keeps them in a block until `gate` opens."""

    need: int
    gate: asyncio.Event | None
    got: list[Guard] = field(default_factory=list)
    task: asyncio.Task[object] = field(init=False)

    async def take(self, operation: Guard) -> None:
        """Await the operation, or enter it."""
        if self.gate is None:
            self.got.append(await operation)
            return
        async with operation as guard:
            self.got.append(guard)
            await self.gate.wait()


@dataclass(eq=False)
class Holding:
    """Somebody who holds permits."""

    guard: Guard
    need: int
    gate: asyncio.Event | None = None

    def leave(self) -> None:
        """Let go by leaving the block, of its own or around what was awaited."""
        if self.gate is not None:
            self.gate.set()
            return
        with self.guard:
            pass

    def release(self) -> None:
        """Let go by hand, twice, and leave the block then: that does nothing."""
        self.guard.release()
        self.guard.release()
        if self.gate is not None:
            self.gate.set()


class LockMachine(Machine):
    """The rules that all locks share."""

    total: int
    needs: tuple[int, ...]

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Waiting] = []
        self.holding: list[Holding] = []
        self.blocks: list[Waiting] = []
        self.is_closed = False

    def acquire_operation(self, need: int) -> Guard:
        """Make the operation that waits for permits."""
        raise NotImplementedError

    def try_operation(self, need: int) -> Guard:
        """Take permits, or be refused."""
        raise NotImplementedError

    @property
    def loose(self) -> int:
        """Permits that nobody holds."""
        return self.total - sum(holding.need for holding in self.holding)

    def advance(self) -> None:
        """Serve those who wait, in order, as long as there is enough."""
        while self.waiting and self.waiting[0].need <= self.loose:
            waiting = self.waiting.pop(0)
            self.serve(waiting)

    def serve(self, waiting: Waiting) -> None:
        """Note that one who wanted permits has them."""
        assert waiting.got, waiting
        self.hold(waiting.got[0], waiting.need, waiting.gate)

    def hold(self, guard: object, need: int, gate: asyncio.Event | None = None) -> None:
        """Note a new holder."""
        assert isinstance(guard, GUARDS)
        assert guard.is_held
        self.holding.append(Holding(guard, need, gate))

    @rule(data=st.data(), is_block=st.booleans())
    def acquire(self, data: st.DataObject, *, is_block: bool) -> None:
        """Ask for permits, waiting."""
        need = data.draw(st.sampled_from(self.needs))
        waiting = Waiting(need, asyncio.Event() if is_block else None)
        waiting.task = self.act(waiting.take(self.acquire_operation(need)))
        if is_block:
            self.blocks.append(waiting)
        if self.is_closed:
            assert isinstance(waiting.task.exception(), Closed)
            return
        if not need:
            # Nothing passes nobody, as in Tokio.
            self.serve(waiting)
            return
        self.waiting.append(waiting)
        if len(self.waiting) == 1:
            self.advance()

    @rule(data=st.data())
    def try_acquire(self, data: st.DataObject) -> None:
        """Ask for permits without waiting: nobody in line is passed."""
        need = data.draw(st.sampled_from(self.needs))
        free = 0 if self.waiting else self.loose
        try:
            guard = self.try_operation(need)
        except Closed:
            assert self.is_closed
        except (NoPermits, WouldBlock):
            assert not self.is_closed
            assert need > free
        else:
            assert not self.is_closed
            assert need <= free
            self.hold(guard, need)

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, 9))
    def release(self, which: int) -> None:
        """Release, twice: the second time does nothing."""
        holding = self.holding.pop(which % len(self.holding))
        self.now(holding.release)
        assert not holding.guard.is_held
        self.advance()

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 9))
    def cancel_a_waiter(self, which: int) -> None:
        """Cancel one that waits: those behind it move up."""
        waiting = self.waiting.pop(which % len(self.waiting))
        waiting.task.cancel()
        self.settle()
        assert waiting.task.cancelled()
        self.advance()

    @precondition(lambda self: self.waiting and self.holding)
    @rule(which=st.integers(0, 9), victim=st.integers(0, 9), swap=st.booleans())
    def cancel_in_the_turn_of_a_release(
        self, which: int, victim: int, *, swap: bool
    ) -> None:
        """Release and cancel, in each order, before anybody has run."""
        holding = self.holding.pop(which % len(self.holding))
        waiting = self.waiting[victim % len(self.waiting)]
        steps: list[Callable[[], object]] = [
            holding.release,
            waiting.task.cancel,
        ]
        if swap:
            steps.reverse()
        self.now(*steps)
        assert waiting.task.cancelled()
        self.waiting.remove(waiting)
        self.advance()

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, 9))
    def drop(self, which: int) -> None:
        """Release by leaving the block."""
        holding = self.holding.pop(which % len(self.holding))
        self.now(holding.leave)
        assert not holding.guard.is_held
        self.advance()

    @invariant()
    def those_who_wait_have_reason_to(self) -> None:
        """Nobody waits while there is enough for the first; nobody has too much."""
        assert not any(waiting.task.done() or waiting.got for waiting in self.waiting)
        if self.waiting:
            assert self.waiting[0].need > self.loose
        assert all(holding.guard.is_held for holding in self.holding)

    def finish(self) -> None:
        """Cancel all who wait; what was held can be taken again."""
        self.now(
            *[waiting.task.cancel for waiting in self.waiting],
            *[holding.release for holding in self.holding],
            *[block.gate.set for block in self.blocks if block.gate is not None],
        )
        assert all(block.task.done() for block in self.blocks)
        self.waiting.clear()
        self.holding.clear()
        if hasattr(self, "total"):
            self.ends_whole()

    def ends_whole(self) -> None:
        """Take all there is, and give it back."""
        need = max(need for need in self.needs if need <= self.total)
        self.try_operation(need).release()


class MutexMachine(LockMachine):
    """One holder at a time."""

    def make(self) -> None:
        """Make the lock, and say what it has."""
        self.mutex = Mutex(0)
        self.total, self.needs = 1, (1,)

    def acquire_operation(self, need: int) -> Guard:
        """Make the operation that waits for the lock."""
        assert need == 1
        return self.mutex.lock()

    def try_operation(self, need: int) -> Guard:
        """Take the lock, or be refused."""
        assert need == 1
        return self.mutex.try_lock()

    @invariant()
    def it_tells_whether_it_is_locked(self) -> None:
        """Also while it is on its way to the next."""
        if hasattr(self, "mutex"):
            assert self.mutex.is_locked == bool(self.holding or self.waiting)

    @precondition(lambda self: self.holding)
    @rule(value=st.integers())
    def the_holder_alone_has_the_value(self, value: int) -> None:
        """What one holder wrote is read by it and by the next."""
        guard = self.holding[0].guard
        assert isinstance(guard, MutexGuard)
        guard.value = value
        assert guard.value == value


class RwLockMachine(LockMachine):
    """Several readers or one writer, who goes before readers that came later."""

    READERS = 3

    def make(self) -> None:
        """Make the lock, and say what it has."""
        self.lock = RwLock(0, max_readers=self.READERS)
        self.total, self.needs = self.READERS, (1, self.READERS)

    def acquire_operation(self, need: int) -> Guard:
        """Make the operation of a reader or a writer."""
        return self.lock.read() if need == 1 else self.lock.write()

    def try_operation(self, need: int) -> Guard:
        """Take a share or all, or be refused."""
        return self.lock.try_read() if need == 1 else self.lock.try_write()

    @precondition(lambda self: self.holding and self.holding[0].need > 1)
    @rule()
    def downgrade(self) -> None:
        """Make a reader of a writer: readers that are first in line come in."""
        holding = self.holding.pop()
        guard = holding.guard
        assert isinstance(guard, RwLockWriteGuard)
        made: list[RwLockReadGuard[int]] = []
        self.now(lambda: made.append(guard.downgrade()))
        assert not guard.is_held
        self.hold(made[0], 1)
        self.advance()

    @invariant()
    def a_writer_is_alone(self) -> None:
        """No reader and no other writer beside it."""
        kinds = [type(holding.guard) for holding in self.holding]
        if RwLockWriteGuard in kinds:
            assert len(kinds) == 1


class SemaphoreMachine(LockMachine):
    """Any number at once, more and fewer of them, and the end."""

    def make(self) -> None:
        """Make the semaphore, and say what it has."""
        self.semaphore = Semaphore(3)
        self.total, self.needs = 3, (0, 1, 2, 3, 5)

    def acquire_operation(self, need: int) -> Guard:
        """Make the operation that waits for permits."""
        return self.semaphore.acquire(need)

    def try_operation(self, need: int) -> Guard:
        """Take permits, or be refused."""
        return self.semaphore.try_acquire(need)

    @precondition(lambda self: self.total < 6)
    @rule(more=st.integers(0, 2))
    def add(self, more: int) -> None:
        """Make more permits."""
        self.now(lambda: self.semaphore.add_permits(more))
        self.total += more
        self.advance()

    @rule(fewer=st.integers(0, 2))
    def forget_free(self, fewer: int) -> None:
        """Remove free permits: what is saved up for the first in line is not free."""
        removed = self.semaphore.forget_permits(fewer)
        assert removed == (0 if self.waiting else min(fewer, self.loose))
        self.total -= removed

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, 9))
    def forget_held(self, which: int) -> None:
        """Keep what is held for good."""
        holding = self.holding.pop(which % len(self.holding))
        assert isinstance(holding.guard, SemaphorePermit)
        holding.guard.forget()
        assert not holding.guard.is_held
        self.total -= holding.need

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, 9), part=st.integers(0, 5))
    def split(self, which: int, part: int) -> None:
        """Put a part of what is held into a holder of its own."""
        holding = self.holding[which % len(self.holding)]
        assert isinstance(holding.guard, SemaphorePermit)
        other = holding.guard.split(part)
        if part > holding.need:
            assert other is None
            return
        holding.need -= part
        self.hold(other, part)
        assert holding.guard.num_permits == holding.need

    @precondition(lambda self: len(self.holding) > 1)
    @rule()
    def merge(self) -> None:
        """Make one holder of two."""
        gone = self.holding.pop()
        first = self.holding[0]
        assert isinstance(gone.guard, SemaphorePermit)
        assert isinstance(first.guard, SemaphorePermit)
        first.guard.merge(gone.guard)
        first.need += gone.need
        assert not gone.guard.is_held
        assert first.guard.num_permits == first.need

    @rule(often=st.integers(0, 9))
    def close(self, often: int) -> None:
        """Close, rarely: all who wait are told, and what is held stays valid."""
        if often:
            return
        self.now(self.semaphore.close)
        self.is_closed = True
        for waiting in self.waiting:
            assert isinstance(waiting.task.exception(), Closed)
        self.waiting.clear()

    @invariant()
    def permits_add_up(self) -> None:
        """Free and held permits are all there are."""
        if hasattr(self, "semaphore"):
            free = 0 if self.waiting else self.loose
            assert self.semaphore.available_permits == free

    def ends_whole(self) -> None:
        """All permits are free."""
        assert self.semaphore.available_permits == self.total


TestMutexModel = MutexMachine.TestCase
TestMutexModel.settings = SETTINGS
TestRwLockModel = RwLockMachine.TestCase
TestRwLockModel.settings = SETTINGS
TestSemaphoreModel = SemaphoreMachine.TestCase
TestSemaphoreModel.settings = SETTINGS
