"""What users of other libraries lose in channels and races, row by row of the list.

Each test first does it the usual way and sees the fault, then does it with sumida.
"""

import asyncio
import contextlib
import gc
import sys
import threading
import warnings

import anyio
import pytest

import sumida
from sumida import JoinSet, TaskTracker, select, timeout
from sumida.channels import broadcast, mpsc, watch
from sumida.errors import Lagged, WrongLoopError
from sumida.operation import BUDGET
from sumida.testing import turns
from tests.support import Run


def test_row_01_waiting_on_two_sources_loses_no_message(run: Run) -> None:
    """`asyncio.wait` over two `get()` takes both messages and gives one; select not."""

    async def usual() -> int:
        a: asyncio.Queue[int] = asyncio.Queue()
        b: asyncio.Queue[int] = asyncio.Queue()
        a.put_nowait(1)
        b.put_nowait(2)
        gets = [asyncio.create_task(queue.get()) for queue in (a, b)]
        done, pending = await asyncio.wait(gets, return_when="FIRST_COMPLETED")
        for task in pending:
            task.cancel()
        used = 1  # the idiom: one of `done` is handled, then the loop goes round
        return 2 - used - a.qsize() - b.qsize() if len(done) == 2 else 0

    async def ours() -> int:
        a_tx, a_rx = mpsc.channel(1)
        b_tx, b_rx = mpsc.channel(1)
        with a_tx, b_tx:
            await a_tx.send(1)
            await b_tx.send(2)
            received = [await select(a_rx.recv(), b_rx.recv()) for _ in range(2)]
        return 2 - len({value for _, value in received})

    lost_usual, lost = run(usual), run(ours)

    assert lost_usual == 1
    assert lost == 0


def test_row_04_a_cancel_that_meets_the_result_is_not_swallowed(run: Run) -> None:
    """`wait_for` on 3.11 returns although cancelled; a timeout block does not."""

    async def cancelled_in_the_same_tick(ours: bool) -> bool:
        queue: asyncio.Queue[int] = asyncio.Queue()
        tx, rx = mpsc.channel(1)

        async def usual_way() -> None:
            await asyncio.wait_for(queue.get(), 10)

        async def our_way() -> None:
            async with timeout(10):
                await rx.recv()

        task = asyncio.create_task(our_way() if ours else usual_way())
        await turns()
        queue.put_nowait(1)
        tx.try_send(1)
        # On 3.11 the inner task ends first, then the cancel finds it done.
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if ours:
            assert task.cancelled() == (len(rx) == 1)
        tx.close()
        rx.close()
        with contextlib.suppress(sumida.Empty, sumida.Closed):
            rx.try_recv()
        return task.cancelled()

    usual = run(cancelled_in_the_same_tick, False)
    run(cancelled_in_the_same_tick, True)

    if sys.version_info < (3, 12):
        assert not usual


def test_row_09_a_cancelled_receiver_takes_no_item(run: Run) -> None:
    """Anyio's memory stream loses the item of a task cancelled as it is woken."""

    async def usual() -> int:
        tx, rx = anyio.create_memory_object_stream[int](1)
        with tx, rx:
            task = asyncio.create_task(rx.receive())
            await turns()
            tx.send_nowait(1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return rx.statistics().current_buffer_used

    async def ours() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            task = asyncio.ensure_future(rx.recv())
            await turns()
            tx.try_send(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            kept = len(rx)
            assert await rx.recv() == 1
            return kept

    left_usual, left = run(usual), run(ours)

    assert left_usual == 0
    assert left == 1


def test_row_18_a_channel_is_bounded_can_be_closed_and_iterated(run: Run) -> None:
    """`asyncio.Queue` has no bound by default and no `async for`; a channel has."""

    async def ours() -> list[int]:
        tx, rx = mpsc.channel(2)

        async def produce() -> None:
            with tx:
                for n in range(5):
                    await tx.send(n)

        async with JoinSet[None]() as tasks:
            tasks.spawn(produce())
            received = [n async for n in rx]
        with pytest.raises(sumida.Closed):
            await rx.recv()
        return received

    received = run(ours)

    assert asyncio.Queue().maxsize == 0
    assert not hasattr(asyncio.Queue, "__aiter__")
    with pytest.raises(ValueError, match="capacity must be 1 or more"):
        mpsc.channel(0)
    assert received == [0, 1, 2, 3, 4]


def test_row_19_broadcast_and_watch_are_there(run: Run) -> None:
    """One send reaches every subscriber; a watcher sees the latest value."""

    async def ours() -> tuple[list[str], int]:
        news: broadcast.Sender[str] = broadcast.channel(8)
        subscribers = [news.subscribe() for _ in range(3)]
        news.send("tick")
        heard = [await subscriber.recv() for subscriber in subscribers]
        level, seen = watch.channel(1)
        level.send(2)
        level.send(3)
        await seen.changed()
        news.close()
        level.close()
        return heard, seen.borrow_and_update()

    heard, latest = run(ours)

    assert heard == ["tick"] * 3
    assert latest == 3
    assert not hasattr(asyncio, "Broadcast")


def test_row_19_a_slow_subscriber_holds_nobody_up_and_keeps_little(run: Run) -> None:
    """A queue for each subscriber grows, or stops all at the slowest; ours does not."""
    sent, capacity = 50, 4

    async def usual(maxsize: int) -> tuple[int, int]:
        """Count what the quick one hears, and what waits for the slow one."""
        quick: asyncio.Queue[int] = asyncio.Queue(maxsize)
        slow: asyncio.Queue[int] = asyncio.Queue(maxsize)
        heard = 0

        async def hear() -> None:
            nonlocal heard
            while True:
                await quick.get()
                heard += 1

        async def send() -> None:
            for n in range(sent):
                for queue in (quick, slow):
                    await queue.put(n)
                await turns(2)

        tasks = [asyncio.create_task(hear()), asyncio.create_task(send())]
        await turns(sent * 5)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return heard, slow.qsize()

    async def ours() -> tuple[int, int, list[int]]:
        heard = 0
        news: broadcast.Sender[int] = broadcast.channel(capacity)
        quick, slow = news.subscribe(), news.subscribe()

        async def hear() -> None:
            nonlocal heard
            async for _ in quick:
                heard += 1

        async with JoinSet[None]() as tasks:
            tasks.spawn(hear())
            with news:
                for n in range(sent):
                    news.send(n)
                    await turns(2)
        with pytest.raises(Lagged) as lagged:
            await slow.recv()
        return heard, lagged.value.missed, [n async for n in slow]

    unbounded, bounded = run(usual, 0), run(usual, capacity)
    heard, missed, kept = run(ours)

    assert unbounded == (sent, sent)
    assert bounded == (capacity + 1, capacity)
    assert heard == sent
    assert missed + len(kept) == sent
    assert kept == list(range(sent - capacity, sent))


def test_row_28_the_first_step_of_an_eager_task_changes_nothing(run: Run) -> None:
    """Work is done in full, whether tasks start at once or later."""

    async def ours() -> list[int]:
        tx, rx = mpsc.channel(1)

        async def square(n: int, tx: mpsc.Sender[int]) -> None:
            with tx:
                await tx.send(n * n)

        async with JoinSet[None]() as tasks:
            for n in range(5):
                tasks.spawn(square(n, tx.clone()))
            tx.close()
            return [n async for n in rx]

    assert sorted(run(ours)) == [0, 1, 4, 9, 16]


def test_row_28_a_task_that_ends_in_its_first_step_is_not_kept(run: Run) -> None:
    """Who notes a task after `create_task` keeps an eager one for ever; ours do not."""

    async def usual() -> tuple[bool, int]:
        running: dict[str, asyncio.Task[None]] = {}

        async def work(name: str) -> None:
            running.pop(name, None)  # the usual end: it takes itself out

        running["a"] = asyncio.create_task(work("a"))
        await turns()
        is_eager = asyncio.get_running_loop().get_task_factory() is not None
        return is_eager, len(running)

    async def ours() -> tuple[int, str | None, int]:
        async def work() -> str:
            return "done"

        tracker = TaskTracker()
        tracker.spawn(work())
        tracker.close()
        await tracker.wait()
        async with JoinSet[str]() as tasks:
            tasks.spawn(work())
            task = await tasks.join_next()
            return len(tracker), task.result() if task else None, len(tasks)

    is_eager, left = run(usual)

    assert left == is_eager
    assert run(ours) == (0, "done", 0)


def test_row_36_use_from_another_thread_is_refused_or_bridged(run: Run) -> None:
    """While the loop is busy too; what a queue does is shown with the groups."""

    async def ours() -> tuple[type[Exception], int]:
        tx, rx = mpsc.channel(1)
        task = asyncio.ensure_future(rx.recv())
        await turns()
        seen: list[Exception] = []

        def misuse() -> None:
            try:
                tx.try_send(1)
            except WrongLoopError as error:
                seen.append(error)

        thread = threading.Thread(target=misuse)
        thread.start()
        thread.join()
        assert len(rx) == 0
        thread = threading.Thread(target=tx.blocking_send, args=(2,))
        thread.start()
        received = await task
        await asyncio.to_thread(thread.join)
        tx.close()
        return type(seen[0]), received

    error, received = run(ours)

    assert error is WrongLoopError
    assert received == 2


def test_budget_a_loop_that_never_waits_lets_the_others_run(run: Run) -> None:
    """A full `asyncio.Queue` is drained without one turn of the loop; ours is not."""

    async def count_turns(ours: bool) -> int:
        turned = 0

        async def other() -> None:
            nonlocal turned
            while True:
                turned += 1
                await asyncio.sleep(0)

        items = BUDGET * 10
        queue: asyncio.Queue[int] = asyncio.Queue()
        tx, rx = mpsc.unbounded_channel()
        for n in range(items):
            queue.put_nowait(n)
            tx.send(n)
        task = asyncio.create_task(other())
        await turns()
        before = turned
        for _ in range(items):
            await (rx.recv() if ours else queue.get())
        seen = turned - before
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for _ in range(items - len(rx) if not ours else 0):
            rx.try_recv()
        tx.close()
        while len(rx):
            rx.try_recv()
        return seen

    usual, with_budget = run(count_turns, False), run(count_turns, True)

    assert usual == 0
    assert 9 <= with_budget <= 11


def test_row_18_a_forgotten_sender_is_told(run: Run) -> None:
    """A sender that is collected unclosed ends the channel, and says so."""

    async def ours() -> list[str]:
        tx, rx = mpsc.channel(1)
        task = asyncio.ensure_future(rx.recv())
        await turns()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del tx
            gc.collect()
        with pytest.raises(sumida.Closed):
            await task
        return [str(warning.message) for warning in caught]

    messages = run(ours)

    assert len(messages) == 1
    assert "without being closed" in messages[0]
