"""What the rules of broadcast and watch claim: the usual way and ours, really run.

    python bench/bench_rules_fanout.py

The rules chan-broadcast-fanout and chan-watch-state. What is counted (messages held up,
wake-ups) is counted in a run of either way, and the same in each run; what is timed is
the best of some rounds in turn. What a message costs its receivers is measured by
`bench_broadcast.py`.
"""

import asyncio
import contextlib
import time
from typing import Final

from harness import Row, counted, show

from sumida import JoinSet, Lagged
from sumida.channels import broadcast, watch
from sumida.testing import run_paused, turns

ROUNDS: Final = 5
RECEIVERS: Final = 1_000
SENDS: Final = 50

CAPACITY: Final = 64
MESSAGES: Final = 1_000
CROWD: Final = 10

HOUR: Final = 3600.0
PERIOD: Final = 0.1
CHANGES: Final = 12
CALM: Final = 299.937
"""Seconds between changes: no multiple of the period, so that a poll sees some soon."""


def publishes() -> tuple[float, float, int, int]:
    """Publish to a thousand who do not read, by a broadcast and by a queue for each.

    Returns:
        The time of a publish in nanoseconds, of either; and how many places the first
        message took.
    """
    best = [float("inf")] * 2
    stored = [0, 0]
    for _ in range(ROUNDS):
        news: broadcast.Sender[int] = broadcast.channel(SENDS)
        subscribers = [news.subscribe() for _ in range(RECEIVERS)]
        queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(RECEIVERS)]
        news.send(0)
        for queue in queues:
            queue.put_nowait(0)
        stored = [len(news), sum(queue.qsize() for queue in queues)]
        start = time.perf_counter()
        for n in range(SENDS):
            news.send(n)
        middle = time.perf_counter()
        for n in range(SENDS):
            for queue in queues:
                queue.put_nowait(n)
        end = time.perf_counter()
        best[0] = min(best[0], (middle - start) / SENDS * 1e9)
        best[1] = min(best[1], (end - middle) / SENDS * 1e9)
        for subscriber in subscribers:
            subscriber.close()
        news.close()
    return best[0], best[1], stored[0], stored[1]


async def held_up_by_queues() -> int:
    """Publish to some queues, one of which nobody reads; the messages not sent."""
    everyone: list[asyncio.Queue[int]] = [asyncio.Queue(CAPACITY) for _ in range(CROWD)]
    sent = 0

    async def read(queue: asyncio.Queue[int]) -> None:
        while True:
            await queue.get()

    async def publish() -> None:
        nonlocal sent
        for n in range(MESSAGES):
            for queue in everyone:
                await queue.put(n)
            sent += 1

    tasks = [asyncio.create_task(read(queue)) for queue in everyone[1:]]
    tasks.append(asyncio.create_task(publish()))
    await turns(MESSAGES)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return MESSAGES - sent


async def held_up_by_broadcast() -> int:
    """Publish to some receivers, one of which does not read; as above."""
    news: broadcast.Sender[int] = broadcast.channel(CAPACITY)
    received = 0

    async def read(subscriber: broadcast.Receiver[int]) -> None:
        nonlocal received
        with subscriber:
            async for _ in subscriber:
                received += 1

    async with JoinSet[None]() as tasks:
        with news, news.subscribe() as slow:
            for _ in range(CROWD - 1):
                tasks.spawn(read(news.subscribe()))
            for n in range(MESSAGES):
                news.send(n)
                await asyncio.sleep(0)
            with contextlib.suppress(Lagged):
                await slow.recv()
    return MESSAGES - received // (CROWD - 1)


def published() -> list[Row]:
    """chan-broadcast-fanout: one message to many, and one who does not read."""
    rule = "chan-broadcast-fanout"
    ours, queues, stored, their_stored = publishes()
    held = (
        f"{rule}: messages not sent of {MESSAGES:,} while one of {CROWD} does not read"
    )
    peer = f"{RECEIVERS:,} asyncio.Queue"
    return [
        Row(
            f"{rule}: places of a message to {RECEIVERS:,}",
            stored,
            peer,
            their_stored,
            "",
        ),
        Row(f"{rule}: a message to {RECEIVERS:,} is sent", ours, peer, queues),
        counted(
            held,
            asyncio.run(held_up_by_broadcast()),
            f"{CROWD} asyncio.Queue({CAPACITY})",
            asyncio.run(held_up_by_queues()),
        ),
    ]


async def hour_of_polls() -> tuple[int, float]:
    """Poll a state for an hour of the paused clock.

    Returns:
        How often the task woke up; and how late it saw a change on average, in ms.
    """
    loop = asyncio.get_running_loop()
    state, changed_at = 0, 0.0
    wakes, late = 0, 0.0

    async def look() -> None:
        nonlocal wakes, late
        seen = 0
        while True:
            await asyncio.sleep(PERIOD)
            wakes += 1
            if state != seen:
                seen = state
                late += loop.time() - changed_at

    looking = asyncio.create_task(look())
    for _ in range(CHANGES):
        await asyncio.sleep(CALM)
        state += 1
        changed_at = loop.time()
    await asyncio.sleep(HOUR - loop.time())
    looking.cancel()
    await asyncio.wait([looking])
    return wakes, late / CHANGES * 1e3


async def hour_of_watching() -> tuple[int, float]:
    """Watch a state for an hour of the paused clock; as above."""
    loop = asyncio.get_running_loop()
    state, seen = watch.channel(0.0)
    wakes, late = 0, 0.0

    async def look() -> None:
        nonlocal wakes, late
        while True:
            await seen.changed()
            wakes += 1
            late += loop.time() - seen.borrow_and_update()

    with state, seen:
        looking = asyncio.create_task(look())
        for _ in range(CHANGES):
            await asyncio.sleep(CALM)
            state.send(loop.time())
        await asyncio.sleep(HOUR - loop.time())
        looking.cancel()
        await asyncio.wait([looking])
    return wakes, late / CHANGES * 1e3


def watched() -> list[Row]:
    """chan-watch-state: what it takes to know of a change, and when one does."""
    rule = "chan-watch-state"
    wakes, late = run_paused(hour_of_watching)
    their_wakes, their_late = run_paused(hour_of_polls)
    peer = "a poll each 0.1 s"
    return [
        Row(
            f"{rule}: wake-ups an hour, {CHANGES} changes", wakes, peer, their_wakes, ""
        ),
        Row(f"{rule}: mean delay of a change", late, peer, their_late, "ms"),
    ]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return [*published(), *watched()]


if __name__ == "__main__":
    show("rules of broadcast and watch", rows())
