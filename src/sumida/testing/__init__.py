"""What programs that use this library test themselves with."""

from sumida.testing.drive import turns

__all__ = ("turns",)
