"""`select` against `asyncio.wait(FIRST_COMPLETED)` over tasks, done properly.

python bench/bench_select.py

Properly means: the tasks that did not win are cancelled and awaited, and what they had
taken is not lost. (Over `asyncio.Queue.get` it may be lost all the same; that is what
`select` is for.)
"""

import asyncio
from collections.abc import Callable, Coroutine

from harness import Row, best_of, show

from sumida import select
from sumida.channels import mpsc

TURNS = 2_000

Main = Callable[[], Coroutine[object, object, None]]


def ours_ready(branches: int) -> Main:
    """Make a race in which one branch is ready."""

    async def main() -> None:
        channels = [mpsc.channel(1) for _ in range(branches)]
        receivers = [rx for _, rx in channels]
        tx = channels[-1][0]
        for n in range(TURNS):
            tx.try_send(n)
            await select(*receivers)
        for other, _ in channels:
            other.close()

    return main


def ours_ready_named() -> Main:
    """Make a race of two named branches, one of which is ready."""

    async def main() -> None:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            for n in range(TURNS):
                b_tx.try_send(n)
                await select(a=a, b=b, biased=True)

    return main


def ours_loop() -> Main:
    """Repeat a race of two branches by `select.loop`."""

    async def main() -> None:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        b_tx.try_send(0)
        n = 0
        async for _ in select.loop(a, b):
            n += 1
            if n == TURNS:
                break
            b_tx.try_send(n)
        a_tx.close()
        b_tx.close()

    return main


def ours_waiting(branches: int) -> Main:
    """Make a race in which each turn waits, for another task."""

    async def main() -> None:
        channels = [mpsc.channel(1) for _ in range(branches)]
        receivers = [rx for _, rx in channels]
        tx = channels[-1][0]

        async def feed() -> None:
            for n in range(TURNS):
                tx.try_send(n)
                await asyncio.sleep(0)

        feeding = asyncio.create_task(feed())
        for _ in range(TURNS):
            await select(*receivers)
        await feeding
        for other, _ in channels:
            other.close()

    return main


async def wait_first(queues: list[asyncio.Queue[int]]) -> int:
    """Do what people do, with nothing left behind."""
    tasks = [asyncio.create_task(queue.get()) for queue in queues]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()


def theirs_ready(branches: int) -> Main:
    """Make the race of `ours_ready` with tasks."""

    async def main() -> None:
        queues = [asyncio.Queue[int](1) for _ in range(branches)]
        for n in range(TURNS):
            queues[-1].put_nowait(n)
            await wait_first(queues)

    return main


def theirs_waiting(branches: int) -> Main:
    """Make the race of `ours_waiting` with tasks."""

    async def main() -> None:
        queues = [asyncio.Queue[int](1) for _ in range(branches)]

        async def feed() -> None:
            for n in range(TURNS):
                await queues[-1].put(n)
                await asyncio.sleep(0)

        feeding = asyncio.create_task(feed())
        for _ in range(TURNS):
            await wait_first(queues)
        await feeding

    return main


async def lone_receive() -> None:
    """Receive without a select: what is owed for the message itself."""
    tx, rx = mpsc.channel(1)
    with tx:
        for n in range(TURNS):
            tx.try_send(n)
            await rx.recv()


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    peer = "asyncio.wait"
    table = []
    for branches, floor in ((2, 15.0), (8, None)):
        ready, waiting, their_ready, their_waiting = best_of(
            [
                ours_ready(branches),
                ours_waiting(branches),
                theirs_ready(branches),
                theirs_waiting(branches),
            ],
            TURNS,
        )
        table += [
            Row(f"select of {branches}, ready", ready, peer, their_ready, floor=floor),
            Row(f"select of {branches}, waiting", waiting, peer, their_waiting),
        ]
    two, named, loop, lone = best_of(
        [ours_ready(2), ours_ready_named(), ours_loop(), lone_receive], TURNS
    )
    return [
        *table,
        Row("select of 2, ready", two, "try_send and recv alone", lone),
        Row("select of 2 by name, biased, ready", named, "by position", two),
        Row("select.loop of 2, ready", loop, "select", two),
    ]


if __name__ == "__main__":
    show("select", rows())
