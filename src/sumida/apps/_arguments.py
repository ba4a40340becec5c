"""What the command lines of several programs have in common."""

import argparse

__all__ = ("at_least_one",)


def at_least_one(text: str) -> int:
    """Read a number of 1 or more; for `type=` of an argument.

    Args:
        text: What stands on the command line.

    Returns:
        The number.

    Raises:
        ArgumentTypeError: It is less than 1.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number
