"""A thread lock is never held across an await: refused, on every loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sumida.errors import HeldAcrossAwaitError, MisuseError
from sumida.sync.threads import ThreadMutex, ThreadRwLock
from tests.support import Run
from tests.sync.threads.kinds import (
    Make,
    call_me,
    downgraded,
    every_guard,
    hold_across_await,
    line_of,
    upgraded,
)
from tests.sync.threads.support import PATIENCE


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
    if make not in {upgraded, downgraded}:
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
    if make not in {upgraded, downgraded}:
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


def test_task_of_another_thread_is_not_blamed(run: Run) -> None:
    """Who would wait for itself is told so, though a reader elsewhere is suspended."""
    lock = ThreadRwLock(1)
    entered, go = threading.Event(), threading.Event()

    async def hold() -> None:
        with lock.read():
            # Told when this task is suspended.
            asyncio.get_running_loop().call_soon(entered.set)
            await asyncio.to_thread(go.wait, PATIENCE)

    async def elsewhere() -> BaseException | None:
        holder = asyncio.get_running_loop().create_task(hold())
        await asyncio.wait([holder])
        return holder.exception()

    async def main() -> BaseException:
        with lock.read(), pytest.raises(MisuseError) as caught:
            lock.write()
        return caught.value

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(asyncio.run, elsewhere())
        assert entered.wait(PATIENCE)
        error = run(main)
        go.set()

    assert not isinstance(error, HeldAcrossAwaitError)
    assert isinstance(other.result(), HeldAcrossAwaitError)


def test_task_of_a_coroutine_that_is_not_pythons_is_not_suspended(run: Run) -> None:
    """It cannot tell that it runs, and yet waits for itself, not for another."""
    lock = ThreadMutex(1)

    async def work() -> bool:
        with lock.lock(), pytest.raises(MisuseError) as caught:
            lock.lock()
        return isinstance(caught.value, HeldAcrossAwaitError)

    async def main() -> bool:
        return await asyncio.get_running_loop().create_task(Delegate(work()))

    assert not run(main)


class Delegate(Coroutine[object, None, bool]):
    """A coroutine as those of other compilers are.

    Args:
        inner: What it does.
    """

    def __init__(self, inner: Coroutine[object, None, bool]) -> None:
        self.inner = inner

    def __await__(self) -> Generator[object, None, bool]:
        raise NotImplementedError

    def send(self, value: None) -> object:
        """Take a step."""
        return self.inner.send(value)

    def throw(self, *error: object) -> object:
        """Be told of no error here."""
        raise NotImplementedError

    def close(self) -> None:
        """End."""
        self.inner.close()


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


@every_guard
def test_release_in_a_finally_notes_what_is_being_raised(run: Run, make: Make) -> None:
    """`finally: guard.release()` does not replace the error on its way."""
    lock, take = make()

    async def fail() -> None:
        guard = take()
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
