"""What a finaliser may do: it runs anywhere, at any moment, on any thread.

A handle that is collected instead of closed still has to wake those who wait for it.
The collector may have interrupted the very method that it would call, so the work is
always put on the loop that the waiters sleep on, and done there in its own turn.
"""

import contextlib
from collections.abc import Callable

from sumida._core.waiters import WaiterQueue

__all__ = ("finalize",)


def finalize(waiters: WaiterQueue, action: Callable[[], object]) -> None:
    """Do `action` on the loop of `waiters`, soon; at once if nobody ever waited.

    Args:
        waiters: The queue that the action may wake.
        action: What to do; it must not raise.
    """
    loop = waiters.loop
    if loop is None or loop.is_closed():
        action()
        return
    # The loop may be closed by its own thread between the two calls; then nobody
    # waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(action)
