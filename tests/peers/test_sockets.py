"""What users of other libraries suffer from with sockets, row by row of the list.

Where it is cheap, a test first does it the usual way and sees the fault.
"""

import asyncio
import gc
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import sumida
from sumida.errors import Disconnected, Elapsed
from sumida.io import copy_bidirectional, sendfile
from sumida.io._engine import HIGH_WATER
from sumida.net import (
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixStream,
    connection_token,
    serve,
)
from sumida.net._connect import resolve
from sumida.testing import turns
from tests.net.certificates import client_context, server_context
from tests.support import Run

LOCAL = "127.0.0.1"


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def test_row_03_shutdown_ends_on_every_python_and_loop(run: Run) -> None:
    """`wait_closed` hangs from 3.12.1 and waits for nobody on others; ours drains."""

    async def handle(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.get_running_loop().create_future()
        writer.close()

    async def usual() -> bool:
        """Tell whether the end waits for the handlers and also comes."""
        tasks: list[asyncio.Task[None]] = []

        async def keep(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            try:
                await handle(reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()

        server = await asyncio.start_server(keep, LOCAL, 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        await until(lambda: tasks)
        server.close()
        closing = asyncio.create_task(server.wait_closed())
        await turns(50)
        has_ended = closing.done()
        is_still_served = not tasks[0].done()
        tasks[0].cancel()
        writer.close()
        await turns(10)
        closing.cancel()
        await turns(2)
        return has_ended and not is_still_served

    async def ours() -> tuple[int, int]:
        async def handler(_stream: TcpStream) -> None:
            await asyncio.get_running_loop().create_future()

        async with await serve(handler, LOCAL, 0, drain=0.01) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            await until(lambda: server.connections)
        async with client:
            await client.read_to_end()
        report = await server.stop()
        return report.cancelled, server.connections

    ended_well, result = run(usual), run(ours)

    assert not ended_well
    assert result == (1, 0)


def test_row_15_a_handler_is_not_cut_unless_asked_for(run: Run) -> None:
    """The policy is said, not guessed: finish, cancel, or finish within a time."""

    async def served(policy: object) -> str:
        seen: list[str] = []

        async def handler(stream: TcpStream) -> None:
            assert await stream.read_exact(3) == b"pay"
            await connection_token().cancelled()
            try:
                await turns(20)
                seen.append("paid")
            except asyncio.CancelledError:
                seen.append("cut")
                raise

        async with await serve(
            handler,
            LOCAL,
            0,
            on_disconnect=policy,  # type: ignore[arg-type]  # each kind of it
        ) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            await client.write_all(b"pay")
            client.close()
            await until(lambda: not server.connections and seen)
        return seen[0]

    assert [run(served, policy) for policy in ("finish", 10.0)] == ["paid", "paid"]


def test_row_20_a_writer_cannot_be_trapped(run: Run) -> None:
    """A write waits by itself, a reset is one error, a second close is nothing."""

    async def usual() -> int:
        async def silent(
            _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await done.wait()
            writer.transport.abort()

        done = asyncio.Event()
        server = await asyncio.start_server(silent, LOCAL, 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        for _ in range(200):
            # Nothing makes a writer await drain().
            writer.write(bytes(100_000))
        held = writer.transport.get_write_buffer_size()
        done.set()
        writer.transport.abort()
        server.close()
        await turns(10)
        return held

    async def ours() -> int:
        a, b = await UnixStream.pair()
        most = 0

        async def write() -> None:
            nonlocal most
            while True:
                await a.write_all(bytes(100_000))
                most = max(most, a.unsent)

        writing = asyncio.create_task(write())
        await turns(300)
        b.abort()
        with pytest.raises(Disconnected) as caught:
            await writing
        assert caught.value.direction == "write"
        for _ in range(2):
            a.close()
            await a.wait_closed()
        return most

    held_usual, held = run(usual), run(ours)

    assert held_usual > 5_000_000
    assert held <= 2 * HIGH_WATER


def test_row_21_what_arrives_is_not_copied(run: Run) -> None:
    """The bytes that a reader gets are the very object that the transport gave."""

    async def main() -> bool:
        a, b = await UnixStream.pair()
        async with a, b:
            reading = asyncio.create_task(_read(b))
            await turns()
            data = bytes(1000)
            b._engine.data_received(data)
            return await reading is data

    assert run(main)


async def _read(stream: TcpStream | UnixStream) -> bytes:
    return await stream.read()


def test_row_22_sendfile_on_every_loop(run: Run, tmp_path: Path) -> None:
    """On uvloop there is none; ours asks the kernel there too, and reads for TLS."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)

    async def usual() -> bool:
        one, other = socket.socketpair()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=one)
        with other, path.open("rb") as file:
            try:
                await loop.sendfile(transport, file, count=1000, fallback=False)
            except (NotImplementedError, RuntimeError):
                return False
            finally:
                transport.close()
            return True

    async def ours() -> int:
        a, b = await UnixStream.pair()
        async with a, b:
            sending = asyncio.create_task(sendfile(path, a))
            count = len(await b.read_exact(256_000))
            assert await sending == count
            return count

    is_uvloop = []

    async def look() -> None:
        is_uvloop.append("uvloop" in type(asyncio.get_running_loop()).__module__)

    run(look)

    assert run(usual) is not is_uvloop[0]
    assert run(ours) == 256_000


def test_row_23_slow_calls_do_not_stop_name_lookups(run: Run) -> None:
    """Names stand in line on asyncio's executor; ours have threads of their own."""

    async def main() -> tuple[bool, int]:
        loop = asyncio.get_running_loop()
        release = threading.Event()
        # All threads of the default executor, and of ours for blocking calls, wait.
        blocked = [loop.run_in_executor(None, release.wait) for _ in range(64)]
        also = [
            asyncio.create_task(sumida.spawn_blocking(release.wait)) for _ in range(64)
        ]
        await turns(5)
        usual = asyncio.ensure_future(loop.getaddrinfo("localhost", 80))
        found = await resolve("localhost", 80)
        is_stuck = not usual.done()
        release.set()
        for call in blocked:
            await call
        for task in also:
            await task
        await usual
        return is_stuck, len(found)

    is_stuck, found = run(main)

    assert found
    # uvloop uses libuv's threads, of which there are four.
    assert is_stuck or "uvloop" in sys.modules


def test_row_27_half_close_is_carried_across(run: Run) -> None:
    """Also from TLS to plain: asyncio's TLS cannot end one side."""

    async def usual() -> bool:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            _, writer = await asyncio.open_connection(
                "localhost", listener.port, ssl=client_context()
            )
            (await accepting).abort()
            can = writer.can_write_eof()
            writer.transport.abort()
            await turns(5)
            return can

    async def ours() -> tuple[bytes, bytes, tuple[int, int]]:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            client = await TcpStream.connect(
                "localhost", listener.port, tls=client_context()
            )
            front = await accepting
        back, server = await UnixStream.pair()
        async with client, front, back, server:
            carrying = asyncio.create_task(_carry(front, back))
            await client.write_all(b"request")
            await client.shutdown()
            request = await server.read_to_end()
            await server.write_all(b"a long answer")
            await server.shutdown()
            return request, await client.read_to_end(), await carrying

    assert not run(usual)
    assert run(ours) == (b"request", b"a long answer", (7, 13))


async def _carry(a: TcpStream, b: UnixStream) -> tuple[int, int]:
    return await copy_bidirectional(a, b)


async def _accept(listener: TcpListener) -> TcpStream:
    return await listener.accept()


def test_row_29_a_cancelled_connect_leaks_nothing_on_uvloop(run: Run) -> None:
    """Connections and handshakes that are cancelled in every turn: none is left."""

    async def main() -> int:
        open_before = set(_sockets())
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            dropping = asyncio.create_task(_drop_all(listener))
            for steps in range(1, 30):
                connecting = asyncio.create_task(
                    TcpStream.connect("localhost", listener.port, tls=client_context())
                )
                await turns(steps)
                connecting.cancel()
                try:
                    (await connecting).abort()
                except asyncio.CancelledError:
                    continue
            listener.close()
            await dropping
        await turns(10)
        return len(set(_sockets()) - open_before)

    assert run(main) == 0


def _sockets() -> list[socket.socket]:
    gc.collect()
    return [
        each
        for each in gc.get_objects()
        if type(each) is socket.socket and each.fileno() >= 0
    ]


async def _drop_all(listener: TcpListener) -> None:
    async for stream in listener:
        stream.abort()


def test_row_30_datagrams_cannot_grow_without_bound(run: Run) -> None:
    """A ring with a count of what was dropped; a send that can be awaited."""

    async def main() -> tuple[int, int, bytes]:
        async with (
            await UdpSocket.bind(LOCAL, 0, receive_queue=10) as server,
            await UdpSocket.connect(LOCAL, server.port) as client,
        ):
            for n in range(50):
                await client.send(str(n).encode())
                while len(server) + server.dropped <= n:
                    await asyncio.sleep(0.001)
            oldest, _ = await server.recv_from()
            return len(server), server.dropped, oldest

    assert run(main) == (9, 40, b"40")


def test_gap_05_every_wait_has_a_deadline(run: Run) -> None:
    """Streams of asyncio wait for ever; here reading, writing, connecting end."""

    async def main() -> list[str]:
        seen = []
        async with await TcpListener.bind(
            LOCAL, 0, read_timeout=0.01, write_timeout=0.01
        ) as listener:
            client = await TcpStream.connect(LOCAL, listener.port)
            server = await listener.accept()
            with pytest.raises(Elapsed) as caught:
                await server.read()
            seen.append(caught.value.what)
            with pytest.raises(Elapsed) as caught:
                while True:
                    await server.write_all(bytes(1_000_000))
            seen.append(caught.value.what)
            server.abort()
            client.abort()
            await turns(3)
        return [each.split(" on ")[0] for each in seen]

    assert run(main) == ["data", "room"]
