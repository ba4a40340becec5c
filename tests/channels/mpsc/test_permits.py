"""Permits: held places, used, given back, passed on, collected."""

import asyncio

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import Closed, Full, ReleasedError, WrongLoopError
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


def test_a_permit_holds_a_place_until_it_is_used(run: Run) -> None:
    """A reserved place is nobody else's, and is used without waiting."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(1)
        with tx:
            permit = await tx.reserve()
            told: list[object] = [tx.capacity, permit.is_held, repr(permit)]
            with pytest.raises(Full):
                tx.try_send(0)
            permit.send(1)
            told += [tx.capacity, permit.is_held, repr(permit), await rx.recv()]
            return told

    assert run(main) == [
        0, True, "<Permit held of 0/1>", 0, False, "<Permit used of 1/1>", 1
    ]  # fmt: skip


def test_a_used_permit_is_refused(run: Run) -> None:
    """A place is good for one message; releasing twice is harmless."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        with tx:
            permit = await tx.reserve()
            permit.send(1)
            with pytest.raises(ReleasedError):
                permit.send(2)
            permit.release()
            other = await tx.reserve()
            other.release()
            other.release()
            with pytest.raises(ReleasedError):
                other.send(3)
            assert tx.capacity == 1
            return len(await rx.recv_many(5))

    assert run(main) == 1


def test_leaving_the_block_gives_the_place_back(run: Run) -> None:
    """A permit that was not used in its block goes to the next in line."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            with await tx.reserve():
                waiting = await started(tx.send(1))
                assert not waiting.done()
            await waiting
            return await rx.recv_many(5)

    assert run(main) == [1]


def test_a_collected_permit_gives_its_place_back(run: Run) -> None:
    """Forgotten permits do not shrink the channel."""

    async def main() -> tuple[int, int]:
        tx, rx = mpsc.channel(3)
        with tx:
            permit = await tx.reserve()
            permits = await tx.reserve_many(2)
            waiting = await started(tx.send(1))
            del permit
            await waiting
            del permits
            await turns()
            await rx.recv()
            return tx.capacity, len(rx)

    assert run(main) == (3, 0)


@pytest.mark.parametrize("many", [False, True])
def test_a_permit_collected_by_another_thread_ends_the_channel(
    run: Run, *, many: bool
) -> None:
    """The last permit may die anywhere; a receiver that waits is told on its loop."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        box: list[object] = [tx.try_reserve_many(2) if many else tx.try_reserve()]
        tx.close()
        receiving = await started(rx.recv())
        await asyncio.to_thread(box.clear)
        with pytest.raises(Closed):
            await receiving
        return rx.capacity == 2

    assert run(main)


def test_releasing_from_a_foreign_thread_is_refused(run: Run) -> None:
    """Somebody waits for the place on the loop: nothing is changed from elsewhere."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        with tx:
            permit = await tx.reserve()
            permits = await tx.reserve_many(1)
            waiting = await started(tx.send(1))

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    permit.release()
                with pytest.raises(WrongLoopError):
                    permits.release()

            await asyncio.to_thread(abroad)
            assert permit.is_held
            assert len(permits) == 1
            assert not waiting.done()
            permit.release()
            permits.release()
            await waiting
            return await rx.recv() == 1

    assert run(main)


def test_many_places_are_gathered_before_those_behind_get_one(run: Run) -> None:
    """A big reservation is not starved: what comes free is kept for it."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send_many([0, 1, 2])
            big = await started(tx.reserve_many(3))
            small = await started(tx.send("small"))
            for _ in range(2):
                await rx.recv()
                await turns()
                assert not big.done()
                assert not small.done()
            with pytest.raises(Full):
                tx.try_send("barge")
            await rx.recv()
            permits = await big
            await turns()
            assert not small.done()
            permits.send_many(["a", "b"])
            permits.release()
            await small
            return await rx.recv_many(9)

    assert run(main) == ["a", "b", "small"]


def test_places_that_are_free_are_absorbed_at_once(run: Run) -> None:
    """Who wants three and finds two has them, and nobody barges in."""

    async def main() -> tuple[int, list[int]]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send(0)
            big = await started(tx.reserve_many(3))
            free = tx.capacity
            with pytest.raises(Full):
                tx.try_send(9)
            first = await rx.recv()
            with await big as permits:
                permits.send(1)
            return free, [first, await rx.recv()]

    assert run(main) == (0, [0, 1])


@pytest.mark.parametrize("granted", [0, 1, 2, 3])
def test_a_cancelled_reservation_passes_its_places_on(run: Run, granted: int) -> None:
    """What it had been assigned, all or part, goes to those behind it."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send_many([0, 0, 0])
            big = await started(tx.reserve_many(3))
            sends = [await started(tx.send(n)) for n in (1, 2, 3)]
            for _ in range(granted):
                await rx.recv()
            big.cancel()
            await turns()
            assert [send.done() for send in sends] == [n < granted for n in range(3)]
            rest = await rx.recv_many(3) if granted < 3 else []
            await turns()
            rest += await rx.recv_many(3)
            await turns()
            assert tx.capacity == 3 - len(rx)
            return [n for n in rest if n] + [n for n in [rx_left(rx)] if n]

    def rx_left(rx: mpsc.Receiver[int]) -> int:
        return 0 if rx.is_empty else rx.try_recv()

    assert run(main) == [1, 2, 3]


def test_recv_wakes_only_the_first_reservation(run: Run) -> None:
    """Tokio's `reserve_disarm`: one message taken serves the first, others queue."""

    async def main() -> list[bool]:
        tx, rx = mpsc.channel(2)
        with tx:
            first, second = await tx.reserve(), await tx.reserve()
            third = await started(tx.reserve())
            fourth = await started(tx.reserve())
            first.send(1)
            await rx.recv()
            await turns()
            states = [third.done(), fourth.done()]
            (await third).release()
            await turns()
            states.append(fourth.done())
            (await fourth).release()
            second.release()
            return states

    assert run(main) == [True, False, True]


def test_zero_places_are_had_at_once(run: Run) -> None:
    """Nothing is reserved without waiting, in a full channel, but not a closed one."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(1)
            permits = await tx.reserve_many(0)
            assert len(tx.try_reserve_many(0)) == 0
            with pytest.raises(ReleasedError):
                permits.send(1)
            rx.close()
            with pytest.raises(Closed):
                await tx.reserve_many(0)
            with pytest.raises(Closed):
                tx.try_reserve_many(0)
            await rx.recv()
            return len(permits)

    assert run(main) == 0


def test_permits_are_split_into_single_ones(run: Run) -> None:
    """Iterating gives one permit each, and the rest goes back."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(4)
        with tx, await tx.reserve_many(4) as permits:
            told: list[object] = [len(permits), repr(permits)]
            one = next(permits)
            two = next(permits)
            two.send("two")
            one.send("one")
            told.append(len(permits))
            permits.release()
            with pytest.raises(StopIteration):
                next(permits)
            told += [tx.capacity, await rx.recv_many(9), [*permits]]
            return told

    assert run(main) == [4, "<Permits 4 of 0/4>", 2, 2, ["two", "one"], []]


def test_more_items_than_permits_are_refused_whole(run: Run) -> None:
    """`Permits.send_many` sends all or none."""

    async def main() -> tuple[object, int, list[int]]:
        tx, rx = mpsc.channel(4)
        with tx, await tx.reserve_many(2) as permits:
            with pytest.raises(Full) as error:
                permits.send_many([1, 2, 3])
            left = len(permits)
            permits.send_many([])
            permits.send_many([1, 2])
            assert (len(permits), tx.capacity) == (0, 2)
            return error.value.unsent, left, await rx.recv_many(9)

    assert run(main) == ((1, 2, 3), 2, [1, 2])


def test_try_reserve_takes_a_place_now_or_not_at_all(run: Run) -> None:
    """Never waits; Full when there is none."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        with tx:
            one = tx.try_reserve()
            two = tx.try_reserve_many(2)
            with pytest.raises(Full):
                tx.try_reserve()
            two.send_many([2, 3])
            one.send(1)
            return await rx.recv_many(9)

    assert run(main) == [2, 3, 1]


def test_the_fast_path_respects_permits(run: Run) -> None:
    """A sender on credit does not use a place that was reserved meanwhile."""

    async def main() -> tuple[bool, int]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send(1)  # gives credit for two more
            permits = tx.try_reserve_many(2)
            waiting = await started(tx.send(2))
            before = waiting.done()
            permits.release()
            await waiting
            return before, len(await rx.recv_many(9))

    assert run(main) == (False, 2)


def test_credit_is_given_for_free_places_only(run: Run) -> None:
    """Those that were held before are nobody's but their permit's."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        with tx, tx.try_reserve() as permit:
            await tx.send(1)
            await tx.send(2)
            waiting = await started(tx.send(3))
            assert not waiting.done()
            permit.send(4)
            received = [await rx.recv() for _ in range(3)]
            await waiting
            return [*received, await rx.recv()]

    assert run(main) == [1, 2, 4, 3]


def test_who_waits_absorbs_no_place_that_is_held(run: Run) -> None:
    """Of four places one is held and one queued, so three are not to be had yet."""

    async def main() -> bool:
        tx, rx = mpsc.channel(4)
        with tx, tx.try_reserve() as permit:
            tx.try_send(1)
            waiting = await started(tx.reserve_many(3))
            before = waiting.done()
            rx.try_recv()
            with await waiting as permits:
                assert len(permits) == 3
                assert tx.capacity == 0
                permit.release()
                assert tx.capacity == 1
            return before

    assert not run(main)


def test_a_reservation_that_loses_a_select_holds_nothing(run: Run) -> None:
    """The place that it had been granted goes to the next in the same tick."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(1)
        other_tx, other_rx = mpsc.channel(1)
        with tx, other_tx:
            await tx.send(0)
            reserve = tx.reserve()
            racing = asyncio.create_task(select(other_rx.recv(), reserve, biased=True))
            await turns()
            waiting = await started(tx.send(1))
            other_tx.try_send("first")  # wakes select ...
            received = [await rx.recv()]  # ... and this grants
            told: list[object] = [await racing]
            await waiting
            return [*told, *received, await rx.recv()]

    assert run(main) == [(0, "first"), 0, 1]


def test_cancelled_reserve_takes_no_place(run: Run) -> None:
    """Cancelled in its lingering turn or later, it leaves the channel whole."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        with tx:
            tx.try_send(0)
            tx.try_send(0)
            for wait in (1, 5):
                task = asyncio.create_task(of(tx.reserve()))
                await turns(wait)
                assert await cancelled(task)
                task_many = asyncio.create_task(of(tx.reserve_many(2)))
                await turns(wait)
                assert await cancelled(task_many)
            await rx.recv_many(2)
            return tx.capacity

    assert run(main) == 2
