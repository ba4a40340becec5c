"""A thread lock is never held across an await: refused, on every loop."""

import asyncio
import gc
import inspect
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from sumida.errors import HeldAcrossAwaitError, MisuseError
from sumida.sync.threads import ThreadMutex, ThreadRwLock
from tests.support import Run
from tests.sync.threads.support import PATIENCE


class Releasable(AbstractContextManager[int], Protocol):
    """What all the guards are."""

    def release(self) -> None:
        """Give the lock back."""
        ...


Take = Callable[[], Releasable]
Lock = ThreadMutex[int] | ThreadRwLock[int]


def mutex() -> tuple[Lock, Take]:
    """A mutex, and how to take it."""
    lock = ThreadMutex(1)
    return lock, lock.lock


def read() -> tuple[Lock, Take]:
    """A lock, and how to read it."""
    lock = ThreadRwLock(1)
    return lock, lock.read


def write() -> tuple[Lock, Take]:
    """A lock, and how to write it."""
    lock = ThreadRwLock(1)
    return lock, lock.write


def upgradable() -> tuple[Lock, Take]:
    """A lock, and how to read it as one who may write."""
    lock = ThreadRwLock(1)
    return lock, lock.upgradable_read


def upgraded() -> tuple[Lock, Take]:
    """A lock, and how to write it after reading."""
    lock = ThreadRwLock(1)
    return lock, lambda: lock.upgradable_read().upgrade()


def downgraded() -> tuple[Lock, Take]:
    """A lock, and how to read it after writing."""
    lock = ThreadRwLock(1)
    return lock, lambda: lock.write().downgrade()


every_guard = pytest.mark.parametrize(
    "make", [mutex, read, write, upgradable, upgraded, downgraded]
)
Make = Callable[[], tuple[Lock, Take]]


def line_of(function: Callable[..., object], text: str) -> str:
    """Give `file:line` of the one line of `function` that holds `text`."""
    lines, first = inspect.getsourcelines(function)
    (offset,) = (index for index, line in enumerate(lines) if text in line)
    return f"{__file__}:{first + offset}"


def call_me(name: str) -> None:
    """Name the running task: an eager one has no name while it starts."""
    task = asyncio.current_task()
    assert task is not None
    task.set_name(name)


async def hold_across_await(take: Take, name: str = "holder") -> None:
    """Hold the guard while the loop turns once."""
    call_me(name)
    with take():
        await asyncio.sleep(0)


@every_guard
def test_block_that_awaited_is_refused_at_its_end(run: Run, make: Make) -> None:
    """The guilty block raises, names its task and line, and releases."""
    lock, take = make()

    async def main() -> str:
        with pytest.raises(HeldAcrossAwaitError) as caught:
            await hold_across_await(take, "guilty")
        return str(caught.value)

    message = run(main)

    assert not lock.is_locked
    assert "task 'guilty' took" in message
    if make in {mutex, read, write, upgradable}:
        assert line_of(hold_across_await, "with take()") in message


@every_guard
def test_block_without_a_turn_of_the_loop_is_fine(run: Run, make: Make) -> None:
    """An await that does not suspend, turns before and after: no error."""
    lock, take = make()

    async def nothing() -> None:
        pass

    async def main() -> None:
        for _ in range(3):
            with take():
                await nothing()
            await asyncio.sleep(0)
            with take():
                pass

    run(main)

    assert not lock.is_locked


@every_guard
def test_other_task_that_meets_it_is_refused_at_once(run: Run, make: Make) -> None:
    """The loop does not stop for ever: the second task learns who holds the lock."""
    lock, take = make()
    want = lock.lock if isinstance(lock, ThreadMutex) else lock.write

    async def meet(name: str, limit: float | None) -> None:
        call_me(name)
        want(limit).release()

    async def main() -> list[BaseException | None]:
        loop = asyncio.get_running_loop()
        holder = loop.create_task(hold_across_await(take), name="holder")
        late = loop.create_task(meet("second", None), name="second")
        timed = loop.create_task(meet("third", PATIENCE), name="third")
        await asyncio.wait([holder, late, timed])
        return [holder.exception(), late.exception(), timed.exception()]

    holder, second, third = run(main)

    assert isinstance(holder, HeldAcrossAwaitError)
    assert isinstance(second, HeldAcrossAwaitError)
    assert isinstance(third, HeldAcrossAwaitError)
    assert "task 'second' would wait for ever" in str(second)
    assert "task 'holder' took it at" in str(second)
    if make in {mutex, read, write, upgradable}:
        assert line_of(hold_across_await, "with take()") in str(second)
    assert not lock.is_locked


def test_reader_behind_a_writer_behind_a_suspended_reader_is_refused(run: Run) -> None:
    """The holder need not be in the way itself: a waiting thread between is enough."""
    lock = ThreadRwLock(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        holder = loop.create_task(hold_across_await(lock.read))
        if not lock.is_locked:
            await asyncio.sleep(0)
        writer = threading.Thread(target=lambda: lock.write(PATIENCE).release())
        writer.start()
        while not lock.waiter_count:
            pass
        with pytest.raises(HeldAcrossAwaitError, match="reading a ThreadRwLock"):
            lock.read()
        await asyncio.wait([holder])
        assert isinstance(holder.exception(), HeldAcrossAwaitError)
        writer.join(PATIENCE)

    run(main)

    assert not lock.is_locked


@every_guard
def test_error_of_the_block_is_not_hidden(run: Run, make: Make) -> None:
    """It comes out as it is, with a note."""
    lock, take = make()

    async def fail() -> None:
        with take():
            await asyncio.sleep(0)
            raise KeyError(1)

    async def main() -> KeyError:
        with pytest.raises(KeyError) as caught:
            await fail()
        return caught.value

    (note,) = run(main).__notes__

    assert note.startswith("HeldAcrossAwaitError: ")
    assert not lock.is_locked


@every_guard
def test_cancellation_of_the_block_is_not_swallowed(run: Run, make: Make) -> None:
    """A task cancelled while it holds the lock is cancelled, and releases."""
    lock, take = make()

    async def hold() -> None:
        with take():
            await asyncio.get_running_loop().create_future()

    async def main() -> bool:
        task = asyncio.get_running_loop().create_task(hold())
        await asyncio.sleep(0)
        assert lock.is_locked
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(main)
    assert not lock.is_locked


@every_guard
def test_release_by_hand_is_refused_too(run: Run, make: Make) -> None:
    """A guard without a `with` is told the same; a second release says nothing."""
    lock, take = make()

    async def main() -> None:
        guard = take()
        await asyncio.sleep(0)
        with pytest.raises(HeldAcrossAwaitError):
            guard.release()
        guard.release()

    run(main)

    assert not lock.is_locked


def test_release_in_a_finally_notes_what_is_being_raised(run: Run) -> None:
    """`finally: guard.release()` does not replace the error on its way."""
    lock = ThreadMutex(1)

    async def fail() -> None:
        guard = lock.lock()
        try:
            await asyncio.sleep(0)
            raise KeyError(1)
        finally:
            guard.release()

    async def main() -> KeyError:
        with pytest.raises(KeyError) as caught:
            await fail()
        return caught.value

    assert len(run(main).__notes__) == 1
    assert not lock.is_locked


@every_guard
def test_async_generator_that_yields_in_the_block_is_refused(
    run: Run, make: Make
) -> None:
    """A generator suspended inside the block held it across its consumer's await."""
    lock, take = make()

    async def items() -> AsyncIterator[int]:
        with take() as value:
            yield value

    seen: list[int] = []

    async def consume() -> None:
        async for item in items():
            seen.append(item)
            await asyncio.sleep(0)

    async def main() -> None:
        with pytest.raises(HeldAcrossAwaitError):
            await consume()

    run(main)

    assert seen == [1]
    assert not lock.is_locked


def test_async_generator_that_is_closed_releases(run: Run) -> None:
    """Closing it in the middle gives the lock back, and raises nothing else."""
    lock = ThreadMutex(1)

    async def items() -> AsyncIterator[int]:
        with lock.lock() as value:
            yield value

    async def main() -> None:
        stream = items()
        await anext(stream)
        await asyncio.sleep(0)
        assert lock.is_locked
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator

    run(main)

    assert not lock.is_locked


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
