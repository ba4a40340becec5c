"""Wake the one task that waits with a receiver, where many wait in one queue."""

from typing import Any

from sumida.operation import QueuedOperation

__all__ = ("wake_own",)


def wake_own(operation: QueuedOperation[Any]) -> None:
    """Let the task that waits with `operation`, if one does, look for itself.

    Args:
        operation: A receiver, or its operation; on the loop of who waits there.
    """
    waiter = operation._waiter
    if waiter is not None and waiter.linked:
        future = waiter.future
        if future is not None and not future.done():
            operation._waiters.wake(waiter)
