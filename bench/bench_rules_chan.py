"""What the rules chan-* claim: the usual way and ours, each really run.

    python bench/bench_rules_chan.py

The rules chan-bounded-backpressure, chan-oneshot-response and chan-graceful-shutdown.
What is counted (messages lost, wake-ups) is counted in a run of either way, and the
same in each run; what is timed is the best of some rounds in turn. What a message
costs is measured by `bench_channels.py`; the rules of broadcast and watch are in
`bench_rules_fanout.py`.
"""

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Final

from harness import Row, best_of, counted, show

from sumida import CancellationToken, JoinSet, select, yield_now
from sumida.channels import mpsc, oneshot
from sumida.errors import AlreadySent
from sumida.testing import turns

Main = Callable[[], Coroutine[object, object, None]]

CAPACITY: Final = 64
MESSAGES: Final = 1_000

BLOCKS: Final = 10_000
BLOCK: Final = 1024

REQUESTS: Final = 1_000
ANSWERS: Final = 5_000


def peak_kib(main: Main) -> float:
    """Run `main` and measure the most memory that it held, in KiB."""

    async def inner() -> float:
        tracemalloc.start()
        await main()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1024

    return asyncio.run(inner())


async def fill_queue() -> None:
    """Produce faster than is consumed, into a queue as it comes."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def produce() -> None:
        for _ in range(BLOCKS):
            await queue.put(bytes(BLOCK))
        await queue.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        while await queue.get() is not None:
            await yield_now()


async def fill_channel() -> None:
    """Produce as fast, into a channel."""
    tx: mpsc.Sender[bytes]
    rx: mpsc.Receiver[bytes]
    tx, rx = mpsc.channel(CAPACITY)

    async def produce() -> None:
        with tx:
            for _ in range(BLOCKS):
                await tx.send(bytes(BLOCK))

    async with JoinSet[None]() as tasks:
        tasks.spawn(produce())
        async for _ in rx:
            await yield_now()


async def left_by_bound() -> int:
    """Let each of some jobs make two more, into the channel that it came from.

    Returns:
        How many jobs were left undone: the one consumer waits for room.
    """
    tx: mpsc.Sender[int]
    rx: mpsc.Receiver[int]
    tx, rx = mpsc.channel(CAPACITY)
    done = 0

    async def consume() -> None:
        nonlocal done
        async for job in rx:
            done += 1
            for more in (2 * job, 2 * job + 1):
                if more <= MESSAGES:
                    await tx.send(more)

    with tx, rx:
        await tx.send(1)
        consuming = asyncio.create_task(consume())
        await turns(MESSAGES)
        consuming.cancel()
        await asyncio.wait([consuming])
        while not rx.is_empty:
            rx.try_recv()
    return MESSAGES - done


async def left_by_unbounded() -> int:
    """Do the same without a bound: what bounds it is the number of jobs."""
    tx: mpsc.UnboundedSender[int]
    tx, rx = mpsc.unbounded_channel()
    done = 0
    with tx, rx:
        tx.send(1)
        while not rx.is_empty:
            job = await rx.recv()
            done += 1
            for more in (2 * job, 2 * job + 1):
                if more <= MESSAGES:
                    tx.send(more)
    return MESSAGES - done


def bounded() -> list[Row]:
    """chan-bounded-backpressure: peak memory, and where a bound is wrong."""
    rule = "chan-bounded-backpressure"
    peak = f"{rule}: peak memory, {BLOCKS:,} messages of 1 KiB"
    ours, queue = peak_kib(fill_channel), peak_kib(fill_queue)
    left = asyncio.run(left_by_unbounded())
    stuck = asyncio.run(left_by_bound())
    jobs = f"{rule}: left of {MESSAGES:,} jobs that make jobs, unbounded"
    return [
        Row(peak, ours, "asyncio.Queue()", queue, "KiB"),
        counted(jobs, left, f"a bound of {CAPACITY}", stuck),
    ]


async def answer_oneshot() -> None:
    """Ask and answer by a oneshot."""
    for n in range(ANSWERS):
        reply: oneshot.Sender[int]
        answer: oneshot.Receiver[int]
        reply, answer = oneshot.channel()
        reply.send(n)
        await answer


async def answer_future() -> None:
    """Ask and answer by a bare future."""
    loop = asyncio.get_running_loop()
    for n in range(ANSWERS):
        future = loop.create_future()
        future.set_result(n)
        await future


async def answer_queue() -> None:
    """Ask and answer by a queue for one."""
    for n in range(ANSWERS):
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(n)
        await queue.get()


async def await_oneshot() -> None:
    """Wait for each answer of a oneshot."""
    call_soon = asyncio.get_running_loop().call_soon
    for n in range(ANSWERS):
        reply: oneshot.Sender[int]
        answer: oneshot.Receiver[int]
        reply, answer = oneshot.channel()
        call_soon(reply.send, n)
        await answer


async def await_future() -> None:
    """Wait for each answer of a bare future."""
    loop = asyncio.get_running_loop()
    for n in range(ANSWERS):
        future = loop.create_future()
        loop.call_soon(future.set_result, n)
        await future


async def answered_twice_by_queue() -> int:
    """Answer twice into a queue of the asker's; how often nobody objects."""
    accepted = 0
    for n in range(REQUESTS):
        replies: asyncio.Queue[int] = asyncio.Queue()
        replies.put_nowait(n)
        replies.put_nowait(n)
        await replies.get()
        accepted += replies.qsize()
    return accepted


async def answered_twice() -> int:
    """Answer twice into a oneshot."""
    accepted = 0
    for n in range(REQUESTS):
        reply, answer = oneshot.channel()
        reply.send(n)
        try:
            reply.send(n)
            accepted += 1
        except AlreadySent:
            pass
        await answer
    return accepted


async def unanswered_futures() -> int:
    """Let the answerer fail; how many askers wait for ever."""
    loop = asyncio.get_running_loop()

    async def answer(_future: asyncio.Future[int]) -> None:
        raise OSError("no route to host")

    async def ask() -> None:
        future: asyncio.Future[int] = loop.create_future()
        await asyncio.gather(answer(future), return_exceptions=True)
        await future

    return await waiting(ask)


async def unanswered() -> int:
    """Let the answerer fail that has a oneshot."""

    async def answer(reply: oneshot.Sender[int]) -> None:
        with reply:
            raise OSError("no route to host")

    async def ask() -> None:
        reply, answered = oneshot.channel()
        await asyncio.gather(answer(reply), return_exceptions=True)
        await answered

    return await waiting(ask)


async def waiting(ask: Main) -> int:
    """Ask many; how many wait when nothing moves any more."""
    tasks = [asyncio.create_task(ask()) for _ in range(REQUESTS)]
    await turns()
    left = sum(not task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return left


def answered() -> list[Row]:
    """chan-oneshot-response: who answers twice or never, and what it costs."""
    rule = "chan-oneshot-response"
    twice = f"{rule}: second answers taken of {REQUESTS:,}"
    never = f"{rule}: askers of {REQUESTS:,} who wait for one that failed"
    cost = f"{rule}: made, answered, received"
    ours, waited, future, their_waited, queue = best_of(
        [answer_oneshot, await_oneshot, answer_future, await_future, answer_queue],
        ANSWERS,
        rounds=9,
    )
    return [
        counted(
            twice,
            asyncio.run(answered_twice()),
            "asyncio.Queue()",
            asyncio.run(answered_twice_by_queue()),
        ),
        counted(
            never,
            asyncio.run(unanswered()),
            "a bare future",
            asyncio.run(unanswered_futures()),
        ),
        Row(cost, ours, "a bare future", future),
        Row(cost, ours, "asyncio.Queue(1)", queue),
        Row(f"{cost}, with a wait", waited, "a bare future", their_waited),
    ]


async def lost_by_cancel() -> int:
    """Cancel the consumer when all is sent; the messages lost."""
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
    handled = 0

    async def consume() -> None:
        nonlocal handled
        while True:
            await queue.get()
            await yield_now()
            handled += 1

    consuming = asyncio.create_task(consume())
    for n in range(MESSAGES):
        await queue.put(n)
    consuming.cancel()
    await asyncio.wait([consuming])
    return MESSAGES - handled


async def lost_by_flag() -> int:
    """Let the consumer break out of its loop when all is sent; as above."""
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
    stop = asyncio.Event()
    handled = 0

    async def consume() -> None:
        nonlocal handled
        while not stop.is_set():
            await queue.get()
            await yield_now()
            handled += 1

    consuming = asyncio.create_task(consume())
    for n in range(MESSAGES):
        await queue.put(n)
    stop.set()
    await consuming
    return MESSAGES - handled


async def lost_by_close() -> int:
    """Close the channel at the stop, and drain it; as above."""
    tx: mpsc.Sender[int]
    rx: mpsc.Receiver[int]
    tx, rx = mpsc.channel(CAPACITY)
    stop = CancellationToken()
    handled = 0

    async def consume() -> None:
        nonlocal handled
        async for name, _ in select.loop(stop=stop, job=rx, biased=True):
            if name == "stop":
                rx.close()
                break
            await yield_now()
            handled += 1
        async for _ in rx:
            await yield_now()
            handled += 1

    async with JoinSet[None]() as tasks:
        tasks.spawn(consume())
        with tx:
            for n in range(MESSAGES):
                await tx.send(n)
            stop.cancel()
    return MESSAGES - handled


def drained() -> list[Row]:
    """chan-graceful-shutdown: what is lost at a stop."""
    what = f"chan-graceful-shutdown: messages lost at the stop, of {MESSAGES:,}"
    ours = asyncio.run(lost_by_close())
    return [
        counted(what, ours, "the consumer cancelled", asyncio.run(lost_by_cancel())),
        counted(what, ours, "a flag, and break", asyncio.run(lost_by_flag())),
    ]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return [*bounded(), *answered(), *drained()]


if __name__ == "__main__":
    show("rules of mpsc and oneshot", rows())
