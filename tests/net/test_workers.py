"""Servers in several processes; each test starts real ones."""

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable

import pytest

from sumida.errors import ConnectError, Elapsed, WorkerStartError
from sumida.net import TcpListener, TcpStream, Workers, serve_workers
from sumida.net import workers as workers_module
from tests.net.certificates import server_context
from tests.support import Run

LOCAL = "127.0.0.1"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


async def tell_pid(stream: TcpStream) -> None:
    """Say who serves, and give back what comes."""
    await stream.write_all(f"{os.getpid()}\n".encode())
    while data := await stream.read():
        await stream.write_all(data)


async def never_end(stream: TcpStream) -> None:
    """Ignore every cancel."""
    await stream.write_all(b"here\n")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


def no_context() -> ssl.SSLContext:
    """Fail in the worker."""
    raise LookupError("no certificate here")


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def ask(workers: Workers) -> int:
    """Ask who serves."""
    async with await TcpStream.connect(LOCAL, workers.port) as stream:
        return int(await stream.read_line())


def alive(pid: int) -> bool:
    """Tell whether a process is there, as a zombie too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_workers_serve_are_replaced_and_drain_together(run: Run) -> None:
    """The whole life of two: serve, die, be replaced, drain, and leave nothing."""

    async def main() -> None:
        async with await serve_workers(tell_pid, LOCAL, 0, workers=2) as workers:
            first = workers.pids
            assert len(first) == 2
            assert repr(workers).endswith("serving, 2 processes>")
            # Each takes its turn, sooner or later.
            seen: set[int] = set()
            while len(seen) < 2:
                seen |= set(await asyncio.gather(*(ask(workers) for _ in range(8))))
            assert seen == set(first)
            os.kill(first[0], signal.SIGKILL)
            await until(lambda: workers.restarts and len(workers.pids) == 2)
            second = workers.pids
            assert first[0] not in second
            assert not alive(first[0])
            # The one that lives serves on, and the new one comes in.
            seen = set()
            async with asyncio.timeout(30):
                while len(seen) < 2:
                    seen.add(await ask(workers))
            assert seen == set(second)
            client = await TcpStream.connect(LOCAL, workers.port)
            await client.read_line()
            stopping = asyncio.create_task(workers.stop())
            await workers.stopping.cancelled()
            # It drains: who is connected is served to the end.
            await client.write_all(b"still there?")
            assert await client.read_exact(12) == b"still there?"
            await client.shutdown()
            assert await client.read_to_end() == b""
            client.close()
            report = await stopping
            assert report == await workers.stop()
            assert (report.ended, report.killed, report.restarts) == (2, (), 1)
        for pid in (*first, *second):
            assert not alive(pid)
        with pytest.raises(ConnectError):
            await TcpStream.connect(LOCAL, workers.port)

    run(main)


@pytest.mark.slow
def test_who_does_not_end_is_killed() -> None:
    """After the drain, and some seconds; a cancelled stop does not wait that long."""

    async def main() -> tuple[int, int]:
        async with (
            await serve_workers(never_end, LOCAL, 0, workers=1) as workers,
            await TcpStream.connect(LOCAL, workers.port) as client,
        ):
            assert await client.read_line() == b"here\n"
            (pid,) = workers.pids
            report = await workers.stop(drain=0.1)
        assert report.killed == (pid,)
        assert report.ended == 0
        async with (
            await serve_workers(never_end, LOCAL, 0, workers=1) as workers,
            await TcpStream.connect(LOCAL, workers.port) as client,
        ):
            await client.read_line()
            stopping = asyncio.create_task(workers.stop(drain=3600))
            await workers.stopping.cancelled()
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            await until(lambda: not workers.pids)
        return pid, len(workers.pids)

    pid, left = asyncio.run(main())
    assert not alive(pid)
    assert left == 0


@pytest.mark.slow
def test_a_worker_that_cannot_begin_is_told_of() -> None:
    """The call fails, with its exit code, and leaves no process and no port."""

    async def main() -> WorkerStartError:
        with pytest.raises(WorkerStartError) as caught:
            await serve_workers(tell_pid, LOCAL, 0, workers=2, tls=no_context)
        return caught.value

    error = asyncio.run(main())
    assert error.exit_code == 1
    assert "tell_pid" in error.handler
    assert "before it could serve" in str(error)


def test_what_cannot_cross_is_refused(run: Run) -> None:
    """At the call, with the name of the argument."""

    async def inner(_stream: TcpStream) -> None:
        raise AssertionError

    async def main() -> None:
        with pytest.raises(ValueError, match="handler must be importable"):
            await serve_workers(inner, LOCAL, 0)
        with pytest.raises(ValueError, match="tls must be importable"):
            await serve_workers(tell_pid, LOCAL, 0, tls=lambda: server_context())  # noqa: PLW0108  # on purpose
        with pytest.raises(ValueError, match="workers must be 1 or more"):
            await serve_workers(tell_pid, LOCAL, 0, workers=0)
        with pytest.raises(ValueError, match="max_connections"):
            await serve_workers(tell_pid, LOCAL, 0, max_connections=0)
        with pytest.raises(OSError, match="in use"):
            async with await TcpListener.bind(LOCAL, 0) as listener:
                await serve_workers(tell_pid, LOCAL, listener.port)

    run(main)


@pytest.mark.slow
def test_a_start_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And leaves no process."""
    monkeypatch.setattr(workers_module, "_START_TIMEOUT", 0.001)

    async def main() -> None:
        with pytest.raises(Elapsed):
            await serve_workers(tell_pid, LOCAL, 0, workers=1)

    asyncio.run(main())


def test_a_listener_is_made_of_a_socket(run: Run) -> None:
    """One that listens; another is refused."""

    async def main() -> bytes:
        with socket.socket() as sock, pytest.raises(ValueError, match="must listen"):
            TcpListener.from_socket(sock)
        listener = TcpListener.from_socket(
            socket.create_server((LOCAL, 0)), nodelay=False
        )
        async with (
            listener,
            await TcpStream.connect(LOCAL, listener.port) as client,
            await listener.accept() as server,
        ):
            assert not server.nodelay
            await client.write_all(b"x")
            return await server.read()

    assert run(main) == b"x"
