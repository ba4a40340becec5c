"""The `sumida` command: picks one of the ready programs and runs it."""

import argparse
from collections.abc import Sequence

from sumida._version import __version__
from sumida.program import run

__all__ = ("main",)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sumida", description="Building blocks for event-driven systems."
    )
    parser.add_argument("--version", action="version", version=f"sumida {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="run a chat server with clients of its own, and count what is lost",
    )
    demo.add_argument("--clients", type=_at_least_one, default=10, help="how many talk")
    demo.add_argument("--seconds", type=float, default=5.0, help="for how long")
    demo.add_argument("--port", type=int, default=0, help="where to listen (0: any)")
    demo.add_argument(
        "--asyncio", action="store_true", help="use asyncio's loop even with uvloop"
    )
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `sumida` command.

    Args:
        arguments: The command line; that of the process by default.

    Raises:
        SystemExit: Always, with the program's exit code.
    """
    options = _parser().parse_args(arguments)
    from sumida.apps import demo  # noqa: PLC0415  # only what is run is loaded

    uvloop = False if options.asyncio else None
    program = (demo.main, options.clients, options.seconds, options.port)
    run(*program, exit=True, uvloop=uvloop)
    raise SystemExit(0)
