"""Receiver: recv, recv_many, bad use."""

import asyncio

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Empty
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


@pytest.mark.parametrize("way", ["recv", "iterate", "select", "try", "many", "all"])
def test_a_queue_that_was_emptied_is_waited_for(run: Run, way: str) -> None:
    """What the first receive allowed to the next ones is used up, in whatever way."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(9)
        with tx:
            for n in range(1, 6):
                await tx.send(n)
            received: list[int] = []
            while not rx.is_empty:
                received.append(await rx.recv())
                if rx.is_empty:
                    break
                match way:
                    case "recv":
                        received.append(await rx.recv())
                    case "iterate":
                        received.append(await anext(rx))
                    case "select":
                        received.append((await select(rx))[1])
                    case "try":
                        received.append(rx.try_recv())
                    case "many":
                        received += await rx.recv_many(1)
                    case _:
                        received += await rx.recv_many(9)
            waiting = await started(rx.recv())
            assert not waiting.done()
            await tx.send(6)
            received.append(await waiting)
            several = await started(rx.recv_many(2))
            await tx.send(7)
            return [*received, *await several]

    assert run(main) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("many", [False, True])
def test_who_was_woken_for_a_message_that_is_gone_waits_on(
    run: Run, *, many: bool
) -> None:
    """Somebody took it without waiting."""

    async def main() -> object:
        tx, rx = mpsc.channel(2)
        with tx:
            waiting = await started(rx.recv_many(2) if many else rx.recv())
            for n in range(3):
                tx.try_send(n)
                assert (rx.try_recv() if n < 2 else await rx.recv()) == n
                await turns()
            assert not waiting.done()
            await tx.send(3)
            return await waiting

    assert run(main) == ([3] if many else 3)


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
            one, few, many = rx.recv(), rx.recv_many(1), rx.recv_many(2)
            await tx.send_many([1, 2, 3, 4, 5])
            received: list[object] = [await few, await many, await one, await many]
            task = await started(many)
            await tx.send(6)
            return [*received, await task]

    assert run(main) == [[1], [2, 3], 4, [5], [6]]


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
