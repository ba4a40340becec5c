"""A task is made of a fresh coroutine, and of nothing else."""

import asyncio
from collections.abc import Coroutine

import pytest

from sumida._core.coroutines import _FRESH, start
from sumida.errors import MisuseError
from tests.support import Run


async def work() -> int:
    """Wait a turn."""
    await asyncio.sleep(0)
    return 1


def test_a_fresh_one_becomes_a_named_task(run: Run) -> None:
    """With the name that is given."""

    async def main() -> tuple[str, int]:
        task = start(work(), "named")
        name = task.get_name()
        return name, await task

    assert run(main)[1] == 1


@pytest.mark.parametrize("name", [None, "named"])
def test_the_loop_has_a_say(name: str | None) -> None:
    """Its task factory makes the task, or its own `create_task`; else a plain one."""
    made: list[str] = []

    class Own(asyncio.SelectorEventLoop):
        def create_task(self, coro, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202  # as it likes
            made.append("loop")
            return super().create_task(coro, **options)

    def factory(loop, coro, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202  # as asyncio says
        made.append("factory")
        return asyncio.Task(coro, loop=loop, **options)

    async def main() -> list[str]:
        tasks = [start(work(), name)]
        asyncio.get_running_loop().set_task_factory(factory)
        tasks.append(start(work(), name))
        assert [await task for task in tasks] == [1, 1]
        names = [task.get_name() for task in tasks]
        assert names == [name] * 2 if name else all(names)
        made.append("end")
        return made

    for make, expected in (
        (asyncio.SelectorEventLoop, ["factory", "end"]),
        (Own, ["loop", "loop", "factory", "end"]),
    ):
        made.clear()
        with asyncio.Runner(loop_factory=make) as runner:
            assert runner.run(main())[-len(expected) :] == expected


def test_what_was_started_or_has_ended_is_refused(run: Run) -> None:
    """It says so, and what to do."""

    async def main() -> None:
        coroutine = work()
        task = start(coroutine, None)
        await asyncio.sleep(0)
        with pytest.raises(MisuseError, match="started before"):
            start(coroutine, None)
        await task
        with pytest.raises(MisuseError, match="started before"):
            start(coroutine, None)
        with pytest.raises(TypeError, match="not 5"):
            start(5, None)  # type: ignore[arg-type]  # the mistake

    run(main)


def test_what_has_ended_and_nobody_holds_fails_in_its_task(run: Run) -> None:
    """A task is not lost: it says what was wrong."""

    async def nothing() -> None:
        pass

    def ended() -> Coroutine[object, object, None]:
        coroutine = nothing()
        with pytest.raises(StopIteration):
            coroutine.send(None)
        return coroutine

    async def main() -> str:
        try:
            task = start(ended(), None)
        except MisuseError:
            return "refused"
        await asyncio.wait([task])
        return str(task.exception())

    expected = "cannot reuse already awaited coroutine"
    assert run(main) == (expected if _FRESH else "refused")


def test_what_has_ended_and_somebody_holds_is_refused(run: Run) -> None:
    """Also where it is held by no more than a variable of the caller."""

    async def main() -> None:
        coroutine = work()
        await coroutine
        with pytest.raises(MisuseError, match="started before"):
            spawn(coroutine)

    def spawn(coroutine: Coroutine[object, object, int]) -> None:
        start(coroutine, None)

    run(main)


def test_without_a_loop_it_is_closed() -> None:
    """So that Python does not warn of it."""
    with pytest.raises(MisuseError, match="no event loop"):
        start(work(), None)
