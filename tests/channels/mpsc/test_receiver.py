"""Receiver: recv, recv_many, the end, closing, threads, budget, bad use."""

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Empty, MisuseError
from sumida.operation import BUDGET
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


def test_recv_waits_until_something_is_sent(run: Run) -> None:
    """A receiver that found nothing is woken by the next message."""

    async def main() -> tuple[bool, int]:
        tx, rx = mpsc.channel(1)
        with tx:
            receiving = await started(rx.recv())
            before = receiving.done()
            await tx.send(1)
            return before, await receiving

    assert run(main) == (False, 1)


def test_a_queue_is_drained_after_the_last_sender_closed(run: Run) -> None:
    """What was sent before the close is received, then comes the end, for good."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        await tx.send_many([1, 2, 3])
        tx.close()
        received = [n async for n in rx]
        for _ in range(2):
            with pytest.raises(Closed):
                await rx.recv()
        with pytest.raises(Closed):
            rx.try_recv()
        received += [n async for n in rx]
        received += await rx.recv_many(5)
        return received

    assert run(main) == [1, 2, 3]


@pytest.mark.parametrize("parked", [False, True])
def test_the_end_wakes_a_receiver_that_waits(run: Run, *, parked: bool) -> None:
    """Closing the last sender ends a recv that lingers or sleeps."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        receiving = asyncio.create_task(of(rx.recv()))
        await turns(5 if parked else 1)
        tx.close()
        with pytest.raises(Closed):
            await receiving
        return rx.is_closed

    assert run(main)


def test_recv_many_gives_what_is_queued_up_to_its_limit(run: Run) -> None:
    """It waits for one message, not for more, and keeps their order."""

    async def main() -> list[list[int]]:
        tx, rx = mpsc.channel(10)
        batches = []
        receiving = await started(rx.recv_many(3))
        await tx.send(0)
        batches.append(await receiving)
        await tx.send_many(range(1, 8))
        tx.close()
        batches += [await rx.recv_many(0)]
        batches += [await rx.recv_many(n) for n in (3, 3, 3, 3)]
        return batches

    assert run(main) == [[0], [], [1, 2, 3], [4, 5, 6], [7], []]


def test_recv_many_of_nothing_never_waits(run: Run) -> None:
    """A limit of 0 gives an empty list at once, also from an empty channel."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            return await rx.recv_many(0)

    assert run(main) == []


def test_a_negative_limit_is_refused(run: Run) -> None:
    """A limit below 0 is a ValueError that shows the value."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx, pytest.raises(ValueError, match="-1"):
            rx.recv_many(-1)

    run(main)


def test_recv_many_lets_as_many_senders_go_on(run: Run) -> None:
    """Each place of a batch goes to a waiting sender."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send_many([0, 1, 2])
            sends = [await started(tx.send(n)) for n in range(3, 8)]
            received = await rx.recv_many(2)
            await turns()
            assert [send.done() for send in sends] == [True] * 2 + [False] * 3
            received += await rx.recv_many(10)
            await turns()
            received += await rx.recv_many(10)
            for send in sends:
                await send
            return received

    assert run(main) == list(range(8))


def test_try_recv_tells_empty_from_closed(run: Run) -> None:
    """Empty while something may come, Closed when nothing can."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with pytest.raises(Empty):
            rx.try_recv()
        await tx.send(1)
        permitted = rx.try_recv()
        permit = tx.try_reserve()
        rx.close()
        with pytest.raises(Empty):
            rx.try_recv()
        permit.release()
        with pytest.raises(Closed):
            rx.try_recv()
        tx.close()
        return permitted

    assert run(main) == 1


@pytest.mark.parametrize("lingering", [False, True])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("came_first", [False, True])
def test_cancelled_recv_takes_nothing(
    run: Run, *, lingering: bool, many: bool, came_first: bool
) -> None:
    """Cancelled before or after the message came, it stays for the next."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(4)
        with tx:
            operation = rx.recv_many(4) if many else rx.recv()
            receiving = asyncio.create_task(of(operation))
            await turns(1 if lingering else 5)
            if came_first:
                tx.try_send(1)
            assert await cancelled(receiving)
            if not came_first:
                tx.try_send(1)
            return await rx.recv_many(4)

    assert run(main) == [1]


def test_only_one_task_may_wait(run: Run) -> None:
    """A second task that waits is told so; the first is served."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            first = await started(rx.recv())
            with pytest.raises(BusyError):
                await rx.recv()
            with pytest.raises(BusyError):
                await rx.recv_many(2)
            with pytest.raises(BusyError):
                await select(rx)
            with pytest.raises(BusyError):
                async for _ in rx:
                    pass
            await tx.send(1)
            return await first

    assert run(main) == 1


def test_recv_many_and_recv_do_not_wait_together(run: Run) -> None:
    """All ways to receive are one receiver."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            operation = rx.recv_many(5)
            first = await started(operation)
            for second in (rx.recv(), rx.recv_many(3), operation):
                with pytest.raises(BusyError):
                    await of(second)
            await tx.send(1)
            return await first

    assert run(main) == [1]


def test_operations_to_receive_can_be_awaited_again(run: Run) -> None:
    """They are done anew each time, waiting or not."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(5)
        with tx:
            one, many = rx.recv(), rx.recv_many(2)
            await tx.send_many([1, 2, 3, 4, 5])
            received: list[object] = [await one, await many, await one, await many]
            task = await started(many)
            await tx.send(6)
            return [*received, await task]

    assert run(main) == [1, [2, 3], 4, [5], [6]]


def test_close_refuses_and_drains(run: Run) -> None:
    """After `close` nothing more is sent, what is queued and promised is received."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(4)
        with tx:
            await tx.send_many([1, 2])
            permits = await tx.reserve_many(2)
            rx.close()
            rx.close()
            with pytest.raises(Closed):
                tx.try_send(9)
            received = [await rx.recv(), await rx.recv()]
            receiving = await started(rx.recv())
            permits.send(3)
            received.append(await receiving)
            assert rx.is_closed
            receiving = await started(rx.recv())
            permits.release()
            with pytest.raises(Closed):
                await receiving
            return received

    assert run(main) == [1, 2, 3]


def test_permits_keep_the_channel_open_after_the_last_sender(run: Run) -> None:
    """The end comes only when no permit is left, sent or given back."""

    async def main() -> tuple[bool, list[int], bool]:
        tx, rx = mpsc.channel(2)
        first, second = await tx.reserve(), await tx.reserve()
        tx.close()
        open_still = not rx.is_closed
        first.send(1)
        received = [await rx.recv()]
        receiving = await started(rx.recv())
        second.release()
        with pytest.raises(Closed):
            await receiving
        return open_still, received, rx.is_closed

    assert run(main) == (True, [1], True)


def test_a_grant_not_used_yet_goes_back_at_the_close(run: Run) -> None:
    """A waiter that was granted and has not run gets Closed, and recv then ends."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            reserving = await started(tx.reserve())
            received: int = await rx.recv()  # grants
            rx.close()
            with pytest.raises(Empty):
                rx.try_recv()  # the grant is out still
            ending = asyncio.create_task(of(rx.recv()))
            with pytest.raises(Closed):
                await reserving
            with pytest.raises(Closed):
                await ending
            return received

    assert run(main) == 0


def test_partly_assigned_places_go_back_at_the_close(run: Run) -> None:
    """The receiver sees the end though a reservation had some of its places."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([0, 1])
            reserving = await started(tx.reserve_many(2))
            await rx.recv()
            await turns()
            assert tx.capacity == 0
            rx.close()
            await rx.recv()
            ending = asyncio.create_task(of(rx.recv()))
            with pytest.raises(Closed):
                await reserving
            with pytest.raises(Closed):
                await ending
            return rx.capacity == 2

    assert run(main)


def test_leaving_the_block_closes(run: Run) -> None:
    """Both kinds of block close the receiver, and the senders'."""

    async def main() -> tuple[bool, bool, bool]:
        tx, rx = mpsc.channel(1)
        with rx:
            pass
        tx2, rx2 = mpsc.channel(1)
        async with rx2:
            pass
        with tx:
            pass
        async with tx2:
            pass
        return rx.is_closed, rx2.is_closed, tx.is_closed and tx2.is_closed

    assert run(main) == (True, True, True)


def test_len_and_truth_of_a_receiver(run: Run) -> None:
    """Its length is what is queued; it is true also when that is nothing."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        told: list[object] = [len(rx), bool(rx), rx.is_empty, rx.capacity]
        await tx.send_many([1, 2])
        permit = await tx.reserve()
        told += [len(rx), rx.is_empty, rx.capacity, rx.max_capacity]
        permit.release()
        tx.close()
        told += [len(rx), rx.is_closed]
        rx.close()
        await rx.recv_many(5)
        return told

    assert run(main) == [0, True, True, 3, 2, False, 0, 3, 2, True]


def test_a_collected_receiver_closes_and_says_what_is_lost(run: Run) -> None:
    """Senders are told, and messages that nobody will read are a warning."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(1)
            waiting = await started(tx.send(2))
            told = await started(tx.closed())
            with pytest.warns(ResourceWarning, match="messages in its queue"):
                del rx
            with pytest.raises(Closed) as error:
                await waiting
            await told
            return error.value.item

    assert run(main) == 2


def test_a_receiver_collected_by_another_thread_wakes_all(run: Run) -> None:
    """Senders that wait for a place or for the end learn of it on their loop."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        with tx:
            told = await started(tx.closed())  # nobody ever waited for a place
            box = [rx]
            del rx
            await asyncio.to_thread(box.clear)
            await told
            return tx.is_closed

    assert run(main)


def test_a_permit_is_useless_when_the_receiver_is_gone(run: Run) -> None:
    """Sent into a channel that nobody reads the item comes back."""

    async def main() -> tuple[object, object, bool]:
        tx, rx = mpsc.channel(3)
        with tx:
            permit = await tx.reserve()
            permits = await tx.reserve_many(2)
            del rx
            gc.collect()
            await turns()
            with pytest.raises(Closed) as error:
                permit.send(1)
            with pytest.raises(Closed) as many:
                permits.send_many([2, 3])
            return error.value.item, many.value.unsent, permit.is_held

    assert run(main) == (1, (2, 3), False)


def test_blocking_recv_receives_in_order(run: Run) -> None:
    """A thread drains the channel to its end, in order, and is told of the end."""
    count = 300

    async def main() -> list[int]:
        tx, rx = mpsc.channel(4)
        received: list[int] = []

        def consume() -> None:
            while True:
                try:
                    received.append(rx.blocking_recv())
                except Closed:
                    return

        thread = threading.Thread(target=consume)
        thread.start()
        with tx:
            for n in range(count):
                await tx.send(n)
        await asyncio.to_thread(thread.join)
        return received

    assert run(main) == list(range(count))


def test_threads_at_both_ends_lose_nothing(run: Run) -> None:
    """Threads send, a thread receives, the loop is only the place where they meet."""
    threads, each = 4, 50

    async def main() -> list[int]:
        tx, rx = mpsc.channel(2)

        def produce(first: int) -> None:
            for n in range(first, first + each):
                tx.blocking_send(n)

        def consume() -> list[int]:
            return [rx.blocking_recv() for _ in range(threads * each)]

        async with asyncio.TaskGroup() as group:
            consuming = group.create_task(asyncio.to_thread(consume))
            for n in range(threads):
                group.create_task(asyncio.to_thread(produce, n * each))
        tx.close()
        return consuming.result()

    received = run(main)

    assert sorted(received) == list(range(threads * each))


def test_blocking_recv_on_the_loops_thread_is_refused(run: Run) -> None:
    """It would wait for itself."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx, pytest.raises(MisuseError, match="blocking_recv"):
            rx.blocking_recv()

    run(main)


def test_a_second_receiving_thread_is_refused(run: Run) -> None:
    """One receiver, one who waits: threads too."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            first = await started(rx.recv())
            with pytest.raises(BusyError):
                await asyncio.to_thread(rx.blocking_recv)
            await tx.send(3)
            return await first

    assert run(main) == 3


async def send_and_recv(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Send one and receive one."""
    await tx.send(1)
    await rx.recv()


async def send_and_recv_many(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Send several and receive them at once."""
    await tx.send_many([1, 2])
    await rx.recv_many(2)


async def select_both(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Send and receive by select."""
    await select(tx.send(1))
    await select(rx, rx.recv_many(2))


async def reserve_and_iterate(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Reserve, send and take one by `async for`."""
    (await tx.reserve()).send(1)
    async for _ in rx:
        break


async def try_and_select(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Send without waiting, receive by select."""
    tx.try_send(1)
    await select(rx, tx.closed())


async def reserve_many_and_try(tx: mpsc.Sender[int], rx: mpsc.Receiver[int]) -> None:
    """Reserve several, and receive without waiting."""
    with await tx.reserve_many(2) as permits:
        permits.send(1)
    rx.try_recv()


Step = Callable[[mpsc.Sender[int], mpsc.Receiver[int]], "asyncio.Future[None]"]
STEPS = (
    send_and_recv,
    send_and_recv_many,
    select_both,
    reserve_and_iterate,
    try_and_select,
    reserve_many_and_try,
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("capacity", [1, 2, 64, 1000])
def test_a_task_that_never_waits_lets_others_run(
    run: Run, step: Step, capacity: int
) -> None:
    """Another task runs at least once in two budgets of operations, in any mix."""

    async def main() -> int:
        tx, rx = mpsc.channel(max(2, capacity))
        turn_count = 0
        longest = 0

        async def count_turns() -> None:
            nonlocal turn_count
            while True:
                turn_count += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count_turns())
        with tx:
            before, since = turn_count, 0
            for _ in range(2000):
                await step(tx, rx)
                since += 2
                if turn_count != before:
                    before, since = turn_count, 0
                longest = max(longest, since)
            await cancelled(counting)
        return longest

    assert run(main) <= 2 * BUDGET + 8


@pytest.mark.parametrize("many", [False, True])
def test_draining_a_long_queue_lets_others_run(run: Run, *, many: bool) -> None:
    """Who only receives, and never finds the queue empty, yields too."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        turn_count = 0

        async def count_turns() -> None:
            nonlocal turn_count
            while True:
                turn_count += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count_turns())
        with tx:
            for n in range(BUDGET * 20):
                tx.send(n)
            before = turn_count
            for n in range(BUDGET * 20):
                assert (await rx.recv_many(1))[0] == n if many else await rx.recv() == n
            seen = turn_count - before
            await cancelled(counting)
        return seen

    assert run(main) >= 18
