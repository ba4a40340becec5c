"""Checks of arguments that several streams share."""

__all__ = ("check_timeout", "freeze")


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


def freeze(data: bytes | bytearray | memoryview) -> bytes:
    """Copy what could change while it waits to be written.

    Args:
        data: Bytes.

    Returns:
        Bytes that cannot change.

    Raises:
        TypeError: It is no bytes.
    """
    if isinstance(data, bytes):
        return data
    if not isinstance(data, bytearray | memoryview):
        raise TypeError(f"data must be bytes, not {type(data).__name__}; encode it")
    return bytes(data)
