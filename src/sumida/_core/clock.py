"""The clock of the running loop: the one place where time is read or waited for."""

from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable
from time import monotonic

__all__ = ("call_at", "hold", "now")


# Whether the clock of loops of a type is in whole milliseconds.
_is_coarse: dict[type[AbstractEventLoop], bool] = {}


def now() -> float:
    """Read the clock.

    uvloop's is `time.monotonic` in whole milliseconds, so a time that was counted
    from it could end early by as much; there the monotonic clock itself is read. A
    paused clock, or another of somebody else's loop, is read as it is.

    Returns:
        The running loop's time, in seconds; only differences mean anything.
    """
    loop = get_running_loop()
    kind = type(loop)
    is_coarse = _is_coarse.get(kind)
    if is_coarse is None:
        # A subclass may have a clock of its own.
        owner = next(base for base in kind.__mro__ if "time" in base.__dict__)
        is_coarse = owner.__module__.partition(".")[0] == "uvloop"
        _is_coarse[kind] = is_coarse
    return monotonic() if is_coarse else loop.time()


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
