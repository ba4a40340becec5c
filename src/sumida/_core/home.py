"""On which loop a thread finds the tasks that use an object."""

from asyncio import AbstractEventLoop

__all__ = ("home_of",)


def home_of(*loops: AbstractEventLoop | None) -> AbstractEventLoop | None:
    """Choose the loop that does what a thread asks for.

    An object may outlive the loop on which it was made, and be used on the next.

    Args:
        *loops: Where tasks have waited last, then where the object was made; None
            where that is not known.

    Returns:
        The first that is not closed; a closed one if all are; None if none is known.
    """
    known = [loop for loop in loops if loop is not None]
    for loop in known:
        if not loop.is_closed():
            return loop
    return known[0] if known else None
