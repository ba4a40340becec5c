"""How a process ended."""

from dataclasses import dataclass
from typing import final

from sumida.errors import ExitError
from sumida.process._names import name_of

__all__ = ("ExitStatus",)

_SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a process."""


@final
@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: with a code of its own, or by a signal.

    Both are None when nobody can know: another part of the program has waited for the
    child first, or ignores SIGCHLD.

    Attributes:
        code: What it gave to `exit`, 0 to 255; None when a signal ended it.
        signal: The signal that ended it, else None.

    Source:
        `std::process::ExitStatus`
    """

    code: int | None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return name_of(self.signal)
        return "unknown status" if self.code is None else f"exit code {self.code}"

    def __bool__(self) -> bool:
        raise TypeError("an ExitStatus is not true or false; ask is_success")

    @property
    def is_success(self) -> bool:
        """Whether it ended with code 0."""
        return self.code == 0

    @property
    def shell_code(self) -> int:
        """The code as a shell tells it: 128 + the signal where one ended it.

        255 when the status is unknown, as asyncio has it.
        """
        if self.signal is not None:
            return _SIGNALLED + self.signal
        return 255 if self.code is None else self.code

    def check(self, command: str = "the child", stderr: str = "") -> None:
        """Raise unless it was a success.

        Args:
            command: What was started, for the message.
            stderr: What it wrote to its standard error, for the message.

        Raises:
            ExitError: It was none.
        """
        if not self.is_success:
            raise ExitError(command, str(self), stderr)
