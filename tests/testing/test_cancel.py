"""The tool finds the faults that are known, and passes what is right."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar

import anyio
import pytest

from sumida.testing import Order, Outcome, cancel_everywhere, turns
from tests.support import Run


class QueueWorld:
    """A task takes an item from an `asyncio.Queue`, which is right."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    async def subject(self) -> object:
        return await self.queue.get()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.queue.put_nowait("x")]

    def check(self, outcome: Outcome) -> None:
        if outcome.was_cancelled:
            assert self.queue.qsize() == outcome.is_woken


class ConditionWorld:
    """Two tasks wait on an `asyncio.Condition`; the first is cancelled."""

    def __init__(self) -> None:
        self.condition = asyncio.Condition()
        self.second: asyncio.Task[None] | None = None

    async def subject(self) -> object:
        async with self.condition:
            self.second = asyncio.create_task(self.wait())
            await self.condition.wait()
        return None

    async def wait(self) -> None:
        async with self.condition:
            await self.condition.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.notify]

    async def notify(self) -> None:
        async with self.condition:
            self.condition.notify(1)

    async def check(self, outcome: Outcome) -> None:
        if self.second is None:
            return
        await turns()
        woken = self.second.done()
        self.second.cancel()
        await asyncio.wait([self.second])
        if outcome.was_cancelled and outcome.order is Order.WAKE_CANCEL:
            assert woken, "the wake-up is lost"


class WaitForWorld(QueueWorld):
    """A task waits by `asyncio.wait_for`."""

    async def subject(self) -> object:
        return await asyncio.wait_for(self.queue.get(), 100)

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.put]

    async def put(self) -> None:
        self.queue.put_nowait("x")
        # One turn, in which the inner task of 3.11 takes the item and ends.
        await asyncio.sleep(0)


class AnyioWorld:
    """A task receives from an anyio memory stream."""

    def __init__(self) -> None:
        self.tx, self.rx = anyio.create_memory_object_stream[str](1)

    async def subject(self) -> object:
        return await self.rx.receive()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.tx.send_nowait("x")]

    def check(self, outcome: Outcome) -> None:
        kept = self.rx.statistics().current_buffer_used
        self.tx.close()
        self.rx.close()
        if outcome.was_cancelled and outcome.is_woken:
            assert kept == 1, "the item is lost"


class HandOffLock:
    """A lock that hands over in the future, and forgets one that was cancelled."""

    def __init__(self) -> None:
        self.is_locked = False
        self.waiters: list[asyncio.Future[None]] = []

    async def acquire(self) -> None:
        if self.is_locked:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            await waiter
        self.is_locked = True

    def release(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
                return
        self.is_locked = False


class LockWorld:
    """A task waits for a lock that loses its hand-off."""

    def __init__(self) -> None:
        self.lock = HandOffLock()
        self.lock.is_locked = True

    async def subject(self) -> object:
        await self.lock.acquire()
        return None

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.lock.release]

    def check(self, outcome: Outcome) -> None:
        if outcome.was_cancelled and outcome.is_woken:
            assert not self.lock.is_locked, "the lock is held by nobody"


class StubbornWorld(QueueWorld):
    """A task that does not care to be cancelled."""

    async def subject(self) -> object:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                return await self.queue.get()
        return await self.queue.get()


class SwallowingWorld(QueueWorld):
    """A task that takes a cancel for an answer."""

    async def subject(self) -> object:
        try:
            return await self.queue.get()
        except asyncio.CancelledError:
            return "nothing"


def test_a_queue_passes_in_eight_runs(run: Run) -> None:
    """One run without a cancel, one before the start, six around the one wait."""
    assert run(cancel_everywhere, QueueWorld) == 8


def test_it_finds_the_lost_wake_up_of_condition(run: Run) -> None:
    """`Condition.notify(1)` is lost with its waiter on CPython before 3.13."""
    if sys.version_info < (3, 13):
        with pytest.raises(AssertionError, match="the wake-up is lost"):
            run(cancel_everywhere, ConditionWorld)
    else:
        assert run(cancel_everywhere, ConditionWorld) >= 7


def test_it_finds_the_cancel_swallowed_by_wait_for(run: Run) -> None:
    """`wait_for` of CPython 3.11 returns the value of a task that was cancelled."""
    if sys.version_info < (3, 12):
        with pytest.raises(AssertionError, match="swallowed"):
            run(cancel_everywhere, WaitForWorld)
    else:
        assert run(cancel_everywhere, QueueWorld) == 8


def test_it_finds_the_item_lost_by_anyio(run: Run) -> None:
    """A memory stream's receive loses the item when it is cancelled as it is woken."""
    with pytest.raises(AssertionError, match="the item is lost") as error:
        run(cancel_everywhere, AnyioWorld)

    assert "suspension 1" in "".join(error.value.__notes__)


def test_it_finds_a_lost_hand_off(run: Run) -> None:
    """A lock that gives itself to a cancelled waiter is found out."""
    with pytest.raises(AssertionError, match="held by nobody"):
        run(cancel_everywhere, LockWorld)


def test_it_finds_who_ignores_a_cancel(run: Run) -> None:
    """A subject that goes on waiting is an error."""
    with pytest.raises(AssertionError, match="ignores it"):
        run(cancel_everywhere, StubbornWorld)


def test_it_finds_who_swallows_a_cancel(run: Run) -> None:
    """A subject that returns although it was cancelled while parked is an error."""
    with pytest.raises(AssertionError, match="swallowed"):
        run(cancel_everywhere, SwallowingWorld)


class HeldBackWorld(QueueWorld):
    """A task that returns what it was woken for, although it was cancelled."""

    async def subject(self) -> object:
        try:
            return await self.queue.get()
        except asyncio.CancelledError:
            if self.queue.empty():
                raise
            return self.queue.get_nowait()


def test_it_finds_who_puts_its_result_before_a_cancel(run: Run) -> None:
    """Nothing is lost but the cancel, in the one turn in which both came."""
    with pytest.raises(AssertionError, match="swallowed") as error:
        run(cancel_everywhere, HeldBackWorld)

    assert "in one turn" in str(error.value)


def test_a_cancel_that_comes_too_late_is_no_fault(run: Run) -> None:
    """A subject that has ended in the turn of the wake-up cannot be cancelled."""

    class Ended(QueueWorld):
        async def wake(self) -> None:
            self.queue.put_nowait("x")
            await turns(3)

        def wakes(self) -> Sequence[Callable[[], object]]:
            return [self.wake]

    assert run(cancel_everywhere, Ended) == 8


def test_too_few_wakes_are_told(run: Run) -> None:
    """A subject that is suspended more often than the world says is an error."""

    class TwoWaits(QueueWorld):
        async def subject(self) -> object:
            await self.queue.get()
            return await self.queue.get()

    with pytest.raises(AssertionError, match="suspended for the 2"):
        run(cancel_everywhere, TwoWaits)


def test_every_order_is_tried(run: Run) -> None:
    """Each order comes once for each suspension."""

    class Recording(QueueWorld):
        seen: ClassVar[list[Order | None]] = []

        def check(self, outcome: Outcome) -> None:
            self.seen.append(outcome.order)

    run(cancel_everywhere, Recording)

    assert sorted(map(str, Recording.seen)) == sorted(map(str, [None, *Order]))


def test_each_suspension_has_its_turn(run: Run) -> None:
    """Those before it are gone through, by their own wake-ups."""

    class TwoWaits(QueueWorld):
        parked: ClassVar[list[tuple[int, int]]] = []

        def __init__(self) -> None:
            super().__init__()
            self.taken = 0

        async def subject(self) -> object:
            for _ in range(2):
                await self.queue.get()
                self.taken += 1
            return None

        def wakes(self) -> Sequence[Callable[[], object]]:
            return [lambda: self.queue.put_nowait("x")] * 2

        def check(self, outcome: Outcome) -> None:
            if outcome.order is Order.PARKED:
                self.parked.append((outcome.at, self.taken))

    assert run(cancel_everywhere, TwoWaits) == 13
    assert TwoWaits.parked == [(1, 0), (2, 1)]


def test_who_has_failed_was_not_cancelled(run: Run) -> None:
    """Its error is told to the world, which says whether it was right."""

    class Failing(QueueWorld):
        seen: ClassVar[list[tuple[bool, bool]]] = []

        async def subject(self) -> object:
            try:
                return await self.queue.get()
            except asyncio.CancelledError:
                raise KeyError from None

        def check(self, outcome: Outcome) -> None:
            self.seen.append((outcome.was_cancelled, outcome.error is not None))

    run(cancel_everywhere, Failing)

    assert Failing.seen[0] == (False, False)
    assert Failing.seen.count((False, True)) >= 5
    assert (True, True) not in Failing.seen


def test_each_order_is_what_it_says(run: Run) -> None:
    """How often the subject was cancelled, where it stood, and how that ended."""

    class Telling(QueueWorld):
        seen: ClassVar[dict[Order | None, tuple[bool, int, bool]]] = {}

        def __init__(self) -> None:
            super().__init__()
            self.cancels = 0
            self.is_parked = False

        async def subject(self) -> object:
            await turns(5)
            self.is_parked = True
            try:
                return await self.queue.get()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                self.cancels = task.cancelling()
                raise

        def check(self, outcome: Outcome) -> None:
            told = (self.is_parked, self.cancels, outcome.returned)
            self.seen[outcome.order] = told

    run(cancel_everywhere, Telling)

    assert Telling.seen == {
        None: (True, 0, True),
        Order.BEFORE_START: (False, 0, False),
        Order.PARKED: (True, 1, False),
        Order.CANCEL_WAKE: (True, 1, False),
        Order.WAKE_CANCEL: (True, 1, False),
        Order.WAKE_TURN_CANCEL: (True, 0, True),
        Order.TWICE: (True, 2, False),
        Order.TIMEOUT: (True, 1, False),
    }
