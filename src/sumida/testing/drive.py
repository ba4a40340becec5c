"""Step an event loop by hand, so that a test need never sleep."""

import asyncio

from sumida._core.arguments import check_count

__all__ = ("turns",)


async def turns(count: int = 10) -> None:
    """Let the loop turn, so that whatever is ready runs.

    Args:
        count: How many turns, 0 or more. A chain of n wake-ups needs n of them; the
            default is enough for most, and costs 30 microseconds.

    Raises:
        TypeError: `count` is no int.
        ValueError: It is negative.

    Cancel safety:
        Safe.
    """
    for _ in range(check_count("count", count)):
        await asyncio.sleep(0)
