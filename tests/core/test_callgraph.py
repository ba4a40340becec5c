"""asyncio's own call graph: who waits for the tasks of a set, and of a select."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sumida import JoinSet, select, sleep
from sumida._core.callgraph import link, unlink
from sumida.testing import turns
from tests.support import Run

_capture: Callable[..., Any] | None = getattr(asyncio, "capture_call_graph", None)

needs_graph = pytest.mark.skipif(
    _capture is None, reason="CPython has call graphs from 3.14 on"
)


def _awaited_by(task: "asyncio.Task[Any]") -> list[str]:
    assert _capture is not None
    graph = _capture(task)
    return [each.future.get_name() for each in graph.awaited_by]


async def _forever() -> None:
    await asyncio.Event().wait()


@needs_graph
@pytest.mark.parametrize("way", ["leaving", "join_all", "shutdown"])
def test_the_tasks_of_a_set_are_awaited_by_its_owner(run: Run, way: str) -> None:
    """While it waits for all of them, and not later."""

    async def main() -> list[list[str]]:
        tasks: JoinSet[None] = JoinSet()
        gate = asyncio.Event()

        async def work() -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        async def own() -> None:
            async with tasks:
                if way != "leaving":
                    await getattr(tasks, way)()

        children = [tasks.spawn(work()) for _ in range(2)]
        await turns()
        seen = [_awaited_by(children[0])]
        owner = asyncio.create_task(own(), name="owner")
        await turns()
        seen += [_awaited_by(child) for child in children]
        gate.set()
        await owner
        return [*seen, _awaited_by(children[0])]

    assert run(main) == [[], ["owner"], ["owner"], []]


@needs_graph
def test_a_coroutine_of_a_select_is_awaited_by_it(run: Run) -> None:
    """It is a task of its own, which otherwise would seem to be nobody's."""

    async def main() -> list[list[str]]:
        before = asyncio.all_tasks()
        racing = asyncio.create_task(_select(), name="racing")
        await turns()
        (branch,) = asyncio.all_tasks() - before - {racing}
        seen = [_awaited_by(branch)]
        racing.cancel()
        await asyncio.wait([racing])
        return [*seen, _awaited_by(branch)]

    async def _select() -> None:
        await select(_forever(), sleep(100))

    assert run(main) == [["racing"], []]


def test_of_many_only_the_first_are_told_of(run: Run) -> None:
    """Each costs; and nobody is awaited by itself."""

    async def main() -> list[int]:
        own = asyncio.current_task()
        assert own is not None
        futures = [asyncio.get_running_loop().create_future() for _ in range(100)]
        counts = []
        for some in ([], [own], futures):
            linked = link(some)
            counts.append(-1 if linked is None else len(linked[1]))
            unlink(linked)
        return counts

    assert run(main) == ([-1, -1, -1] if _capture is None else [0, 0, 64])
