"""What users of other libraries miss in queues, groups and threads, row by row.

Each test first does it the usual way and sees the fault, where the interpreter has it,
then does it with sumida.
"""

import asyncio
import contextlib
import selectors
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from sumida import JoinSet
from sumida.channels import mpsc
from sumida.errors import Closed, Full, WrongLoopError
from sumida.sync import Semaphore
from sumida.testing import turns
from tests.support import Run

PATIENCE = 60
"""Seconds after which something that should have happened is a failure."""

SOON = 0.2
"""Seconds for something that is not going to happen."""


def test_row_18_what_was_sent_before_the_close_is_received(run: Run) -> None:
    """A queue before 3.13 has no end; a sentinel ends one of several readers."""

    async def usual() -> list[int]:
        queue: asyncio.Queue[int | None] = asyncio.Queue(4)
        got: list[int] = []

        async def read() -> None:
            while (item := await queue.get()) is not None:
                got.append(item)

        readers = [asyncio.create_task(read()) for _ in range(2)]
        for item in (1, 2, 3, None):
            await queue.put(item)
        await turns()
        still_waiting = sum(not reader.done() for reader in readers)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        return [*got, still_waiting]

    async def ours() -> list[int]:
        tx, rx = mpsc.channel(4)
        with tx:
            for item in (1, 2, 3):
                await tx.send(item)
        return [item async for item in rx]

    assert run(usual) == [1, 2, 3, 1]
    assert hasattr(asyncio.Queue, "shutdown") is (sys.version_info >= (3, 13))
    assert run(ours) == [1, 2, 3]


def test_row_18_the_error_says_which_side_has_gone(run: Run) -> None:
    """Who waits in a queue whose other side is gone waits for ever; ours is told."""

    async def usual() -> bool:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(0)
        putting = asyncio.create_task(queue.put(1))  # and nobody will ever get it
        await turns()
        is_waiting = not putting.done()
        putting.cancel()
        await asyncio.wait([putting])
        return is_waiting

    async def ours() -> list[tuple[str, tuple[object, ...]]]:
        seen = []
        tx, rx = mpsc.channel(1)
        other = tx.clone()
        with tx:
            await tx.send(0)
            sending = asyncio.ensure_future(tx.send(1))
            await turns()
            rx.close()  # the receiver goes, while a sender waits
            rx.try_recv()
            with pytest.raises(Closed) as caught:
                await sending
            seen.append((caught.value.what, caught.value.unsent))
            other.close()
            with pytest.raises(Closed) as caught:
                other.try_send(2)  # this very sender has gone
            seen.append((caught.value.what, caught.value.unsent))
        tx, rx = mpsc.channel(1)
        receiving = asyncio.ensure_future(rx.recv())
        await turns()
        tx.close()  # the last sender goes, while the receiver waits
        with pytest.raises(Closed) as caught:
            await receiving
        seen.append((caught.value.what, caught.value.unsent))
        return seen

    assert run(usual)
    assert run(ours) == [("channel", (1,)), ("sender", (2,)), ("channel", ())]


def test_row_18_no_channel_is_without_a_bound_by_oversight() -> None:
    """The usual queue is; here it has a name of its own, and 0 is no bound."""
    asyncio.Queue[int]().put_nowait(1)
    tx, rx = mpsc.channel(1)
    with tx:
        tx.try_send(1)
        with pytest.raises(Full, match="no room left of 1"):
            tx.try_send(2)
        rx.try_recv()
    with pytest.raises(ValueError, match="must be 1 or more, not 0"):
        mpsc.channel(0)
    with pytest.raises(TypeError):
        mpsc.channel()  # type: ignore[call-arg]  # the oversight


def test_row_32_so_many_at_once_and_no_more(run: Run) -> None:
    """A `TaskGroup` runs all at once; permits bound a set, also of what fails."""
    count, limit = 50, 5

    async def peak(bound: Semaphore | None) -> tuple[int, int]:
        running = most = 0

        async def work(n: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await turns(3)
            running -= 1
            if n % 7 == 0:
                raise ValueError(n)
            return n

        async def bounded(n: int, slots: Semaphore) -> int:
            async with slots.acquire():
                return await work(n)

        if bound is None:
            with contextlib.suppress(BaseExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    for n in range(count):
                        group.create_task(work(n))
            return most, 0
        done = 0
        async with JoinSet[int]() as tasks:
            for n in range(count):
                tasks.spawn(bounded(n, bound))
            async for task in tasks:
                done += task.exception() is None
        return most, done

    async def ours() -> tuple[int, int]:
        return await peak(Semaphore(limit))

    assert run(peak, None)[0] == count
    assert run(ours) == (limit, count - len(range(0, count, 7)))


def test_row_33_a_block_that_has_what_it_wanted_ends(run: Run) -> None:
    """A `TaskGroup` waits for all before 3.15; a cancel from outside still comes."""

    async def first_answer(answers: mpsc.Receiver[str]) -> str:
        return await answers.recv()

    async def usual() -> bool:
        async def search() -> str:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                return "found"

        searching = asyncio.create_task(search())
        await turns(50)
        has_ended = searching.done()
        searching.cancel()
        await asyncio.wait([searching])
        return has_ended

    async def ours() -> tuple[str, int, bool]:
        tx, rx = mpsc.channel(3)
        ended = 0

        async def search(n: int) -> None:
            nonlocal ended
            try:
                await turns(n)
                await tx.send(f"by {n}")
                await asyncio.Event().wait()
            finally:
                ended += 1

        async def find() -> str:
            async with JoinSet[None]() as tasks:
                for n in (30, 1, 60):
                    tasks.spawn(search(n))
                answer = await first_answer(rx)
                tasks.abort_all()
            return answer

        async def cut() -> None:
            async with JoinSet[None]() as tasks:
                tasks.spawn(search(0))
                await turns()
                tasks.abort_all()
                await asyncio.Event().wait()

        with tx:
            answer = await find()
            cutting = asyncio.create_task(cut())
            await turns()
            cutting.cancel()
            await asyncio.wait([cutting])
        rx.close()
        with contextlib.suppress(Closed):
            rx.try_recv()
        return answer, ended, cutting.cancelled()

    assert not run(usual)
    assert run(ours) == ("by 1", 4, True)


class _Telling(selectors.DefaultSelector):
    """Tells when its loop goes to sleep with nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            self.asleep.set()
        return super().select(timeout)


Pair = tuple[Callable[[], Awaitable[object]], Callable[[], object]]


@contextlib.contextmanager
def asleep(make: Callable[[], Pair]) -> Iterator[tuple[list[object], threading.Event]]:
    """Use from here what a task on the sleeping loop of another thread waits for.

    Args:
        make: Called in that task; gives what to wait for, and what to call here.

    Yields:
        What the call gave or raised, and an event that the task sets when it wakes.
    """
    selector = _Telling()
    loop = asyncio.SelectorEventLoop(selector)
    calls: list[Callable[[], object]] = []
    woken = threading.Event()

    async def main() -> None:
        wait, call = make()
        calls.append(call)
        await wait()
        woken.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert selector.asleep.wait(PATIENCE)
    seen: list[object] = []
    try:
        seen.append(calls[0]())
    except WrongLoopError as error:
        seen.append(str(error))
    yield seen, woken
    thread.join(PATIENCE)
    loop.close()


def test_row_36_a_queue_that_is_used_from_a_thread_wakes_nobody() -> None:
    """The item is there, and its reader sleeps on till something wakes the loop."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    loops: list[asyncio.AbstractEventLoop] = []

    def make() -> Pair:
        loops.append(asyncio.get_running_loop())
        return queue.get, lambda: queue.put_nowait(1)

    with asleep(make) as (_, woken):
        was_woken = woken.wait(SOON)
        loops[0].call_soon_threadsafe(int)

    assert not was_woken
    assert woken.is_set()


def test_row_36_a_channel_wakes_its_reader_by_the_call_for_threads() -> None:
    """Whatever the loop does."""
    ends: list[mpsc.Sender[int]] = []

    def make() -> Pair:
        tx, rx = mpsc.channel(1)
        ends.append(tx)
        return rx.recv, lambda: tx.blocking_send(1)

    with asleep(make) as (seen, woken):
        assert woken.wait(PATIENCE)

    assert seen == [None]
    ends[0].close()


def test_row_36_and_refuses_a_thread_that_uses_another() -> None:
    """Without a debug mode, and before anything is changed."""
    ends: list[mpsc.Sender[int]] = []

    def make() -> Pair:
        tx, rx = mpsc.channel(1)
        ends.append(tx)
        return rx.recv, lambda: tx.try_send(1)

    with asleep(make) as (seen, woken):
        was_woken = woken.is_set()
        capacity = ends[0].capacity
        ends[0].blocking_send(2)

    assert len(seen) == 1
    assert str(seen[0]).startswith("thread 'MainThread' uses what tasks of another")
    assert not was_woken
    assert capacity == 1
    ends[0].close()
