"""Sender: closing, at either end, and the items that come back."""

import asyncio
from collections.abc import Callable

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Full
from sumida.operation import Operation
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


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


@pytest.mark.parametrize("state", ["lingers", "waits", "is served", "has the last"])
@pytest.mark.parametrize("make", MAKERS)
def test_an_operation_awaited_by_two_tasks_is_refused(
    run: Run, make: Make, state: str
) -> None:
    """The second task is told; the first goes on waiting and is served."""

    async def main() -> bool:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([0, 0])
            operation = make(tx)
            first = asyncio.create_task(of(operation))
            await turns(1 if state == "lingers" else 5)
            if state == "is served":
                rx.try_recv()
                rx.try_recv()
            elif state == "has the last":
                # Or one of the two that it needs.
                rx.try_recv()
            elif state == "lingers":
                with pytest.raises(BusyError):
                    await select(operation)
            with pytest.raises(BusyError):
                await operation
            if state == "waits":
                with pytest.raises(BusyError):
                    await select(operation)
            while not rx.is_empty:
                rx.try_recv()
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


@pytest.mark.parametrize("closes", ["sender", "receiver"])
@pytest.mark.parametrize("make", MAKERS)
def test_what_a_send_allowed_to_the_next_ends_with_the_channel(
    run: Run, make: Make, closes: str
) -> None:
    """Places are free, and the last send has seen it; and yet nothing is sent."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(9)
        await tx.send(1)
        operation = make(tx)
        if closes == "sender":
            tx.close()
        else:
            rx.close()
        with pytest.raises(Closed):
            await operation
        tx.close()
        return await rx.recv_many(9)

    assert run(main) == [1]


@pytest.mark.parametrize("make", MAKERS)
def test_a_send_that_lingers_is_told_of_the_close(run: Run, make: Make) -> None:
    """Also where places came free before it has looked again."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(2)
        with tx:
            await tx.send_many([1, 2])
            lingering = asyncio.create_task(of(make(tx)))
            await turns(1)
            received = [rx.try_recv(), rx.try_recv()]
            rx.close()
            with pytest.raises(Closed):
                await lingering
            with pytest.raises(Closed):
                await rx.recv()
            return received

    assert run(main) == [1, 2]


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


@pytest.mark.parametrize("lingers", [False, True])
@pytest.mark.parametrize("make", MAKERS)
def test_a_waiting_operation_keeps_the_channel_open(
    run: Run, make: Make, *, lingers: bool
) -> None:
    """What waits when its sender is closed keeps its place and is carried out."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(2)
        await tx.send_many([0, 0])
        waiting = asyncio.create_task(of(make(tx)))
        await turns(1 if lingers else 5)
        tx.close()
        await turns(1)
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
