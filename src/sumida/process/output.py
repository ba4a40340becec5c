"""All that a child wrote, once it has ended."""

from dataclasses import dataclass
from typing import Final, final

from sumida.process.status import ExitStatus

__all__ = ("Output",)

_SHOWN: Final = 2000
"""Bytes of a child's complaint that fit into a message."""


@final
@dataclass(frozen=True, slots=True)
class Output:
    """What a child wrote, and how it ended.

    Attributes:
        status: How it ended.
        stdout: What it wrote; empty where that went elsewhere.
        stderr: What it complained of, as above.
        command: What was started.

    Source:
        `std::process::Output`
    """

    status: ExitStatus
    stdout: bytes
    stderr: bytes
    command: str = "the child"

    def check(self) -> bytes:
        """Give what it wrote, if it was a success.

        Returns:
            `stdout`.

        Raises:
            ExitError: It was none; the end of `stderr` is in the message.
        """
        said = self.stderr[-_SHOWN:].decode("utf-8", "replace").strip()
        self.status.check(self.command, said)
        return self.stdout
