"""Every async test runs on each loop, and on a clean one."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator

import pytest

from tests.support import LOOP_KINDS, LoopKind, Run, T


@pytest.fixture(params=LOOP_KINDS, ids=lambda kind: kind.name)
def loop_kind(request: pytest.FixtureRequest) -> LoopKind:
    """Give each kind of loop that works here."""
    kind: LoopKind = request.param
    if kind.why_not is not None:
        pytest.skip(kind.why_not)
    return kind


@pytest.fixture
def run(loop_kind: LoopKind) -> Iterator[Run]:
    """Run async functions; fail on what reached nobody, and on what was left behind."""
    reports: list[str] = []

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        reports.append(f"{context.get('message')}: {context.get('exception')!r}")

    def run(main: Callable[..., Coroutine[object, object, T]], *args: object) -> T:
        async def inner() -> T:
            asyncio.get_running_loop().set_exception_handler(report)
            result = await main(*args)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            names = sorted(task.get_name() for task in left if task is not None)
            assert not names, f"tasks were left behind: {names}"
            return result

        with asyncio.Runner(loop_factory=loop_kind.make) as runner:
            return runner.run(inner())

    yield run
    gc.collect()
    assert not reports, f"the loop's exception handler was told: {reports}"
