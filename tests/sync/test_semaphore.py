"""Permits: in order, none lost, none doubled."""

import asyncio
from functools import partial

import pytest

from sumida.errors import (
    Closed,
    MisuseError,
    NoPermits,
    ReleasedError,
    WrongLoopError,
)
from sumida.operation import PENDING
from sumida.sync import Semaphore, SemaphorePermit
from sumida.testing import cancel_everywhere, turns
from tests.core.support import cancelled, started
from tests.support import Run
from tests.sync.worlds import TwoWaiters


def test_permits_are_taken_and_given_back(run: Run) -> None:
    """By `async with`, by await and by try."""

    async def main() -> list[int]:
        slots = Semaphore(3)
        async with slots.acquire(2) as permit:
            seen = [slots.available_permits, permit.num_permits]
        permit = await slots.acquire()
        with slots.try_acquire(2):
            seen.append(slots.available_permits)
            with pytest.raises(NoPermits):
                slots.try_acquire()
        permit.release()
        permit.release()
        return [*seen, slots.available_permits]

    assert run(main) == [1, 2, 0, 3]


def test_the_first_in_line_absorbs_what_comes(run: Run) -> None:
    """A big request is not starved by small ones, and shows as Tokio's does."""

    async def main() -> list[object]:
        slots = Semaphore(4)
        order: list[str] = []

        async def take(name: str, permits: int) -> None:
            async with slots.acquire(permits):
                order.append(name)

        big = asyncio.create_task(take("big", 5))
        await turns()
        seen: list[object] = [slots.available_permits]
        small = asyncio.create_task(take("small", 1))
        await turns()
        with pytest.raises(NoPermits):
            slots.try_acquire()
        slots.add_permits(1)
        await asyncio.wait([big, small])
        return [*seen, order, slots.available_permits]

    assert run(main) == [0, ["big", "small"], 5]


def test_a_cancelled_request_gives_back_what_it_absorbed(run: Run) -> None:
    """All of it, to those behind it."""

    async def main() -> int:
        slots = Semaphore(6)
        task = asyncio.ensure_future(slots.acquire(8))
        behind = asyncio.ensure_future(slots.acquire(2))
        await turns()
        task.cancel()
        await turns()
        permit = await behind
        permit.release()
        return slots.available_permits

    assert run(main) == 6


def test_close_ends_all_waits(run: Run) -> None:
    """Those who wait, also one that was served and has not run; held ones stay."""

    async def main() -> list[int]:
        slots = Semaphore(1)
        held = await slots.acquire()
        served = asyncio.ensure_future(slots.acquire())
        waiting = asyncio.ensure_future(slots.acquire())
        await turns()
        held.release()
        slots.close()
        for task in (served, waiting):
            with pytest.raises(Closed):
                await task
        with pytest.raises(Closed):
            slots.try_acquire()
        assert slots.is_closed
        seen = [slots.available_permits]
        slots.add_permits(1)
        return [*seen, slots.available_permits, slots.forget_permits(5)]

    assert run(main) == [1, 2, 2]


def test_permits_can_be_split_merged_and_forgotten(run: Run) -> None:
    """The sum stays the same until they are forgotten."""

    async def main() -> list[object]:
        slots = Semaphore(5)
        permit = await slots.acquire(5)
        part = permit.split(2)
        assert part is not None
        seen: list[object] = [permit.num_permits, part.num_permits, permit.split(9)]
        part.release()
        seen.append(slots.available_permits)
        other = await slots.acquire(2)
        permit.merge(other)
        with pytest.raises(ReleasedError):
            other.forget()
        with pytest.raises(MisuseError):
            permit.merge(permit)
        permit.forget()
        return [*seen, slots.available_permits]

    assert run(main) == [3, 2, None, 2, 0]


def test_only_what_is_held_of_one_semaphore_is_merged(run: Run) -> None:
    """What is refused stays as it was."""

    async def main() -> list[int]:
        slots, others = Semaphore(4), Semaphore(1)
        with await slots.acquire(2) as permit, await others.acquire() as foreign:
            idle = slots.acquire()
            with pytest.raises(MisuseError):
                permit.merge(foreign)
            with pytest.raises(TypeError, match="not None"):
                permit.merge(None)  # type: ignore[arg-type]  # the mistake
            with pytest.raises(ReleasedError):
                permit.merge(idle)
            with pytest.raises(ReleasedError):
                idle.merge(permit)
            with pytest.raises(ReleasedError):
                idle.split(0)
            seen = [permit.num_permits, foreign.num_permits, idle.num_permits]
        return [*seen, slots.available_permits, others.available_permits]

    assert run(main) == [2, 1, 0, 4, 1]


def test_misuse_is_refused(run: Run) -> None:
    """Bad counts, and a permit that is awaited while held."""

    async def main() -> None:
        slots = Semaphore(1)
        permit = await slots.acquire()
        with pytest.raises(MisuseError, match="while held"):
            await permit
        permit.release()
        again = await permit
        again.release()
        for bad in (-1, True, "x"):
            with pytest.raises((TypeError, ValueError), match=str(bad)):
                slots.acquire(bad)  # type: ignore[arg-type]  # the mistake

    run(main)
    with pytest.raises(ValueError, match="-1"):
        Semaphore(-1)


def world() -> TwoWaiters:
    """Two tasks wait for one permit."""
    slots = Semaphore(0)

    def give_back(permit: object) -> None:
        assert isinstance(permit, SemaphorePermit)
        permit.release()

    return TwoWaiters(slots.acquire, partial(slots.add_permits, 1), give_back)


def test_a_cancelled_acquire_loses_no_permit(run: Run) -> None:
    """Wherever it strikes, the permit goes to the next in line."""
    assert run(cancel_everywhere, world) == 8


def test_a_holder_that_is_kept_is_not_lent(run: Run) -> None:
    """Who keeps a holder after its block finds it empty, whoever acquires next."""

    async def main() -> tuple[bool, int, int]:
        semaphore = Semaphore(3)
        async with semaphore.acquire() as kept:
            pass
        async with semaphore.acquire(2) as other:
            return kept is not other, kept.num_permits, other.num_permits

    assert run(main) == (True, 0, 2)


def test_a_dropped_wait_for_many_leaves_nothing_to_the_next(run: Run) -> None:
    """One that lost a race and was dropped lends neither its place nor its need."""

    async def main() -> list[int]:
        semaphore = Semaphore(1)
        held = semaphore.try_acquire()
        got: list[int] = []

        async def take(permits: int) -> None:
            async with semaphore.acquire(permits):
                got.append(permits)

        dropped = await started(take(5))
        await cancelled(dropped)
        del dropped
        one = await started(take(1))
        held.release()
        await one
        await take(1)
        return [*got, semaphore.available_permits]

    assert run(main) == [1, 1, 1]


def test_what_is_held_in_a_block_counts(run: Run) -> None:
    """By whatever it is asked for, and with others beside it."""

    async def main() -> list[object]:
        slots = Semaphore(5)
        seen: list[object] = []
        async with slots.acquire(2):
            seen += [slots.available_permits, repr(slots)]
            with pytest.raises(NoPermits, match="3"):
                slots.try_acquire(4)
            async with slots.acquire(2):
                seen += [slots.available_permits, slots.forget_permits(9)]
                waiting = await started(_take(slots, 2))
                assert not waiting.done()
            await waiting
            slots.add_permits(3)
        return [*seen, slots.available_permits]

    assert run(main) == [3, "<Semaphore 3 free, 0 waiting>", 1, 1, 7]


def test_each_block_has_as_many_as_it_asked_for(run: Run) -> None:
    """Though the holder of the one before is used again."""

    async def main() -> list[int]:
        slots = Semaphore(5)
        seen = []
        for permits in (1, 3, 0, 5, 2):
            async with slots.acquire(permits):
                seen.append(slots.available_permits)
        return [*seen, slots.available_permits]

    assert run(main) == [4, 2, 5, 0, 3, 5]


def test_what_is_held_in_a_block_can_change(run: Run) -> None:
    """The block gives back what is left of it."""

    async def main() -> list[int]:
        slots = Semaphore(5)
        async with slots.acquire(3) as permit:
            part = permit.split(1)
            assert part is not None
            seen = [permit.num_permits, slots.available_permits]
        seen.append(slots.available_permits)
        async with slots.acquire(1) as permit:
            permit.merge(part)
            seen.append(permit.num_permits)
        seen.append(slots.available_permits)
        async with slots.acquire(2) as permit:
            permit.forget()
        return [*seen, slots.available_permits]

    assert run(main) == [2, 2, 4, 2, 5, 3]


def test_one_that_enters_between_a_look_and_a_wait_counts(run: Run) -> None:
    """As an operation that comes later in a `select` may let it."""

    async def main() -> list[bool]:
        slots = Semaphore(1)
        many = slots.acquire(2)
        assert many.poll() is PENDING
        async with slots.acquire():
            future = asyncio.get_running_loop().create_future()
            many.arm(future)
            slots.add_permits(1)
            seen = [future.done()]
        seen.append(future.done())
        many.disarm()
        return [*seen, slots.available_permits == 2]

    assert run(main) == [False, True, True]


def test_a_close_finds_one_inside(run: Run) -> None:
    """Who is inside leaves as ever; nobody comes after."""

    async def main() -> list[int]:
        slots = Semaphore(2)
        async with slots.acquire():
            slots.close()
            seen = [slots.available_permits]
            with pytest.raises(Closed):
                await _take(slots, 1)
        slots.close()
        with pytest.raises(Closed):
            await _take(slots, 1)
        return [*seen, slots.available_permits]

    assert run(main) == [1, 2]


def test_a_close_tells_who_waits_for_what_is_held(run: Run) -> None:
    """At once; and not from another thread, where nothing is changed."""

    async def main() -> bool:
        slots = Semaphore(1)
        async with slots.acquire():
            tasks = [await started(slots.acquire()), await started(_take(slots, 1))]
            with pytest.raises(WrongLoopError):
                await asyncio.to_thread(slots.close)
            assert not slots.is_closed
            await turns()
            assert not any(task.done() for task in tasks)
            slots.close()
            for task in tasks:
                with pytest.raises(Closed):
                    await task
        return slots.is_closed

    assert run(main)


async def _take(slots: Semaphore, permits: int) -> None:
    async with slots.acquire(permits):
        await turns(1)
