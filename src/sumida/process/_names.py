"""What signals are called."""

import signal

__all__ = ("name_of", "named")


def named(number: int) -> int:
    """Give a signal as one of `signal.Signals`, where it has a name.

    Args:
        number: The signal.

    Returns:
        The same number.
    """
    try:
        return signal.Signals(number)
    except ValueError:
        return number


def name_of(number: int) -> str:
    """Name a signal.

    Args:
        number: The signal.

    Returns:
        "SIGTERM", or "signal 40".
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
