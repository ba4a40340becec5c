"""Errors of child processes and signals."""

from typing import Self, final

from sumida.errors.root import SumidaError

__all__ = ("ExitError", "OutputLimitError", "SignalError", "SpawnError")


@final
class SpawnError(SumidaError, OSError):
    """The child could not be started: there is no such program, or no room for it.

    Args:
        program: What was to be started.
        error_number: What the system said, as an `errno`.
        reason: The same in words.

    Attributes:
        program: As above.
        errno: As above.
        reason: As above.
    """

    def __init__(self, program: str, error_number: int, reason: str) -> None:
        super().__init__(error_number, f"cannot start {program!r}: {reason}")
        self.program = program
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot start {self.program!r}: {self.reason}"

    def __reduce__(self) -> tuple[type[Self], tuple[str, int, str]]:
        return type(self), (self.program, self.errno or 0, self.reason)


@final
class ExitError(SumidaError):
    """A child ended with a failure, and the caller asked for success.

    Args:
        command: What was started.
        status: How it ended, in words.
        stderr: The end of what it wrote to its standard error, where that was read.

    Attributes:
        command: As above.
        status: As above.
        stderr: As above.
    """

    def __init__(self, command: str, status: str, stderr: str = "") -> None:
        super().__init__(command, status, stderr)
        self.command = command
        self.status = status
        self.stderr = stderr

    def __str__(self) -> str:
        head = f"{self.command} ended with {self.status}"
        return f"{head}: {self.stderr}" if self.stderr else head


@final
class OutputLimitError(SumidaError):
    """A child wrote more than the caller wanted to keep; it was ended.

    Args:
        command: What was started.
        stream: Which of its streams, "stdout" or "stderr".
        limit: Bytes that were allowed.
        partial: What came until then; `limit` bytes.

    Attributes:
        command: As above.
        stream: As above.
        limit: As above.
        partial: As above.
    """

    def __init__(self, command: str, stream: str, limit: int, partial: bytes) -> None:
        super().__init__(command, stream, limit, partial)
        self.command = command
        self.stream = stream
        self.limit = limit
        self.partial = partial

    def __str__(self) -> str:
        return (
            f"{self.command} wrote more than the limit of {self.limit} bytes to its "
            f"{self.stream}; raise limit=, or read the stream as it comes"
        )


@final
class SignalError(SumidaError, ValueError):
    """A signal that no program may listen to, or that does not exist.

    Args:
        number: The signal.
        reason: Why it cannot be had.

    Attributes:
        number: As above.
        reason: As above.
    """

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(number, reason)
        self.number = number
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen to signal {self.number}: {self.reason}"
