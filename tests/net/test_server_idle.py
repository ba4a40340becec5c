"""Ten thousand idle connections, opened and drained."""

import asyncio
import resource
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator

import pytest

from sumida import select
from sumida.net import StopReport, TcpStream, connection_token, serve
from tests.net.support import LOCAL, descriptors, until
from tests.support import Run

WANTED = 10_000
SPARE = 200

# The clients live in a process of their own: each process has one end of each.
CLIENTS = """
import resource, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
sockets = []
for _ in range(count):
    sockets.append(socket.create_connection(("127.0.0.1", port)))
    sockets[-1].settimeout(300)
print("open", flush=True)
sys.stdin.read()
for sock in sockets[::100]:
    sock.sendall(b"hello")
    assert sock.recv(100) == b"hello"
print("alive", flush=True)
ended = sum(not sock.recv(100) for sock in sockets)
print(ended, flush=True)
"""


@pytest.fixture
def count() -> Iterator[int]:
    """Allow as many descriptors as the system does; give how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(WANTED, hard - SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def answer_until_stop(stream: TcpStream) -> None:
    """Answer until the server stops, as a good handler does."""
    token = connection_token()
    while True:
        match await select(stop=token.cancelled(), data=stream.read(), biased=True):
            case ("data", bytes(data)) if data:
                await stream.write_all(data)
            case _:
                return


@pytest.mark.slow
def test_ten_thousand_idle_connections_are_drained(run: Run, count: int) -> None:
    """All are served, all end in order, and no descriptor is left."""

    async def main() -> tuple[StopReport, int, int]:
        before = descriptors()
        # The usual minute passes on a busy machine while they are opened.
        async with await serve(
            answer_until_stop, LOCAL, 0, drain=300, read_timeout=None
        ) as server:
            clients = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                CLIENTS,
                str(server.port),
                str(count),
                stdin=PIPE,
                stdout=PIPE,
            )
            assert clients.stdin is not None
            assert clients.stdout is not None
            assert await clients.stdout.readline() == b"open\n"
            await until(lambda: server.connections == count, seconds=300)
            clients.stdin.close()
            assert await clients.stdout.readline() == b"alive\n"
        ended = int(await clients.stdout.readline())
        await clients.wait()
        await asyncio.sleep(0)
        del clients
        return await server.stop(), ended, descriptors() - before

    report, ended, left = run(main)

    assert report == StopReport(count, 0, ())
    assert ended == count
    assert left <= 3  # what the loop keeps for child processes
