"""Errors that are faults of the program that calls."""

from typing import final

from sumida.errors.root import SumidaError

__all__ = (
    "BlockingCallError",
    "BusyError",
    "HeldAcrossAwaitError",
    "MisuseError",
    "ReleasedError",
    "WrongLoopError",
)


class MisuseError(SumidaError, RuntimeError):
    """The program asked for something that can only be a mistake.

    Args:
        what: What was done, with the value.
        instead: What to do instead.

    Attributes:
        what: As above.
        instead: As above.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what, instead)
        self.what = what
        self.instead = instead

    def __str__(self) -> str:
        return f"{self.what}; {self.instead}"


@final
class BusyError(MisuseError):
    """Two tasks use at once what only one may use."""


@final
class WrongLoopError(MisuseError):
    """An object of one event loop is used from another loop or thread."""


@final
class BlockingCallError(MisuseError):
    """A call that blocks the whole event loop was made on its thread."""


@final
class HeldAcrossAwaitError(MisuseError):
    """A thread lock was still held when its task was suspended."""


@final
class ReleasedError(MisuseError):
    """A guard or permit is used after it was given back."""
