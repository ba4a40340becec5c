"""On which loop a thread finds those who use a lock."""

from asyncio import AbstractEventLoop

from sumida._core.waiters import WaiterQueue

__all__ = ("home_of",)


def home_of(
    waiters: WaiterQueue, made_on: AbstractEventLoop | None
) -> AbstractEventLoop | None:
    """Choose the loop that does what a thread asks for.

    Args:
        waiters: The queue of those who wait.
        made_on: The loop in which the object was made, or None.

    Returns:
        Where tasks have waited last, unless that is closed; else where it was made; a
        closed loop if there is no other; None if none is known.
    """
    loop = waiters.loop
    if loop is None or loop.is_closed():
        return made_on or loop
    return loop
