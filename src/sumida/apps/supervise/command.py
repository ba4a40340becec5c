"""`sumida supervise FILE`: the command line, the signals, the exit code."""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGHUP
from typing import Final, final

import sumida
from sumida import Elapsed, JoinSet, spawn_blocking, timeout
from sumida.apps.supervise.output import (
    Form,
    JsonForm,
    Output,
    TextForm,
    write_to,
)
from sumida.apps.supervise.plan import start_order
from sumida.apps.supervise.procfile import load
from sumida.apps.supervise.settings import (
    EXIT_POLICIES,
    RESTART_POLICIES,
    ExitPolicy,
    ProcessFile,
    RestartPolicy,
)
from sumida.apps.supervise.supervisor import FLUSH, Supervisor
from sumida.apps.supervise.tables import DAY
from sumida.process import SignalStream, signal

__all__ = ("BAD_FILE", "Reader", "add_arguments", "main", "start", "wants_color")

BAD_FILE: Final = 2
"""The exit code when the file is wrong; as for a wrong command line."""

_STDOUT = 1


@final
class Reader:
    """Read the file, now and again at each reload.

    Args:
        path: The file.
        restart: For processes that say nothing of their own.
        exit_policy: Instead of what the file says; None for that.
    """

    __slots__ = ("_exit_policy", "_restart", "path")

    def __init__(
        self, path: Path, restart: RestartPolicy, exit_policy: ExitPolicy | None
    ) -> None:
        self.path = path
        self._restart: RestartPolicy = restart
        self._exit_policy: ExitPolicy | None = exit_policy

    def __repr__(self) -> str:
        return f"<Reader of {self.path}>"

    def read(self) -> ProcessFile:
        """Read it. Blocks.

        Returns:
            What it says.

        Raises:
            ValueError: It is wrong; see `load`.
        """
        file = load(self.path, self._restart)
        if self._exit_policy is not None:
            file = replace(file, exit=self._exit_policy)
        return file


def wants_color(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Tell whether to write colours.

    Args:
        environment: The variables; `NO_COLOR` (https://no-color.org) and `TERM` count.
        is_terminal: Whether the output goes to one.

    Returns:
        Whether.
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return is_terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell the command line what can be said.

    Args:
        parser: Of this command.
    """
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=Path("Procfile"),
        help="a Procfile, or a .toml file (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="write one JSON object a line"
    )
    parser.add_argument(
        "--exit",
        choices=EXIT_POLICIES,
        dest="exit_policy",
        help="what ends all: the first failure, or the end of all "
        "(default: what the file says, else first-failure)",
    )
    parser.add_argument(
        "--restart",
        choices=RESTART_POLICIES,
        default="on-failure",
        help="for processes that say nothing of their own (default: %(default)s)",
    )
    parser.add_argument(
        "--check", action="store_true", help="only read the file, and show the order"
    )
    parser.add_argument(
        "--asyncio", action="store_true", help="use asyncio's loop even with uvloop"
    )


def start(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: What `add_arguments` asked for.

    Returns:
        The exit code.
    """
    reader = Reader(options.file, options.restart, options.exit_policy)
    try:
        file = reader.read()
    except ValueError as error:
        sys.stderr.write(f"sumida supervise: {error}\n")
        return BAD_FILE
    if sys.stdout is None:
        sys.stderr.write("sumida supervise: there is no standard output; give it one\n")
        return BAD_FILE
    if options.check:
        sys.stdout.write(_show(file))
        return 0
    return sumida.run(
        main,
        reader,
        file,
        _form(file, is_json=options.json),
        # Each process has its own grace, and all of them end by themselves.
        grace=DAY,
        uvloop=False if options.asyncio else None,
    )


def _form(file: ProcessFile, *, is_json: bool) -> Form:
    if is_json:
        return JsonForm()
    names = tuple(process.name for process in file.processes)
    is_terminal = os.isatty(_STDOUT)
    return TextForm(names, is_colored=wants_color(os.environ, is_terminal=is_terminal))


def _show(file: ProcessFile) -> str:
    graph = {process.name: process.depends_on for process in file.processes}
    lines = []
    for name in start_order(graph):
        needs = f" after {', '.join(graph[name])}" if graph[name] else ""
        lines.append(f"{name}{needs}\n")
    return "".join(lines)


async def main(reader: Reader, file: ProcessFile, form: Form) -> int:
    """Supervise until all have ended, or a signal comes.

    Args:
        reader: Reads the file again.
        file: What it has read at first.
        form: How lines and events look.

    Returns:
        The exit code.

    Cancel safety:
        Safe: every process is killed, with its group.
    """
    stop = sumida.shutdown_token()
    output = Output(write_to(_STDOUT), form)
    supervisor = Supervisor(file, output)
    # Before anything is started: unheard, it would end this program.
    with signal(SIGHUP) as hangups:
        async with JoinSet[None]() as tasks:
            writer = tasks.spawn(output.run(), name="output")
            reloads = tasks.spawn(_reload(supervisor, reader, hangups), name="reload")
            try:
                code = await supervisor.run(stop)
            finally:
                output.close()
                reloads.cancel()
            # If the terminal stands still to the end, so be it.
            with suppress(Elapsed):
                async with timeout(0 if supervisor.is_cut else FLUSH):
                    await writer
    return code


async def _reload(
    supervisor: Supervisor, reader: Reader, hangups: SignalStream
) -> None:
    """Read the file again at each SIGHUP."""
    async for _ in hangups:
        try:
            file = await spawn_blocking(reader.read)
        except ValueError as error:
            text = f"goes on with what it had; the file is wrong: {error}"
            supervisor.tell("reload-failed", text, error=str(error))
        else:
            supervisor.reload(file)
