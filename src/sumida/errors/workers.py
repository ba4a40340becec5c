"""Errors of servers that run in several processes."""

from typing import final

from sumida.errors.root import SumidaError

__all__ = ("WorkerStartError",)


@final
class WorkerStartError(SumidaError):
    """A server's worker process ended before it could serve.

    Why stands on its stderr: an error of an import, a missing certificate.

    Args:
        handler: The function that it was to serve with.
        exit_code: Its exit code; negative is the signal that ended it.

    Attributes:
        handler: As above.
        exit_code: As above.
    """

    def __init__(self, handler: str, exit_code: int | None) -> None:
        super().__init__(handler, exit_code)
        self.handler = handler
        self.exit_code = exit_code

    def __str__(self) -> str:
        return (
            f"a worker for {self.handler} ended with exit code {self.exit_code} before "
            "it could serve; its stderr says why (is the call that starts the workers "
            'below `if __name__ == "__main__"`?)'
        )
