"""What is to be started, and how: the data behind a `Command`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, final

from sumida.process.streams import PipeReader, PipeWriter

__all__ = ("STOP_GRACE", "Group", "HasFileno", "Options", "Stdio", "Where")


class HasFileno(Protocol):
    """A file, a socket, or anything else with a descriptor."""

    def fileno(self) -> int:
        """Give the descriptor."""
        ...


Where: TypeAlias = Literal["pipe", "null", "inherit"]

Stdio: TypeAlias = Where | int | HasFileno | PipeReader | PipeWriter
"""Where a stream of a child leads: a pipe to us, nowhere, where ours leads, a
descriptor or file, or the stream of another child."""

Group: TypeAlias = Literal["own", "session", "shared"]

STOP_GRACE: Final = 5.0
"""How long a child may take to end when it is asked to, in seconds: shells and servers
need far less, and a Ctrl-C should not seem to be ignored."""


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What is to be started, and how.

    Attributes:
        program: A name that is looked for in PATH, or a path.
        arguments: What follows it.
        shell: Whether `program` is a line for the shell.
        cwd: Where it runs; None for here.
        env: Its environment; None for ours.
        stdin: Where it reads; None for the default.
        stdout: Where it writes, as above.
        stderr: Where it complains, as above; "stdout" for the same place.
        group: Whether it leads a group, a session, or neither.
        pty: Columns and rows of its terminal; None for no terminal.
        dies_with_parent: Whether the kernel kills it when we die.
        grace: How long it may take to end when it is asked to, in seconds.
    """

    program: str
    arguments: tuple[str, ...] = ()
    shell: bool = False
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    stdin: Stdio | None = None
    stdout: Stdio | None = None
    stderr: Stdio | Literal["stdout"] | None = None
    group: Group = "own"
    pty: tuple[int, int] | None = None
    dies_with_parent: bool = False
    grace: float = STOP_GRACE

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.program

    @property
    def argv(self) -> list[str]:
        """The words to start."""
        if self.shell:
            return ["/bin/sh", "-c", self.program, "sh", *self.arguments]
        return [self.program, *self.arguments]
