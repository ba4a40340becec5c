"""Servers in need: errors of the system, listeners that break, peers that are slow."""

import asyncio
import errno
import logging
import os
import resource
import socket
from collections.abc import Callable

import pytest

from sumida.errors import Closed, Elapsed
from sumida.net import Server, TcpListener, TcpStream, serve
from sumida.testing import run_paused, turns
from tests.net.support import (
    LOCAL,
    descriptors,
    echo,
    for_ever,
    say,
    say_nothing,
    until,
)
from tests.support import Run


def test_a_late_client_is_closed(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The streams' own deadlines hold in a handler."""
    caplog.set_level(logging.INFO, "sumida")

    async def main() -> bytes:
        async with (
            await serve(echo, LOCAL, 0, read_timeout=0.02) as server,
            await TcpStream.connect(LOCAL, server.port) as stream,
        ):
            return await stream.read_to_end()

    assert run(main) == b""
    assert "waiting for data on" in caplog.text


def _fails(*errors: int) -> Callable[[socket.socket], object]:
    left = list(errors)
    real = socket.socket.accept

    def accept(sock: socket.socket) -> object:
        if left:
            number = left.pop(0)
            raise OSError(number, os.strerror(number))
        return real(sock)

    return accept


@pytest.mark.parametrize(
    "number",
    [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTDOWN],
)
def test_an_error_of_one_connection_is_survived(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The next one is served, by `serve` and by `accept`."""

    async def main() -> tuple[bytes, bytes]:
        async with await serve(echo, LOCAL, 0) as server:
            monkeypatch.setattr(socket.socket, "accept", _fails(number, number))
            answer = await say(server.port, b"served")
        async with await TcpListener.bind(LOCAL, 0) as listener:
            monkeypatch.setattr(socket.socket, "accept", _fails(number))
            stream = await TcpStream.connect(LOCAL, listener.port)
            async with stream, await listener.accept() as accepted:
                await stream.write_all(b"accepted")
                return answer, await accepted.read()

    assert run(main) == (b"served", b"accepted")


def test_a_listener_that_is_broken_stops_its_server(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for ever: the token tells it, and the error comes out."""

    async def main() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            async with await serve(for_ever, LOCAL, 0, drain=0) as server:
                client = await TcpStream.connect(LOCAL, server.port)
                await until(lambda: server.connections)
                monkeypatch.setattr(socket.socket, "accept", _fails(errno.EBADF))
                other = socket.create_connection((LOCAL, server.port))
                await server.stopping.cancelled()
                with pytest.raises(OSError, match="Bad file descriptor"):
                    await server.wait_stopped()
        client.abort()
        other.close()
        await turns()

    caplog.clear()
    run(main)
    assert "its server stops" in caplog.text


def test_a_listener_that_somebody_closes_stops_its_server(run: Run) -> None:
    """It does not spin, and does not hang."""

    async def main() -> None:
        listener = await TcpListener.bind(LOCAL, 0)
        with pytest.raises(Closed):
            async with Server(echo, [listener]) as server:
                await turns()
                listener.close()
                await server.stopping.cancelled()

    run(main)


def test_without_descriptors_it_waits_and_tries_again(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """EMFILE, by a real limit: nothing is lost, and all are served later."""

    async def main() -> list[bytes]:
        async with await serve(echo, LOCAL, 0) as server:
            clients = [await TcpStream.connect(LOCAL, server.port) for _ in range(3)]
            late = [socket.socket() for _ in range(3)]
            for sock in late:
                sock.setblocking(False)
            await until(lambda: server.connections == 3)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                for sock in late:
                    assert sock.connect_ex((LOCAL, server.port)) in (
                        0,
                        errno.EINPROGRESS,
                    )
                    sock.setblocking(True)
                await until(lambda: "cannot accept" in caplog.text)
                assert server.connections == 3
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: server.connections == 6)
            answers = []
            for sock in late:
                sock.sendall(b"late")
                sock.shutdown(socket.SHUT_WR)
                stream = await TcpStream.from_socket(sock)
                async with stream:
                    answers.append(await stream.read_to_end())
            for client in clients:
                client.close()
        return answers

    caplog.clear()
    assert run(main) == [b"late"] * 3


def test_a_server_that_is_stopped_at_once_leaks_nothing(run: Run) -> None:
    """Also what was accepted in the very turn, whose task never began."""

    async def main() -> int:
        await say_nothing()
        before = descriptors()
        for steps in range(1, 8):
            listener = await TcpListener.bind(LOCAL, 0)
            clients = [socket.create_connection(listener.address) for _ in range(3)]
            server = Server(for_ever, [listener])
            server.start()
            await turns(steps)
            await server.stop(0)
            for client in clients:
                client.close()
            await turns(5)
        return descriptors() - before

    assert run(main) == 0


def test_a_cancelled_stop_has_cancelled_the_handlers(run: Run) -> None:
    """And a second call sees them end."""

    async def main() -> int:
        server = await serve(for_ever, LOCAL, 0, drain=3600)
        async with await TcpStream.connect(LOCAL, server.port) as client:
            await until(lambda: server.connections == 1)
            stopping = asyncio.create_task(server.stop())
            await turns(5)
            assert server.connections == 1
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            assert await client.read_to_end() == b""
            report = await server.stop()
        return report.finished + report.cancelled + server.connections

    assert run(main) <= 1


def test_handlers_that_hang_end_after_the_drain() -> None:
    """By the clock: `drain` seconds, and not one more."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        server = await serve(for_ever, LOCAL, 0, drain=100)
        client = await TcpStream.connect(LOCAL, server.port)
        while not server.connections:
            await turns()
        start = loop.time()
        await server.stop()
        late = loop.time() - start
        client.abort()
        await turns()
        return late

    assert run_paused(main) == pytest.approx(100)


def test_a_slow_reader_costs_bounded_memory(run: Run) -> None:
    """The handler waits at the high-water mark, and is late in the end."""

    async def main() -> tuple[int, int]:
        most = sent = 0

        async def handler(stream: TcpStream) -> None:
            nonlocal most, sent
            with pytest.raises(Elapsed):
                while True:
                    await stream.write_all(b"x" * 100_000)
                    sent += 100_000
                    most = max(most, stream.unsent)
            stream.abort()

        async with (
            await serve(
                handler, LOCAL, 0, write_timeout=0.05, send_buffer=10_000
            ) as server,
            await TcpStream.connect(
                LOCAL, server.port, receive_buffer=10_000
            ) as client,
        ):
            await until(lambda: sent and not server.connections)
            return most, client.buffered

    most, buffered = run(main)
    assert most <= 200_000
    assert buffered <= 2 * 256 * 1024
