"""Ready programs of the `sumida` command, written with the public API only."""

__all__ = ()
