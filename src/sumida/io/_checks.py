"""Checks of arguments that several streams share."""

__all__ = ("check_timeout",)


def check_timeout(name: str, seconds: float | None) -> float | None:
    """Refuse what is no time to wait.

    Args:
        name: Of the argument.
        seconds: Its value.

    Returns:
        The value.

    Raises:
        ValueError: It is not more than 0.
    """
    if seconds is not None and not seconds > 0:
        raise ValueError(
            f"{name} must be more than 0 seconds, or None for no limit, not {seconds}"
        )
    return seconds
