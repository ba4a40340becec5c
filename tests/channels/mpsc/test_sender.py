"""Sender: send, its order and its state."""

import asyncio

import pytest

from sumida.channels import mpsc
from sumida.errors import Closed, Full
from tests.core.support import cancelled, started, turns
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
