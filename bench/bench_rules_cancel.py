"""What the rules of `select`, of cancellation and of tokens claim, really run.

    python bench/bench_rules_cancel.py

The rules async-select-biased, async-cancellation-safe and loop-cancellation-token.
What is counted (messages lost, tasks not told) is counted in a run of either way, and
the same in each run; what is timed is the best of some rounds in turn. What a `select`
costs is measured by `bench_select.py`.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import anyio
from harness import Row, counted, show

from sumida import CancellationToken, select, timeout
from sumida.channels import mpsc
from sumida.io import duplex
from sumida.testing import turns

COUNT: Final = 1_000
STOPS: Final = 200
QUEUE: Final = 64
PATIENCE: Final = 1_000
HEADER: Final = 4

ROUNDS: Final = 5
BRANCHES: Final = 10
LEVELS: Final = 3
FAMILY: Final = sum(BRANCHES**level for level in range(1, LEVELS + 1))


async def after_stops(count: int, *, biased: bool, is_stop_first: bool = True) -> int:
    """Count what is handled after `count` stops while jobs are always there."""
    handled = 0
    for _ in range(count):
        tx, rx = mpsc.channel(QUEUE)
        stop = CancellationToken()
        jobs = (
            select.loop(stop=stop, job=rx, biased=biased)
            if is_stop_first
            else select.loop(job=rx, stop=stop, biased=biased)
        )
        with tx, rx:
            tx.try_send(0)
            async for name, _ in jobs:
                if name == "stop" or handled == PATIENCE:
                    break
                tx.try_send(0)
                handled += stop.is_cancelled
                stop.cancel()
            # Not lost, but left: what was sent last is nobody's here.
            while not rx.is_empty:
                rx.try_recv()
    return handled


async def after_sentinel() -> int:
    """Count the same where the stop is a `None` at the end of a full queue."""
    handled = 0
    for _ in range(STOPS):
        queue: asyncio.Queue[int | None] = asyncio.Queue(QUEUE)
        for job in range(QUEUE):
            queue.put_nowait(job)
        stopping = asyncio.create_task(queue.put(None))
        await asyncio.sleep(0)
        while await queue.get() is not None:
            handled += 1
        await stopping
    return handled


async def stopped() -> list[Row]:
    """async-select-biased: what is handled between a stop and the end."""
    biased = await after_stops(STOPS, biased=True)
    fair = await after_stops(STOPS, biased=False)
    sentinel = await after_sentinel()
    once = await after_stops(1, biased=True)
    starved = await after_stops(1, biased=True, is_stop_first=False)
    what = "async-select-biased: jobs handled after"
    many = f"{what} {STOPS} stops"
    one = f"{what} a stop, of {PATIENCE:,} that come"
    return [
        counted(many, biased, f"a None in a full queue of {QUEUE}", sentinel),
        counted(many, biased, "select, not biased", fair),
        counted(one, once, "biased, the busy source on top", starved),
    ]


async def lost_by_wait() -> int:
    """Race two queues with tasks, and use one of those that are done."""
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(2)]
    received = 0
    for n in range(COUNT // 2):
        for queue in queues:
            queue.put_nowait(n)
        while any(queue.qsize() for queue in queues):
            gets = [asyncio.create_task(queue.get()) for queue in queues]
            done, rest = await asyncio.wait(gets, return_when="FIRST_COMPLETED")
            for task in rest:
                task.cancel()
            done.pop().result()
            received += 1
    return COUNT // 2 * 2 - received


async def lost_by_select() -> int:
    """Race two channels."""
    a_tx, a_rx = mpsc.channel(1)
    b_tx, b_rx = mpsc.channel(1)
    received = 0
    with a_tx, b_tx, a_rx, b_rx:
        for n in range(COUNT // 2):
            a_tx.try_send(n)
            b_tx.try_send(n)
            while len(a_rx) or len(b_rx):
                await select(a_rx, b_rx)
                received += 1
    return COUNT // 2 * 2 - received


async def lost_as_woken(
    receive: Callable[[], Awaitable[int]],
    send: Callable[[int], None],
    take: Callable[[], object],
) -> int:
    """Cancel a receiver in the moment in which its message is sent.

    Args:
        receive: Waits for a message.
        send: Sends one.
        take: Takes the one that is left, or raises.

    Returns:
        How many were neither received nor left.
    """

    async def one() -> int:
        return await receive()

    lost = 0
    for n in range(COUNT):
        task = asyncio.create_task(one())
        await turns()
        send(n)
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            try:
                take()
            except (anyio.WouldBlock, asyncio.QueueEmpty):
                lost += 1
    return lost


async def lost_in_exact_read(
    read: Callable[[asyncio.StreamReader], Coroutine[object, object, bytes]],
) -> int:
    """Cancel a read of four bytes of which two have come; the bytes lost."""
    lost = 0
    for _ in range(COUNT // HEADER):
        reader = asyncio.StreamReader()
        reader.feed_data(b"ab")
        task = asyncio.create_task(read(reader))
        await turns()
        task.cancel()
        await asyncio.wait([task])
        reader.feed_data(b"cd")
        reader.feed_eof()
        lost += HEADER - len(await reader.read())
    return lost


async def read_by_hand(reader: asyncio.StreamReader) -> bytes:
    """Read four bytes as one does without `readexactly`."""
    data = b""
    while len(data) < HEADER:
        data += await reader.read(HEADER - len(data))
    return data


async def lost_in_read_exact() -> int:
    """Cancel our exact read half way; the bytes lost."""
    lost = 0
    for _ in range(COUNT // HEADER):
        near, far = duplex()
        async with near, far:
            await far.write_all(b"ab")
            task = asyncio.ensure_future(near.read_exact(HEADER))
            await turns()
            task.cancel()
            await asyncio.wait([task])
            await far.write_all(b"cd")
            await far.shutdown()
            lost += HEADER - len(await near.read_to_end())
    return lost


async def swallowed(wait: Callable[[asyncio.Queue[int]], Awaitable[object]]) -> int:
    """Cancel a task whose wait within a deadline has just ended.

    Returns:
        How many were cancelled, and went on as if they were not.
    """

    async def one(queue: asyncio.Queue[int]) -> None:
        await wait(queue)

    count = 0
    for n in range(COUNT):
        queue: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(one(queue))
        await turns()
        queue.put_nowait(n)
        await asyncio.sleep(0)
        is_asked = task.cancel()
        await asyncio.wait([task])
        count += is_asked and not task.cancelled()
    return count


async def get_in_time(queue: asyncio.Queue[int]) -> None:
    """Get within our deadline."""
    async with timeout(10):
        await queue.get()


async def cancelled() -> list[Row]:
    """async-cancellation-safe: what a cancel, or a lost race, takes along."""
    rule = "async-cancellation-safe"
    raced = f"{rule}: messages lost of {COUNT:,}, two sources raced"
    woken = f"{rule}: messages lost of {COUNT:,}, cancelled as they came"
    half = f"{rule}: bytes lost of {COUNT:,}, a read of {HEADER} cancelled half way"
    deaf = f"{rule}: cancels swallowed of {COUNT:,}, within a deadline"
    tx, rx = mpsc.channel(1)
    theirs, their_rx = anyio.create_memory_object_stream[int](1)
    queue: asyncio.Queue[int] = asyncio.Queue()
    with tx, rx, theirs, their_rx:
        ours = await lost_as_woken(rx.recv, tx.try_send, rx.try_recv)
        by_anyio = await lost_as_woken(
            their_rx.receive, theirs.send_nowait, their_rx.receive_nowait
        )
    by_queue = await lost_as_woken(queue.get, queue.put_nowait, queue.get_nowait)
    race = await lost_by_select()
    exact = await lost_in_read_exact()
    by_hand = await lost_in_exact_read(read_by_hand)
    exactly = await lost_in_exact_read(lambda reader: reader.readexactly(HEADER))
    deadline = await swallowed(get_in_time)
    by_wait_for = await swallowed(lambda queue: asyncio.wait_for(queue.get(), 10))
    used = "asyncio.wait, one of done used"
    return [
        counted(raced, race, used, await lost_by_wait()),
        counted(woken, ours, "anyio's memory stream", by_anyio),
        counted(woken, ours, "asyncio.Queue.get", by_queue),
        counted(half, exact, "a loop over read()", by_hand),
        counted(half, exact, "asyncio's readexactly", exactly),
        counted(deaf, deadline, "asyncio.wait_for", by_wait_for),
    ]


async def told_by_tree() -> tuple[int, float]:
    """Cancel the root of a tree of tokens, each with a task.

    Returns:
        How many tasks were not told; and the time until all had ended, in seconds.
    """
    root = CancellationToken()
    row, family = [root], [root]
    for _ in range(LEVELS):
        row = [token.child_token() for token in row for _ in range(BRANCHES)]
        family += row

    async def work(token: CancellationToken) -> None:
        await token.cancelled()

    return await told([work(token) for token in family[1:]], root.cancel)


async def told_by_event() -> tuple[int, float]:
    """Set one event for all, which cannot stop a part of them; as above."""
    stop = asyncio.Event()

    async def work() -> None:
        await stop.wait()

    return await told([work() for _ in range(FAMILY)], stop.set)


async def told_by_cancel() -> tuple[int, float]:
    """Cancel a task whose children have children; as above."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    family: list[asyncio.Task[None]] = []

    async def work(level: int) -> None:
        if level:
            family.extend(
                [asyncio.create_task(work(level - 1)) for _ in range(BRANCHES)]
            )
        await asyncio.wait([never])

    root = asyncio.create_task(work(LEVELS))
    await turns()
    assert len(family) == FAMILY
    return await ended(family, root.cancel)


async def told(
    works: list[Coroutine[object, object, None]], stop: Callable[[], object]
) -> tuple[int, float]:
    """Start tasks, let them wait, and stop them; see `told_by_tree`."""
    tasks = [asyncio.create_task(work) for work in works]
    await turns()
    return await ended(tasks, stop)


async def ended(
    tasks: list[asyncio.Task[None]], stop: Callable[[], object]
) -> tuple[int, float]:
    """Stop them; see `told_by_tree`. They have some turns to end."""
    gc.collect()
    start = time.perf_counter()
    stop()
    await turns()
    spent = time.perf_counter() - start
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    await asyncio.wait(tasks)
    return len(left), spent


async def told_by_token() -> tuple[int, float]:
    """Cancel one token for all; as above."""
    stop = CancellationToken()

    async def work() -> None:
        await stop.cancelled()

    return await told([work() for _ in range(FAMILY)], stop.cancel)


async def told_one_by_one() -> tuple[int, float]:
    """Cancel each task by hand; as above."""
    loop = asyncio.get_running_loop()

    async def work() -> None:
        await loop.create_future()

    tasks = [asyncio.create_task(work()) for _ in range(FAMILY)]
    await turns()
    return await ended(tasks, lambda: [task.cancel() for task in tasks])


async def coordinated() -> list[Row]:
    """loop-cancellation-token: who is told of a stop, and how soon."""
    rule = "loop-cancellation-token"
    not_told = f"{rule}: tasks not told, of {FAMILY:,} below the one stopped"
    ways = (told_by_tree, told_one_by_one, told_by_token, told_by_event)
    missed = [0] * len(ways)
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for index, way in enumerate(ways):
            missed[index], spent = await way()
            best[index] = min(best[index], spent / FAMILY * 1e9)
    by_cancel, _ = await told_by_cancel()
    tree, by_hand, token, event = best
    ends = f"{rule}: each of {FAMILY:,} is told and ends"
    return [
        counted(not_told, missed[0], "Task.cancel of that one", by_cancel),
        Row(f"{ends}, a tree", tree, "Task.cancel of each", by_hand),
        Row(f"{ends}, one token", token, "one asyncio.Event", event),
    ]


async def main() -> list[Row]:
    """Measure all of it on one loop."""
    return [row for rule in (stopped, cancelled, coordinated) for row in await rule()]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return asyncio.run(main())


if __name__ == "__main__":
    show("rules of select and cancellation", rows())
