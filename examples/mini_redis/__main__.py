"""Start the server: `python examples/mini_redis --port 6379`."""

import argparse
import runpy
import sys
from pathlib import Path

import sumida
from sumida.errors import ConnectError

__all__ = ("main",)


async def main(host: str, port: int, max_clients: int) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.
        max_clients: How many may be connected at once.

    Cancel safety:
        Safe.
    """
    from .server import MiniRedis  # noqa: PLC0415  # found when run as a package only

    def announce(port: int) -> None:
        sys.stdout.write(f"mini-redis listens on {host}, port {port}\n")
        sys.stdout.flush()

    server = MiniRedis(max_clients=max_clients)
    await server.serve(host, port, sumida.shutdown_token(), announce)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mini_redis", description="A small server that speaks Redis' protocol."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add(
        "--port", type=int, default=6379, help="0 for a free one (default: %(default)s)"
    )
    add("--max-clients", type=int, default=10_000, help="default: %(default)s")
    add("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    if not __package__:
        # Started as a folder, which puts this folder on the path. As a package, from
        # the folder above, its files find each other.
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        runpy.run_module("mini_redis", run_name="__main__", alter_sys=True)
        sys.exit()
    chosen = _arguments()
    try:
        sumida.run(
            main,
            chosen.host,
            chosen.port,
            chosen.max_clients,
            uvloop={"auto": None, "asyncio": False, "uvloop": True}[chosen.loop],
        )
    except (ConnectError, OSError, ValueError) as error:
        # A port that is taken, a name that is not known, a number that cannot be.
        sys.exit(f"mini_redis: {error}")
