"""What users of other libraries suffer from in locks and threads, row by row.

Each test first does it the usual way and sees the fault, where the interpreter has
it, then does it with sumida.
"""

import asyncio
import contextlib
import contextvars
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import sumida
from sumida import JoinSet, spawn_blocking, yield_now
from sumida.channels import mpsc
from sumida.errors import BlockingCallError, MisuseError, WouldBlock
from sumida.runtime.blocking import BlockingPool, blocking_cancelled
from sumida.runtime.dump import task_dump
from sumida.sync import (
    Mutex,
    Notify,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
)
from sumida.testing import run_paused, turns
from tests.support import Run

BEFORE_3_13 = sys.version_info < (3, 13)


def test_row_10_a_wake_up_of_a_cancelled_waiter_goes_to_the_next(run: Run) -> None:
    """`Condition.notify(1)` is lost with its waiter before 3.13; a permit is not."""

    async def usual() -> bool:
        condition = asyncio.Condition()

        async def wait() -> None:
            async with condition:
                await condition.wait()

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await turns()
        async with condition:
            condition.notify(1)
            first.cancel()
        await turns()
        woken = second.done()
        second.cancel()
        await asyncio.wait([first, second])
        return woken

    async def ours() -> list[bool]:
        woken = []
        notify, semaphore, mutex = Notify(), Semaphore(0), Mutex(None)
        table, shelf = RwLock(None), RwLock(None)
        tx, rx = mpsc.channel(1)
        tx.try_send(1)
        ways: list[tuple[Callable[[], Awaitable[object]], Callable[[], object]]] = [
            (notify.notified, notify.notify_one),
            (semaphore.acquire, lambda: semaphore.add_permits(1)),
            (mutex.lock, (await mutex.lock()).release),
            (table.read, (await table.write()).release),
            (shelf.write, (await shelf.read()).release),
            (tx.reserve, rx.try_recv),
        ]
        for wait, grant in ways:

            async def hold(
                wait: Callable[[], Awaitable[object]] = wait,
            ) -> None:
                held = await wait()
                if held is not None:
                    held.release()  # type: ignore[attr-defined]  # a guard or a permit

            first = asyncio.create_task(hold())
            second = asyncio.create_task(hold())
            await turns()
            grant()
            first.cancel()
            await turns()
            woken.append(second.done())
            await asyncio.wait([first, second])
        tx.close()
        return woken

    woken_usual, woken = run(usual), run(ours)

    # CPython 3.13 has mended it.
    assert woken_usual is not BEFORE_3_13
    assert woken == [True] * 6


def test_row_12_a_stuck_thread_can_be_told_that_nobody_waits(run: Run) -> None:
    """A cancel does not reach a thread of `to_thread`; here the function can ask."""

    async def ours() -> bool:
        started = threading.Event()
        noticed = threading.Event()

        def work() -> None:
            started.set()
            while not blocking_cancelled():
                time.sleep(0.001)
            noticed.set()

        task = asyncio.create_task(spawn_blocking(work))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(noticed.wait, 10)

    assert run(ours)


def test_row_24_a_deadlock_says_who_waits_for_what(run: Run) -> None:
    """Asyncio shows two pending tasks; the dump names the lock that each waits for."""

    async def usual() -> list[str]:
        left, right = asyncio.Lock(), asyncio.Lock()

        async def hold(first: asyncio.Lock, second: asyncio.Lock) -> None:
            async with first:
                await asyncio.sleep(0)
                async with second:
                    pass

        tasks = [
            asyncio.create_task(hold(left, right)),
            asyncio.create_task(hold(right, left)),
        ]
        await turns()
        shown = [repr(task) for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return shown

    async def ours() -> list[str]:
        left, right = Mutex("left"), Mutex("right")

        async def hold(first: Mutex[str], second: Mutex[str]) -> None:
            async with first.lock():
                await yield_now()
                async with second.lock():
                    pass

        async with JoinSet[None]() as tasks:
            tasks.spawn(hold(left, right), name="a")
            tasks.spawn(hold(right, left), name="b")
            await turns()
            dump = task_dump()
            tasks.abort_all()
        return [str(state) for state in dump if state.name in "ab"]

    shown, dump = run(usual), run(ours)

    assert all("pending" in text and "Lock" not in text for text in shown)
    assert len(dump) == 2
    assert all("Mutex" in text.splitlines()[0] for text in dump)
    assert all("hold" in text and __file__ in text for text in dump)


def test_row_24_a_deadlock_in_a_test_ends_it_with_who_waits_for_what(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a paused clock it is proven that nobody can go on, so it is said."""
    monkeypatch.setattr("sumida.testing.clock._PATIENCE", 0.05)

    async def hold(first: Mutex[str], second: Mutex[str]) -> None:
        async with first.lock():
            await yield_now()
            async with second.lock():
                pass

    async def ours() -> None:
        left, right = Mutex("left"), Mutex("right")
        async with JoinSet[None]() as tasks:
            tasks.spawn(hold(left, right), name="a")
            tasks.spawn(hold(right, left), name="b")

    with pytest.raises(MisuseError) as caught:
        run_paused(ours)

    for name in "ab":
        assert f"{name} waits for <MutexGuard waiting of <Mutex" in str(caught.value)


def test_row_31_readers_share_and_writers_do_not(run: Run) -> None:
    """Asyncio has no RwLock; ours is fair, and its write guard can be downgraded."""

    async def ours() -> list[str]:
        table = RwLock({"a": 0})
        order: list[str] = []

        async def read(name: str) -> None:
            async with table.read() as guard:
                order.append(f"{name} sees {guard.value['a']}")

        async with JoinSet[None]() as tasks, table.write() as guard:
            tasks.spawn(read("early"))
            await turns()
            guard.value["a"] = 1
            reader = guard.downgrade()
            await turns()
            order.append("still reading")
            reader.release()
        return order

    order = run(ours)

    assert not hasattr(asyncio, "RwLock")
    assert order == ["early sees 1", "still reading"]


def test_row_31_who_cannot_wait_asks(run: Run) -> None:
    """Each way in has one that never waits; a promise to a writer is kept."""

    async def main() -> list[bool]:
        table = RwLock(None)

        def can(
            enter: Callable[[], RwLockReadGuard[None] | RwLockWriteGuard[None]],
        ) -> bool:
            try:
                enter().release()
            except WouldBlock:
                return False
            return True

        def both() -> list[bool]:
            return [can(table.try_read), can(table.try_write)]

        free = both()
        async with table.read():
            shared = both()
            writing = asyncio.ensure_future(_write(table))
            await turns()
            promised = both()
        await writing
        async with table.write():
            taken = both()
        return [*free, *shared, *promised, *taken]

    assert run(main) == [True, True, True, False, False, False, False, False]


async def _write(table: RwLock[None]) -> None:
    async with table.write():
        pass


def test_row_31_a_writer_gets_in_between_readers(run: Run) -> None:
    """The usual lock, of two locks and a count, starves a writer; ours is in line."""
    readers = 30

    class Usual:
        """Readers count themselves; the first locks the writers out, the last in."""

        def __init__(self) -> None:
            self.readers = 0
            self.writing = asyncio.Lock()

        @contextlib.asynccontextmanager
        async def read(self) -> AsyncIterator[None]:
            self.readers += 1
            if self.readers == 1:
                await self.writing.acquire()
            try:
                yield
            finally:
                self.readers -= 1
                if self.readers == 0:
                    self.writing.release()

        def write(self) -> asyncio.Lock:
            return self.writing

    async def readers_before_the_writer(lock: Usual | RwLock[None]) -> int:
        begun = 0
        begun_before = -1

        async def read() -> None:
            nonlocal begun
            async with lock.read():
                begun += 1
                await turns(9)

        async def write() -> None:
            nonlocal begun_before
            async with lock.write():
                begun_before = begun

        async with JoinSet[None]() as tasks:
            for n in range(readers):
                # Each comes while the one before it still reads.
                tasks.spawn(read())
                await turns(3)
                if n == 0:
                    tasks.spawn(write())
        return begun_before

    async def usual() -> int:
        return await readers_before_the_writer(Usual())

    async def ours() -> int:
        return await readers_before_the_writer(RwLock(None))

    assert run(usual) == readers
    assert run(ours) == 1


def test_row_35_a_worker_thread_starts_with_no_context_of_others(run: Run) -> None:
    """Calls of `run_in_executor` share the thread's context; ours have the caller's."""
    user = contextvars.ContextVar[str]("user", default="nobody")

    def work() -> str:
        seen = user.get()
        user.set(f"left by the call of {seen}")
        return seen

    async def usual() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        seen = []
        for name in ("ann", "bob"):
            user.set(name)
            seen.append(await loop.run_in_executor(None, work))
        return seen

    async def ours() -> list[str]:
        seen = []
        pool = BlockingPool(1)
        for name in ("ann", "bob"):
            user.set(name)
            seen.append(await pool.run(work))
        await pool.shutdown(10)
        return seen

    assert run(usual) == ["nobody", "left by the call of nobody"]
    assert run(ours) == ["ann", "bob"]


INHERITING = """
import asyncio, contextvars, gc, sys, threading, weakref
import sumida
from sumida import io
from sumida.runtime.watchdog import LoopWatchdog

assert sys.flags.thread_inherit_context
user = contextvars.ContextVar("user")

class User:
    pass

async def usual(stay):
    user.set(User())
    seen = weakref.ref(user.get())
    thread = threading.Thread(target=stay.wait)
    thread.start()
    return seen, thread

async def ours(stay):
    user.set(User())
    seen = weakref.ref(user.get())
    await sumida.spawn_blocking(int)
    watchdog = LoopWatchdog(asyncio.get_running_loop())
    watchdog.start()
    stdin = await io.stdin()
    try:
        async with asyncio.timeout(0.01):
            await stdin.read_line()
    except TimeoutError:
        pass  # its thread waits on
    # A stream keeps the context of who waited last: let that be another.
    waiting = asyncio.get_running_loop().create_task(
        read(stdin), context=contextvars.Context()
    )
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    return seen, (watchdog, stdin)

async def read(stdin):
    await stdin.read_line()

async def main():
    stay = threading.Event()
    for way in (usual, ours):
        # In a task, whose context goes with it.
        seen, keep = await asyncio.create_task(way(stay))
        await asyncio.sleep(0)  # the loop still holds the task that has ended
        gc.collect()
        print(seen() is not None)
        stay.set()
        if way is ours:
            watchdog, stdin = keep
            watchdog.stop()
            stdin.close()

asyncio.run(main())
"""


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="threads inherit from CPython 3.14 on"
)
def test_row_35_no_thread_of_ours_keeps_the_context_of_who_started_it() -> None:
    """Where threads inherit it, as free-threaded ones do: workers, watchdog, input."""
    # Of a socket nobody could make another description, so a thread reads it.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.run(  # noqa: S603  # this interpreter
            [sys.executable, "-X", "thread_inherit_context=1", "-c", INHERITING],
            check=True,
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    assert child.stdout == "True\nFalse\n"


def test_row_07_a_blocking_call_is_refused_in_strict_mode() -> None:
    """Asyncio says nothing of `time.sleep` on the loop; the strict mode raises."""

    async def blocks() -> None:
        time.sleep(0.001)  # noqa: ASYNC251  # the fault itself

    with pytest.raises(BlockingCallError, match=r"sumida\.sleep"):
        sumida.run(blocks, strict=True)

    asyncio.run(blocks())
