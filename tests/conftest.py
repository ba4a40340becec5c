"""Every async test runs on each loop, and on a clean one."""

import gc
from collections.abc import Iterator

import pytest

from tests.support import LOOP_KINDS, LoopKind, Run, Runs


def pytest_collection_finish() -> None:
    """Set aside what is alive before the first test.

    The fixture `run` collects garbage after each run: 85 ms when it goes through all
    of pytest and hypothesis too, 2 ms without them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=LOOP_KINDS, ids=lambda kind: kind.name)
def loop_kind(request: pytest.FixtureRequest) -> LoopKind:
    """Give each kind of loop that works here."""
    kind: LoopKind = request.param
    if kind.why_not is not None:
        pytest.skip(kind.why_not)
    return kind


@pytest.fixture
def run(loop_kind: LoopKind) -> Iterator[Run]:
    """Run async functions; fail on what reached nobody, and on what was left behind.

    A test fails if the exception handler of the loop was told of anything, if tasks
    outlive its main function, and, as warnings are errors, if a coroutine was never
    awaited or something open was left to the garbage collector.
    """
    runs = Runs(loop_kind)
    yield runs
    # Once more, for what the test itself held, and for a main function that raised.
    runs.check()
