"""The clock of the running loop: the one place where time is read or waited for.

A paused clock (`sumida.testing`) or a simulator is a loop with another `time()` and
`call_at()`; whatever goes through here follows it.
"""

import math
import sys
from asyncio import AbstractEventLoop, TimerHandle
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from time import monotonic
from typing import Final

from sumida.errors import MisuseError

__all__ = ("call_at", "hold", "now")

# uvloop's clock is that of the system in whole milliseconds, and stands still while a
# callback runs: what is late already looks as if it had just begun. On Linux both
# count from the same moment, so the system's own is read. (uvloop 0.23)
_ROUNDED: Final[dict[type[AbstractEventLoop], bool]] = {}


def _is_rounded(loop: AbstractEventLoop) -> bool:
    kind = type(loop)
    known = _ROUNDED.get(kind)
    if known is None:
        is_uvloop = kind.__module__.partition(".")[0] == "uvloop"
        known = _ROUNDED[kind] = is_uvloop and sys.platform == "linux"
    return known


def _running() -> AbstractEventLoop:
    loop = running_loop()
    if loop is None:
        raise MisuseError(
            "the clock is asked for where no event loop runs", "call it inside `run`"
        )
    return loop


def now() -> float:
    """Read the clock.

    Returns:
        The running loop's time, in seconds; only differences mean anything.

    Raises:
        MisuseError: No event loop runs here.
    """
    loop = running_loop() or _running()
    return monotonic() if _is_rounded(loop) else loop.time()


def call_at(
    when: float, callback: Callable[..., object], *arguments: object
) -> TimerHandle:
    """Call `callback` when the clock shows `when`, or later.

    uvloop counts whole milliseconds and may call early by one: who must not be early
    looks at the clock when called, and calls this again.

    Args:
        when: A time of `now`, in seconds.
        callback: What to call, on the loop's thread.
        *arguments: Its arguments.

    Returns:
        A handle that can be cancelled.

    Raises:
        MisuseError: No event loop runs here.
    """
    loop = running_loop() or _running()
    if _is_rounded(loop):
        # Rounded up, for less than half a millisecond would be no time at all.
        delay = max(when - monotonic(), 0.0)
        return loop.call_later(math.ceil(delay * 1000) / 1000, callback, *arguments)
    return loop.call_at(when, callback, *arguments)


def _let_nothing_go() -> None:
    """Do nothing: a real clock cannot be held."""


def hold(loop: AbstractEventLoop) -> Callable[[], None]:
    """Keep a paused clock from jumping while a thread works for the loop.

    Args:
        loop: The loop; one with a real clock is not held.

    Returns:
        What lets it go again.
    """
    held: Callable[[], None] | None = getattr(loop, "hold", None)
    if held is None:
        return _let_nothing_go
    held()
    let_go: Callable[[], None] = loop.let_go  # type: ignore[attr-defined]  # goes with hold
    return let_go
