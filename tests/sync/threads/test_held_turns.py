"""What is no task held across an await, and what a lock keeps of a loop: nothing."""

import asyncio
import gc
import threading
import weakref

import pytest

from sumida.errors import HeldAcrossAwaitError, MisuseError
from sumida.sync.threads import ThreadMutex
from tests.support import Run
from tests.sync.threads.kinds import (
    Make,
    every_guard,
    hold_across_await,
    mutex,
    read,
    upgradable,
    write,
)
from tests.sync.threads.support import PATIENCE


def test_own_lock_taken_twice_by_a_task_is_plain_misuse(run: Run) -> None:
    """Nothing is suspended: the message is that of a thread, on a loop as well."""
    lock = ThreadMutex(1)

    async def main() -> None:
        with lock.lock():
            with pytest.raises(MisuseError) as caught:
                lock.lock()
            assert type(caught.value) is MisuseError

    run(main)

    assert not lock.is_locked


def test_child_started_inside_the_block_is_refused(run: Run) -> None:
    """Started eagerly it stands on its parent's stack: misuse, not a suspended task."""
    lock = ThreadMutex(1)
    errors: list[type] = []

    async def child() -> None:
        try:
            lock.lock().release()
        except MisuseError as error:
            errors.append(type(error))

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        with lock.lock():
            task = loop.create_task(child())
            started = bool(errors)
        await task
        return started

    assert errors == ([MisuseError] if run(main) else [])


def test_callback_is_told_as_well(run: Run) -> None:
    """A lock left held by a callback is met by a task, and by the next callback."""
    lock = ThreadMutex(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        guards = []
        loop.call_soon(lambda: guards.append(lock.lock()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(HeldAcrossAwaitError, match="a callback took it at"):
            lock.lock()
        met: list[str] = []

        def meet() -> None:
            try:
                lock.lock()
            except HeldAcrossAwaitError as error:
                met.append(str(error))

        loop.call_soon(meet)
        await asyncio.sleep(0)
        assert met[0].startswith("a callback would wait for ever")
        with pytest.raises(HeldAcrossAwaitError, match="a callback took a Thread"):
            guards[0].release()

    run(main)

    assert not lock.is_locked


def test_loop_waits_for_a_thread_without_complaint(run: Run) -> None:
    """Another thread that holds the lock for a moment is no misuse."""
    lock = ThreadMutex(1)
    held = threading.Event()
    wanted = threading.Event()

    def hold() -> None:
        with lock.lock():
            held.set()
            wanted.wait(PATIENCE)

    async def main() -> int:
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(PATIENCE)
        asyncio.get_running_loop().call_soon(lambda: None)
        wanted.set()
        with lock.lock(PATIENCE) as value:
            pass
        thread.join(PATIENCE)
        return value

    assert run(main) == 1


def test_two_loops_in_two_threads_share_a_lock(run: Run) -> None:
    """Each has turns of its own; one's do not count for the other."""
    lock = ThreadMutex(0)

    async def work() -> None:
        for _ in range(100):
            guard = lock.lock()
            with guard as value:
                guard.value = sum((value, 1))
            await asyncio.sleep(0)

    async def main() -> None:
        thread = threading.Thread(target=asyncio.run, args=(work(),))
        thread.start()
        await work()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    run(main)

    assert lock.replace(0) == 200


def test_guard_taken_before_the_loop_runs_may_stay() -> None:
    """No loop, no refusal: a program may hold its lock around asyncio.run."""
    lock = ThreadMutex(1)

    async def main() -> None:
        await asyncio.sleep(0)
        with pytest.raises(MisuseError) as caught:
            lock.lock()
        assert type(caught.value) is MisuseError

    with lock.lock():
        asyncio.run(main())

    assert not lock.is_locked


def test_loop_that_stops_within_the_turn_leaves_nothing_behind() -> None:
    """The turn of a loop that was closed is not taken for that of the next."""
    lock = ThreadMutex(1)

    loop = asyncio.new_event_loop()

    def last() -> None:
        with lock.lock():
            pass
        loop.stop()

    loop.call_soon(last)
    # It stops before it gets to the callback that ends the turn.
    loop.run_forever()
    loop.close()

    async def second() -> None:
        with pytest.raises(HeldAcrossAwaitError):
            await hold_across_await(lock.lock)

    asyncio.run(second())

    assert not lock.is_locked


def test_guards_of_one_turn_cost_the_loop_one_callback() -> None:
    """A thousand locks ask for a single callback."""

    class Counting(asyncio.SelectorEventLoop):
        """A loop that counts what it is asked for."""

        asked = 0

        def call_soon(self, *args: object, **kwargs: object) -> asyncio.Handle:
            """Count, and do it."""
            self.asked += 1
            return super().call_soon(*args, **kwargs)  # type: ignore[arg-type]  # as it came

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        before = loop.asked
        for make in (mutex, read, write, upgradable):
            _, take = make()
            for _ in range(250):
                with take():
                    pass
        return loop.asked - before

    with asyncio.Runner(loop_factory=Counting) as runner:
        assert runner.run(main()) == 1


def test_destroyed_task_gives_its_lock_back() -> None:
    """A loop that is closed under a holder: the lock is free once it is collected."""
    lock = ThreadMutex(1)

    async def hold() -> None:
        with lock.lock():
            await asyncio.get_running_loop().create_future()

    async def main() -> None:
        coroutine = hold()
        coroutine.send(None)
        assert lock.is_locked
        del coroutine

    asyncio.run(main())
    gc.collect()

    assert not lock.is_locked


@every_guard
def test_lock_forgets_the_task_that_released_it(run: Run, make: Make) -> None:
    """Nothing of a task is kept by a lock that it once took."""
    lock, take = make()

    async def work() -> None:
        with take():
            pass

    async def main() -> weakref.ref[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(work())
        await task
        return weakref.ref(task)

    reference = run(main)
    gc.collect()

    assert not lock.is_locked
    assert reference() is None


@pytest.mark.parametrize("make", [mutex, read, write, upgradable])
def test_guard_dropped_on_a_loop_gives_its_lock_back(run: Run, make: Make) -> None:
    """It is released with a warning, and nothing of its task is kept."""
    lock, take = make()

    async def work() -> None:
        with pytest.warns(ResourceWarning, match="dropped without being released"):
            take()

    async def main() -> weakref.ref[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(work())
        await task
        return weakref.ref(task)

    reference = run(main)
    gc.collect()

    assert not lock.is_locked
    assert reference() is None
