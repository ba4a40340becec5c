"""Deadlines: they end what is late, and nothing else."""

import asyncio
import contextlib
import math
import pickle

import anyio
import pytest

from sumida import JoinSet, sleep, timeout, timeout_at
from sumida.channels import mpsc
from sumida.errors import Elapsed, MisuseError
from sumida.testing import run_paused, turns
from tests.support import Run


def test_a_late_block_is_ended() -> None:
    """Elapsed says after how long, and what was waited for."""

    async def main() -> Elapsed:
        tx, rx = mpsc.channel(1)
        with tx, pytest.raises(Elapsed) as error:
            async with timeout(5) as deadline:
                await rx.recv()
        assert deadline.is_expired
        return error.value

    elapsed = run_paused(main)

    assert isinstance(elapsed, TimeoutError)
    assert elapsed.after == 5
    assert "Receiver 0/1" in elapsed.what
    assert "main" in elapsed.what
    assert str(pickle.loads(pickle.dumps(elapsed))) == str(elapsed)  # noqa: S301


def test_a_block_in_time_is_left_alone(run: Run) -> None:
    """Its result and its errors come out as they are."""

    async def main() -> int:
        async with timeout(10) as deadline:
            await turns()
        assert not deadline.is_expired
        async with timeout(None) as never:
            await turns()
        assert never.deadline is None
        with pytest.raises(KeyError):
            async with timeout(10):
                raise KeyError("own")
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main) == 0


def test_a_block_that_does_not_wait_ends_normally(run: Run) -> None:
    """Even with no time at all; one that waits does not."""

    async def main() -> None:
        async with timeout(0):
            pass
        with pytest.raises(Elapsed):
            async with timeout(0):
                await asyncio.get_running_loop().create_future()

    run(main)


@pytest.mark.parametrize(("outer", "inner", "who"), [(1, 5, "outer"), (5, 1, "inner")])
def test_nested_deadlines_end_the_right_block(
    outer: float, inner: float, who: str
) -> None:
    """The one that passes first."""

    async def main() -> tuple[str, float]:
        name = "nobody"
        try:
            async with timeout(outer):
                try:
                    async with timeout(inner):
                        await sleep(100)
                except Elapsed:
                    name = "inner"
        except Elapsed:
            name = "outer"
        return name, asyncio.get_running_loop().time()

    assert run_paused(main) == (who, 1)


def test_two_deadlines_in_one_moment_both_count() -> None:
    """The outer one wins, and no cancel is left."""

    async def main() -> int:
        with pytest.raises(Elapsed):
            async with timeout(1), timeout(1):
                await sleep(100)
        await turns()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run_paused(main) == 0


def test_a_cancel_from_elsewhere_goes_through(run: Run) -> None:
    """Alone, and in the very moment of the deadline."""

    async def main() -> list[bool]:
        async def block(seconds: float) -> None:
            async with timeout(seconds):
                await asyncio.get_running_loop().create_future()

        ended = []
        for seconds in (10.0, 0.0):
            task = asyncio.create_task(block(seconds))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            ended.append(task.cancelled())
        return ended

    assert run(main) == [True, True]


def test_a_block_that_swallows_the_cancel_ends_as_it_likes(run: Run) -> None:
    """It has expired, and says so, and no cancel is left."""

    async def main() -> int:
        async with timeout(0) as deadline:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
        assert deadline.is_expired
        await turns()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main) == 0


def test_it_can_be_rescheduled() -> None:
    """Later, never, and not after it has passed."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(Elapsed):
            async with timeout(1) as deadline:
                await sleep(0.5)
                deadline.reschedule(None)
                await sleep(100)
                deadline.reschedule(loop.time() + 2)
                await sleep(100)
        with pytest.raises(MisuseError, match="after it has expired"):
            deadline.reschedule(None)
        with pytest.raises(ValueError, match="nan"):
            timeout(1).reschedule(math.nan)
        return loop.time()

    assert run_paused(main) == 102.5


def test_a_moment_can_be_given() -> None:
    """`timeout_at` takes the loop's clock."""

    async def main() -> float:
        with pytest.raises(Elapsed):
            async with timeout_at(7):
                await sleep(100)
        async with timeout_at(None):
            pass
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 7


def test_misuse_is_refused(run: Run) -> None:
    """Bad values, a second entry, and no task."""

    async def main() -> None:
        for seconds in (-1, math.nan):
            with pytest.raises(ValueError, match=str(seconds)):
                timeout(seconds)
        with pytest.raises(ValueError, match="nan"):
            timeout_at(math.nan)
        async with timeout(1) as deadline:
            with pytest.raises(MisuseError, match="entered again"):
                async with deadline:
                    pass

    run(main)


def test_leaving_it_in_another_task_is_refused(run: Run) -> None:
    """As a generator does that yields inside the block."""

    async def main() -> None:
        deadline = timeout(10)
        await asyncio.create_task(deadline.__aenter__())
        with pytest.raises(MisuseError, match="another task"):
            await deadline.__aexit__(None, None, None)

    run(main)


def test_every_kind_of_cancel_goes_through_all_of_ours(run: Run) -> None:
    """Task.cancel, asyncio.timeout, TaskGroup and anyio scopes, around our blocks."""

    async def ours() -> None:
        async with timeout(100), JoinSet[None]() as tasks:
            tasks.spawn(for_ever())
            await for_ever()

    async def for_ever() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            await rx.recv()

    async def main() -> list[str]:
        seen: list[str] = []
        task = asyncio.create_task(ours())
        await turns()
        task.cancel()
        await asyncio.wait([task])
        seen.append(f"cancel {task.cancelled()}")
        try:
            async with asyncio.timeout(0.001):
                await ours()
        except TimeoutError as error:
            seen.append(type(error).__name__)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ours())
                await turns()
                raise KeyError("sibling")  # noqa: TRY301  # it ends the group
        except* KeyError:
            seen.append("group")
        with anyio.move_on_after(0.001) as scope:
            await ours()
        seen.append(f"scope {scope.cancelled_caught}")
        await turns()
        current = asyncio.current_task()
        assert current is not None
        return [*seen, str(current.cancelling())]

    assert run(main) == ["cancel True", "TimeoutError", "group", "scope True", "0"]


def test_no_cancel_is_lost_while_the_deadlines_own_is_taken_back(run: Run) -> None:
    """In whichever turn it comes after a failure that the deadline has caused."""

    async def bad_cleanup(failed: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            failed.set()
            raise ValueError("cleanup")

    async def late(failed: asyncio.Event) -> None:
        with contextlib.suppress(ExceptionGroup):
            async with timeout(0.001), JoinSet[None]() as tasks:
                tasks.spawn(bad_cleanup(failed))
        await asyncio.Event().wait()

    async def main() -> list[bool]:
        seen = []
        for wait in range(12):
            failed = asyncio.Event()
            task = asyncio.create_task(late(failed))
            await failed.wait()
            await turns(wait)
            task.cancel()
            await turns(20)
            seen.append(task.cancelled())
            task.cancel()
            await asyncio.wait([task])
        return seen

    assert run(main) == [True] * 12


def test_a_cleanup_has_its_own_deadline(run: Run) -> None:
    """A task that was cancelled, and cleans up, is late by it like any other."""

    async def clean_up() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                async with timeout(0.001):
                    await asyncio.Event().wait()
            except Elapsed:
                return "late"
            raise
        return "never"

    async def main() -> str:
        task = asyncio.create_task(clean_up())
        await turns()
        task.cancel()
        return await task

    assert run(main) == "late"
