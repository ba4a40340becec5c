"""What may be set while a server serves: its limit, and its certificate."""

import socket

import pytest

from sumida import JoinSet, spawn_blocking
from sumida.net import Server, TcpListener, TcpStream
from sumida.sync import Notify
from sumida.testing import turns
from tests.net.certificates import client_context, server_context
from tests.support import Run

LOCAL = "127.0.0.1"


async def _echo(stream: TcpStream) -> None:
    while data := await stream.read():
        await stream.write_all(data)


def test_the_limit_can_be_raised_and_lowered(run: Run) -> None:
    """Who waits comes in; who is served finishes, and is not replaced."""

    async def main() -> list[int]:
        listener = await TcpListener.bind(LOCAL, 0)
        seen: list[int] = []
        changed = Notify()

        async def hold(stream: TcpStream) -> None:
            changed.notify_one()
            await stream.read()
            changed.notify_one()

        async with Server(hold, [listener], max_connections=1) as server:
            streams = [await TcpStream.connect(LOCAL, server.port) for _ in range(4)]
            await changed.notified()
            await turns(20)
            seen.append(server.connections)
            server.max_connections = 3
            await changed.notified()
            await turns(20)
            seen.append(server.connections)
            server.max_connections = 1
            for stream in streams[:3]:
                stream.close()
            while server.connections > 1:
                await turns()
            seen.append(server.connections)
            server.max_connections = 5
            seen.append(server.max_connections)
            for stream in streams:
                await stream.close_gracefully()
        return seen

    assert run(main) == [1, 3, 1, 5]


def test_a_limit_of_none_is_refused(run: Run) -> None:
    """As by the constructor."""

    async def main() -> int:
        listener = await TcpListener.bind(LOCAL, 0)
        async with Server(_echo, [listener], max_connections=2) as server:
            with pytest.raises(ValueError, match="1 or more, not 0"):
                server.max_connections = 0
            return server.max_connections

    assert run(main) == 2


def test_tls_can_be_switched_on_without_closing_the_port(run: Run) -> None:
    """A plain connection from before goes on beside one with TLS."""

    async def main() -> bytes:
        listener = await TcpListener.bind(LOCAL, 0)
        async with Server(_echo, [listener], drain=0.0) as server:
            plain = await TcpStream.connect(LOCAL, server.port)
            await plain.write_all(b"a")
            said = await plain.read()
            listener.tls = server_context()
            safe = await TcpStream.connect(
                LOCAL, server.port, tls=client_context(), server_hostname="localhost"
            )
            async with plain, safe:
                await safe.write_all(b"b")
                said += await safe.read()
                await plain.write_all(b"c")
                said += await plain.read()
            assert listener.tls is server_context()
        return said

    assert run(main) == b"abc"


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_who_connected_before_the_stop_is_served(run: Run, *, is_tls: bool) -> None:
    """Though nobody has accepted yet; a close would reset them."""

    async def main() -> list[bytes]:
        listener = await TcpListener.bind(
            LOCAL, 0, tls=server_context() if is_tls else None
        )
        server = Server(_echo, [listener], drain=5.0)
        server.start()
        socks = [
            socket.create_connection((LOCAL, listener.port), timeout=5)
            for _ in range(100)
        ]
        # No turn of the loop between the connects and the stop.
        async with JoinSet[bytes]() as tasks:
            for sock in socks:
                tasks.spawn(spawn_blocking(_talk, sock, is_tls=is_tls))
            report = await server.stop()
            said = await tasks.join_all()
        assert report.finished == 100
        return said

    assert run(main) == [b"x"] * 100


def _talk(sock: socket.socket, *, is_tls: bool) -> bytes:
    """Say something, and hear it; on a thread."""
    if is_tls:
        sock = client_context().wrap_socket(sock, server_hostname="localhost")
    with sock:
        sock.sendall(b"x")
        return sock.recv(1)
