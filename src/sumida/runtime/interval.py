"""Do something again and again, in time."""

import math
from asyncio import Future
from collections.abc import AsyncIterator
from typing import Final, Literal, final, get_args

from sumida._core.arguments import check_moment, is_at_least, refuse
from sumida._core.clock import now
from sumida.errors import BusyError
from sumida.operation import PENDING, Operation, Pending, Source
from sumida.runtime.timers import Sleep

__all__ = ("Interval", "Missed")

Missed = Literal["burst", "delay", "skip"]
"""What to do about ticks that were missed."""

# A tick counts as missed when it is later than this, in seconds; Tokio's number.
_GRACE: Final = 0.005


# Of a period.
_ROUNDING: Final = 1e-6


@final
class Interval(Source[float]):
    """Ticks at a fixed rate; one task at a time waits for them.

    Args:
        period: Seconds from tick to tick, more than 0.
        missed: When ticks were missed, because nobody waited for them: "burst" makes
            up for them at once, "delay" goes on a period after the late tick, "skip"
            goes on with the next that is a whole number of periods from the start.
        start: The time of the first tick, in seconds of the loop's clock; None for
            the moment of the first wait.

    Raises:
        TypeError: `period` or `start` is no number.
        ValueError: `period` is not more than 0, or endless; `missed` none of the
            three; or `start` "not a number".

    Source:
        `tokio::time::Interval`, `interval`, `interval_at`, `MissedTickBehavior`
    """

    __slots__ = ("_missed", "_period", "_sleep", "_tick")

    def __init__(
        self, period: float, missed: Missed = "burst", *, start: float | None = None
    ) -> None:
        if not is_at_least(period, 0) or period in (0, math.inf):
            refuse("period", period, "more than 0 seconds, and not endless")
        if missed not in get_args(Missed):
            raise ValueError(f"missed must be burst, delay or skip, not {missed!r}")
        if start is not None:
            check_moment("start", start)
        self._period = period
        self._missed: Missed = missed
        self._sleep = None if start is None else Sleep(start)
        self._tick = _Tick(self)

    def __repr__(self) -> str:
        return f"<Interval {self._period:g} s, {self._missed}>"

    @property
    def period(self) -> float:
        """Seconds from tick to tick."""
        return self._period

    @property
    def missed(self) -> Missed:
        """What is done about missed ticks."""
        return self._missed

    @property
    def _sleeping(self) -> Sleep:
        """The wait for the next tick."""
        if self._sleep is None:
            self._sleep = Sleep(now())
        return self._sleep

    def tick(self) -> Operation[float]:
        """Wait for the next tick; the first comes at once.

        Returns:
            An operation, the same each time, that gives the time for which the tick
            was planned, in seconds of the loop's clock.

        Cancel safety:
            Safe: no tick is taken.
        """
        return self._tick

    def operation(self) -> Operation[float]:
        """Give `tick()`, so that `select.loop` takes the interval itself."""
        return self._tick

    def take(self) -> float:
        """Count the tick that is due, and plan the next.

        Returns:
            The time for which it was planned.
        """
        planned = self._sleeping.deadline
        time = now()
        following = planned + self._period
        if time - planned > _GRACE:
            if self._missed == "delay":
                following = time + self._period
            elif self._missed == "skip":
                # A little more, for what is a whole number of periods late is seldom
                # that in binary, and would tick twice at once.
                passed = math.floor((time - planned) / self._period + _ROUNDING)
                following = planned + (passed + 1) * self._period
        self._sleeping._plan(following)
        return planned

    def reset(self) -> None:
        """Plan the next tick a period from now."""
        self._sleeping.reset(now() + self._period)

    def reset_immediately(self) -> None:
        """Plan the next tick for now."""
        self._sleeping.reset(now())

    def reset_after(self, seconds: float) -> None:
        """Plan the next tick so long from now.

        Args:
            seconds: How long, 0 or more.

        Raises:
            TypeError: `seconds` is no number.
            ValueError: It is negative, or "not a number".
        """
        if not is_at_least(seconds, 0):
            refuse("seconds", seconds, "0 or more")
        self._sleeping.reset(now() + seconds)

    def reset_at(self, deadline: float) -> None:
        """Plan the next tick for a moment.

        Args:
            deadline: The moment, in seconds of the loop's clock.

        Raises:
            TypeError: `deadline` is no number.
            ValueError: It is "not a number".
        """
        self._sleeping.reset(deadline)

    def __aiter__(self) -> AsyncIterator[float]:
        return self

    async def __anext__(self) -> float:
        return await self._tick


@final
class _Tick(Operation[float]):
    """The wait for an interval's next tick."""

    __slots__ = ("_interval",)

    def __init__(self, interval: Interval) -> None:
        self._interval = interval

    def __repr__(self) -> str:
        return f"<Tick of {self._interval!r}>"

    def poll(self) -> float | Literal[Pending.PENDING]:
        """Take the tick if it is due; see `Operation.poll`."""
        if self._interval._sleeping.poll() is PENDING:
            return PENDING
        return self._interval.take()

    def arm(self, future: Future[object]) -> object:
        """Set a timer; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            A token for this wait.

        Raises:
            BusyError: Another task waits for its tick.
        """
        sleeping = self._interval._sleeping
        if sleeping.is_armed:
            raise BusyError(
                f"{self._interval!r} is awaited by two tasks at once",
                "make an Interval for each task",
            )
        return sleeping.arm(future)

    def disarm(self) -> None:
        """Cancel the timer; see `Operation.disarm`."""
        self._interval._sleeping.disarm()
