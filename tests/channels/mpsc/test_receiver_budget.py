"""Who never has to wait lets others run: all calls of mpsc, in any mix."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.operation import BUDGET
from tests.core.support import TurnCounter, cancelled
from tests.support import Run


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


Step = Callable[[mpsc.Sender[int], mpsc.Receiver[int]], Coroutine[object, object, None]]


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
        longest = 0
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        with tx:
            before, since = turned.count, 0
            for _ in range(2000):
                await step(tx, rx)
                since += 2
                if turned.count != before:
                    before, since = turned.count, 0
                longest = max(longest, since)
            await cancelled(counting)
        return longest

    assert run(main) <= 2 * BUDGET + 8


def test_filling_a_long_queue_lets_others_run(run: Run) -> None:
    """Who only sends, and never finds the queue full, yields too."""

    async def main() -> int:
        tx, rx = mpsc.channel(BUDGET * 20)
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        with tx:
            before = turned.count
            for n in range(BUDGET * 20):
                await tx.send(n)
            seen = turned.count - before
            await cancelled(counting)
        rx.close()
        assert len(await rx.recv_many(BUDGET * 20)) == BUDGET * 20
        return seen

    assert 18 <= run(main) <= 22


@pytest.mark.parametrize("many", [False, True])
def test_draining_a_long_queue_lets_others_run(run: Run, *, many: bool) -> None:
    """Who only receives, and never finds the queue empty, yields too."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        with tx:
            for n in range(BUDGET * 20):
                tx.send(n)
            before = turned.count
            for n in range(BUDGET * 20):
                assert (await rx.recv_many(1))[0] == n if many else await rx.recv() == n
            seen = turned.count - before
            await cancelled(counting)
        return seen

    assert run(main) >= 18
