"""The clock of the running loop: the one place where time is read or waited for."""

from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable

__all__ = ("call_at", "now")


def now() -> float:
    """Read the clock.

    Returns:
        The running loop's time, in seconds; only differences mean anything.
    """
    return get_running_loop().time()


def call_at(
    when: float, callback: Callable[..., object], *arguments: object
) -> TimerHandle:
    """Call `callback` when the clock shows `when`, or later.

    uvloop's clock has a resolution of a millisecond, and it may call early by as
    much: who must not be early looks at the clock again.

    Args:
        when: A time of `now`, in seconds.
        callback: What to call, on the loop's thread.
        *arguments: Its arguments.

    Returns:
        A handle that can be cancelled.
    """
    return get_running_loop().call_at(when, callback, *arguments)
