"""What users of other libraries suffer from in tasks, row by row.

Each test first does it the usual way and sees the fault, where the interpreter has
it, then does it with sumida.
"""

import asyncio
import contextlib
import gc
import sys
import weakref

import anyio

from sumida import CancellationToken, JoinSet, timeout
from sumida.channels import mpsc
from sumida.testing import turns
from tests.support import Run

BEFORE_3_13 = sys.version_info < (3, 13)


def test_row_05_a_cancel_reaches_the_task_outside_a_nested_group(run: Run) -> None:
    """A nested `TaskGroup` loses the parent's cancel before 3.13; ours does not."""

    async def cancel_a_failing_pair(ours: bool) -> bool:
        went_on = False

        async def fail_when_told(told: asyncio.Event) -> None:
            try:
                await told.wait()
            finally:
                raise ValueError("cleanup failed")

        async def nested() -> None:
            nonlocal went_on
            with contextlib.suppress(BaseExceptionGroup, ValueError):
                if ours:
                    async with JoinSet[None]() as inner:
                        inner.spawn(fail_when_told(asyncio.Event()))
                        await asyncio.Event().wait()
                else:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(fail_when_told(asyncio.Event()))
                        await asyncio.Event().wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            went_on = True

        task = asyncio.create_task(nested())
        await turns()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await task
        return went_on

    usual, with_join_set = (
        run(cancel_a_failing_pair, False),
        run(cancel_a_failing_pair, True),
    )

    if BEFORE_3_13:
        assert usual
    assert not with_join_set


def test_row_08_a_cancel_that_cannot_land_does_not_spin(run: Run) -> None:
    """Anyio cancels again and again while a task cleans up; here it is asked once."""

    async def deliveries(ours: bool) -> int:
        count = 0
        release = asyncio.Event()

        async def stubborn() -> None:
            nonlocal count
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    count += 1
            raise asyncio.CancelledError

        async def usual_way() -> None:
            # Where its tasks are eager, on uvloop, it also fails in the end.
            with contextlib.suppress(BaseExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(stubborn)
                    await turns()
                    group.cancel_scope.cancel()
                    await asyncio.shield(let_go)

        async def our_way() -> None:
            async with JoinSet[None]() as tasks:
                tasks.spawn(stubborn())
                await turns()
                tasks.abort_all()
                await let_go

        async def later() -> None:
            await turns(50)
            release.set()

        let_go = asyncio.create_task(later())
        await (our_way() if ours else usual_way())
        return count

    usual, with_abort = run(deliveries, False), run(deliveries, True)

    assert usual > 10
    assert with_abort == 1


def test_row_13_a_running_task_cannot_be_collected(run: Run) -> None:
    """A bare `create_task` may vanish at the next collection; a spawned one stays."""

    async def survives(ours: bool) -> bool:
        async def forgotten() -> None:
            await asyncio.get_running_loop().create_future()

        async with JoinSet[None]() as tasks:
            if ours:
                task = tasks.spawn(forgotten())
            else:
                task = asyncio.create_task(forgotten())
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's complaint is the point, but not of this test
            seen = weakref.ref(task)
            del task
            await turns()
            gc.collect()
            alive = seen() is not None
            tasks.abort_all()
        return alive

    usual, spawned = run(survives, False), run(survives, True)

    assert not usual
    assert spawned


def test_row_14_cleanup_is_awaited_not_orphaned(run: Run) -> None:
    """A cancelled `shield` leaves its work behind; a JoinSet waits for it."""

    async def left_behind(ours: bool) -> bool:
        release = asyncio.Event()
        finished = asyncio.Event()

        async def commit() -> None:
            await release.wait()
            finished.set()

        inner: list[asyncio.Task[None]] = []

        async def request() -> None:
            if ours:
                async with JoinSet[None]() as tasks:
                    inner.append(tasks.spawn(commit()))
            else:
                inner.append(asyncio.create_task(commit()))
                await asyncio.shield(inner[0])

        task = asyncio.create_task(request())
        await turns()
        task.cancel()
        await asyncio.wait([task])
        orphan = not inner[0].done()
        release.set()
        await asyncio.wait(inner)
        return orphan

    usual, with_join_set = run(left_behind, False), run(left_behind, True)

    assert usual
    assert not with_join_set


def test_row_32_results_in_order_of_completion_and_siblings_kept(run: Run) -> None:
    """A failing child of a `TaskGroup` ends its siblings; a JoinSet keeps them."""

    async def usual() -> list[str]:
        seen: list[str] = []

        async def work(name: str, turns_needed: int) -> None:
            await turns(turns_needed)
            if name == "bad":
                raise ValueError(name)
            seen.append(name)

        with contextlib.suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for name, needed in (("slow", 9), ("bad", 3), ("quick", 1)):
                    group.create_task(work(name, needed))
        return seen

    async def ours() -> list[str]:
        async def work(name: str, turns_needed: int) -> str:
            await turns(turns_needed)
            if name == "bad":
                raise ValueError(name)
            return name

        async with JoinSet[str]() as tasks:
            for name, needed in (("slow", 9), ("bad", 3), ("quick", 1)):
                tasks.spawn(work(name, needed))
            return [
                repr(error) if (error := task.exception()) else task.result()
                async for task in tasks
            ]

    seen_usual, seen = run(usual), run(ours)

    assert seen_usual == ["quick"]
    assert seen == ["quick", "ValueError('bad')", "slow"]


def test_row_33_a_group_can_be_ended_early(run: Run) -> None:
    """Before 3.15 a `TaskGroup` cannot be ended without an error; a JoinSet can."""

    async def ours() -> int:
        async with JoinSet[None]() as tasks:
            for _ in range(3):
                tasks.spawn(asyncio.Event().wait())  # type: ignore[arg-type]  # its result is not looked at
            await turns()
            tasks.abort_all()
        return len(tasks)

    assert run(ours) == 0
    if sys.version_info < (3, 15):
        assert not hasattr(asyncio.TaskGroup, "cancel")


def test_row_11_a_stop_is_a_request_that_tasks_can_finish_on(run: Run) -> None:
    """The usual way to stop is a cancel, in the middle; a token is heard between.

    That `asyncio.run` dies at SIGTERM without any cleanup is shown with the signals,
    in `test_row_11_sigterm_and_ctrl_c_are_one_policy`.
    """

    async def usual() -> list[str]:
        steps: list[str] = []

        async def work() -> None:
            while True:
                steps.append("begin")
                await turns(3)
                steps.append("end")

        task = asyncio.create_task(work())
        await turns(2)
        task.cancel()
        await asyncio.wait([task])
        return steps

    async def ours() -> list[str]:
        steps: list[str] = []
        stop = CancellationToken()

        async def work() -> None:
            while not stop.is_cancelled:
                steps.append("begin")
                await turns(3)
                steps.append("end")

        async with timeout(10), JoinSet[None]() as tasks:
            tasks.spawn(work())
            await turns(2)
            stop.cancel()
        return steps

    cut, steps = run(usual), run(ours)

    assert cut.count("begin") == cut.count("end") + 1
    assert steps.count("begin") == steps.count("end") > 0


def test_row_18_a_producer_waits_for_a_slow_consumer(run: Run) -> None:
    """An unbounded queue grows with its producer; a channel holds it back."""

    async def ours() -> int:
        tx, rx = mpsc.channel(4)
        most = 0

        async def produce() -> None:
            with tx:
                for n in range(100):
                    await tx.send(n)

        async with JoinSet[None]() as tasks:
            tasks.spawn(produce())
            async for _ in rx:
                most = max(most, len(rx) + 1)
                await turns(2)
        return most

    assert run(ours) == 4
