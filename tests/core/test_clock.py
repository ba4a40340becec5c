"""The clock is the loop's."""

import asyncio

import pytest

from sumida._core.clock import call_at, hold, now
from sumida.testing import PausedLoop, run_paused
from tests.support import Run


def test_it_is_the_loops_time(run: Run) -> None:
    """Reading it, and being called by it."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        before = now()
        call_at(before + 0.002, future.set_result, "called")
        assert await future == "called"
        return before <= now() and abs(now() - loop.time()) < 1

    assert run(main)


def test_no_clock_is_in_whole_milliseconds(run: Run) -> None:
    """Also on uvloop, whose own is; it is never behind that one."""

    async def main() -> set[int]:
        loop = asyncio.get_running_loop()
        seen = set()
        for _ in range(50):
            assert loop.time() <= now()
            seen.add(round(now() * 1e6) % 1000)
        return seen

    assert run(main) != {0}


def test_a_loop_with_a_clock_of_its_own_is_believed() -> None:
    """A subclass that tells another time, as a paused loop does."""
    uvloop = pytest.importorskip("uvloop")

    class Slow(uvloop.Loop):  # type: ignore[misc, name-defined]  # known at run time only
        def time(self) -> float:
            return 7.0

    async def main() -> float:
        return now()

    with asyncio.Runner(loop_factory=Slow) as runner:
        assert runner.run(main()) == 7.0


def test_only_a_paused_clock_is_held(run: Run) -> None:
    """A real one goes on; a paused one waits for who holds it."""

    async def real() -> None:
        hold(asyncio.get_running_loop())()

    async def paused() -> list[bool]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PausedLoop)
        let_go = hold(loop)
        seen = [loop.is_held]
        let_go()
        return [*seen, loop.is_held]

    run(real)

    assert run_paused(paused) == [True, False]
