"""Operations: awaited alone, the budget, and what a subclass inherits."""

import asyncio
from collections.abc import Awaitable
from itertools import pairwise
from typing import Literal

import pytest

from sumida import operation as module
from sumida._core.waiters import WaiterQueue
from sumida.errors import BusyError
from sumida.operation import (
    BUDGET,
    DONE,
    DONE_AWAITABLE,
    PENDING,
    UNSHARED,
    Operation,
    Pending,
    QueuedOperation,
    Source,
    ready_awaitable,
    refuse_second,
    spend,
)
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


class Shelf:
    """The simplest primitive: things to take, one for each, granted in order."""

    def __init__(self, things: int = 0) -> None:
        self.things = things
        self.waiters = WaiterQueue()

    def put(self) -> None:
        """Put one thing on the shelf, or hand it to who waits."""
        self.waiters.check_loop()
        if not self.waiters.serve_first():
            self.things += 1


class Take(QueuedOperation[str]):
    """Take one thing from a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf.waiters)
        self.shelf = shelf

    def __repr__(self) -> str:
        return "<Take>"

    def poll(self) -> str | Literal[Pending.PENDING]:
        """Take now."""
        if not self.take_grant():
            if not self.shelf.things:
                return PENDING
            self.shelf.things -= 1
            self.forget_place()
        return "thing"

    def give_back(self, granted: int) -> None:
        """Put it back, or hand it on."""
        for _ in range(granted):
            self.shelf.put()


def test_a_ready_operation_is_done_at_once(run: Run) -> None:
    """Nothing else runs in between."""

    async def main() -> tuple[str, int]:
        shelf = Shelf(2)
        module.budget.left = BUDGET
        waiting = asyncio.create_task(turns(1))
        result = await Take(shelf)
        await waiting
        return result, shelf.things

    assert run(main) == ("thing", 1)


def test_an_operation_waits_and_is_served_in_order(run: Run) -> None:
    """First come, first served; nothing is left on the shelf."""

    async def main() -> tuple[list[bool], int]:
        shelf = Shelf()
        tasks = [await started(Take(shelf)) for _ in range(3)]
        shelf.put()
        shelf.put()
        await turns()
        done = [task.done() for task in tasks]
        assert await cancelled(tasks[2])
        return done, shelf.things

    assert run(main) == ([True, True, False], 0)


@pytest.mark.parametrize("granted", [False, True])
def test_a_cancelled_operation_passes_its_grant_on(run: Run, *, granted: bool) -> None:
    """In the same tick as it is cancelled, if it was served."""

    async def main() -> tuple[bool, int, int]:
        shelf = Shelf()
        first = await started(Take(shelf))
        second = await started(Take(shelf))
        if granted:
            shelf.put()
        assert await cancelled(first)
        if not granted:
            shelf.put()
        await second
        return second.done(), shelf.things, len(shelf.waiters)

    assert run(main) == (True, 0, 0)


def test_the_last_grant_goes_back_to_the_shelf(run: Run) -> None:
    """Where nobody else waits."""

    async def main() -> int:
        shelf = Shelf()
        only = await started(Take(shelf))
        shelf.put()
        assert await cancelled(only)
        return shelf.things

    assert run(main) == 1


def test_an_operation_can_be_awaited_again(run: Run) -> None:
    """Once it is done, and also after it was cancelled."""

    async def main() -> int:
        shelf = Shelf(1)
        take = Take(shelf)
        await take
        waiting = await started(take)
        assert take.is_armed
        assert await cancelled(waiting)
        assert not take.is_armed
        waiting = await started(take)
        shelf.put()
        await waiting
        return shelf.things

    assert run(main) == 0


def test_an_operation_awaited_by_two_tasks_is_refused(run: Run) -> None:
    """The first is not disturbed."""

    async def main() -> str:
        shelf = Shelf()
        take = Take(shelf)
        first = await started(take)
        with pytest.raises(BusyError, match="<Take> is awaited by two tasks"):
            await take
        with pytest.raises(BusyError):
            refuse_second(take)
        shelf.put()
        result = await first
        refuse_second(take)
        return result

    assert run(main) == "thing"


def test_an_operation_gives_way_after_its_budget(run: Run) -> None:
    """Of 128 operations that need not wait one lets the others run."""

    async def main() -> list[int]:
        shelf = Shelf(BUDGET * 4)
        seen: list[int] = []

        async def watch() -> None:
            while True:
                seen.append(shelf.things)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        for _ in range(BUDGET * 4):
            await Take(shelf)
        await cancelled(watching)
        return [a - b for a, b in pairwise(seen)]

    steps = run(main)

    assert len(steps) >= 3
    assert max(steps) <= BUDGET


def test_a_cancel_at_the_end_of_the_budget_takes_nothing(run: Run) -> None:
    """The turn is given before anything has taken effect."""

    async def main() -> tuple[bool, int]:
        shelf = Shelf(1)
        module.budget.left = 1
        task = asyncio.create_task(of(Take(shelf)))
        if not task.cancel():
            return True, shelf.things
        await asyncio.wait([task])
        return task.cancelled(), shelf.things

    assert run(main) == (True, 1)


def test_an_operation_that_gave_way_waits_if_it_has_to(run: Run) -> None:
    """What was there may be gone by then."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        shelf = Shelf(1)
        log: list[str] = []

        def steal() -> None:
            shelf.things -= 1
            log.append("stolen")
            loop.call_soon(loop.call_soon, put)

        def put() -> None:
            log.append("put")
            shelf.put()

        module.budget.left = 1
        loop.call_soon(steal)
        return [*log, await Take(shelf), *log]

    assert run(main) == ["thing", "stolen", "put"]


def test_spend_says_yes_once_in_a_budget() -> None:
    """And begins anew."""
    module.budget.left = BUDGET

    used_up = [spend() for _ in range(3 * BUDGET)]

    assert [n for n, is_used in enumerate(used_up, 1) if is_used] == [
        BUDGET,
        2 * BUDGET,
        3 * BUDGET,
    ]


def test_forgetting_a_place_gives_a_part_grant_back(run: Run) -> None:
    """Who was done in another way keeps nothing of the queue."""

    async def main() -> tuple[int, int]:
        shelf = Shelf()
        take = Take(shelf)
        take.arm(asyncio.get_running_loop().create_future())
        shelf.put()
        take.forget_place()
        take.forget_place()
        return shelf.things, len(shelf.waiters)

    assert run(main) == (1, 0)


def test_disarming_what_is_not_armed_does_nothing(run: Run) -> None:
    """Before it ever waited, and twice."""

    async def main() -> int:
        shelf = Shelf()
        take = Take(shelf)
        take.disarm()
        take.arm(asyncio.get_running_loop().create_future())
        take.disarm()
        take.disarm()
        return len(shelf.waiters)

    assert run(main) == 0


def test_the_base_classes_leave_their_methods_to_be_written() -> None:
    """A subclass that forgets one is told so when it is used."""
    operation: Operation[None] = Operation()  # type: ignore[abstract]  # as nothing stops it at run time

    with pytest.raises(NotImplementedError):
        operation.poll()
    loop = asyncio.new_event_loop()
    with pytest.raises(NotImplementedError):
        operation.arm(loop.create_future())
    loop.close()
    with pytest.raises(NotImplementedError):
        operation.disarm()
    with pytest.raises(NotImplementedError):
        Source[None]().operation()  # type: ignore[abstract]  # likewise
    assert operation.is_ready()


def test_the_ready_awaitables_can_be_awaited(run: Run) -> None:
    """Those made for speed are what `await` and `async with` need, again and again."""

    class Block:
        def __aenter__(self) -> Awaitable[str]:
            return ready_awaitable("entered")

        def __aexit__(self, *_: object) -> Awaitable[None]:
            return DONE_AWAITABLE

    async def main() -> list[object]:
        told: list[object] = []
        for _ in range(2):
            async with Block() as value:
                told.append(value)
            told.append(await DONE_AWAITABLE)
        return [*told, list(DONE)]

    assert run(main) == ["entered", None, "entered", None, []]


def test_an_unshared_object_is_known_as_such() -> None:
    """The count that tells that only a slot and a local variable know an object."""
    import sys  # noqa: PLC0415  # what the library uses, for this one test

    class Holder:
        __slots__ = ("spare",)

        def __init__(self) -> None:
            self.spare: object = object()

        def count(self) -> int:
            spare = self.spare
            return sys.getrefcount(spare)

    holder = Holder()
    alone = holder.count()
    shared = holder.spare

    assert alone == UNSHARED
    assert holder.count() == UNSHARED + 1
    assert shared is holder.spare
