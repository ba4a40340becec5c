"""Unix domain sockets."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from sumida.errors import ConnectError
from sumida.net import UnixListener, UnixStream
from tests.support import Run


async def _accept(listener: UnixListener) -> UnixStream:
    return await listener.accept()


def test_a_client_and_a_server_talk(run: Run, tmp_path: Path) -> None:
    """Through a file, which goes with the listener."""
    path = tmp_path / "socket"

    async def main() -> bytes:
        async with await UnixListener.bind(path, mode=0o600) as listener:
            assert listener.path == path
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert str(path) in repr(listener)
            accepting = asyncio.create_task(_accept(listener))
            client = await UnixStream.connect(path)
            server = await accepting
            async with client, server:
                assert client.peer_address == str(path)
                await client.write_all(b"hello")
                return await server.read()

    assert run(main) == b"hello"
    assert not path.exists()


def test_a_pair_is_connected(run: Run) -> None:
    """Without a file."""

    async def main() -> bytes:
        a, b = await UnixStream.pair(read_timeout=None)
        async with a, b:
            assert a.read_timeout is None
            await a.write_all(b"x")
            return await b.read()

    assert run(main) == b"x"


def test_nobody_there_is_an_error(run: Run, tmp_path: Path) -> None:
    """With the path."""

    async def main() -> None:
        with pytest.raises(ConnectError, match="nothing"):
            await UnixStream.connect(tmp_path / "nothing")
        with pytest.raises(ValueError, match="connect_timeout"):
            await UnixStream.connect(tmp_path, connect_timeout=-1)
        with pytest.raises(ValueError, match="backlog"):
            await UnixListener.bind(tmp_path / "socket", backlog=0)

    run(main)


def test_a_dead_socket_is_replaced_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """A file, and a socket in use, stay."""
    path = tmp_path / "socket"
    file = tmp_path / "file"
    file.write_text("precious")

    async def main() -> None:
        import socket  # noqa: PLC0415  # left open on purpose, as by a crash

        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(path))
        dead.close()
        async with await UnixListener.bind(path):
            with pytest.raises(OSError, match="in use"):
                await UnixListener.bind(path)
        with pytest.raises(OSError, match="in use"):
            await UnixListener.bind(file)

    run(main)
    assert file.read_text() == "precious"


@pytest.mark.skipif(sys.platform != "linux", reason="a thing of Linux")
def test_a_name_without_a_file_is_served(run: Run) -> None:
    """It begins with a zero byte, and ends with the listener."""
    name = f"\0sumida-test-{os.getpid()}"

    async def main() -> bytes:
        data = b""
        for _ in range(2):
            async with await UnixListener.bind(name) as listener:
                assert listener.path is None
                assert f"@{name[1:]}" in repr(listener)
                async with (
                    await UnixStream.connect(name) as client,
                    await listener.accept() as server,
                ):
                    assert client.peer_address == f"@{name[1:]}"
                    await client.write_all(b"x")
                    data = await server.read()
        return data

    assert run(main) == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="a thing of Linux")
def test_the_kernel_says_who_is_there(run: Run) -> None:
    """Process, user and group."""

    async def main() -> tuple[int, int, int]:
        a, b = await UnixStream.pair()
        async with a, b:
            return a.peer_credentials

    assert run(main) == (os.getpid(), os.getuid(), os.getgid())
