"""Tasks of a JoinSet: joined, aborted, never lost."""

import asyncio
import contextlib
import gc
import re
import weakref
from collections.abc import Callable, Sequence

import pytest

from sumida import JoinSet, select, sleep, timeout
from sumida.errors import Elapsed, MisuseError
from sumida.runtime import joinset
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import Run


async def square(n: int, wait: int = 0) -> int:
    """Give a square after some turns."""
    await turns(wait)
    return n * n


async def fail(message: str, wait: int = 0) -> int:
    """Raise after some turns."""
    await turns(wait)
    raise ValueError(message)


async def for_ever() -> int:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()
    return 0


def test_results_come_in_order_of_completion(run: Run) -> None:
    """`async for` and `join_next` give the quick ones first."""

    async def main() -> tuple[list[int], int | None]:
        async with JoinSet[int]() as tasks:
            for n in (3, 1, 2):
                tasks.spawn(square(n, wait=n * 5))
            first = await tasks.join_next()
            rest = [task.result() async for task in tasks]
            assert await tasks.join_next() is None
            assert tasks.try_join_next() is None
        return rest, first.result() if first else None

    assert run(main) == ([4, 9], 1)


def test_join_all_gives_results_in_order_of_spawning(run: Run) -> None:
    """However they end, the results stand as they were spawned."""

    async def main() -> list[int]:
        async with JoinSet[int]() as tasks:
            for n in (3, 1, 2):
                tasks.spawn(square(n, wait=n * 5))
            return await tasks.join_all()

    assert run(main) == [9, 1, 4]


def test_join_all_raises_all_failures(run: Run) -> None:
    """Failures and aborted tasks come in one group, when all have ended."""

    async def main() -> list[str]:
        async with JoinSet[int]() as tasks:
            tasks.spawn(fail("a"))
            tasks.spawn(square(1))
            tasks.spawn(for_ever(), name="long").cancel()
            with pytest.raises(BaseExceptionGroup) as error:
                await tasks.join_all()
            assert tasks.is_empty
        return sorted(type(one).__name__ for one in error.value.exceptions)

    assert run(main) == ["CancelledError", "ValueError"]


def test_leaving_the_block_joins(run: Run) -> None:
    """Nothing spawned outlives the block, and results are not needed."""

    async def main() -> tuple[list[int], int]:
        seen: list[int] = []

        async def note(n: int) -> None:
            await turns(n)
            seen.append(n)

        async with JoinSet[None]() as tasks:
            for n in (5, 1, 3):
                tasks.spawn(note(n))
        return seen, len(tasks)

    assert run(main) == ([1, 3, 5], 0)


def test_unread_failures_are_raised_at_the_end(run: Run) -> None:
    """Siblings are kept; what nobody took is in an ExceptionGroup."""

    async def main() -> bool:
        async with JoinSet[int]() as tasks:
            tasks.spawn(fail("bad"))
            slow = tasks.spawn(square(3, wait=20))
        return slow.done()

    with pytest.raises(ExceptionGroup, match="JoinSet") as error:
        run(main)

    assert [str(one) for one in error.value.exceptions] == ["bad"]


def test_a_failure_that_was_taken_is_not_raised_again(run: Run) -> None:
    """Who takes a task answers for its error."""

    async def main() -> str:
        async with JoinSet[int]() as tasks:
            tasks.spawn(fail("bad"))
            task = await tasks.join_next()
            assert task is not None
            return str(task.exception())

    assert run(main) == "bad"


def test_an_error_in_the_block_aborts_and_waits(run: Run) -> None:
    """The tasks have ended, and cleaned up, when the error comes out."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def careful() -> None:
            try:
                await for_ever()
            finally:
                await turns(5)
                seen.append("cleaned up")

        with pytest.raises(KeyError):
            async with JoinSet[None]() as tasks:
                tasks.spawn(careful())
                await turns()
                raise KeyError("body")
        return seen

    with pytest.raises(BaseExceptionGroup) if False else contextlib.nullcontext():
        assert run(main) == ["cleaned up"]


def test_errors_of_body_and_cleanup_are_both_told(run: Run) -> None:
    """A task that fails while it is aborted does not hide the body's error."""

    async def bad_cleanup() -> None:
        try:
            await for_ever()
        finally:
            raise ValueError("cleanup")

    async def main() -> None:
        async with JoinSet[None]() as tasks:
            tasks.spawn(bad_cleanup())
            await turns()
            raise KeyError("body")

    with pytest.raises(ExceptionGroup) as error:
        run(main)

    assert [type(one) for one in error.value.exceptions] == [KeyError, ValueError]


def test_a_cancel_aborts_waits_and_goes_on(run: Run) -> None:
    """A cancelled block ends as cancelled, with no task left, even if asked twice."""

    async def main() -> tuple[bool, bool]:
        cleaned = False

        async def careful() -> None:
            nonlocal cleaned
            try:
                await for_ever()
            finally:
                await turns(20)
                cleaned = True

        async def block() -> None:
            async with JoinSet[None]() as tasks:
                tasks.spawn(careful())

        task = asyncio.create_task(block())
        await turns()
        task.cancel()
        await turns(5)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), cleaned

    assert run(main) == (True, True)


def test_a_failure_that_the_block_has_met_is_told_once(run: Run) -> None:
    """What is raised by awaiting a task of the set is raised as it is, not twice."""

    async def main() -> None:
        async with JoinSet[int]() as tasks:
            tasks.spawn(for_ever())
            await tasks.spawn(fail("once"))

    with pytest.raises(ValueError, match="once"):
        run(main)


def test_a_cancel_and_a_failure_are_both_kept(run: Run) -> None:
    """The failures are raised, and the cancel comes at the next wait."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def bad_cleanup() -> None:
            try:
                await for_ever()
            finally:
                raise ValueError("cleanup")

        async def block() -> None:
            try:
                async with JoinSet[None]() as tasks:
                    tasks.spawn(bad_cleanup())
                    await for_ever()
            except ExceptionGroup as group:
                seen.append(str(group.exceptions[0]))
            try:
                await turns()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        task = asyncio.create_task(block())
        await turns()
        task.cancel()
        await asyncio.wait([task])
        return [*seen, str(task.cancelled())]

    assert run(main) == ["cleanup", "cancelled", "True"]


def test_a_deadline_around_failing_tasks_leaves_no_stray_cancel(run: Run) -> None:
    """After the block of a timeout the task is cancelled no more."""

    async def main() -> bool:
        async def bad_cleanup() -> None:
            try:
                await for_ever()
            finally:
                raise ValueError("cleanup")

        with pytest.raises(ExceptionGroup):
            async with timeout(0.001), JoinSet[None]() as tasks:
                tasks.spawn(bad_cleanup())
        await turns()
        task = asyncio.current_task()
        return task is not None and task.cancelling() == 0

    assert run(main)


def test_a_child_that_is_aborted_is_no_failure(run: Run) -> None:
    """`abort_all` ends the set early, in peace."""

    async def main() -> int:
        async with JoinSet[int]() as tasks:
            tasks.spawn(for_ever())
            tasks.spawn(for_ever()).cancel()
            await turns()
            tasks.abort_all()
        return len(tasks)

    assert run(main) == 0


def test_shutdown_aborts_waits_and_forgets(run: Run) -> None:
    """The set is empty then, and can be used again."""

    async def main() -> list[int]:
        async with JoinSet[int]() as tasks:
            tasks.spawn(for_ever())
            tasks.spawn(fail("unseen"))
            await turns()
            await tasks.shutdown()
            assert tasks.is_empty
            tasks.spawn(square(2))
            return await tasks.join_all()

    assert run(main) == [4]


def test_detached_tasks_run_on(run: Run) -> None:
    """They are not aborted, and not collected, and the set is empty."""

    async def main() -> int:
        async with JoinSet[int]() as tasks:
            task = tasks.spawn(square(3, wait=10))
            tasks.detach_all()
            assert tasks.is_empty
        seen = weakref.ref(task)
        del task
        gc.collect()
        detached = seen()
        assert detached is not None
        return await detached

    assert run(main) == 9


def test_a_task_is_kept_alive_by_its_set(run: Run) -> None:
    """Nobody else need hold it."""

    async def main() -> bool:
        async with JoinSet[int]() as tasks:
            seen = weakref.ref(tasks.spawn(for_ever()))
            await turns()
            gc.collect()
            alive = seen() is not None
            tasks.abort_all()
        return alive

    assert run(main)


def test_spawn_after_the_block_is_refused(run: Run) -> None:
    """The coroutine is closed, so that Python does not warn of it."""

    async def main() -> None:
        async with JoinSet[int]() as tasks:
            pass
        with pytest.raises(MisuseError, match="whose block has ended"):
            tasks.spawn(square(1))
        with pytest.raises(MisuseError, match="entered again"):
            async with tasks:
                pass

    run(main)


def test_what_is_no_fresh_coroutine_is_refused(run: Run) -> None:
    """A function, a future, and a coroutine that was started."""

    async def main() -> None:
        async with JoinSet[int]() as tasks:
            with pytest.raises(TypeError, match="call the async function"):
                tasks.spawn(square)  # type: ignore[arg-type]  # the mistake
            with pytest.raises(TypeError, match=r"Sleep.*; await it in an async"):
                tasks.spawn(sleep(1))  # type: ignore[arg-type]  # the mistake
            coroutine = square(3)
            await coroutine
            with pytest.raises(MisuseError, match="started before"):
                tasks.spawn(coroutine)
            coroutine = square(2)
            tasks.spawn(coroutine)
            await turns()
            with pytest.raises(MisuseError, match="started before"):
                tasks.spawn(coroutine)

    run(main)


def test_spawn_without_a_loop_is_refused() -> None:
    """It says what to do, and closes the coroutine."""
    tasks: JoinSet[int] = JoinSet()

    with pytest.raises(MisuseError, match="no event loop"):
        tasks.spawn(square(1))


def test_blocking_functions_are_tasks_too(run: Run) -> None:
    """Their results come with the others."""

    async def main() -> list[int]:
        async with JoinSet[int]() as tasks:
            tasks.spawn_blocking(sum, [1, 2])
            tasks.spawn(square(2))
            return await tasks.join_all()

    assert run(main) == [3, 4]


def test_repr_and_names(run: Run) -> None:
    """The state can be read, and tasks bear their names."""

    async def main() -> tuple[str, str, str]:
        async with JoinSet[int]() as tasks:
            name = tasks.spawn(square(1), name="one").get_name()
            busy = repr(tasks)
            await turns()
            ended = repr(tasks)
        return name, busy, ended

    name, busy, ended = run(main)

    assert name == "one"
    assert busy in {"<JoinSet 1 running, 0 ended>", "<JoinSet 0 running, 1 ended>"}
    assert ended == "<JoinSet 0 running, 1 ended>"


def test_join_next_loses_a_select_without_harm(run: Run) -> None:
    """A task that ends in the same turn stays in the set."""

    async def main() -> int:
        async with JoinSet[int]() as tasks:
            tasks.spawn(square(5, wait=5))
            winner = await select(turns(2), tasks.join_next(), biased=True)
            assert winner == (0, None)
            task = await tasks.join_next()
            assert task is not None
            return task.result()

    assert run(main) == 25


class JoinNextWorld:
    """A task waits for another to end."""

    def __init__(self) -> None:
        self.tasks: JoinSet[int] = JoinSet()
        self.go = asyncio.Event()

    async def child(self) -> int:
        await self.go.wait()
        return 7

    async def subject(self) -> object:
        self.tasks.spawn(self.child())
        return await self.tasks.join_next()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.let_go]

    async def let_go(self) -> None:
        self.go.set()
        await turns(2)

    async def check(self, outcome: Outcome) -> None:
        kept = len(self.tasks)
        await self.tasks.shutdown()
        if outcome.returned:
            assert kept == 0
        elif outcome.at:
            assert kept == 1


def test_a_cancelled_join_next_takes_nothing(run: Run) -> None:
    """The task stays in the set, wherever the cancel strikes."""
    assert run(cancel_everywhere, JoinNextWorld) >= 8


def test_a_set_within_a_deadline(run: Run) -> None:
    """A deadline aborts the tasks and comes out as Elapsed."""

    async def main() -> int:
        with pytest.raises(Elapsed):
            async with timeout(0.001), JoinSet[int]() as tasks:
                tasks.spawn(for_ever())
        return len(tasks)

    assert run(main) == 0


def test_a_set_that_keeps_on_growing_is_told_of_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each result is kept until it is taken; one that takes them has few."""
    monkeypatch.setattr(joinset, "_MANY", 3)

    async def main() -> None:
        async with JoinSet[int]() as emptied, JoinSet[int]() as grown:
            for n in range(9):
                while emptied.try_join_next() is not None:
                    pass
                emptied.spawn(square(n))
                grown.spawn(square(n))
                await turns(2)

    run(main)

    (message,) = caplog.messages
    assert re.match(r"<JoinSet \d running, 3 ended> keeps each result", message)
