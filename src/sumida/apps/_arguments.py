"""What the command lines of several programs have in common."""

import argparse
import math
from typing import Final

__all__ = ("at_least_one", "port_number", "some_seconds")

_PORTS: Final = 65535


def at_least_one(text: str) -> int:
    """Read a number of 1 or more; for `type=` of an argument.

    Args:
        text: What stands on the command line.

    Returns:
        The number.

    Raises:
        ArgumentTypeError: It is none, or less than 1.
    """
    number = _number(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def port_number(text: str) -> int:
    """Read a port, or 0 for any that is free; for `type=` of an argument.

    Args:
        text: What stands on the command line.

    Returns:
        The port.

    Raises:
        ArgumentTypeError: It is no number, or not from 0 to 65535.
    """
    number = _number(text)
    if not 0 <= number <= _PORTS:
        raise argparse.ArgumentTypeError(f"must be 0 to {_PORTS}, not {number}")
    return number


def some_seconds(text: str) -> float:
    """Read a time of more than 0 seconds; for `type=` of an argument.

    Args:
        text: What stands on the command line.

    Returns:
        The seconds.

    Raises:
        ArgumentTypeError: It is no number, not more than 0, or has no end.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return seconds


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, not {text!r}"
        ) from None
