"""Timed waits on a plain lock, for the locks of this package."""

from threading import TIMEOUT_MAX, Lock

from sumida._core.arguments import is_at_least, refuse

__all__ = ("acquire", "check_timeout")


def check_timeout(timeout: float | None) -> None:
    """Refuse a timeout that is none.

    Args:
        timeout: Seconds, at least 0; None for no limit.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or "not a number".
    """
    if timeout is not None and not is_at_least(timeout, 0):
        refuse("timeout", timeout, "at least 0 seconds")


def acquire(lock: Lock, timeout: float | None) -> bool:
    """Acquire `lock`, blocking the thread.

    Args:
        lock: A plain lock.
        timeout: Seconds, at least 0, infinity too; None for no limit.

    Returns:
        Whether it was acquired in time.
    """
    # The interpreter refuses a wait of more than some centuries.
    return lock.acquire(timeout=-1 if timeout is None else min(timeout, TIMEOUT_MAX))
