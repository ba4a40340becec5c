"""mini-redis against Redis itself, and against the same server on asyncio streams.

python bench/bench_redis.py

The load is `redis-benchmark -t set,get -c 50`, one request at a time and 16 at a time.
All run in turn, each server is a process of its own, and each keeps its best round.
The server on asyncio streams knows GET and SET only, checks nothing and has no limits;
it stands below, and is written as one writes it with streams: `readuntil`,
`readexactly`, `write`, `drain`.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from harness import Row, show

ROOT: Final = Path(__file__).resolve().parents[1]
LOOPS: Final = ("asyncio", "uvloop")
CLIENTS: Final = 50
REQUESTS: Final = {1: 20_000, 16: 160_000}
"""Requests of one round, by how many are under way at a time on each connection."""

ROUNDS: Final = 4
_TICK: Final = os.sysconf("SC_CLK_TCK")


async def _serve_with_streams() -> None:
    """Serve GET and SET on asyncio streams, and tell the port."""
    data: dict[bytes, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:-2])
                words = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:-2])
                    words.append((await reader.readexactly(size + 2))[:-2])
                match words:
                    case [b"GET", key]:
                        value = data.get(key)
                        if value is None:
                            writer.write(b"$-1\r\n")
                        else:
                            writer.write(b"$%d\r\n%b\r\n" % (len(value), value))
                    case [b"SET", key, value]:
                        data[key] = value
                        writer.write(b"+OK\r\n")
                    case _:
                        writer.write(b"*0\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def _started(command: list[str]) -> Iterator[tuple[int, int]]:
    """Start a server that prints its port last; give its process and the port."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(  # noqa: S603  # what is named here
        command, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline().split()[-1])
        finally:
            process.terminate()


@contextmanager
def _started_redis() -> Iterator[tuple[int, int]]:
    """Start Redis itself, with nothing on disk."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(  # noqa: S603  # what is named here
            [  # wherever it is installed
                *("redis-server", "--port", str(port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", folder),
            ],
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            # It does not tell when it listens.
            time.sleep(1)
            yield process.pid, port
        finally:
            process.terminate()


def _cpu(process: int) -> float:
    """Tell the seconds that a process has computed."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").split()
    return (int(fields[13]) + int(fields[14])) / _TICK


def _load(port: int, command: str, pipeline: int) -> float:
    """Put one server under load; the requests that it answered in a second."""
    done = subprocess.run(  # noqa: S603  # what is named here
        [  # wherever it is installed
            *("redis-benchmark", "-p", str(port), "-t", command, "--csv"),
            *("-c", str(CLIENTS), "-P", str(pipeline)),
            *("-n", str(REQUESTS[pipeline])),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    line = done.stdout.strip().splitlines()[-1]
    return float(line.split(",")[1].strip('"'))


def _servers() -> dict[str, AbstractContextManager[tuple[int, int]]]:
    """Give what is measured, by name."""
    servers: dict[str, AbstractContextManager[tuple[int, int]]] = {}
    for loop in LOOPS:
        ours = [sys.executable, str(ROOT / "examples" / "mini_redis")]
        servers[f"mini-redis, {loop}"] = _started(
            [*ours, "--port", "0", "--loop", loop]
        )
        servers[f"asyncio streams, {loop}"] = _started(
            [sys.executable, __file__, "--streams", loop]
        )
    servers["Redis"] = _started_redis()
    return servers


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table: time for a request, and the server's CPU time of it.
    """
    if not (shutil.which("redis-benchmark") and shutil.which("redis-server")):
        return []
    wall: dict[tuple[str, str, int], float] = defaultdict(lambda: float("inf"))
    cpu: dict[tuple[str, str, int], float] = defaultdict(lambda: float("inf"))
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(server) for name, server in _servers().items()
        }
        for _ in range(ROUNDS):
            for pipeline, requests in REQUESTS.items():
                for command in ("set", "get"):
                    for name, (process, port) in running.items():
                        case = name, command, pipeline
                        before = _cpu(process)
                        rate = _load(port, command, pipeline)
                        used = (_cpu(process) - before) / requests
                        wall[case] = min(wall[case], 1e6 / rate)
                        cpu[case] = min(cpu[case], used * 1e6)
    return [
        Row(f"{what}, {command.upper()} -P {pipeline}, {loop}", *figures, unit="µs")
        for what, found in (("request", wall), ("CPU", cpu))
        for loop in LOOPS
        for pipeline in REQUESTS
        for command in ("set", "get")
        for peer in (f"asyncio streams, {loop}", "Redis")
        for figures in [
            (
                found[f"mini-redis, {loop}", command, pipeline],
                peer,
                found[peer, command, pipeline],
            )
        ]
    ]


def main() -> None:
    """Measure; or be the server on asyncio streams."""
    if "--streams" not in sys.argv:
        show("redis", rows())
        return
    if sys.argv[-1] == "uvloop":
        import uvloop  # noqa: PLC0415  # an optional dependency

        uvloop.run(_serve_with_streams())
    else:
        asyncio.run(_serve_with_streams())


if __name__ == "__main__":
    main()
