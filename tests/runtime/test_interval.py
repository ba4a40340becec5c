"""Intervals: the rate, and what is done about missed ticks."""

import asyncio
import math
from typing import cast

import pytest

from sumida import Interval, select, sleep
from sumida.errors import BusyError
from sumida.runtime.interval import Missed
from sumida.testing import run_paused, turns


@pytest.mark.parametrize(
    ("missed", "series"),
    [
        ("burst", [0, 0.3, 0.6, 0.9, 1.2, 1.5]),
        ("delay", [0, 0.3, 0.6, 1.251, 1.551]),
        ("skip", [0, 0.3, 0.6, 1.2, 1.5]),
    ],
)
def test_missed_ticks_as_in_tokio(missed: Missed, series: list[float]) -> None:
    """Tokio's own example: a period of 0.3 s, and 0.951 s pass after the second."""

    async def main() -> list[float]:
        interval = Interval(0.3, missed)
        seen = [await interval.tick(), await interval.tick()]
        await sleep(0.951 - asyncio.get_running_loop().time())
        while len(seen) < len(series):
            seen.append(await interval.tick())
        return [round(tick, 6) for tick in seen]

    assert run_paused(main) == series


def test_the_first_tick_comes_at_once() -> None:
    """Or at the start, if one is given."""

    async def main() -> list[float]:
        first = await Interval(5).tick()
        later = await Interval(5, start=3).tick()
        return [first, later, asyncio.get_running_loop().time()]

    assert run_paused(main) == [0, 3, 3]


def test_resets_plan_the_next_tick() -> None:
    """After a period, at once, after a time, at a moment."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        interval = Interval(10)
        await interval.tick()
        await sleep(3)
        interval.reset()
        seen = [await interval.tick()]
        interval.reset_immediately()
        seen.append(await interval.tick())
        interval.reset_after(1)
        seen.append(await interval.tick())
        interval.reset_at(100)
        seen.append(await interval.tick())
        seen.append(await interval.tick())
        return [*seen, loop.time()]

    assert run_paused(main) == [13, 13, 14, 100, 110, 110]


def test_a_tick_that_loses_is_not_taken() -> None:
    """It comes in the next turn, at its time."""

    async def main() -> list[object]:
        interval = Interval(2, start=2)
        lost = await select(sleep(1), interval.tick())
        return [lost, await interval.tick()]

    assert run_paused(main) == [(0, None), 2]


def test_it_can_be_iterated_and_selected() -> None:
    """`async for` gives the times; `select.loop` takes it as it stands."""

    async def main() -> list[float]:
        seen: list[float] = []
        async for tick in Interval(1):
            seen.append(tick)
            if len(seen) == 3:
                break
        async for _, tick in select.loop(tick=Interval(1)):
            seen.append(tick)
            if len(seen) == 5:
                return seen
        return seen

    assert run_paused(main) == [0, 1, 2, 2, 3]


@pytest.mark.parametrize("period", [0, -1, math.nan, math.inf])
def test_bad_periods_are_refused(period: float) -> None:
    """The value is shown."""
    with pytest.raises(ValueError, match="period must be more than 0"):
        Interval(period)


def test_a_bad_policy_is_refused() -> None:
    """The three that there are are named."""
    with pytest.raises(ValueError, match="burst, delay or skip, not 'drop'"):
        Interval(1, cast("Missed", "drop"))


def test_one_task_at_a_time_waits_for_the_ticks() -> None:
    """The second is told of the interval, not of what is inside."""

    async def main() -> float:
        ticks = Interval(1, start=5)
        first = asyncio.ensure_future(anext(ticks))
        await turns()
        with pytest.raises(BusyError, match=r"<Interval 1 s.*an Interval for each"):
            await anext(ticks)
        return await first

    assert run_paused(main) == 5


def test_repr_and_properties() -> None:
    """What it was made with can be read."""
    interval = Interval(0.5, missed="skip")

    assert repr(interval) == "<Interval 0.5 s, skip>"
    assert (interval.period, interval.missed) == (0.5, "skip")
    with pytest.raises(ValueError, match="-1"):
        interval.reset_after(-1)


@pytest.mark.parametrize("late", range(1, 41))
def test_a_skip_of_whole_periods_is_followed_by_a_whole_period(late: int) -> None:
    """A tenth of a second is none in binary: the next tick must not come at once."""

    async def main() -> float:
        interval = Interval(0.1, "skip")
        await interval.tick()
        await sleep(0.1 + 0.1 * late)
        await interval.tick()
        return await interval.tick()

    assert run_paused(main) == pytest.approx(0.1 * (late + 2))
