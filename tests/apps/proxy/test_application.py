"""The whole proxy, on real sockets: what it carries, and what a reload changes."""

import asyncio
from collections import Counter

import pytest

from sumida import CancellationToken, JoinSet
from sumida.apps.proxy.application import CannotListenError, Proxy
from sumida.apps.proxy.journal import Journal
from sumida.channels import watch
from sumida.errors import ConnectError, Disconnected
from sumida.net import TcpStream
from sumida.sync import Notify
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


def test_connections_go_in_turn_and_bytes_both_ways(run: Run) -> None:
    """Six connections to three servers, and a line in the log for each."""

    async def main() -> None:
        async with backends("abc") as servers:
            async with proxying(loaded(listener(*servers, name="web"))) as running:
                said = [await ask(running, b"hi") for _ in range(6)]
            lines = running.events("connection")

        assert said == [b"ahi", b"bhi", b"chi"] * 2
        assert running.outcomes() == ["done"] * 6
        assert all(each["sent"] == 2 and each["received"] == 3 for each in lines)
        assert all(each["listener"] == "web" for each in lines)
        assert [each["upstream"] for each in lines[:3]] == [
            each.address for each in servers
        ]
        assert len({each["id"] for each in lines}) == 6
        assert running.proxy.metrics.sent["web", servers[0].address] == 4
        assert running.proxy.metrics.received["web", servers[0].address] == 6

    run(main)


def test_much_is_carried_whole(run: Run) -> None:
    """Some megabytes through, and back."""

    async def main() -> None:
        data = bytes(range(256)) * 16384
        async with backends("a") as servers:
            async with proxying(loaded(listener(*servers))) as running:
                stream = await running.connect()
                async with stream, JoinSet[None]() as tasks:
                    tasks.spawn(stream.write_all(data))
                    assert await stream.read_exact(1 + len(data)) == b"a" + data
            (line,) = running.events("connection")

        assert line["sent"] == len(data)
        assert line["received"] == len(data) + 1

    run(main)


def test_least_connections_spares_the_busy_one(run: Run) -> None:
    """Where one holds two connections, the other gets the next ones."""

    async def main() -> None:
        async with backends("ab") as servers:
            config = loaded(listener(*servers, balance="least-connections"))
            async with proxying(config) as running:
                held = [await running.connect() for _ in range(2)]
                names = [await each.read_exact(1) for each in held]
                assert sorted(names) == [b"a", b"b"]
                busy = held[names.index(b"a")]
                held[names.index(b"b")].close()
                await until(lambda: running.proxy.metrics.connections)
                assert [await ask(running) for _ in range(3)] == [b"b"] * 3
                busy.close()

    run(main)


def test_a_reload_leaves_connections_alone_and_changes_the_next(run: Run) -> None:
    """The old one still talks to a server that is no longer configured."""

    async def main() -> None:
        async with backends("ab") as (a, b):
            table = listener(a)
            async with proxying(loaded(table)) as running:
                old = await running.connect()
                assert await old.read_exact(1) == b"a"
                port = running.port
                new = loaded({**table, "upstreams": [b.address]}, drain=3, log="json")
                await running.reload(new)
                assert await ask(running, b"x") == b"bx"
                await old.write_all(b"still here")
                assert await old.read_exact(10) == b"still here"
                assert running.port == port
                assert running.config.drain == 3
                old.close()
            (line,) = running.events("reload")

        assert line["result"] == "applied"
        assert line["connections"] == 1

    run(main)


def test_listeners_come_and_go_without_harm_to_others(run: Run) -> None:
    """A port that is closed keeps its connections; the drain waits for them, too."""

    async def main() -> None:
        async with backends("abc") as (a, b, c):
            stay = listener(a, name="stay")
            free = (await dead_address()).rpartition(":")[2]
            gone = listener(b, name="gone", listen=f"{LOCAL}:{free}")
            async with proxying(loaded(stay, gone)) as running:
                one, other = await running.connect(0), await running.connect(1)
                assert await one.read_exact(1) == b"a"
                assert await other.read_exact(1) == b"b"
                new = (await dead_address()).rpartition(":")[2]
                fresh = listener(c, name="fresh", listen=f"{LOCAL}:{new}")
                await running.reload(loaded(stay, fresh))
                with pytest.raises(ConnectError):
                    await TcpStream.connect(LOCAL, int(free))
                assert await ask(running, index=1) == b"c"
                for stream, letter in ((one, b"1"), (other, b"2")):
                    await stream.write_all(letter)
                    assert await stream.read_exact(1) == letter
                running.stop.cancel()
                await until(lambda: running.proxy.is_draining)
                for stream in (one, other):
                    await stream.write_all(b"!")
                    assert await stream.read_exact(1) == b"!"
                    stream.close()
            (line,) = running.events("reload")

        assert (line["opened"], line["closed"]) == (1, 1)
        assert running.report is not None
        assert running.report.finished == 2
        assert running.report.cancelled == 0

    run(main)


def test_a_port_that_cannot_be_had_refuses_the_whole_reload(run: Run) -> None:
    """What could be opened is closed again, and all is as before."""

    async def main() -> None:
        async with backends("ab") as (a, b):
            stay = listener(a)
            async with proxying(loaded(stay)) as running:
                free = await dead_address()
                bad = loaded(
                    {**stay, "upstreams": [b.address]},
                    listener(b, listen=free),
                    listener(b, listen=b.address),
                )
                await running.reload(bad)
                assert await ask(running) == b"a"
                with pytest.raises(ConnectError):
                    await TcpStream.connect(LOCAL, int(free.rpartition(":")[2]))
                assert len(running.ports) == 1
            (line,) = running.events("reload")

        assert line["result"] == "refused"
        assert f"cannot listen on {b.address}" in str(line["error"])
        assert running.proxy.metrics.reloads["refused"] == 1

    run(main)


def test_a_first_port_that_cannot_be_had_is_an_error(run: Run) -> None:
    """Nothing is left open."""

    async def main() -> None:
        async with backends("a") as (a,):
            free = await dead_address()
            config = loaded(listener(a, listen=free), listener(a, listen=a.address))
            configs, seen = watch.channel(config)
            journal = Journal("off")
            with configs, seen, pytest.raises(CannotListenError) as caught:
                await Proxy(seen, journal).run(CancellationToken())
            journal.close()
            assert "free the port" in str(caught.value)
            assert caught.value.where == a.address
            with pytest.raises(ConnectError):
                await TcpStream.connect(LOCAL, int(free.rpartition(":")[2]))

    run(main)


def test_nothing_is_dropped_under_load_while_servers_die_and_files_change(
    run: Run,
) -> None:
    """Clients that connect all the time get an answer each time."""

    async def main() -> Counter[bytes]:
        answers: Counter[bytes] = Counter()
        over = asyncio.Event()
        async with backends("abc") as servers:
            table = listener(*servers, retries=3)
            async with proxying(loaded(table)) as running:

                async def client() -> None:
                    while not over.is_set():
                        answers[await ask(running, b"?")] += 1

                async def more() -> None:
                    before = answers.total()
                    await until(lambda: answers.total() > before + 40)

                async with JoinSet[None]() as tasks:
                    for _ in range(8):
                        tasks.spawn(client())
                    await more()
                    for balance in ("least-connections", "round-robin") * 5:
                        await running.reload(loaded({**table, "balance": balance}))
                        await more()
                    # Nobody is connected to it at this moment, as a connection that
                    # is cut is lost for a client that does not ask again.
                    await running.reload(
                        loaded(
                            {
                                **table,
                                "upstreams": [servers[0].address, servers[2].address],
                            }
                        )
                    )
                    await until(lambda: not servers[1].server.connections)
                    await servers[1].stop()
                    await running.reload(loaded(table))
                    await more()
                    over.set()
            failed = running.events("connect-failed")
        assert failed
        assert all(each["upstream"] == servers[1].address for each in failed)
        assert running.outcomes() == ["done"] * answers.total()
        return answers

    answers = run(main)
    assert set(answers) == {b"a?", b"b?", b"c?"}


def test_the_drain_waits_and_then_cuts(run: Run) -> None:
    """Who ends in time is whole; who does not is cut, and counted."""

    async def main() -> None:
        async with (
            backends("a") as servers,
            proxying(loaded(listener(*servers), drain=1)) as running,
        ):
            quick, slow = await running.connect(), await running.connect()
            for stream in (quick, slow):
                assert await stream.read_exact(1) == b"a"
            port = running.port
            running.stop.cancel()
            await until(lambda: running.proxy.is_draining)
            with pytest.raises(ConnectError):
                await TcpStream.connect(LOCAL, port)
            await quick.write_all(b"bye")
            await quick.shutdown()
            assert await quick.read_to_end() == b"bye"
            with pytest.raises(Disconnected):
                await slow.read_exact(1)
            slow.close()
            quick.close()

        assert running.report is not None
        assert (running.report.finished, running.report.cancelled) == (1, 1)
        assert running.outcomes() == ["done", "cancelled"]
        (line,) = running.events("stopped")
        assert (line["finished"], line["cancelled"]) == (1, 1)

    run(main)


def test_a_cancelled_proxy_leaves_nothing(run: Run) -> None:
    """No task, no port, no connection."""

    async def main() -> None:
        async with backends("a") as servers:
            config = loaded(listener(*servers))
            running: Running | None = None
            stream: TcpStream | None = None

            async def work() -> None:
                nonlocal running, stream
                async with proxying(config) as running:
                    stream = await running.connect()
                    assert await stream.read_exact(1) == b"a"
                    held.notify_one()
                    await Notify().notified()

            held = Notify()
            async with JoinSet[None]() as tasks:
                task = tasks.spawn(work())
                await held.notified()
                assert running is not None
                assert stream is not None
                port = running.port
                task.cancel()
                with pytest.raises(Disconnected):
                    await stream.read_exact(1)
                stream.close()
            with pytest.raises(ConnectError):
                await TcpStream.connect(LOCAL, port)

    run(main)
