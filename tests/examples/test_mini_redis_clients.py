"""The example's server and real clients: Redis' own tools, and the package `redis`."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis
import redis.asyncio

from tests.examples.redis_programs import (
    ENVIRONMENT,
    complaints,
    needs,
    our_server,
    run_tool,
)
from tests.examples.redis_wire import request, serving
from tests.support import Run

Client: TypeAlias = Any
"""Of the package `redis`, whose own types depend on how its client was made."""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run a server for all tests of this file, on each loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with our_server("--loop", request.param) as (port, _):
        yield port


@pytest.fixture(params=[2, 3])
def client(port: int, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Give a client that blocks, and an empty server."""
    client: Client
    with redis.Redis(port=port, protocol=request.param, socket_timeout=20) as client:
        client.flushall()
        yield client


def test_values_of_each_kind(client: Client) -> None:
    """What was set is found again, in the client's own types."""
    assert client.ping()
    assert client.set("s", b"\r\n\x00", ex=100)
    assert client.set("s", "x", nx=True) is None
    assert client.set("s", "y", keepttl=True, get=True) == b"\r\n\x00"
    assert 98 <= client.ttl("s") <= 100
    assert client.persist("s")
    assert client.ttl("s") == -1
    assert client.mset({"a": 1, "b": 2})
    assert client.mget("a", "none", "b") == [b"1", None, b"2"]
    assert client.incr("a", 5) == 6
    assert client.decr("a") == 5
    assert client.rpush("l", "1", "2", "3") == 3
    assert client.lpush("l", "0") == 4
    assert client.lrange("l", 0, -1) == [b"0", b"1", b"2", b"3"]
    assert client.lpop("l", 2) == [b"0", b"1"]
    assert client.hset("h", mapping={"f": "1", "g": "2"}) == 2
    assert client.hgetall("h") == {b"f": b"1", b"g": b"2"}
    assert client.hget("h", "g") == b"2"
    assert client.type("h") == b"hash"
    assert sorted(client.scan_iter("[a-l]", count=2)) == [b"a", b"b", b"h", b"l"]
    assert client.exists("a", "a", "none") == 2
    assert client.delete("a", "none") == 1
    assert client.dbsize() == 4
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.get("h")
    assert client.info()["redis_version"] == "7.0.0"
    assert client.config_get("save") == {"save": ""}
    assert client.client_getname() is None
    assert client.client_setname("me")
    assert any(one["name"] == "me" for one in client.client_list())
    assert client.command_count() > 40
    assert "get" in client.command()


def test_pipelines_and_transactions(client: Client) -> None:
    """In order; a transaction with an error in it does the rest all the same."""
    with client.pipeline(transaction=False) as pipe:
        for n in range(2000):
            pipe.set(f"k{n}", n).get(f"k{n}")
        replies = pipe.execute()
    assert replies[1::2] == [b"%d" % n for n in range(2000)]
    with client.pipeline() as pipe:
        pipe.incr("n").lpush("n", "x").incr("n")
        assert pipe.execute(raise_on_error=False)[::2] == [1, 2]


def test_a_big_value(client: Client) -> None:
    """It comes in many pieces, and goes out in many."""
    value = os.urandom(5_000_000)
    client.set("big", value)

    assert client.get("big") == value


def test_messages(client: Client) -> None:
    """Subscribed, told, unsubscribed."""
    with client.pubsub() as pubsub:
        pubsub.subscribe("c")
        pubsub.psubscribe("p*")
        kinds = [pubsub.get_message(timeout=20) for _ in range(2)]
        assert client.publish("c", "1") == 1
        assert client.publish("pp", "2") == 1
        told = [pubsub.get_message(timeout=20) for _ in range(2)]
        pubsub.unsubscribe()
        last = pubsub.get_message(timeout=20)

    assert [kind and kind["type"] for kind in kinds] == ["subscribe", "psubscribe"]
    assert [(one and one["channel"], one and one["data"]) for one in told] == [
        (b"c", b"1"),
        (b"pp", b"2"),
    ]
    assert last is not None
    assert last["type"] == "unsubscribe"


def test_a_blocking_pop(client: Client) -> None:
    """One thread waits, another pushes."""
    found: list[object] = []
    waiting = threading.Thread(
        target=lambda: found.append(tuple(client.blpop(["none", "l"], timeout=20)))
    )
    waiting.start()
    while client.info("clients")["blocked_clients"] == 0:
        pass
    client.rpush("l", "x")
    waiting.join(20)

    assert found == [(b"l", b"x")]
    assert client.blpop("none", timeout=0.01) is None


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_asyncio_client(run: Run, protocol: int) -> None:
    """On the same loop as the server: values, pipelines, messages, a blocking pop."""

    async def main() -> list[object]:
        async with serving() as running:
            client: Client = redis.asyncio.Redis(port=running.port, protocol=protocol)
            async with client:
                await client.hset("h", mapping={"a": "1"})
                async with client.pipeline(transaction=True) as pipe:
                    for n in range(100):
                        pipe.rpush("l", n)
                    counts = await pipe.execute()
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe("c")
                    await pubsub.get_message(timeout=20)
                    await client.publish("c", "hi")
                    message = await pubsub.get_message(timeout=20)
                return [
                    await client.hgetall("h"),
                    counts == [*range(1, 101)],
                    message["data"],
                    tuple(await client.blpop("l", timeout=1)),
                ]

    assert run(main) == [{b"a": b"1"}, True, b"hi", (b"l", b"0")]


@needs("redis-cli")
def test_redis_cli(port: int) -> None:
    """One command, several from its input, maps by RESP3, a mass of raw requests."""
    cli = ("redis-cli", "-p", str(port))

    assert run_tool(*cli, "FLUSHALL") == "OK\n"
    assert run_tool(*cli, "HSET", "h", "a", "1") == "1\n"
    assert run_tool(*cli, "--no-raw", "-3", "HGETALL", "h") == '1# "a" => "1"\n'
    assert run_tool(*cli, "--no-raw", "HGETALL", "h") == '1) "a"\n2) "1"\n'
    typed = 'SET k "two words"\nGET k\nSUBSCRIBE\nTTL k\n'
    assert run_tool(*cli, stdin=typed) == (
        "OK\ntwo words\nERR wrong number of arguments for 'subscribe' command\n\n-1\n"
    )
    raw = "".join(request("SET", f"key-{n}", n).decode() for n in range(3000))
    assert "errors: 0, replies: 3000" in run_tool(*cli, "--pipe", stdin=raw)
    assert run_tool(*cli, "DBSIZE") == "3002\n"
    assert len(run_tool(*cli, "--scan", "--pattern", "key-*").split()) == 3000


@needs("redis-benchmark")
def test_redis_benchmark(port: int) -> None:
    """Its usual tests, pipelined and not."""
    benchmark = ("redis-benchmark", "-p", str(port), "-q", "-n", "2000", "-c", "20")
    tests = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,hset,lrange_100,mset"

    for pipeline in ("1", "16"):
        output = run_tool(*benchmark, "-P", pipeline, "-t", tests)
        lines = [
            line for line in output.replace("\r", "\n").split("\n") if "p50" in line
        ]
        assert len(lines) == 12


def test_a_signal_ends_it_well() -> None:
    """Ctrl-C too: with the exit code that a shell expects, and a client hung up on."""
    with (
        our_server("--loop", "asyncio") as (port, process),
        redis.Redis(port=port) as client,
    ):
        client.ping()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)

    assert (process.returncode, output, complaints(errors)) == (130, "", [])


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--port", None, "in use"),
        ("--port", "70000", "port must be 0 to 65535, not 70000"),
        ("--host", "nowhere.invalid", "nowhere.invalid"),
        ("--max-clients", "0", "max_connections must be 1 or more, not 0"),
    ],
)
def test_what_cannot_be_had_is_told(option: str, value: str | None, told: str) -> None:
    """In a sentence, such as that the port is taken; and it ends with an error."""
    with our_server("--loop", "asyncio") as (port, _):
        folder = Path(__file__).resolve().parents[2] / "examples"
        done = subprocess.run(  # noqa: S603  # the repository's own program
            [sys.executable, "-m", "mini_redis", option, value or str(port)],
            cwd=folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("mini_redis: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
