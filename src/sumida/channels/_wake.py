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
    future = None if waiter is None else waiter.future
    if waiter is not None and future is not None and not future.done():
        operation._waiters.wake(waiter)
