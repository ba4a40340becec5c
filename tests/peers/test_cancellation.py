"""What a cancel costs the users of other libraries, row by row of the list.

Each test first does it the usual way and sees the fault, where the interpreter has it,
then does it with sumida.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

import anyio
import pytest

from sumida import Elapsed, JoinSet, TaskTracker, select, timeout
from sumida.channels import mpsc
from sumida.errors import MisuseError
from sumida.runtime.timeouts import Timeout
from sumida.testing import turns
from tests.support import Run

BEFORE_3_12 = sys.version_info < (3, 12)

Wait = Callable[[], Awaitable[int]]

STEPS = range(8)
"""How many turns pass between the item and the cancel: more than a get needs."""


async def _wait_for(queue: asyncio.Queue[int]) -> None:
    await asyncio.wait_for(queue.get(), 3600)


async def _timeout(queue: asyncio.Queue[int]) -> None:
    async with timeout(3600):
        await queue.get()


@pytest.mark.parametrize("way", [_wait_for, _timeout])
def test_row_04_who_is_asked_to_end_ends(
    run: Run, way: Callable[[asyncio.Queue[int]], Coroutine[object, object, None]]
) -> None:
    """`wait_for` of 3.11 goes on with the item, though `cancel()` said it would end."""

    async def ask_after(steps: int) -> tuple[bool, bool, int]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(way(queue))
        await turns()
        queue.put_nowait(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        was_asked = task.cancel()
        await asyncio.wait([task])
        return was_asked, task.cancelled(), queue.qsize()

    seen = [run(ask_after, steps) for steps in STEPS]

    # Asked, ended, and left in the queue; or none of them.
    is_good = all(case in ((True, True, 1), (False, False, 0)) for case in seen)
    assert is_good is not (way is _wait_for and BEFORE_3_12)
    assert {was_asked for was_asked, _, _ in seen} == {True, False}


def test_row_04_a_receive_within_a_deadline_too(run: Run) -> None:
    """As above, with a channel of ours."""

    async def ask_after(steps: int) -> tuple[bool, bool, int]:
        tx, rx = mpsc.channel(1)

        async def receive() -> None:
            async with timeout(3600):
                await rx.recv()

        with tx:
            task = asyncio.create_task(receive())
            await turns()
            tx.try_send(1)
            for _ in range(steps):
                await asyncio.sleep(0)
            was_asked = task.cancel()
            await asyncio.wait([task])
        return was_asked, task.cancelled(), len([n async for n in rx])

    seen = [run(ask_after, steps) for steps in STEPS]

    assert set(seen) == {(True, True, 1), (False, False, 0)}


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("make", [timeout, asyncio.timeout])
def test_row_05_a_deadline_that_meets_a_failure_leaves_no_cancel_behind(
    run: Run, make: Callable[[None], "asyncio.Timeout | Timeout"], steps: int
) -> None:
    """The count of cancels is what it was, and the next wait is nobody's business."""

    async def fail_after(count: int) -> None:
        try:
            await turns(count)
        finally:
            raise ValueError("failed")

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        deadline = make(None)
        with pytest.raises((TimeoutError, BaseExceptionGroup)):
            async with deadline, JoinSet[None]() as tasks:
                tasks.spawn(fail_after(steps))
                async with JoinSet[None]() as inner:
                    inner.spawn(fail_after(3))
                    deadline.reschedule(asyncio.get_running_loop().time())
                    await asyncio.Event().wait()
        await turns()
        return task.cancelling()

    assert run(main) == 0


def test_row_05_a_group_within_a_cancelled_group_ends(run: Run) -> None:
    """Three deep, each with children that clean up for some turns and then fail."""

    async def child() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await turns(3)
            raise ValueError("cleanup failed")

    async def nest(depth: int, went_on: list[int]) -> None:
        try:
            async with JoinSet[None]() as tasks:
                tasks.spawn(child())
                if depth:
                    await nest(depth - 1, went_on)
                await asyncio.Event().wait()
        except* ValueError:
            pass
        # Somebody has handled the failures: the cancel must come all the same.
        await asyncio.sleep(0)
        went_on.append(depth)

    async def main() -> tuple[list[int], bool]:
        went_on: list[int] = []
        task = asyncio.create_task(nest(2, went_on))
        await turns()
        task.cancel()
        await asyncio.wait([task])
        return went_on, task.cancelled()

    assert run(main) == ([], True)


def test_row_05_a_child_that_fails_in_its_first_step_is_told(run: Run) -> None:
    """It may have failed, or have cancelled its parent, before `spawn` returns."""

    async def fail() -> None:
        raise ValueError("at once")

    async def cancel(parent: "asyncio.Task[object]") -> None:
        parent.cancel()

    async def failing() -> int:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with JoinSet[None]() as tasks:
                tasks.spawn(fail())
                tasks.spawn(fail())
        return len(caught.value.exceptions)

    async def cancelled() -> bool:
        async def parent() -> None:
            async with JoinSet[None]() as tasks:
                me = asyncio.current_task()
                assert me is not None
                tasks.spawn(cancel(me))
                await asyncio.Event().wait()

        task = asyncio.create_task(parent())
        await asyncio.wait([task])
        return task.cancelled()

    assert run(failing) == 2
    assert run(cancelled)


def test_row_09_a_deadline_in_the_tick_of_the_item_takes_nothing(run: Run) -> None:
    """Anyio's stream loses it: to `asyncio.timeout`, which ours does not mind."""

    async def receive(deadline: asyncio.Timeout, wait: Wait) -> None:
        async with deadline:
            await wait()

    async def missed(wait: Wait, send: Callable[[], object]) -> bool:
        deadline = asyncio.timeout(None)
        task = asyncio.create_task(receive(deadline, wait))
        await turns()
        # First the deadline, then the item, in one turn of the loop.
        deadline.reschedule(asyncio.get_running_loop().time())
        send()
        await asyncio.wait([task])
        return isinstance(task.exception(), TimeoutError)

    async def usual() -> tuple[bool, int]:
        tx, rx = anyio.create_memory_object_stream[int](1)
        with tx, rx:
            is_late = await missed(rx.receive, lambda: tx.send_nowait(1))
            return is_late, rx.statistics().current_buffer_used

    async def ours() -> tuple[bool, int]:
        tx, rx = mpsc.channel(1)
        with tx:
            is_late = await missed(rx.recv, lambda: tx.try_send(1))
        return is_late, len([n async for n in rx])

    assert run(usual) == (True, 0)
    assert run(ours) == (True, 1)


@pytest.mark.parametrize("steps", range(4))
def test_row_09_nor_does_a_cancel_scope_of_anyio(run: Run, steps: int) -> None:
    """Whenever it strikes, the item was received or is still there."""

    async def main() -> tuple[int, int]:
        tx, rx = mpsc.channel(1)
        received: list[int] = []
        scope = anyio.CancelScope()

        async def receive() -> None:
            with scope:
                received.append(await rx.recv())

        with tx:
            task = asyncio.create_task(receive())
            await turns()
            tx.try_send(1)
            await turns(steps)
            scope.cancel()
            await asyncio.wait([task])
        return len(received), len([n async for n in rx])

    assert run(main) in ((0, 1), (1, 0))


def test_row_14_what_must_be_finished_has_an_owner_that_waits(run: Run) -> None:
    """The usual shield is forgotten by its caller, and cut when the program ends."""

    async def commit(log: list[str]) -> None:
        log.append("begun")
        await turns(100)
        log.append("committed")

    async def usual(log: list[str]) -> None:
        async def request() -> None:
            await asyncio.shield(commit(log))

        task = asyncio.create_task(request())
        await turns(2)
        task.cancel()
        await asyncio.wait([task])

    async def ours(log: list[str]) -> None:
        tracker = TaskTracker()

        async def request() -> None:
            # To await a task is to cancel it, too; `select` only watches it.
            await select(tracker.spawn(commit(log), name="commit"))

        task = asyncio.create_task(request())
        await turns(2)
        task.cancel()
        await asyncio.wait([task])
        tracker.close()
        async with timeout(3600):
            await tracker.wait()

    log_usual: list[str] = []
    log: list[str] = []
    with pytest.raises(AssertionError, match="tasks outlive main"):
        run(usual, log_usual)
    run(ours, log)

    assert log_usual == ["begun"]
    assert log == ["begun", "committed"]


def test_row_14_the_owner_has_a_deadline(run: Run) -> None:
    """And then the work is cut, by one who knows it."""

    async def main() -> bool:
        tracker = TaskTracker()
        task = tracker.spawn(asyncio.sleep(3600))
        tracker.close()
        with contextlib.suppress(Elapsed):
            async with timeout(0):
                await tracker.wait()
        is_running = not task.done()
        task.cancel()
        await tracker.wait()
        return is_running

    assert run(main)


def test_row_26_a_scope_that_is_left_in_another_task_is_refused(run: Run) -> None:
    """A generator that is closed elsewhere: the usual scope strikes who entered it."""

    async def ticks(scope: "asyncio.Timeout | Timeout") -> AsyncIterator[int]:
        async with scope:
            while True:
                yield 1

    async def left_elsewhere(make: Callable[[int], "asyncio.Timeout | Timeout"]) -> str:
        generator = ticks(make(3600))

        async def enter() -> None:
            await anext(generator)

        async def leave() -> None:
            await generator.aclose()  # type: ignore[attr-defined]  # it is a generator

        await asyncio.create_task(enter())
        try:
            await asyncio.create_task(leave())
        except MisuseError as error:
            return str(error)
        return "nothing was said"

    assert run(left_elsewhere, asyncio.timeout) == "nothing was said"
    assert "do not `yield` inside it" in run(left_elsewhere, timeout)
