"""Sender: send, reserve, fairness, closing, threads, bad use."""

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Full, MisuseError, WrongLoopError
from sumida.operation import Operation
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


@pytest.mark.parametrize("capacity", [0, -1, -(10**20)])
def test_capacity_below_one_is_refused(capacity: int) -> None:
    """A channel without a place is a ValueError that shows the value."""
    with pytest.raises(ValueError, match=str(capacity)):
        mpsc.channel(capacity)


@pytest.mark.parametrize("capacity", [True, "x", 1.5, None])
def test_capacity_of_another_type_is_refused(capacity: int) -> None:
    """What is no int, or is a bool, is a TypeError that shows the value."""
    with pytest.raises(TypeError, match=repr(capacity)):
        mpsc.channel(capacity)


def test_messages_arrive_in_order(run: Run) -> None:
    """Messages of one sender are received in the order sent, and are the same ones."""
    items = [object() for _ in range(300)]

    async def main() -> list[object]:
        tx, rx = mpsc.channel(7)

        async def produce() -> None:
            with tx:
                for item in items:
                    await tx.send(item)

        producer = asyncio.create_task(produce())
        received = [item async for item in rx]
        await producer
        return received

    received = run(main)

    assert received == items


def test_send_waits_while_full(run: Run) -> None:
    """A send into a full channel is done when a message was taken, not before."""

    async def main() -> tuple[bool, bool, list[int]]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(1)
            sending = await started(tx.send(2))
            before = sending.done()
            first = await rx.recv()
            await sending
            return before, sending.done(), [first, await rx.recv()]

    assert run(main) == (False, True, [1, 2])


def test_waiting_senders_are_served_in_order(run: Run) -> None:
    """The queue of waiting senders is first come, first served."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            sends = [await started(tx.send(n)) for n in range(1, 30)]
            received = [await rx.recv() for _ in range(30)]
            for send in sends:
                await send
            return received

    assert run(main) == list(range(30))


def test_one_message_taken_lets_one_sender_go_on(run: Run) -> None:
    """Each place that comes free is granted to one waiter only."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        done: list[int] = []
        with tx:
            await tx.send(0)
            sends = [await started(tx.send(n)) for n in range(1, 6)]
            for _ in range(5):
                await rx.recv()
                await turns()
                done.append(sum(send.done() for send in sends))
            await rx.recv()
            return done

    assert run(main) == [1, 2, 3, 4, 5]


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


def test_try_send_does_not_pass_a_sender_that_lingers(run: Run) -> None:
    """A sender in its lingering turn is in line like one that sleeps."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            tx.try_send(0)
            lingering = asyncio.create_task(of(tx.send(1)))
            await asyncio.sleep(0)  # it has found the channel full, and lingers
            received = [rx.try_recv()]
            with pytest.raises(Full):
                tx.try_send(2)
            await lingering
            return [*received, rx.try_recv()]

    assert run(main) == [0, 1]


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


@pytest.mark.parametrize("served", [False, True])
def test_cancel_in_the_lingering_turn_sends_nothing(run: Run, *, served: bool) -> None:
    """A sender cancelled in its lingering turn sent nothing, granted or not."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            tx.try_send(0)
            lingering = asyncio.create_task(of(tx.send(1)))
            await asyncio.sleep(0)
            if served:
                rx.try_recv()
            assert await cancelled(lingering)
            if not served:
                rx.try_recv()
            assert rx.is_empty
            return tx.capacity

    assert run(main) == 1


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
            tx.send("dropped")
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


def make_send(tx: mpsc.Sender[int]) -> Operation[object]:
    """Make a send."""
    return tx.send(1)


def make_reserve(tx: mpsc.Sender[int]) -> Operation[object]:
    """Make a reservation."""
    return tx.reserve()


def make_send_many(tx: mpsc.Sender[int]) -> Operation[object]:
    """Make a send of several."""
    return tx.send_many([1, 2])


def make_reserve_many(tx: mpsc.Sender[int]) -> Operation[object]:
    """Make a reservation of several."""
    return tx.reserve_many(2)


Make = Callable[[mpsc.Sender[int]], Operation[object]]
MAKERS = (make_send, make_reserve, make_send_many, make_reserve_many)


@pytest.mark.parametrize("make", MAKERS)
def test_an_operation_awaited_by_two_tasks_is_refused(run: Run, make: Make) -> None:
    """The second task is told; the first goes on waiting and is served."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([0, 0])
            operation = make(tx)
            first = await started(operation)
            with pytest.raises(BusyError):
                await operation
            with pytest.raises(BusyError):
                await select(operation)
            await rx.recv_many(2)
            permit = await first
            if isinstance(permit, (mpsc.Permit, mpsc.Permits)):
                permit.release()
            rx.close()
            await rx.recv_many(2)
            return first.done()

    assert run(main)


@pytest.mark.parametrize("make", MAKERS)
def test_a_send_to_a_closed_receiver_gives_closed(run: Run, make: Make) -> None:
    """Sending after the receiver closed is Closed, waiting or not."""

    async def main() -> tuple[bool, bool]:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([0, 0])
            waiting = await started(make(tx))
            rx.close()
            with pytest.raises(Closed):
                await waiting
            with pytest.raises(Closed):
                await make(tx)
            await rx.recv_many(2)
            with pytest.raises(Closed):
                await make(tx)
            return tx.is_closed, tx.capacity == 2

    assert run(main) == (True, True)


@pytest.mark.parametrize("make", MAKERS)
def test_a_closed_sender_refuses_at_once(run: Run, make: Make) -> None:
    """A call on a sender that was closed raises before it is awaited."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        await tx.send(1)
        tx.close()
        with pytest.raises(Closed, match="sender"):
            make(tx)
        with pytest.raises(Closed):
            tx.try_send(1)
        with pytest.raises(Closed):
            tx.try_reserve()
        with pytest.raises(Closed):
            tx.try_reserve_many(1)
        with pytest.raises(Closed):
            tx.clone()
        with pytest.raises(Closed):
            tx.blocking_send(1)
        tx.close()
        await rx.recv()
        return tx.is_closed

    assert run(main)


@pytest.mark.parametrize("make", MAKERS)
def test_an_idle_operation_does_not_outlive_the_channel(run: Run, make: Make) -> None:
    """Awaited after the last sender closed it is Closed: the receiver saw the end."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        operation = make(tx)
        tx.close()
        with pytest.raises(Closed):
            await rx.recv()
        with pytest.raises(Closed):
            await operation
        with pytest.raises(Closed):
            await select(operation)
        return len(rx)

    assert run(main) == 0


@pytest.mark.parametrize("make", MAKERS)
def test_a_waiting_operation_keeps_the_channel_open(run: Run, make: Make) -> None:
    """What waits when its sender is closed keeps its place and is carried out."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(2)
        await tx.send_many([0, 0])
        waiting = await started(make(tx))
        tx.close()
        received = await rx.recv_many(2)
        permit = await waiting
        if isinstance(permit, (mpsc.Permit, mpsc.Permits)):
            permit.send(1)
            permit.release()
        received += [n async for n in rx]
        return received

    assert run(main)[:3] == [0, 0, 1]


def test_closed_gives_the_items_back(run: Run) -> None:
    """Closed and Full carry what was not sent."""

    async def main() -> tuple[object, object, object, object, object]:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([1, 2])
            with pytest.raises(Full) as full:
                tx.try_send(3)
            waiting = await started(tx.send(4))
            rx.close()
            with pytest.raises(Closed) as woken:
                await waiting
            with pytest.raises(Closed) as sent:
                await tx.send(5)
            with pytest.raises(Closed) as many:
                await tx.send_many([6, 7])
            with pytest.raises(Closed) as tried:
                tx.try_send(8)
            await rx.recv_many(2)
            return (
                full.value.item,
                woken.value.item,
                sent.value.item,
                many.value.unsent,
                tried.value.item,
            )

    assert run(main) == (3, 4, 5, (6, 7), 8)


def test_closed_without_an_item_says_so(run: Run) -> None:
    """A reservation carries no item."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            rx.close()
            with pytest.raises(Closed) as error:
                await tx.reserve()
            with pytest.raises(AttributeError, match="no item"):
                _ = error.value.item

    run(main)


def test_closed_waits_for_the_receiver_to_close(run: Run) -> None:
    """`closed()` is done when the receiver is closed, and stays done."""

    async def main() -> tuple[bool, bool]:
        tx, rx = mpsc.channel(1)
        with tx:
            operation = tx.closed()
            waiting = await started(operation)
            cancelled_one = await started(tx.closed())
            assert await cancelled(cancelled_one)
            before = waiting.done()
            rx.close()
            await waiting
            await operation
            await tx.closed()
            return before, tx.is_closed

    assert run(main) == (False, True)


def test_send_many_is_all_or_nothing(run: Run) -> None:
    """Several items go in together, when all have a place."""

    async def main() -> tuple[int, list[int], list[int]]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send_many([1, 2])
            sending = await started(tx.send_many([3, 4, 5]))
            one = [await rx.recv()]
            await turns()
            queued = len(rx)
            one.append(await rx.recv())
            await sending
            return queued, one, await rx.recv_many(3)

    assert run(main) == (1, [1, 2], [3, 4, 5])


def test_more_places_than_there_are_is_refused(run: Run) -> None:
    """What could never be granted is a ValueError at the call."""

    async def main() -> None:
        tx, rx = mpsc.channel(3)
        with tx, rx:
            for places in (4, -1):
                with pytest.raises(ValueError, match=str(places)):
                    tx.reserve_many(places)
            with pytest.raises(ValueError, match="4 places"):
                tx.send_many(range(4))
            with pytest.raises(Full):
                tx.try_reserve_many(4)
            with pytest.raises(ValueError, match="-1"):
                tx.try_reserve_many(-1)

    run(main)


def test_clones_and_weak_senders_are_counted(run: Run) -> None:
    """Strong senders keep the channel open, weak ones do not."""

    async def main() -> list[tuple[int, int]]:
        tx, rx = mpsc.channel(1)
        counts = [(tx.strong_count, tx.weak_count)]
        weak = tx.downgrade()
        other = tx.clone()
        assert tx.same_channel(other)
        assert tx.same_channel(weak)
        counts.append((weak.strong_count, weak.weak_count))
        tx.close()
        upgraded = weak.upgrade()
        assert upgraded is not None
        other.close()
        counts.append((rx.sender_strong_count, rx.sender_weak_count))
        await upgraded.send(1)
        upgraded.close()
        assert weak.upgrade() is None
        assert await rx.recv() == 1
        with pytest.raises(Closed):
            await rx.recv()
        del weak
        counts.append((rx.sender_strong_count, rx.sender_weak_count))
        return counts

    assert run(main) == [(1, 0), (2, 1), (1, 1), (0, 0)]


def test_two_channels_are_not_the_same(run: Run) -> None:
    """`same_channel` tells channels apart."""

    async def main() -> bool:
        a, _a_rx = mpsc.channel(1)
        b, _b_rx = mpsc.channel(1)
        with a, b:
            return a.same_channel(b)

    assert not run(main)


def test_repr_tells_the_state(run: Run) -> None:
    """The repr of each part says what an engineer asks first."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send(1)
            told = [repr(tx), repr(rx), repr(tx.downgrade())]
            send = tx.send(2)
            told.append(repr(send))
            await send
            told.append(repr(send))
            other = tx.send(3)
            waiting = await started(other)
            told += [repr(other), repr(tx.reserve()), repr(tx.closed())]
            await cancelled(waiting)
            await rx.recv_many(2)
        told += [repr(tx), repr(rx)]
        return told

    assert run(main) == [
        "<Sender 1/2>",
        "<Receiver 1/2, 1 sender>",
        "<WeakSender 1/2>",
        "<Send idle on 1/2>",
        "<Send done on 2/2>",
        "<Send waiting on 2/2>",
        "<Reserve 1 idle on 2/2>",
        "<ReceiverClosed idle>",
        "<Sender 0/2, closed>",
        "<Receiver 0/2, 0 senders>",
    ]


def test_a_collected_sender_closes_with_a_warning(run: Run) -> None:
    """A sender that is forgotten wakes the receiver, and says so."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        receiving = await started(rx.recv())
        with pytest.warns(ResourceWarning, match=r"Sender 0/1.* was collected"):
            del tx
        with pytest.raises(Closed):
            await receiving
        return rx.is_closed

    assert run(main)


def test_a_sender_collected_by_another_thread_wakes_the_receiver(run: Run) -> None:
    """The last reference may die anywhere: the end is told on the loop."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        receiving = await started(rx.recv())
        box = [tx]
        del tx
        with pytest.warns(ResourceWarning):
            await asyncio.to_thread(box.clear)
        with pytest.raises(Closed):
            await receiving
        return True

    assert run(main)


def test_a_send_from_a_foreign_thread_is_refused_before_it_changes_anything(
    run: Run,
) -> None:
    """Waking from elsewhere would hang in silence, so it is an error, and clean."""

    async def main() -> tuple[int, int]:
        tx, rx = mpsc.channel(2)
        with tx:
            permit = tx.try_reserve()
            permits = tx.try_reserve_many(1)
            receiving = await started(rx.recv())

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    tx.try_send(1) if tx.capacity else permit.send(1)
                with pytest.raises(WrongLoopError):
                    permits.send(1)
                with pytest.raises(WrongLoopError):
                    permits.send_many([1])
                with pytest.raises(WrongLoopError):
                    tx.close()

            await asyncio.to_thread(abroad)
            assert permit.is_held
            assert len(permits) == 1
            queued, free = len(rx), tx.capacity
            permits.release()
            permit.send(7)
            assert await receiving == 7
            await tx.send(8)
            assert await rx.recv() == 8
            return queued, free

    assert run(main) == (0, 0)


def test_try_send_from_a_foreign_thread_is_refused(run: Run) -> None:
    """Also on the plain path: nothing is queued and the receiver sleeps on."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        with tx:
            receiving = await started(rx.recv())

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    tx.try_send(1)
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send(1)))
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send_many([1, 2])))

            await asyncio.to_thread(abroad)
            assert not receiving.done()
            assert tx.capacity == 2
            tx.try_send(5)
            return await receiving

    assert run(main) == 5


def test_waiting_on_two_loops_is_refused(run: Run) -> None:
    """A sender cannot wait on one loop while another waits on its own."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            waiting = await started(tx.send(1))

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send(2)))
                with pytest.raises(WrongLoopError):
                    rx.try_recv()
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(rx.recv()))
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(rx.recv_many(3)))
                with pytest.raises(WrongLoopError):
                    rx.close()

            await asyncio.to_thread(abroad)
            received = await rx.recv_many(2)
            await waiting
            received += await rx.recv_many(2)
            return received == [0, 1] and not rx.is_closed

    assert run(main)


def test_a_channel_serves_one_loop_after_another(run: Run) -> None:
    """A channel made outside, or used by a loop that is gone, works in the next."""
    tx, rx = mpsc.channel(1)

    async def main() -> int:
        receiving = await started(rx.recv())
        await tx.send(1)
        assert await receiving == 1
        await tx.send(2)
        waiting = await started(tx.send(3))
        return await rx.recv() + await rx.recv() + (await waiting or 0)

    with tx:
        assert run(main) == 5
        assert run(main) == 5


def test_waiters_of_a_closed_loop_are_forgotten() -> None:
    """A task that a closed loop left behind neither blocks nor breaks the next."""
    tx, rx = mpsc.channel(1)
    loop = asyncio.new_event_loop()
    receiving = loop.create_task(of(rx.recv()))
    loop.run_until_complete(turns())
    loop.close()

    async def main() -> int:
        with tx:
            await tx.send(1)
            return await rx.recv()

    result = asyncio.run(main())

    assert result == 1
    assert not receiving.done()
    # Python tells of a pending task that is collected; this one is left on purpose.
    receiving._log_destroy_pending = False  # type: ignore[attr-defined]
    del receiving
    gc.collect()


def test_blocking_send_from_many_threads_loses_nothing(run: Run) -> None:
    """Each thread's messages arrive, in its order, none lost and none twice."""
    threads, each = 8, 60

    async def main() -> list[tuple[int, int]]:
        tx, rx = mpsc.channel(3)

        def produce(name: int) -> None:
            for n in range(each):
                tx.blocking_send((name, n))

        workers = [threading.Thread(target=produce, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        received = [await rx.recv() for _ in range(threads * each)]
        for worker in workers:
            worker.join()
        tx.close()
        with pytest.raises(Closed):
            await rx.recv()
        return received

    received = run(main)

    for name in range(threads):
        assert [n for who, n in received if who == name] == list(range(each))


def test_blocking_send_on_the_loops_thread_is_refused(run: Run) -> None:
    """It would wait for itself."""

    async def main() -> None:
        tx, _rx = mpsc.channel(1)
        with tx, pytest.raises(MisuseError, match="blocking_send"):
            tx.blocking_send(1)

    run(main)


def test_blocking_send_to_a_closed_channel_gives_the_item_back(run: Run) -> None:
    """A thread that waits for a place is told that the receiver went."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            sending = asyncio.create_task(asyncio.to_thread(tx.blocking_send, 1))
            while not tx._chan.rooms.head:  # until the thread waits
                await asyncio.sleep(0)
            rx.close()
            with pytest.raises(Closed) as error:
                await sending
            await rx.recv()
            return error.value.item

    assert run(main) == 1


def test_blocking_send_without_a_loop_is_refused() -> None:
    """Nobody could ever receive it."""
    tx, _rx = mpsc.channel(1)
    with tx, pytest.raises(MisuseError, match="does not know"):
        tx.blocking_send(1)


def test_blocking_send_into_a_closed_loop_gives_the_item_back() -> None:
    """A loop that is gone is told as Closed, with the item."""

    async def make() -> tuple[mpsc.Sender[int], mpsc.Receiver[int]]:
        return mpsc.channel(1)

    tx, _rx = asyncio.run(make())
    with tx, pytest.raises(Closed) as error:
        tx.blocking_send(4)

    assert error.value.item == 4
