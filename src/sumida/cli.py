"""The `sumida` command: picks one of the ready programs and runs it.

Each program is a module with `add_arguments(parser)` and `start(options)`, which
returns the exit code. Only the one that is run is imported.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from sumida._version import __version__

__all__ = ("COMMANDS", "main")

COMMANDS: Final = {
    "chat": ("sumida.apps.chat_demo", "run a chat server with clients of its own"),
    "demo": ("sumida.apps.demo", "run the proxy, break things under it, and count"),
    "proxy": ("sumida.apps.proxy.command", "balance TCP connections over servers"),
    "supervise": ("sumida.apps.supervise.command", "run the processes of a Procfile"),
}
"""For each command its module, and what it does, in a line."""


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sumida", description="Building blocks for event-driven systems."
    )
    parser.add_argument("--version", action="version", version=f"sumida {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, summary) in COMMANDS.items():
        inner = commands.add_parser(name, help=summary, description=summary)
        if name == command:
            import_module(module).add_arguments(inner)
    return parser


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Let a Ctrl-C end the process, until a program takes the signals over.

    The imports may take a second, and nothing is there yet that had to be cleaned up:
    so no traceback, and the shell is told what it was. Where SIGINT is ignored, as in
    the background of a shell's script, it stays so.
    """
    is_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_pythons:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if is_pythons:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `sumida` command.

    Args:
        arguments: The command line; that of the process by default.

    Raises:
        SystemExit: Always, with the program's exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = given[0] if given else ""
    with _ended_by_ctrl_c():
        options = _parser(command).parse_args(given)
        program = import_module(COMMANDS[command][0])
        raise SystemExit(program.start(options))
