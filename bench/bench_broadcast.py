"""Broadcast against one `asyncio.Queue` for each receiver.

python bench/bench_broadcast.py
"""

import asyncio
import gc
import time
import tracemalloc

from harness import Row, best_of, show

from sumida.channels import broadcast

RECEIVERS = 1000
MESSAGES = 40
SENDS = 20_000


def send_cost(receivers: int) -> float:
    """Time a send while nobody waits, in nanoseconds."""
    news: broadcast.Sender[int] = broadcast.channel(64)
    subscribers = [news.subscribe() for _ in range(receivers)]
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for n in range(SENDS):
            news.send(n)
        best = min(best, (time.perf_counter() - start) / SENDS * 1e9)
    for subscriber in subscribers:
        subscriber.close()
    news.close()
    return best


def message_bytes(receivers: int) -> float:
    """Measure what a waiting message takes beside the object sent, in bytes."""
    count = 10_000
    news: broadcast.Sender[None] = broadcast.channel(count)
    subscribers = [news.subscribe() for _ in range(receivers)]
    gc.collect()
    tracemalloc.start()
    for _ in range(count):
        news.send(None)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for subscriber in subscribers:
        subscriber.close()
    news.close()
    return size / count


async def ours() -> None:
    """Send to a thousand receivers, one message a turn."""
    news: broadcast.Sender[int] = broadcast.channel(64)

    async def receive(subscriber: broadcast.Receiver[int]) -> None:
        for _ in range(MESSAGES):
            await subscriber.recv()
        subscriber.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(RECEIVERS):
            group.create_task(receive(news.subscribe()))
        await asyncio.sleep(0)
        for n in range(MESSAGES):
            news.send(n)
            await asyncio.sleep(0)
    news.close()


async def queues() -> None:
    """Put each message into a thousand queues."""
    everyone: list[asyncio.Queue[int]] = [asyncio.Queue(64) for _ in range(RECEIVERS)]

    async def receive(queue: asyncio.Queue[int]) -> None:
        for _ in range(MESSAGES):
            await queue.get()

    async with asyncio.TaskGroup() as group:
        for queue in everyone:
            group.create_task(receive(queue))
        await asyncio.sleep(0)
        for n in range(MESSAGES):
            for queue in everyone:
                queue.put_nowait(n)
            await asyncio.sleep(0)


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    theirs, own = best_of([queues, ours], RECEIVERS * MESSAGES, rounds=7)
    return [
        Row("send, 1,000 receivers", send_cost(1000), "1 receiver", send_cost(1)),
        Row(
            "a waiting message, 1,000 receivers",
            message_bytes(1000),
            "1 receiver",
            message_bytes(1),
            unit="bytes",
        ),
        Row("send and receive by 1,000", own, "1,000 asyncio.Queue", theirs, floor=1.5),
    ]


if __name__ == "__main__":
    show("broadcast", rows())
