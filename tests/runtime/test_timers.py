"""Sleeps: never early, fixed when they are made, exact under the paused clock."""

import asyncio
import math
import time

import pytest

from sumida import CancellationToken, select, sleep, sleep_until, timeout
from sumida.errors import BusyError
from sumida.testing import run_paused, turns
from tests.support import Run


def test_a_sleep_is_never_early(run: Run) -> None:
    """Also not on uvloop, whose clock and timers are in whole milliseconds."""

    async def main() -> bool:
        for seconds in (0.0004, 0.001, 0.0023):
            started = time.monotonic()
            await sleep(seconds)
            if time.monotonic() - started < seconds:
                return False
        return True

    assert run(main)


def test_no_time_lets_the_others_run(run: Run) -> None:
    """A sleep of 0 yields once, and no more."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            seen.append("other")

        task = asyncio.create_task(other())
        await sleep(0)
        seen.append("main")
        await task
        return seen

    assert run(main) == ["other", "main"]


def test_the_moment_is_fixed_by_the_call() -> None:
    """A sleep that is kept goes on while something else wins."""

    async def main() -> float:
        nap = sleep(10)
        for _ in range(4):
            assert (await select(nap, sleep(2), biased=True))[0] == 1
        assert not nap.is_elapsed
        assert await select(nap, sleep(100)) == (0, None)
        await nap
        assert nap.is_elapsed
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 10


def test_reset_moves_the_moment() -> None:
    """Before it is awaited, while it is, and after."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        nap = sleep(5)
        nap.reset(loop.time() + 1)
        await nap
        seen = [loop.time()]
        nap.reset(20)
        task = asyncio.ensure_future(nap)
        await turns()
        nap.reset(30)
        await task
        return [*seen, loop.time(), nap.deadline]

    assert run_paused(main) == [1, 30, 30]


def test_a_moment_that_has_passed_is_done_at_once() -> None:
    """`sleep_until` the past does not wait."""

    async def main() -> float:
        await sleep(5)
        await sleep_until(1)
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 5


def test_for_ever_is_for_ever() -> None:
    """An endless sleep ends by a deadline only."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with timeout(1000):
                await sleep(math.inf)
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 1000


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan])
def test_bad_times_are_refused(run: Run, seconds: float) -> None:
    """The value is shown."""

    async def main() -> None:
        with pytest.raises(ValueError, match=str(seconds)):
            sleep(seconds)
        with pytest.raises(ValueError, match="nan"):
            sleep_until(math.nan)
        with pytest.raises(ValueError, match="nan"):
            sleep(1).reset(math.nan)

    run(main)


def test_two_tasks_cannot_share_a_sleep(run: Run) -> None:
    """The second is refused, the first is not disturbed."""

    async def main() -> bool:
        nap = sleep(0.005)
        first = asyncio.ensure_future(nap)
        await turns()
        with pytest.raises(BusyError):
            await nap
        await first
        return first.done()

    assert run(main)


def test_a_cancelled_sleep_leaves_no_timer(run: Run) -> None:
    """It can be awaited again, to the same moment."""

    async def main() -> str:
        nap = sleep(0.01)
        task = asyncio.ensure_future(nap)
        await turns()
        armed = repr(nap)
        task.cancel()
        await asyncio.wait([task])
        assert "idle" in repr(nap)
        await nap
        return armed

    assert "armed" in run(main)


def test_reset_wakes_who_would_have_slept_for_ever() -> None:
    """There was no timer before, and there is one now; and the other way round."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        kept = sleep(math.inf)
        waiting = asyncio.ensure_future(kept)
        await turns()
        kept.reset(5)
        await sleep(1)
        kept.reset(math.inf)
        await sleep(9)
        seen = [waiting.done()]
        kept.reset(12)
        await waiting
        return [*seen, loop.time()]

    assert run_paused(main) == [False, 12]


def test_who_looks_does_not_take_the_timer_of_who_waits() -> None:
    """It is one task's to await, but a mistake must not be silence for ever."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        kept = sleep(2)
        waiting = asyncio.ensure_future(kept)
        await turns()
        kept.reset(loop.time())  # its timer is due, and was not looked at
        await kept
        await waiting
        return [loop.time()]

    assert run_paused(main) == [0]


def test_no_time_in_a_select_lets_the_others_run_too(run: Run) -> None:
    """It is ready in the next turn, and not before."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            seen.append("other")

        task = asyncio.create_task(other())
        await select(sleep(0), CancellationToken())
        seen.append("went on")
        await task
        return seen

    assert run(main) == ["other", "went on"]


def test_no_timer_is_left_behind() -> None:
    """By a cancel, by a reset, and by a deadline that was met."""

    def timers() -> int:
        loop = asyncio.get_running_loop()
        return sum(not handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]  # private

    async def main() -> list[int]:
        kept = sleep(100)
        waiting = asyncio.ensure_future(kept)
        await turns()
        for moment in (200, 300, 400):
            kept.reset(moment)
        seen = [timers()]
        waiting.cancel()
        await turns()
        seen.append(timers())
        async with timeout(100) as deadline:
            deadline.reschedule(200)
            seen.append(timers())
        return [*seen, timers()]

    assert run_paused(main) == [1, 0, 1, 0]
