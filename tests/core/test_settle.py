"""cancel_and_wait: no task outlives it."""

import asyncio

import pytest

from sumida._core.settle import cancel_and_wait
from tests.core.support import started, turns
from tests.support import Run


async def ending_slowly(log: list[str], name: str, turns_to_end: int) -> None:
    """Wait for ever; take some turns to end."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await turns(turns_to_end)
        log.append(name)


def test_all_tasks_have_ended_when_it_returns(run: Run) -> None:
    """However long each takes, in any order."""

    async def main() -> tuple[list[str], bool]:
        log: list[str] = []
        tasks = [
            await started(ending_slowly(log, name, n))
            for name, n in (("slow", 9), ("quick", 0), ("middle", 4))
        ]
        await cancel_and_wait(tasks)
        return log, all(task.cancelled() for task in tasks)

    assert run(main) == (["quick", "middle", "slow"], True)


def test_tasks_that_ended_before_are_left_alone(run: Run) -> None:
    """A result that nobody wants is no matter; nor is no task at all."""

    async def main() -> object:
        task = await started(asyncio.sleep(0, "result"))
        await cancel_and_wait([task])
        await cancel_and_wait([])
        return task.result()

    assert run(main) == "result"


def test_a_cancel_is_kept_until_all_have_ended(run: Run) -> None:
    """The caller is cancelled, once or twice, and still leaves no task behind."""

    async def main() -> tuple[list[str], bool]:
        log: list[str] = []
        tasks = [await started(ending_slowly(log, name, 12)) for name in "ab"]
        ending = asyncio.create_task(cancel_and_wait(tasks))
        await turns(2)
        ending.cancel()
        await turns(2)
        assert not ending.done()
        ending.cancel()
        await asyncio.wait([ending])
        return log, ending.cancelled()

    assert run(main) == (["a", "b"], True)


def test_a_task_that_goes_on_regardless_is_waited_for(run: Run) -> None:
    """Its result is dropped, as that of a loser."""

    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await turns(3)
        return "done"

    async def main() -> str:
        task = await started(stubborn())
        await cancel_and_wait([task])
        return task.result()

    assert run(main) == "done"


def test_failures_are_reported_to_the_loop(run: Run) -> None:
    """Each one, with its task and name; nobody else will look at it."""
    reports: list[dict[str, object]] = []

    async def failing() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            raise ValueError("late")

    async def main() -> object:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, context: reports.append(context))
        task = asyncio.create_task(failing(), name="loser")
        await turns()
        await cancel_and_wait([task])
        loop.set_exception_handler(handler)
        return task

    task = run(main)

    assert len(reports) == 1
    assert reports[0]["message"] == "loser failed while it was cancelled"
    assert reports[0]["task"] is task
    assert isinstance(reports[0]["exception"], ValueError)


def test_the_cancel_count_of_the_caller_is_kept(run: Run) -> None:
    """A deadline around it works: it ends as a timeout, not as a cancel."""

    async def main() -> list[str]:
        log: list[str] = []
        task = await started(ending_slowly(log, "a", 6))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await cancel_and_wait([task])
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        return log

    assert run(main) == ["a"]
