"""Put a deadline on a block: whatever it waits for, it ends in time.

`async with timeout(5):` works around any code, of this library or another, and is
exact where others are not: on CPython 3.11 `asyncio.wait_for` may swallow a cancel.
"""

import asyncio
import math
from asyncio import CancelledError, Task, TimerHandle
from types import TracebackType
from typing import Any, Self, final

from sumida._core.arguments import check_moment, refuse
from sumida._core.clock import call_at, now
from sumida.errors import Elapsed, MisuseError
from sumida.runtime._branches import TURN
from sumida.runtime.dump import waits_for

__all__ = ("Timeout", "timeout", "timeout_at")


@final
class Timeout:
    """A block with a deadline; made by `timeout` and `timeout_at`.

    When the deadline passes, what the block waits for is cancelled, and `Elapsed` is
    raised where the block ends. Blocks may be nested in any way; a cancel from
    elsewhere goes through, and so does any other error. A block that never waits
    cannot be ended, and one that swallows `CancelledError` ends as it likes.

    Source:
        `tokio::time::Timeout`
    """

    __slots__ = (
        "_cancelling",
        "_deadline",
        "_handle",
        "_is_expired",
        "_started",
        "_task",
        "_waited_for",
    )

    def __init__(self, deadline: float | None, started: float) -> None:
        self._deadline = deadline
        self._started = started
        self._task: Task[Any] | None = None
        self._cancelling = 0
        self._handle: TimerHandle | None = None
        self._is_expired = False
        self._waited_for = ""

    def __repr__(self) -> str:
        state = "idle" if self._task is None else "entered"
        state = "expired" if self._is_expired else state
        until = "never" if self._deadline is None else f"{self._deadline:.3f}"
        return f"<Timeout {until} {state}>"

    @property
    def deadline(self) -> float | None:
        """The deadline, in seconds of the loop's clock; None if there is none."""
        return self._deadline

    @property
    def is_expired(self) -> bool:
        """Whether the deadline passed while the block ran."""
        return self._is_expired

    def reschedule(self, deadline: float | None) -> None:
        """Set another deadline.

        Args:
            deadline: In seconds of the loop's clock; None for none.

        Raises:
            TypeError: `deadline` is no number.
            ValueError: It is "not a number".
            MisuseError: It has passed already.
        """
        if deadline is not None:
            check_moment("deadline", deadline)
        if self._is_expired:
            raise MisuseError(
                f"{self!r} is rescheduled after it has expired", "do so before"
            )
        self._deadline = deadline
        if self._task is not None:
            self._schedule()

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._deadline is not None and self._deadline != math.inf:
            self._handle = call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        task = self._task
        if task is None or self._deadline is None:
            return
        if now() < self._deadline:
            # uvloop's timers may be a millisecond early.
            self._handle = call_at(self._deadline + 0.001, self._expire)
            return
        self._handle = None
        self._is_expired = True
        self._waited_for = waits_for(task)
        task.cancel()

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise MisuseError("timeout is used outside of a task", "use it in one")
        if self._task is not None or self._is_expired:
            raise MisuseError(f"{self!r} is entered again", "make one for each block")
        self._task = task
        self._cancelling = task.cancelling()
        self._schedule()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if task is None or asyncio.current_task() is not task:
            raise MisuseError(
                f"{self!r} is left in another task than it was entered in",
                "enter and leave it in one task; do not `yield` inside it",
            ) from exc
        if not self._is_expired:
            return
        if task.uncancel() > self._cancelling:
            return  # somebody else cancels as well, and goes first
        if isinstance(exc, CancelledError):
            after = now() - self._started
            raise Elapsed(after, self._waited_for) from exc
        if getattr(task, "_must_cancel", False):
            # Asked for again by a JoinSet that had errors to raise; it was our cancel,
            # which `uncancel` takes back by itself from CPython 3.13 on.
            try:
                await TURN
            except CancelledError:
                if task.cancelling() > self._cancelling:
                    raise  # and meanwhile somebody else has


def timeout(seconds: float | None) -> Timeout:
    """Give a block so many seconds, from the call on.

    Args:
        seconds: How long, 0 or more; None for no deadline. With 0 a block that does
            not have to wait still ends normally.

    Returns:
        An asynchronous context manager, to be entered once; its `__aexit__` raises
        `Elapsed` when the block was late.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: It is negative, or "not a number".

    Cancel safety:
        Safe: a cancel from elsewhere goes through, also in the tick of the deadline.

    Source:
        `tokio::time::timeout`
    """
    started = now()
    if seconds is None:
        return Timeout(None, started)
    # `is_at_least`, written out: many requests have a deadline.
    try:
        is_fit = seconds >= 0
    except TypeError:
        is_fit = False
    if not is_fit:
        refuse("seconds", seconds, "0 or more, or None")
    return Timeout(started + seconds, started)


def timeout_at(deadline: float | None) -> Timeout:
    """Give a block until a moment.

    Args:
        deadline: The moment, in seconds of the loop's clock; None for none.

    Returns:
        As `timeout`.

    Raises:
        TypeError: `deadline` is no number.
        ValueError: It is "not a number".

    Cancel safety:
        Safe: as `timeout`.

    Source:
        `tokio::time::timeout_at`
    """
    if deadline is not None:
        check_moment("deadline", deadline)
    return Timeout(deadline, now())
