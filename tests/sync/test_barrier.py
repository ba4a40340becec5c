"""The barrier opens for a whole group, and for nobody before."""

import asyncio

import pytest

from sumida import select
from sumida.errors import WrongLoopError
from sumida.operation import PENDING
from sumida.sync import Barrier, BarrierWaitResult, Notify
from sumida.testing import turns
from tests.core.support import cancelled, started
from tests.support import Run


def test_groups_pass_with_one_leader_each(run: Run) -> None:
    """Again and again."""

    async def main() -> list[int]:
        barrier = Barrier(3)
        leaders = []
        for _ in range(4):
            tasks = [asyncio.ensure_future(barrier.wait()) for _ in range(3)]
            results = [await task for task in tasks]
            leaders.append(sum(result.is_leader for result in results))
        return leaders

    assert run(main) == [1, 1, 1, 1]


def test_who_leaves_does_not_count(run: Run) -> None:
    """A cancelled arrival is withdrawn."""

    async def main() -> list[str]:
        barrier = Barrier(2)
        gone = asyncio.ensure_future(barrier.wait())
        await turns()
        seen = [repr(barrier)]
        gone.cancel()
        await turns()
        seen.append(repr(barrier))
        one = asyncio.ensure_future(barrier.wait())
        await turns()
        assert not one.done()
        assert (await barrier.wait()).is_leader
        assert not (await one).is_leader
        return seen

    assert run(main) == ["<Barrier 1/2>", "<Barrier 0/2>"]


def test_who_is_about_to_leave_does_not_count(run: Run) -> None:
    """One that was cancelled, or woken by another branch, and has not run yet."""

    async def main() -> list[object]:
        barrier, notify = Barrier(3), Notify()
        staying = await started(barrier.wait())
        leaving = await started(barrier.wait())
        choosing = await started(select(barrier.wait(), notify))
        seen: list[object] = [choosing.done(), repr(barrier)]
        await asyncio.wait([staying, leaving, choosing])
        staying = await started(barrier.wait())
        leaving = await started(barrier.wait())
        leaving.cancel()
        # In the same turn, before the other has left.
        won = await select(barrier.wait(), _nothing(), biased=True)
        seen.append(won[0])
        choosing = await started(select(barrier.wait(), notify))
        notify.notify_one()
        won = await select(barrier.wait(), _nothing(), biased=True)
        assert await choosing == (1, None)
        seen += [won[0], repr(barrier)]
        last = await started(barrier.wait())
        assert not last.done()
        assert (await barrier.wait()).is_leader
        for task in (staying, last):
            assert not (await task).is_leader
        return [*seen, leaving.cancelled(), repr(barrier)]

    assert run(main) == [
        True,
        "<Barrier 0/3>",
        1,
        1,
        "<Barrier 1/3>",
        True,
        "<Barrier 0/3>",
    ]


def test_who_was_woken_in_vain_may_be_the_leader(run: Run) -> None:
    """It comes again when the others are there, and counts once."""

    async def main() -> list[object]:
        barrier = Barrier(2)
        arrival = barrier.wait()
        future = asyncio.get_running_loop().create_future()
        assert arrival.poll() is PENDING
        arrival.arm(future)
        future.set_result(None)
        other = await started(barrier.wait())
        seen: list[object] = [other.done(), repr(barrier)]
        result = arrival.poll()
        assert isinstance(result, BarrierWaitResult)
        return [*seen, result.is_leader, (await other).is_leader, repr(barrier)]

    assert run(main) == [False, "<Barrier 2/2>", True, False, "<Barrier 0/2>"]


def test_an_arrival_that_was_cancelled_can_come_again(run: Run) -> None:
    """It goes away once, however often it is told to."""

    async def main() -> list[object]:
        barrier = Barrier(2)
        arrival = barrier.wait()
        seen: list[object] = []
        for _ in range(2):
            arriving = await started(arrival)
            seen += [repr(arrival), await cancelled(arriving)]
            arrival.disarm()
            seen.append(repr(arrival))
        arriving = await started(arrival)
        assert (await barrier.wait()).is_leader
        return [*seen, (await arriving).is_leader]

    assert run(main) == [
        *["<Arrival waiting at <Barrier 1/2>>", True, "<Arrival idle at <Barrier 0/2>>"]
        * 2,
        False,
    ]


def test_a_barrier_of_another_loop_is_not_opened() -> None:
    """Who comes from there is refused; those who wait stay, and count."""

    async def arrive() -> "asyncio.Task[BarrierWaitResult]":
        return await started(barrier.wait())

    async def come() -> bool:
        return (await barrier.wait()).is_leader

    async def end() -> bool:
        return await come() and not (await waiting).is_leader

    barrier = Barrier(2)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        waiting = first.run(arrive())
        with pytest.raises(WrongLoopError):
            second.run(come())

        assert first.run(end())


def test_who_waits_on_a_loop_that_was_closed_does_not_count() -> None:
    """Its task never runs again."""
    barrier = Barrier(2)
    loop = asyncio.new_event_loop()
    barrier.wait().arm(loop.create_future())
    loop.close()

    async def main() -> list[bool]:
        first = await started(barrier.wait())
        assert not first.done()
        return [(await barrier.wait()).is_leader, (await first).is_leader]

    assert asyncio.run(main()) == [True, False]


async def _nothing() -> None:
    pass


def test_small_sizes(run: Run) -> None:
    """None and one let everybody pass; less than none is refused."""

    async def main() -> list[bool]:
        return [(await Barrier(size).wait()).is_leader for size in (0, 1)]

    assert run(main) == [True, True]
    assert Barrier(0).size == 1
    with pytest.raises(ValueError, match="-1"):
        Barrier(-1)
