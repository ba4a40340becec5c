"""Servers: limits, errors, peers that leave, the end."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from sumida import select
from sumida.errors import Disconnected, MisuseError
from sumida.net import (
    Framed,
    Server,
    StopReport,
    TcpListener,
    TcpStream,
    UnixListener,
    UnixStream,
    connection_token,
    serve,
)
from sumida.net import server as server_module
from sumida.net.codec import LinesCodec
from sumida.net.server import OnDisconnect
from sumida.testing import turns
from tests.net.certificates import client_context, server_context
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


def test_a_server_serves_and_stops(run: Run) -> None:
    """Each connection by a task; nothing is left open."""

    async def main() -> tuple[list[bytes], StopReport, int]:
        await say_nothing()
        before = descriptors()
        async with await serve(echo, LOCAL, 0) as server:
            assert "serving, 0 connections" in repr(server)
            assert server.addresses == (f"{LOCAL}:{server.port}",)
            tasks = [
                asyncio.create_task(say(server.port, str(n).encode())) for n in range(9)
            ]
            answers = [await task for task in tasks]
            with pytest.raises(MisuseError, match="started already"):
                server.start()
        await turns(5)
        report = await server.stop()
        assert report == await server.wait_stopped()
        # It is still known where it was.
        assert server.addresses == (f"{LOCAL}:{server.port}",)
        assert "stopping" in repr(server)
        return answers, report, descriptors() - before

    answers, report, leaked = run(main)
    assert answers == [str(n).encode() for n in range(9)]
    assert (report.cancelled, report.stuck, leaked) == (0, (), 0)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("max_connections", {"max_connections": 0}),
        ("drain", {"drain": -1}),
        ("on_disconnect", {"on_disconnect": "later"}),
        ("on_disconnect", {"on_disconnect": -1.0}),
        ("backlog", {"backlog": 0}),
    ],
)
def test_bad_arguments_are_refused(
    run: Run, message: str, arguments: dict[str, int]
) -> None:
    """And the port is free again."""

    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            await serve(echo, LOCAL, 0, **arguments)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValueError, match="listeners must be one or more"):
            Server(echo, [])

    run(main)


def test_at_the_limit_it_stops_accepting(run: Run) -> None:
    """Who comes later waits in the kernel, and is served when a place is free."""

    async def main() -> list[int]:
        seen: list[int] = []

        async def handler(stream: TcpStream) -> None:
            seen.append(server.connections)
            await echo(stream)

        async with await serve(handler, LOCAL, 0, max_connections=2) as server:
            clients = [await TcpStream.connect(LOCAL, server.port) for _ in range(4)]
            for client in clients[:2]:
                await client.write_all(b"x")
                assert await client.read() == b"x"
            await turns(20)
            seen.append(server.connections)
            for client in clients:
                await client.write_all(b"y")
                await client.shutdown()
                assert await client.read_to_end() in (b"y", b"xy")
                client.close()
        return seen

    assert max(run(main)) == 2


def test_an_error_closes_its_own_connection(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with the peer; the others go on."""

    async def handler(stream: TcpStream) -> None:
        if await stream.read() == b"fail":
            raise LookupError("no such thing")
        await stream.write_all(b"fine")

    async def main() -> tuple[bytes, bytes]:
        async with await serve(handler, LOCAL, 0) as server:
            return await say(server.port, b"fail"), await say(server.port, b"go on")

    caplog.clear()
    assert run(main) == (b"", b"fine")
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert f"TcpStream {LOCAL}:" in record.getMessage()
    assert "no such thing" in (record.exc_text or "")


def test_the_end_of_the_messages_is_no_failure(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a handler that does not loop over them; what it wrote arrives."""

    async def handler(stream: TcpStream) -> None:
        framed = Framed(stream, LinesCodec())
        while True:
            await framed.send(await framed.recv())

    async def closed_by_itself(stream: TcpStream) -> None:
        stream.close()
        await stream.write_all(b"x")

    async def main(handler: Callable[[TcpStream], Awaitable[None]]) -> bytes:
        async with (
            await serve(handler, LOCAL, 0) as server,
            await TcpStream.connect(LOCAL, server.port) as stream,
        ):
            await stream.write_all(b"one\ntwo\n")
            await stream.shutdown()
            return await stream.read_to_end()

    assert run(main, handler) == b"one\ntwo\n"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    with contextlib.suppress(Disconnected):
        run(main, closed_by_itself)
    # To write to what it has closed is a fault of its own.
    assert "Closed" in caplog.text


def test_what_was_written_before_an_error_arrives(run: Run) -> None:
    """On each loop: an answer that says what was wrong, and then the end."""

    async def handler(stream: TcpStream) -> None:
        await stream.write_all(b"400 bad request")
        raise Disconnected("it", "read", "on purpose")

    async def main() -> bytes:
        async with await serve(handler, LOCAL, 0) as server:
            return await say(server.port, b"")

    assert run(main) == b"400 bad request"


@pytest.mark.parametrize("seconds", [5.0, 0.0])
def test_draining_lets_handlers_finish(run: Run, seconds: float) -> None:
    """Within their time; then they are cancelled, and clean up."""
    events: list[str] = []

    async def handler(stream: TcpStream) -> None:
        await stream.write_all(b"hello")
        try:
            await connection_token().cancelled()
            if not seconds:
                # However many turns it has before the cancel, it does not finish.
                await for_ever(stream)
            await turns(10)
            await stream.write_all(b" and goodbye")
            events.append("finished")
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    async def main() -> tuple[bytes, StopReport]:
        events.clear()
        async with await serve(handler, LOCAL, 0, drain=seconds) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            assert await client.read() == b"hello"
            await until(lambda: server.connections == 1)
            port = server.port
        async with client:
            rest = await client.read_to_end()
        with pytest.raises(ConnectionError):
            await TcpStream.connect(LOCAL, port)
        return rest, await server.stop()

    rest, report = run(main)
    if seconds:
        assert (rest, events) == (b" and goodbye", ["finished"])
        assert report == StopReport(1, 0, ())
    else:
        assert (rest, events) == (b"", ["cancelled"])
        assert report == StopReport(0, 1, ())


def test_a_handler_that_ignores_its_cancel_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And its connection is aborted; the server's end does not wait for it."""
    monkeypatch.setattr(server_module, "_CANCEL_GRACE", 0.01)

    async def main() -> tuple[StopReport, str]:
        release = asyncio.get_running_loop().create_future()
        stubborn: list[asyncio.Task[object]] = []

        async def handler(stream: TcpStream) -> None:
            task = asyncio.current_task()
            assert task is not None
            stubborn.append(task)
            await stream.write_all(b"here")
            while not release.done():
                try:
                    await asyncio.shield(release)
                except asyncio.CancelledError:
                    continue

        async with await serve(handler, LOCAL, 0, drain=0) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            assert await client.read() == b"here"
        report = await server.stop()
        async with client:
            with pytest.raises(Disconnected, match="reset"):
                await client.read()
        assert server.connections == 1
        release.set_result(None)
        await until(stubborn[0].done)
        return report, stubborn[0].get_name()

    caplog.clear()
    report, name = run(main)
    assert report == StopReport(0, 0, (name,))
    assert "ignores its cancel" in caplog.text


def test_leaving_by_an_error_does_not_drain(run: Run) -> None:
    """The error comes out, and the handlers are cancelled."""

    async def main() -> StopReport:
        async with await serve(for_ever, LOCAL, 0, drain=3600) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            await until(lambda: server.connections == 1)
            with pytest.raises(LookupError):
                async with server:
                    raise LookupError("on purpose")
        async with client:
            assert await client.read_to_end() == b""
        return await server.stop()

    assert run(main) == StopReport(0, 1, ())


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("policy", ["finish", "cancel", 0.02])
def test_a_peer_that_leaves(run: Run, policy: OnDisconnect, how: str) -> None:
    """Its handler goes on, is cancelled, or has a time to finish: as was asked for."""

    async def main() -> list[str]:
        events: list[str] = []
        released = asyncio.get_running_loop().create_future()

        async def handler(_stream: TcpStream) -> None:
            token = connection_token()
            events.append("begun")
            try:
                await token.cancelled()
                events.append(str(token.reason))
                await released
                events.append("finished")
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

        async with await serve(handler, LOCAL, 0, on_disconnect=policy) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            await until(lambda: events)
            if how == "end":
                client.close()
            else:
                client.abort()
            if policy == "finish":
                await until(lambda: len(events) > 1)
                await turns(20)
                released.set_result(None)
            await until(lambda: not server.connections)
            await client.wait_closed()
        return events

    events = run(main)
    assert events[0] == "begun"
    if policy == "cancel":
        # The token and the cancel come in one turn.
        assert events[1:] in (["cancelled"], ["the peer has gone", "cancelled"])
    else:
        last = "finished" if policy == "finish" else "cancelled"
        assert events[1:] == ["the peer has gone", last]


def test_a_peer_that_has_left_before_its_handler_began(run: Run) -> None:
    """The policy holds for it, too."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def handler(_stream: TcpStream) -> None:
            await connection_token().cancelled()
            seen.append(str(connection_token().reason))

        async with await TcpListener.bind(LOCAL, 0) as listener:
            client = socket.create_connection(listener.address)
            client.close()
            async with Server(handler, [listener]) as server:
                await until(lambda: seen)
                await until(lambda: not server.connections)
        return seen

    assert run(main) == ["the peer has gone"]


def test_the_token_of_the_connection_is_for_handlers_only(run: Run) -> None:
    """Elsewhere it is refused; it tells a handler that the server stops."""

    async def main() -> list[str]:
        with pytest.raises(MisuseError, match="outside of a handler"):
            connection_token()
        reasons: list[str] = []

        async def handler(stream: TcpStream) -> None:
            token = connection_token()
            await stream.write_all(b"x")
            while True:
                match await select(stop=token, data=stream.read(), biased=True):
                    case ("stop", _):
                        reasons.append(str(token.reason))
                        return

        async with await serve(handler, LOCAL, 0) as server:
            client = await TcpStream.connect(LOCAL, server.port)
            assert await client.read() == b"x"
        async with client:
            assert await client.read() == b""
        return reasons

    assert run(main) == ["the server stops"]


def test_several_listeners_share_one_limit(run: Run) -> None:
    """And stop together."""

    async def main() -> tuple[list[bytes], int]:
        listeners = [await TcpListener.bind(LOCAL, 0) for _ in range(3)]
        ports = [each.port for each in listeners]
        async with Server(echo, listeners, max_connections=1) as server:
            assert len(server.addresses) == 3
            answers = [await say(port, b"x") for port in ports]
        refused = 0
        for port in ports:
            with pytest.raises(ConnectionError):
                await TcpStream.connect(LOCAL, port)
            refused += 1
        return answers, refused

    assert run(main) == ([b"x"] * 3, 3)


def test_unix_sockets_are_served_too(run: Run, tmp_path: os.PathLike[str]) -> None:
    """They have no port, and their file is removed."""
    path = os.path.join(tmp_path, "socket")  # noqa: PTH118  # a short text

    async def handler(stream: UnixStream) -> None:
        await stream.write_all(await stream.read_to_end())

    async def main() -> bytes:
        async with Server(handler, [await UnixListener.bind(path)]) as server:
            with pytest.raises(AttributeError, match="has no port"):
                _ = server.port
            async with await UnixStream.connect(path) as stream:
                await stream.write_all(b"local")
                await stream.shutdown()
                return await stream.read_to_end()

    assert run(main) == b"local"
    assert not os.path.exists(path)  # noqa: PTH110  # a short text


def test_tls_is_served_and_a_mute_client_holds_up_nobody(run: Run) -> None:
    """A handshake is made in the connection's own task."""

    async def main() -> bytes:
        async with await serve(
            echo, "localhost", 0, tls=server_context(), handshake_timeout=3600, drain=0
        ) as server:
            mute = await TcpStream.connect("localhost", server.port)
            async with await TcpStream.connect(
                "localhost", server.port, tls=client_context()
            ) as stream:
                await stream.write_all(b"secret")
                await stream.shutdown()
                answer = await stream.read_to_end()
        async with mute:
            pass
        return answer

    assert run(main) == b"secret"
