"""One connection: deadlines, retries, limits, what is said of the client, TLS."""

import socket
import ssl
import struct
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trustme

from sumida import JoinSet
from sumida.apps.proxy import preamble
from sumida.errors import Disconnected
from sumida.net import TcpStream
from tests.apps.proxy.support import (
    LOCAL,
    Running,
    ask,
    backends,
    dead_address,
    listener,
    loaded,
    proxying,
    until,
)
from tests.support import Run


def test_a_connect_that_fails_is_tried_elsewhere(run: Run) -> None:
    """The client notices nothing; the one that failed is left alone from then on."""

    async def main() -> None:
        async with backends("a") as (a,):
            dead = await dead_address()
            async with proxying(loaded(listener(dead, a))) as running:
                assert [await ask(running) for _ in range(3)] == [b"a"] * 3
                assert running.proxy.metrics.retries[f"{LOCAL}:0"] == 1
            (failed,) = running.events("connect-failed")
            (down,) = running.events("upstream-down")
            lines = running.events("connection")

        assert failed["upstream"] == down["upstream"] == dead
        assert "refused" in str(failed["error"])
        assert [each["retries"] for each in lines] == [1, 0, 0]

    run(main)


def test_retries_have_a_bound(run: Run) -> None:
    """Then the client's connection is closed, and the line says why."""

    async def main() -> None:
        dead = await dead_address()
        async with proxying(loaded(listener(dead, retries=2))) as running:
            assert await ask(running, b"x") == b""
        (line,) = running.events("connection")

        assert line["outcome"] == "unreachable"
        assert line["retries"] == 2
        assert "upstream" not in line
        assert len(running.events("connect-failed")) == 3

    run(main)


def test_a_server_that_is_restarted_is_tried_again(run: Run) -> None:
    """Also if it is the only one: after a moment."""

    async def main() -> None:
        async with backends("a") as (a,):
            port = a.server.port
            await a.stop()
            table = listener(a.address, retries=50)
            async with proxying(loaded(table)) as running, JoinSet[bytes]() as tasks:
                task = tasks.spawn(ask(running))
                await until(lambda: running.proxy.metrics.failures)
                await a.start(port)
                assert await task == b"a"

    run(main)


def test_a_connect_has_a_deadline(run: Run) -> None:
    """A server that does not answer at all costs no more than that."""

    async def main() -> None:
        # Nobody accepts, and the queue of those who wait is full.
        with socket.create_server((LOCAL, 0), backlog=0) as mute:
            address = "{}:{}".format(*mute.getsockname())
            waiting = []
            for _ in range(4):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                with suppress(BlockingIOError):
                    waiting[-1].connect(mute.getsockname())
            async with backends("a") as (a,):
                table = listener(address, a, connect_timeout=0.5, retries=20)
                async with proxying(loaded(table)) as running:
                    assert await ask(running) == b"a"
                failed, *_ = running.events("connect-failed")
            for sock in waiting:
                sock.close()

        assert failed["upstream"] == address
        assert "0.5" in str(failed["error"])
        assert running.outcomes() == ["done"]

    run(main)


@pytest.mark.parametrize(
    ("key", "outcome"), [("idle_timeout", "idle"), ("max_lifetime", "lifetime")]
)
def test_a_connection_has_deadlines(run: Run, key: str, outcome: str) -> None:
    """For doing nothing, and for all of its life; bytes are counted all the same."""

    async def main() -> None:
        async with backends("a") as (a,):
            table = listener(a, **{key: 0.5})
            async with (
                proxying(loaded(table)) as running,
                await running.connect() as stream,
            ):
                await stream.write_all(b"xyz")
                assert await stream.read_exact(4) == b"axyz"
                with suppress(Disconnected):
                    assert await stream.read() == b""
            (line,) = running.events("connection")

        assert line["outcome"] == outcome
        assert (line["sent"], line["received"]) == (3, 4)

    run(main)


def test_a_reset_is_told(run: Run) -> None:
    """The other side's connection ends, too."""

    async def main() -> None:
        async with backends("a") as (a,):
            config = loaded(listener(a))
            async with proxying(config) as running:
                stream = await running.connect()
                assert await stream.read_exact(1) == b"a"
                await stream.write_all(b"x")
                await until(lambda: a.heard)
                stream.abort()
                await until(lambda: not a.server.connections)

        assert running.outcomes() == ["reset"]

    run(main)


def test_a_server_that_resets_at_once_is_no_fault_of_the_proxy(run: Run) -> None:
    """Whether it was connected by then or not."""

    async def main() -> None:
        with socket.create_server((LOCAL, 0)) as cruel:

            def reset() -> None:
                hard = struct.pack("ii", 1, 0)
                cruel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
                with suppress(OSError):
                    while True:
                        cruel.accept()[0].close()

            thread = threading.Thread(target=reset)
            thread.start()
            address = "{}:{}".format(*cruel.getsockname())
            async with backends("a") as (a,):
                quiet = {"interval": 0.01, "fall": 1000}
                table = listener(address, a, health=quiet)
                async with proxying(loaded(table)) as running:
                    answers = {await ask(running) for _ in range(60)}
            cruel.shutdown(socket.SHUT_RDWR)
            thread.join()

        assert b"a" in answers
        assert set(running.outcomes()) <= {"done", "reset"}

    run(main)


def test_more_clients_than_the_limit_wait_in_the_kernel(run: Run) -> None:
    """Until one has ended; a reload raises the limit for those who wait."""

    async def main() -> None:
        async with backends("a") as (a,):
            table = listener(a, max_connections=1)
            async with proxying(loaded(table)) as running:
                streams = [await running.connect() for _ in range(4)]
                assert await streams[0].read_exact(1) == b"a"
                assert a.connections == 1
                streams[0].close()
                assert await streams[1].read_exact(1) == b"a"
                assert a.connections == 2
                await running.reload(loaded({**table, "max_connections": 3}))
                for stream in streams[2:]:
                    assert await stream.read_exact(1) == b"a"
                for stream in streams:
                    stream.close()

    run(main)


def test_an_upstreams_limit_makes_clients_wait_in_line(run: Run) -> None:
    """First come, first served; nobody gets more than its share."""

    async def main() -> list[int]:
        async with backends("a") as (a,):
            upstream = {"address": a.address, "max_connections": 1}
            async with proxying(loaded(listener(upstream))) as running:
                order: list[int] = []
                most = 0

                async def client(number: int, stream: TcpStream) -> None:
                    nonlocal most
                    async with stream:
                        assert await stream.read_exact(1) == b"a"
                        order.append(number)
                        (front,) = running.proxy.fronts.values()
                        most = max(most, *(each.active for each in front.gauges()))
                        await stream.shutdown()
                        assert await stream.read() == b""

                async with JoinSet[None]() as tasks:
                    for number in range(12):
                        stream = await running.connect()
                        tasks.spawn(client(number, stream))
                        # The next one connects when this one has its place in line.
                        await until(partial(arrived, running, number))
        assert most == 1
        return order

    def arrived(running: Running, number: int) -> bool:
        (front,) = running.proxy.fronts.values()
        ended = sum(running.proxy.metrics.connections.values())
        return ended + front.connections > number

    assert run(main) == list(range(12))


def test_who_waits_too_long_for_a_place_is_sent_away(run: Run) -> None:
    """After the time that a connect may take."""

    async def main() -> None:
        async with backends("a") as (a,):
            upstream = {"address": a.address, "max_connections": 1}
            table = listener(upstream, connect_timeout=0.5)
            async with proxying(loaded(table)) as running:
                async with await running.connect() as held:
                    assert await held.read_exact(1) == b"a"
                    assert await ask(running) == b""
                assert await ask(running) == b"a"

        assert running.outcomes() == ["full", "done", "done"]

    run(main)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_server_is_told_who_the_client_is(run: Run, version: str) -> None:
    """Before the first byte."""

    async def main() -> None:
        async with backends("a") as (a,):
            table = listener(a, send_proxy=version)
            async with (
                proxying(loaded(table)) as running,
                await running.connect() as stream,
            ):
                mine, theirs = stream.local_address, stream.peer_address
                await stream.write_all(b"hello")
                await stream.shutdown()
                await stream.read_to_end()

        assert bytes(a.heard) == preamble.encode(version, mine, theirs) + b"hello"

    run(main)


def test_clients_may_speak_tls(run: Run, tmp_path: Path) -> None:
    """The server behind hears plain bytes; a reload renews the certificate."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pem = tmp_path / "web.pem"

    def issue(name: str) -> None:
        issued = authority.issue_cert(name)
        pem.write_bytes(
            issued.private_key_pem.bytes()
            + b"".join(each.bytes() for each in issued.cert_chain_pems)
        )

    async def talk(running: Running, name: str) -> TcpStream:
        stream = await TcpStream.connect(
            LOCAL, running.port, tls=context, server_hostname=name
        )
        await stream.write_all(b"secret")
        assert await stream.read_exact(7) == b"asecret"
        return stream

    async def main() -> None:
        async with backends("a") as (a,):
            issue("old.example")
            table = listener(a, tls={"certificate": str(pem)})
            async with proxying(loaded(table)) as running:
                old = await talk(running, "old.example")
                issue("new.example")
                await running.reload(loaded(table))
                new = await talk(running, "new.example")
                with pytest.raises(Disconnected, match="not valid for"):
                    await talk(running, "old.example")
                for stream in (old, new):
                    await stream.write_all(b"x")
                    assert await stream.read_exact(1) == b"x"
                    await stream.close_gracefully()
                await running.reload(loaded(listener(a)))
                assert await ask(running, b"plain") == b"aplain"

        assert bytes(a.heard) == b"secretsecretxxplain"
        assert running.outcomes() == ["done"] * 3

    run(main)


def test_a_shortage_of_this_machine_is_not_the_servers_fault(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors no connect works, and all servers are well."""

    async def main() -> None:
        async with backends("a") as (a,):
            upstream = {"address": a.address, "max_connections": 1}
            table = listener(upstream, retries=0)
            async with proxying(loaded(table)) as running:
                (front,) = running.proxy.fronts.values()
                held, other = await running.connect(), await running.connect()
                assert await held.read_exact(1) == b"a"
                # It was accepted, and connects when its place is free.
                await until(lambda: front.waiting)
                with monkeypatch.context() as patch:
                    patch.setattr(socket, "socket", _no_descriptor)
                    held.close()
                    with suppress(Disconnected):
                        assert await other.read() == b""
                other.close()
                assert await ask(running) == b"a"
            assert len(running.events("connect-failed")) == 1
            assert running.events("upstream-down") == []

    run(main)


def _no_descriptor(*_: object, **__: object) -> socket.socket:
    raise OSError(24, "Too many open files")
