"""Channels against asyncio, anyio and trio: one producer, one consumer.

python bench/bench_channels.py
"""

import asyncio
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator

import anyio
import trio
from harness import Row, best_of, show, timed

from sumida.channels import mpsc

CAPACITY = 64
MESSAGES = 20_000

Main = Callable[[], Coroutine[object, object, None]]


async def _both(
    producer: Coroutine[object, object, None], consumer: Coroutine[object, object, None]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(producer)
        group.create_task(consumer)


async def ours_single() -> None:
    """Send and receive one message at a time."""
    tx, rx = mpsc.channel(CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await tx.send(n)
        tx.close()

    async def consume() -> None:
        for _ in range(MESSAGES):
            await rx.recv()

    await _both(produce(), consume())


async def ours_iterated() -> None:
    """Send one at a time, receive by `async for`."""
    tx, rx = mpsc.channel(CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await tx.send(n)
        tx.close()

    async def consume() -> None:
        async for _ in rx:
            pass

    await _both(produce(), consume())


async def ours_recv_many() -> None:
    """Send one at a time, receive many."""
    tx, rx = mpsc.channel(CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await tx.send(n)
        tx.close()

    async def consume() -> None:
        while await rx.recv_many(CAPACITY):
            pass

    await _both(produce(), consume())


async def ours_batches() -> None:
    """Send and receive many."""
    tx, rx = mpsc.channel(CAPACITY)

    async def produce() -> None:
        for n in range(0, MESSAGES, CAPACITY):
            await tx.send_many(range(n, n + CAPACITY))
        tx.close()

    async def consume() -> None:
        while await rx.recv_many(CAPACITY):
            pass

    await _both(produce(), consume())


async def asyncio_queue() -> None:
    """Do the same with `asyncio.Queue`."""
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await queue.put(n)

    async def consume() -> None:
        for _ in range(MESSAGES):
            await queue.get()

    await _both(produce(), consume())


async def empty() -> None:
    """Do nothing."""


async def interpreter_floor() -> None:
    """Await two empty coroutines per message, in two tasks."""

    async def half() -> None:
        for _ in range(MESSAGES):
            await empty()

    await _both(half(), half())


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Let the others run once."""
    yield


async def bare_recv_many() -> None:
    """Do what recv_many does with a deque and one coroutine: no cancel, no select."""
    queue: deque[int] = deque()

    async def put(n: int) -> None:
        if len(queue) >= CAPACITY:
            await next_turn()
        queue.append(n)

    async def produce() -> None:
        for n in range(MESSAGES):
            await put(n)

    async def consume() -> None:
        received = 0
        while received < MESSAGES:
            batch = [*queue]
            queue.clear()
            received += len(batch)
            if not batch:
                await next_turn()

    await _both(produce(), consume())


async def empty_turns() -> None:
    """Let two tasks run once for each queue full, and move nothing."""

    async def half() -> None:
        for _ in range(0, MESSAGES, CAPACITY):
            await next_turn()

    await _both(half(), half())


async def anyio_stream() -> None:
    """Do the same with anyio's memory object stream."""
    tx, rx = anyio.create_memory_object_stream[int](CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await tx.send(n)
        tx.close()

    async def consume() -> None:
        for _ in range(MESSAGES):
            await rx.receive()
        rx.close()

    await _both(produce(), consume())


async def trio_channel() -> None:
    """Do the same with trio's memory channel."""
    tx, rx = trio.open_memory_channel[int](CAPACITY)

    async def produce() -> None:
        for n in range(MESSAGES):
            await tx.send(n)

    async def consume() -> None:
        for _ in range(MESSAGES):
            await rx.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        nursery.start_soon(consume)


def run_trio(main: Main) -> float:
    """Time `main` on trio, in seconds."""

    async def inner() -> float:
        start = time.perf_counter()
        await main()
        return time.perf_counter() - start

    return trio.run(inner)


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    queue, single, iterated, many, batches, floor, bare, turns = best_of(
        [
            asyncio_queue,
            ours_single,
            ours_iterated,
            ours_recv_many,
            ours_batches,
            interpreter_floor,
            bare_recv_many,
            empty_turns,
        ],
        MESSAGES,
    )
    with_anyio, with_trio = best_of(
        [anyio_stream, trio_channel], MESSAGES, runners=[timed, run_trio], rounds=5
    )
    return [
        Row("mpsc(64), one at a time", single, "asyncio.Queue", queue, floor=1.6),
        Row("mpsc(64), one at a time", single, "anyio", with_anyio, floor=10),
        Row("mpsc(64), one at a time", single, "trio", with_trio, floor=10),
        Row("mpsc(64), one at a time", single, "interpreter floor", floor),
        Row("mpsc(64), async for", iterated, "asyncio.Queue", queue),
        Row("mpsc(64), recv_many", many, "asyncio.Queue", queue, floor=3),
        Row("mpsc(64), recv_many", many, "bare deque and coroutine", bare),
        Row("mpsc(64), send_many, recv_many", batches, "asyncio.Queue", queue, floor=8),
        Row(
            "mpsc(64), send_many, recv_many", batches, "empty turns of the loop", turns
        ),
    ]


if __name__ == "__main__":
    show("channels", rows())
