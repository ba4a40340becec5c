"""The example's server, by its own protocol: what each kind of client can rely on."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.mini_redis.protocol import Limits
from examples.mini_redis.replies import WRONG_TYPE
from sumida import JoinSet
from sumida.errors import Disconnected, IncompleteReadError
from sumida.testing import turns
from tests.examples.redis_wire import NO_ARRAY, Failure, Running, request, serving
from tests.support import Run


async def _waiting(running: Running, count: int) -> None:
    """Wait until so many clients stand in line."""
    while len(running.server.shared.line) != count:
        await turns(1)


def test_a_pipeline_is_answered_in_order(run: Run) -> None:
    """Also when it comes byte by byte, and with errors in it."""
    data = b"".join(
        [
            request("SET", "k", "v"),
            request("GET", "k"),
            request("NOPE"),
            b"PING\r\n",
            request("LPUSH", "k", "x"),
            request("GET", "k"),
        ]
    )

    async def main() -> tuple[list[object], list[object]]:
        async with serving() as running, await running.connect() as client:
            await client.stream.write_all(data)
            at_once = [await client.read() for _ in range(6)]
            for place in range(len(data)):
                await client.stream.write_all(data[place : place + 1])
                await turns(2)
            return at_once, [await client.read() for _ in range(6)]

    at_once, bit_by_bit = run(main)

    assert at_once == bit_by_bit
    assert at_once[:2] == ["OK", b"v"]
    assert at_once[3] == "PONG"
    assert at_once[4:] == [
        Failure(WRONG_TYPE),
        b"v",
    ]


def test_a_transaction_is_one_moment(run: Run) -> None:
    """Queued, carried out together; refused as a whole if one request is wrong."""

    async def main() -> list[object]:
        async with serving() as running, await running.connect() as client:
            return [
                await client.ask(*words)
                for words in (
                    ("EXEC",),
                    ("MULTI",),
                    ("MULTI",),
                    ("INCR", "n"),
                    ("LPUSH", "n", "x"),
                    ("BLPOP", "empty", 0),
                    ("EXEC",),
                    ("MULTI",),
                    ("SET", "n"),
                    ("EXEC",),
                    ("MULTI",),
                    ("SUBSCRIBE", "c"),
                    ("DISCARD",),
                    ("GET", "n"),
                )
            ]

    replies = run(main)

    assert replies[0] == Failure("ERR EXEC without MULTI")
    assert replies[2] == Failure("ERR MULTI calls can not be nested")
    assert replies[3:6] == ["QUEUED"] * 3
    assert replies[6] == [1, Failure(WRONG_TYPE), NO_ARRAY]
    assert str(replies[9]).startswith("EXECABORT")
    assert replies[11] == Failure("ERR Command not allowed inside a transaction")
    assert replies[12:] == ["OK", b"1"]


def test_who_pushes_and_pops_in_a_transaction_takes_it_back(run: Run) -> None:
    """Nobody who waits sees what was there in between."""

    async def main() -> list[object]:
        async with (
            serving() as running,
            await running.connect() as waits,
            await running.connect() as pushes,
        ):
            await waits.send("BLPOP", "a", 0)
            await _waiting(running, 1)
            for words in (("MULTI",), ("RPUSH", "a", 1), ("LPOP", "a")):
                await pushes.ask(*words)
            done = await pushes.ask("EXEC")
            await _waiting(running, 1)
            return [done, await pushes.ask("RPUSH", "a", 2), await waits.read()]

    assert run(main) == [[1, b"1"], 1, [b"a", b"2"]]


def test_clients_that_wait_are_served_in_order(run: Run) -> None:
    """One that hangs up meanwhile loses nothing for the others."""

    async def main() -> list[object]:
        async with serving() as running, await running.connect() as pushes:
            first, second, third = [await running.connect() for _ in range(3)]
            for place, client in enumerate([first, second, third], 1):
                # What is sent after it has to wait, too; what came before has not.
                await client.stream.write_all(
                    request("PING") + request("BLPOP", "x", "a", 0) + request("PING")
                )
                assert await client.read() == "PONG"
                await _waiting(running, place)
            async with first:
                pass
            await _waiting(running, 2)
            assert await pushes.ask("RPUSH", "a", 1, 2, 3) == 3
            async with second, third:
                return [
                    [await second.read(), await second.read()],
                    [await third.read(), await third.read()],
                    await pushes.ask("LRANGE", "a", 0, -1),
                    await pushes.ask("BLPOP", "nothing", "0.01"),
                ]

    assert run(main) == [
        [[b"a", b"1"], "PONG"],
        [[b"a", b"2"], "PONG"],
        [b"3"],
        NO_ARRAY,
    ]


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_reach_those_who_subscribed(run: Run, protocol: int) -> None:
    """Channels and patterns; by RESP3 as pushes, between other replies."""

    async def main() -> list[object]:
        async with (
            serving() as running,
            await running.connect() as hears,
            await running.connect() as says,
        ):
            await hears.ask("HELLO", protocol)
            await hears.send("SUBSCRIBE", "a", "b")
            replies = [await hears.read(), await hears.read()]
            replies.append(await hears.ask("PSUBSCRIBE", "[ab]*"))
            told = [await says.ask("PUBLISH", c, "hi") for c in ("a", "bb", "c")]
            replies += [*told, *[await hears.read() for _ in range(3)]]
            replies += [await hears.ask("PING"), await hears.ask("GET", "k")]
            # What was published before is told before.
            assert await says.ask("PUBLISH", "a", "last") == 2
            await hears.send("UNSUBSCRIBE")
            replies += [await hears.read() for _ in range(4)]
            replies += [await hears.ask("PUNSUBSCRIBE"), await hears.ask("GET", "k")]
            return [tuple(r) if isinstance(r, list) else r for r in replies]

    replies = run(main)

    assert replies[:3] == [
        (b"subscribe", b"a", 1),
        (b"subscribe", b"b", 2),
        (b"psubscribe", b"[ab]*", 3),
    ]
    assert replies[3:6] == [2, 1, 0]
    assert replies[6:9] == [
        (b"message", b"a", b"hi"),
        (b"pmessage", b"[ab]*", b"a", b"hi"),
        (b"pmessage", b"[ab]*", b"bb", b"hi"),
    ]
    if protocol == 3:
        assert replies[9:11] == ["PONG", None]
    else:
        assert replies[9] == (b"pong", b"")
        assert str(replies[10]).startswith("ERR Can't execute 'get'")
    assert replies[11:15] == [
        (b"message", b"a", b"last"),
        (b"pmessage", b"[ab]*", b"a", b"last"),
        (b"unsubscribe", b"a", 2),
        (b"unsubscribe", b"b", 1),
    ]
    assert replies[15:] == [(b"punsubscribe", b"[ab]*", 0), None]


def test_a_slow_subscriber_is_cut_off(run: Run) -> None:
    """It holds up nobody, and what waits for it has a bound."""
    message = b"x" * 20_000

    async def main() -> tuple[int, object, int]:
        async with (
            serving() as running,
            await running.connect(receive_buffer=4096) as slow,
            await running.connect() as quick,
            await running.connect() as says,
        ):
            for client in (slow, quick):
                await client.ask("SUBSCRIBE", "c")
            count = 0
            while await says.ask("PUBLISH", "c", message) == 2:
                count += 1
                await quick.read()
            heard = await quick.read()
            with pytest.raises((Disconnected, IncompleteReadError)):
                while True:
                    await slow.read()
            while len(running.server.shared.clients) > 2:
                await turns(1)
            return count, heard, len(running.server.shared.clients)

    count, heard, left = run(main)

    # What the kernel and the stream hold comes on top of the inbox.
    assert 1024 <= count <= 1024 + 1000
    assert heard == [b"message", b"c", message]
    assert left == 2


@pytest.mark.parametrize("is_one", [True, False])
def test_who_does_not_read_is_not_served(run: Run, is_one: bool) -> None:
    """One reply of many parts, or many: what waits in the server has a bound."""
    size, count = 100_000, 100
    words = ["MGET", *["k"] * count] if is_one else ["GET", "k"]

    async def main() -> tuple[int, int]:
        async with (
            serving() as running,
            await running.connect(receive_buffer=65536) as greedy,
            await running.connect() as other,
        ):
            await other.ask("SET", "k", b"x" * size)
            await greedy.stream.write_all(request(*words) * (1 if is_one else count))
            for _ in range(50):
                await other.ask("PING")
            (session,) = [s for s in running.server._sessions if not s.is_idle]
            waiting = session._stream.unsent + len(session._output)
            if is_one:
                values = await greedy.read()
            else:
                values = [await greedy.read() for _ in range(count)]
            assert isinstance(values, list)
            return waiting, sum(
                len(value) for value in values if isinstance(value, bytes)
            )

    waiting, total = run(main)

    # Ten megabytes were asked for.
    assert waiting <= 5 * size
    assert total == count * size


def test_a_client_that_sends_nonsense_is_cut_off_alone(run: Run) -> None:
    """It is told why, after the replies to what came before."""

    async def main() -> list[object]:
        async with (
            serving(Limits(bulk=100)) as running,
            await running.connect() as good,
            await running.connect() as bad,
        ):
            await bad.stream.write_all(
                request("PING") + b"*1\r\n$101\r\n" + b"x" * 9999
            )
            replies = [await bad.read(), await bad.read()]
            rest = await bad.stream.read_to_end()
            return [*replies, rest, await good.ask("PING")]

    assert run(main) == [
        "PONG",
        Failure("ERR Protocol error: invalid bulk length"),
        b"",
        "PONG",
    ]


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=15))
@settings(max_examples=20, deadline=None)
def test_random_bytes_do_not_crash_the_server(chunks: list[bytes]) -> None:
    """Whatever its clients send, the next one is served, and nothing is logged."""

    async def attack(running: Running, chunk: bytes) -> None:
        async with await running.connect() as client:
            await client.stream.write_all(b"*1\r\n$4\r\nPING\r\n" + chunk)
            await client.stream.shutdown()
            data = await client.stream.read_to_end()
        assert data.startswith(b"+PONG\r\n")

    async def main() -> object:
        async with serving() as running:
            async with JoinSet[None]() as tasks:
                for chunk in chunks:
                    tasks.spawn(attack(running, chunk))
            async with await running.connect() as client:
                assert not running.server.shared.clients.keys() - {
                    running.server.shared.statistics.connections
                }
                return await client.ask("PING")

    assert asyncio.run(main()) == "PONG"


def test_a_stop_answers_what_has_arrived(run: Run) -> None:
    """A pipeline under way, an idle client, one that waits: each gets its due."""

    async def main() -> list[object]:
        async with serving() as running:
            busy, idle, waits, hears = [await running.connect() for _ in range(4)]
            await idle.ask("PING")
            await hears.ask("SUBSCRIBE", "c")
            await waits.send("BLPOP", "a", 0)
            await _waiting(running, 1)
            await busy.stream.write_all(request("INCR", "n") * 5000)
            # The first replies are here, so the pipeline is under way.
            first = await busy.read()
            running.stop.cancel()
            counts = [first, *[await busy.read() for _ in range(4999)]]
            ends = [counts == [*range(1, 5001)], await waits.read()]
            for client in (busy, idle, waits, hears):
                ends.append(await client.stream.read_to_end())
                async with client:
                    pass
        return ends

    assert run(main) == [True, Failure("UNBLOCKED the server stops"), *[b""] * 4]


def test_quit_is_answered_and_ends_the_connection(run: Run) -> None:
    """What comes after it is not carried out."""

    async def main() -> tuple[bytes, int]:
        async with serving() as running, await running.connect() as client:
            await client.stream.write_all(request("QUIT") + request("SET", "k", "v"))
            end = await client.stream.read_to_end()
            return end, len(running.server.shared.store)

    assert run(main) == (b"+OK\r\n", 0)


def test_a_client_that_ends_its_side_is_answered(run: Run) -> None:
    """`printf ... | socat` works: the end comes with the requests."""

    async def main() -> bytes:
        async with serving() as running, await running.connect() as client:
            await client.stream.write_all(b"PING\r\nECHO hi\r\nGE")
            await client.stream.shutdown()
            return await client.stream.read_to_end()

    assert run(main) == b"+PONG\r\n$2\r\nhi\r\n"
