"""The root of the tree of errors."""

__all__ = ("SumidaError",)


class SumidaError(Exception):
    """The root of every exception of this library."""
