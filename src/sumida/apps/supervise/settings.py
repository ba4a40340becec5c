"""What is known of each process before it is started: values, and no more.

Made by `procfile.load`; everything else reads them.
"""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, final

__all__ = (
    "EXIT_POLICIES",
    "RESTART_POLICIES",
    "BackOff",
    "CommandReady",
    "ExitPolicy",
    "ExitReady",
    "LineReady",
    "PortReady",
    "ProcessFile",
    "Ready",
    "RestartPolicy",
    "Settings",
)

RestartPolicy: TypeAlias = Literal["never", "on-failure", "always"]
"""When a process that has ended is started again."""

ExitPolicy: TypeAlias = Literal["first-failure", "all"]
"""What ends the whole, and with which exit code."""

RESTART_POLICIES: Final[tuple[RestartPolicy, ...]] = ("never", "on-failure", "always")
"""The values of `restart`."""

EXIT_POLICIES: Final[tuple[ExitPolicy, ...]] = ("first-failure", "all")
"""The values of `exit`."""


@final
@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait before a process is started again.

    Attributes:
        first: Before the first restart, in seconds.
        factor: What each further wait is multiplied with, 1 or more.
        max: The longest wait, in seconds.
    """

    first: float = 0.5
    factor: float = 2.0
    max: float = 30.0


@final
@dataclass(frozen=True, slots=True)
class PortReady:
    """A process is ready when a TCP port answers.

    Attributes:
        port: The port, 1 to 65535.
        host: Where it is asked.
    """

    port: int
    host: str = "127.0.0.1"


@final
@dataclass(frozen=True, slots=True)
class LineReady:
    """A process is ready when it has written such a line.

    Attributes:
        pattern: A regular expression, searched for in each line of both outputs.
    """

    pattern: str


@final
@dataclass(frozen=True, slots=True)
class CommandReady:
    """A process is ready when a command succeeds, which is tried again and again.

    Attributes:
        command: The program and its arguments.
    """

    command: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class ExitReady:
    """A process is ready when it has ended with success: a migration, a build."""


Ready: TypeAlias = PortReady | LineReady | CommandReady | ExitReady
"""How a process shows that those that depend on it may start."""


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """One process of the file.

    Attributes:
        name: What it is called.
        command: The program and its arguments.
        cwd: The folder that it is started in.
        env: What is added to the environment.
        restart: When it is started again.
        back_off: How long to wait before that.
        stable_after: After how many seconds the waits begin with the first again.
        max_restarts: How often it may be started again without having been stable;
            None for always.
        depends_on: What has to be ready before it is started.
        ready: How it shows that it is ready; None: as soon as it was started.
        ready_timeout: How long it may take to be ready, in seconds.
        stop_signal: What asks it to stop.
        stop_grace: How long it may take to stop before it is killed, in seconds.
    """

    name: str
    command: tuple[str, ...]
    cwd: Path
    env: tuple[tuple[str, str], ...] = ()
    restart: RestartPolicy = "on-failure"
    back_off: BackOff = BackOff()
    stable_after: float = 10.0
    max_restarts: int | None = None
    depends_on: tuple[str, ...] = ()
    ready: Ready | None = None
    ready_timeout: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: float = 10.0


@final
@dataclass(frozen=True, slots=True)
class ProcessFile:
    """All processes of a file.

    Attributes:
        processes: In the order in which they stand there.
        exit: What ends the whole.
    """

    processes: tuple[Settings, ...]
    exit: ExitPolicy = "first-failure"
