"""Refuse arguments that are none, at the call, with their name and value.

A comparison is the whole check while the argument is right; these say what is wrong
with one that is not.
"""

import math
from typing import NoReturn

__all__ = ("check_count", "check_moment", "is_at_least", "refuse")


def is_at_least(value: float, least: float) -> bool:
    """Compare what should be a number.

    Args:
        value: Anything.
        least: The least that is wanted.

    Returns:
        Whether it is a number, and so great; "not a number" is not.
    """
    try:
        return value >= least
    except TypeError:
        return False


def refuse(name: str, value: object, wanted: str) -> NoReturn:
    """Raise for a number that is out of range, or that is none.

    Args:
        name: Of the argument.
        value: Its value.
        wanted: What it should be, without its name.

    Raises:
        TypeError: It is no number at all.
        ValueError: It is one.
    """
    try:
        math.isnan(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(f"{name} must be a number, {wanted}, not {value!r}") from None
    except OverflowError:
        pass  # an int of three hundred digits
    raise ValueError(f"{name} must be {wanted}, not {value}")


def check_moment(name: str, value: float) -> None:
    """Refuse what is no moment of the loop's clock.

    Args:
        name: Of the argument.
        value: Seconds; any number.

    Raises:
        TypeError: It is no number at all.
        ValueError: It is "not a number".
    """
    try:
        is_number = not math.isnan(value)
    except TypeError:
        is_number = False
    except OverflowError:
        is_number = True
    if not is_number:
        refuse(name, value, "a number of seconds")


def check_count(name: str, value: int, least: int = 0) -> int:
    """Refuse what does not count anything.

    Args:
        name: Of the argument.
        value: Its value.
        least: The least that is taken.

    Returns:
        The value.

    Raises:
        TypeError: It is no int; True is none either.
        ValueError: It is less.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, not {value}")
    return value
