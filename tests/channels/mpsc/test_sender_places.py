"""Sender: whose turn it is, and operations that are kept."""

import asyncio

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import Full, MisuseError
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


def test_try_send_does_not_pass_those_who_wait(run: Run) -> None:
    """A place that came free belongs to the first who waits, before it has run."""

    async def main() -> tuple[int, list[int]]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            waiting = await started(tx.send(1))
            first = await rx.recv()  # grants; the waiter has not resumed yet
            free = tx.capacity
            with pytest.raises(Full) as full:
                tx.try_send(2)
            assert full.value.item == 2
            with pytest.raises(Full):
                tx.try_reserve()
            await waiting
            return free, [first, await rx.recv()]

    assert run(main) == (0, [0, 1])


def test_a_send_does_not_pass_those_who_wait(run: Run) -> None:
    """A new send queues behind a waiter that was granted and has not resumed."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            first = await started(tx.send(1))
            received = [await rx.recv()]
            second = asyncio.create_task(of(tx.send(2)))
            received += [await rx.recv(), await rx.recv()]
            await first
            await second
            return received

    assert run(main) == [0, 1, 2]


def test_cancelled_send_sends_nothing_and_gives_its_place_up(run: Run) -> None:
    """A send cancelled while it waits leaves no trace; who is behind it goes on."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            a = await started(tx.send(1))
            b = await started(tx.send(2))
            assert await cancelled(a)
            received = [await rx.recv(), await rx.recv()]
            await b
            assert rx.is_empty
            return received

    assert run(main) == [0, 2]


def test_a_send_cancelled_after_its_grant_passes_the_place_on(run: Run) -> None:
    """Served and cancelled in one tick, it has sent nothing and the next is served."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            a = await started(tx.send(1))
            b = await started(tx.send(2))
            received = [await rx.recv()]  # grants to a
            a.cancel()
            received.append(await rx.recv())
            await b
            assert a.cancelled()
            assert tx.capacity == 1
            return received

    assert run(main) == [0, 2]


def test_kept_sends_carry_their_own_items(run: Run) -> None:
    """Operations held while others are made, and awaited out of order, do not mix."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(10)
        with tx:
            await tx.send("warm")
            a, b, c = tx.send("a"), tx.send("b"), tx.send("c")
            await c
            await tx.send("d")
            await a
            await tx.send("e")
            await b
            return await rx.recv_many(10)

    assert run(main) == ["warm", "c", "d", "a", "e", "b"]


def test_a_send_never_awaited_sends_nothing(run: Run) -> None:
    """An operation that is dropped has no effect, nor has it on the next."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(10)
        with tx:
            dropped = tx.send("dropped")
            del dropped
            await tx.send("sent")
            return await rx.recv_many(10)

    assert run(main) == ["sent"]


def test_an_item_is_not_kept_by_its_sender(run: Run) -> None:
    """An item lives no longer than the channel needs it."""

    class Item:
        pass

    async def main() -> int:
        import weakref  # noqa: PLC0415  # for this one

        tx, rx = mpsc.channel(1)
        with tx:
            item = Item()
            ref = weakref.ref(item)
            await tx.send(item)
            del item
            await rx.recv()
            return ref() is None

    assert run(main)


def test_one_sender_used_by_many_tasks_loses_nothing(run: Run) -> None:
    """The operation that a sender reuses never carries two tasks' items."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)

        async def produce(first: int) -> None:
            for n in range(first, first + 50):
                await tx.send(n)

        async def produce_all() -> None:
            with tx:
                async with asyncio.TaskGroup() as group:
                    for first in range(0, 500, 50):
                        group.create_task(produce(first))

        producer = asyncio.create_task(produce_all())
        received = [n async for n in rx]
        await producer
        return received

    received = run(main)

    assert sorted(received) == list(range(500))
    for first in range(0, 500, 50):
        assert [n for n in received if first <= n < first + 50] == list(
            range(first, first + 50)
        )


def test_a_send_that_lost_a_select_does_not_lend_its_place(run: Run) -> None:
    """A fresh send queues last, also when an earlier one of its sender was dropped."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        other = tx.clone()
        token_tx, token_rx = mpsc.channel(1)
        with tx, other, token_tx:
            await tx.send("0")
            racing = asyncio.create_task(select(tx.send("lost"), token_rx))
            await turns()
            token_tx.try_send("stop")
            assert await racing == (1, "stop")
            del racing
            first = await started(other.send("1"))
            second = await started(tx.send("2"))
            received = [await rx.recv() for _ in range(3)]
            await first
            await second
            return received

    assert run(main) == ["0", "1", "2"]


def test_a_kept_send_that_lost_a_select_keeps_its_place(run: Run) -> None:
    """Passed again, it is served before those who came while it raced."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        other = tx.clone()
        token_tx, token_rx = mpsc.channel(1)
        with tx, other, token_tx:
            await tx.send("0")
            kept = tx.send("1")
            racing = asyncio.create_task(select(kept, token_rx))
            await turns()
            behind = await started(other.send("2"))
            token_tx.try_send("stop")
            assert await racing == (1, "stop")
            again = await started(kept)
            received = [await rx.recv() for _ in range(3)]
            await again
            await behind
            return received

    assert run(main) == ["0", "1", "2"]


def test_a_kept_send_done_at_once_does_not_lend_its_place(run: Run) -> None:
    """A place kept from a lost race is gone when the send is done without waiting."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(2)
        other = tx.clone()
        token_tx, token_rx = mpsc.channel(1)
        with tx, other, token_tx:
            tx.try_send("0")
            tx.try_send("1")
            kept = tx.send("2")
            racing = asyncio.create_task(select(kept, token_rx))
            await turns()
            token_tx.try_send("stop")
            assert await racing == (1, "stop")
            del racing
            received = [await rx.recv(), await rx.recv()]
            await kept
            del kept
            await tx.send("3")
            first = await started(other.send("4"))
            second = await started(tx.send("5"))
            received += [await rx.recv() for _ in range(4)]
            await first
            await second
            return received

    assert run(main) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("many", [False, True])
def test_a_kept_send_that_lost_a_select_can_wait_alone(run: Run, *, many: bool) -> None:
    """It lingers, in vain, and parks, as any other."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        token_tx, token_rx = mpsc.channel(1)
        with tx, token_tx:
            tx.try_send(0)
            kept = tx.send_many([1]) if many else tx.send(1)
            racing = asyncio.create_task(select(kept, token_rx))
            await turns()
            token_tx.try_send("stop")
            await racing
            waiting = await started(kept)
            assert not waiting.done()
            received = [await rx.recv()]
            await waiting
            return [*received, await rx.recv()]

    assert run(main) == [0, 1]


def test_a_kept_reservation_done_at_once_has_no_place_from_before(run: Run) -> None:
    """Awaited again it queues last, for it was done since it lost its race."""

    async def main() -> list[bool]:
        tx, rx = mpsc.channel(1)
        token_tx, token_rx = mpsc.channel(1)
        with tx, token_tx:
            tx.try_send(0)
            kept = tx.reserve()
            racing = asyncio.create_task(select(kept, token_rx))
            await turns()
            token_tx.try_send("stop")
            await racing
            rx.try_recv()
            (await kept).send(1)
            first = await started(tx.reserve())
            second = await started(kept)
            rx.try_recv()
            await turns()
            served = [first.done(), second.done()]
            (await first).release()
            (await second).release()
            return served

    assert run(main) == [True, False]


def test_a_send_of_many_lends_its_size_to_no_other(run: Run) -> None:
    """One that lost a race, and was done without waiting later, is not used again."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        token_tx, token_rx = mpsc.channel(1)
        with tx, token_tx:
            await tx.send_many([0, 1, 2])
            kept = tx.send_many([3, 4, 5])
            racing = asyncio.create_task(select(kept, token_rx))
            await turns()
            token_tx.try_send("stop")
            await racing
            received = await rx.recv_many(3)
            await kept
            waiting = await started(tx.send_many([6]))
            received.append(await rx.recv())
            await turns()
            assert waiting.done()
            return received + await rx.recv_many(3)

    assert run(main) == [0, 1, 2, 3, 4, 5, 6]


def test_awaiting_a_send_that_is_done_is_refused(run: Run) -> None:
    """A send is spent once it is done, whichever path it took."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        with tx:
            fast = tx.send("fast")
            await fast
            with pytest.raises(MisuseError, match="sent its item"):
                await fast
            slow = tx.send("slow")
            waiting = await started(slow)
            received = [await rx.recv()]
            await waiting
            with pytest.raises(MisuseError, match="sent its item"):
                await slow
            with pytest.raises(MisuseError, match="sent its item"):
                await select(slow)
            many = tx.send_many([])
            await many
            with pytest.raises(MisuseError, match="sent its item"):
                await many
            return [*received, await rx.recv()]

    assert run(main) == ["fast", "slow"]
