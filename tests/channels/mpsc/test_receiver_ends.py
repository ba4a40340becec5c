"""Receiver: closing, the end of the channel, threads, collection."""

import asyncio
import gc
import threading
import weakref

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Empty, MisuseError
from tests.core.support import of, started, turns
from tests.support import Run


class Message:
    """A message to which there can be a weak reference."""


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


def test_a_collected_receiver_closes_and_says_what_is_lost(run: Run) -> None:
    """Senders are told, and messages that nobody will read are a warning."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        with tx:
            message = Message()
            dropped = weakref.ref(message)
            tx.try_send(message)
            del message
            waiting = await started(tx.send(2))
            told = await started(tx.closed())
            with pytest.warns(ResourceWarning, match="messages in its queue"):
                del rx
            with pytest.raises(Closed) as error:
                await waiting
            await told
            assert dropped() is None
            return error.value.item

    assert run(main) == 2


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_a_select_with_a_coroutine_takes_a_message_or_the_end(
    run: Run, *, ends: bool, many: bool
) -> None:
    """Either ends the coroutine, which had nothing."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        branch = rx.recv_many(2) if many else rx.recv()
        racing = await started(select(asyncio.Event().wait(), branch))
        if not ends:
            await tx.send(1)
        tx.close()
        try:
            return await racing
        except Closed as error:
            return error.branch

    message, end = ((1, [1]), (1, [])) if many else ((1, 1), 1)

    assert run(main) == (end if ends else message)


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
