"""Timed waits on a plain lock, for the locks of this package."""

import math
from threading import TIMEOUT_MAX, Lock

__all__ = ("acquire", "check_timeout")


def check_timeout(timeout: float | None) -> None:
    """Refuse a timeout that is none.

    Args:
        timeout: Seconds, at least 0; None for no limit.

    Raises:
        ValueError: It is negative, or not a number.
    """
    if timeout is not None and (timeout < 0 or math.isnan(timeout)):
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout!r}")


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
