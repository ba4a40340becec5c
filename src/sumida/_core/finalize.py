"""What a finaliser may do: it runs anywhere, at any moment, on any thread.

A handle that is collected instead of closed still has to wake those who wait for it.
The collector may have interrupted the very method that it would call, so the work is
always put on the loop that the waiters sleep on, and done there in its own turn.
"""

import contextlib
from collections.abc import Callable

from sumida._core.waiters import WaiterQueue

__all__ = ("finalize",)


def finalize(
    waiters: WaiterQueue, action: Callable[[], object], *others: WaiterQueue
) -> None:
    """Do `action` on the loop of `waiters`, soon; at once if nobody ever waited.

    Args:
        waiters: The queue that the action may wake.
        action: What to do; it must not raise.
        *others: More queues that it may wake, of the same loop.
    """
    for queue in (waiters, *others):
        loop = queue.loop
        # The loop may be closed by its own thread between the two calls.
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(action)
                return
    # Nobody waits, or only tasks that never run again.
    action()
