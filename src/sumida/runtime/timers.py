"""Wait for a moment, or for a time to pass."""

import math
from asyncio import Future, TimerHandle
from collections.abc import Generator
from typing import Literal, final

from sumida._core.arguments import check_moment, refuse
from sumida._core.clock import call_at, now
from sumida.errors import BusyError
from sumida.operation import PENDING, Operation, Pending

__all__ = ("Sleep", "sleep", "sleep_until")


def _turn() -> Generator[None, None, None]:
    yield


@final
class Sleep(Operation[None]):
    """Wait until a moment; made by `sleep` and `sleep_until`.

    It can be kept: in a `select` that is repeated, the moment stays. It stays done
    until it is `reset`.

    Source:
        `tokio::time::Sleep`
    """

    __slots__ = ("_deadline", "_future", "_handle", "_has_yielded")

    def __init__(self, deadline: float, *, has_yielded: bool = True) -> None:
        self._deadline = deadline
        self._future: Future[object] | None = None
        self._handle: TimerHandle | None = None
        # A sleep of no time lets the others run once all the same.
        self._has_yielded = has_yielded

    def __repr__(self) -> str:
        state = "armed" if self._future is not None else "idle"
        return f"<Sleep until {self._deadline:.3f} {state}>"

    @property
    def deadline(self) -> float:
        """The moment, in seconds of the loop's clock."""
        return self._deadline

    @property
    def is_elapsed(self) -> bool:
        """Whether the moment has come."""
        return now() >= self._deadline

    def reset(self, deadline: float) -> None:
        """Wait for another moment from now on.

        Args:
            deadline: The moment, in seconds of the loop's clock.

        Raises:
            TypeError: `deadline` is no number.
            ValueError: It is "not a number".
        """
        check_moment("deadline", deadline)
        self._plan(deadline)

    def _plan(self, deadline: float) -> None:
        """Do as `reset`, with a moment that is known to be one."""
        self._deadline = deadline
        # A wait for ever has no timer yet.
        if self._future is not None:
            if self._handle is not None:
                self._handle.cancel()
                self._handle = None
            self._schedule()

    @property
    def is_armed(self) -> bool:
        """Whether a task waits with it now."""
        return self._future is not None

    def __await__(self) -> Generator[object, None, None]:
        if self._has_yielded:
            return Operation.__await__(self)
        self._has_yielded = True
        return _turn()

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether the moment has come; see `Operation.poll`."""
        if now() < self._deadline or not self._has_yielded:
            return PENDING
        future = self._future
        if future is not None:
            if not future.done():
                # Another task's, which would have to wait for ever without its timer.
                future.set_result(self)
            self.disarm()
        return None

    def arm(self, future: Future[object]) -> object:
        """Set a timer; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The operation itself.

        Raises:
            BusyError: Another task waits with it.
        """
        if self._future is not None:
            raise BusyError(
                f"{self!r} is awaited by two tasks at once",
                "call sleep() for each task",
            )
        self._future = future
        self._has_yielded = True
        self._schedule()
        return self

    def _schedule(self) -> None:
        if self._deadline != math.inf:
            self._handle = call_at(self._deadline, self._wake)

    def _wake(self) -> None:
        future = self._future
        if future is None or future.done():
            return
        if now() < self._deadline:
            # uvloop's timers may be a millisecond early.
            self._handle = call_at(self._deadline + 0.001, self._wake)
            return
        future.set_result(self)

    def disarm(self) -> None:
        """Cancel the timer; see `Operation.disarm`."""
        self._future = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def sleep(seconds: float) -> Sleep:
    """Wait for a time, which begins with the call.

    Args:
        seconds: How long, 0 or more; 0 lets the other tasks run once. `inf` waits
            for ever.

    Returns:
        An operation. It is never early, and late by no more than the loop is.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: It is negative, or "not a number".

    Cancel safety:
        Safe.

    Source:
        `tokio::time::sleep`
    """
    # `is_at_least`, written out: many sleep in a loop.
    try:
        is_fit = seconds >= 0
    except TypeError:
        is_fit = False
    if not is_fit:
        refuse("seconds", seconds, "0 or more")
    return Sleep(now() + seconds, has_yielded=seconds > 0)


def sleep_until(deadline: float) -> Sleep:
    """Wait until a moment.

    Args:
        deadline: The moment, in seconds of the loop's clock; one that has passed is
            done at once.

    Returns:
        An operation.

    Raises:
        TypeError: `deadline` is no number.
        ValueError: It is "not a number".

    Cancel safety:
        Safe.

    Source:
        `tokio::time::sleep_until`
    """
    check_moment("deadline", deadline)
    return Sleep(deadline)
