"""What a finaliser may do: it runs anywhere, at any moment, on any thread.

A handle that is collected instead of closed still has to wake those who wait for it.
The collector may have interrupted the very method that it would call, so the work is
always put on the loop that the waiters sleep on, and done there in its own turn.
"""

import contextlib
import warnings
from collections.abc import Callable
from typing import final

from sumida._core.waiters import WaiterQueue

__all__ = ("Net", "finalize", "finalize_unclosed")


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


def finalize_unclosed(
    handle: object, waiters: WaiterQueue, action: Callable[[], object]
) -> None:
    """Close for a handle that should have been closed, and warn of it.

    Args:
        handle: The handle, in its `__del__`.
        waiters: As for `finalize`.
        action: What closes it; as there.
    """
    finalize(waiters, action)
    warnings.warn(
        f"{handle!r} was collected without being closed; "
        "use it in `with`, or call close()",
        ResourceWarning,
        source=handle,
        stacklevel=3,
    )


@final
class Net:
    """Catches what a guard holds when the guard is collected instead of released.

    Only a guard that was awaited has one: `async with` always releases, and a class
    without `__del__` is made and dropped in two thirds of the time.

    Args:
        what: The guard, for the warning.
        waiters: The queue that giving back may wake.
        action: What gives back.
    """

    __slots__ = ("_action", "_waiters", "_what")

    def __init__(
        self, what: str, waiters: WaiterQueue, action: Callable[[], object]
    ) -> None:
        self._what = what
        self._waiters = waiters
        self._action: Callable[[], object] | None = action

    def __repr__(self) -> str:
        return f"<Net {'empty' if self._action is None else 'set'}>"

    def clear(self) -> None:
        """Forget what was held: it was given back."""
        self._action = None

    def __del__(self) -> None:
        action = self._action
        if action is not None:
            finalize(self._waiters, action)
            warnings.warn(
                f"{self._what} was collected while held; "
                "use `async with`, or release it",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
