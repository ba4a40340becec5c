"""The example's server next to Redis itself: the same requests, the same replies."""

from pathlib import Path

import pytest

from sumida.net import TcpStream
from tests.examples.redis_programs import needs, real_server
from tests.examples.redis_wire import Failure, Wire, serving
from tests.support import Run

SCRIPT = """
SET k v | GET k | GET none | SET k | set k v2 EX 100 | TTL k | PTTL none | TTL none
SET k w NX | SET k w XX GET | SET k w KEEPTTL | SET k w EX 0 | SET k w EX x | SET k w EX
SET k w NX XX | SET k w PX 1000 KEEPTTL | SET k w FOO | SET none w XX | SET n 10 GET
SET k w EX 9223372036854775807 | SET k w EX 99999999999999999999
INCR n | INCRBY n -5 | DECR n | DECRBY n 3 | INCRBY n x | INCR k | INCRBY n 1.5
SET m 9223372036854775807 | INCR m | DECRBY m -1 | SET m 007 | INCR m | INCRBY n +1
MSET a 1 b 2 | MSET a | MSET a 1 b | MGET a b none k | MGET | EXISTS a a none | EXISTS
DEL a none | DEL | TYPE b | TYPE none | EXPIRE b 100 | PERSIST b | PERSIST b
EXPIRE b x | EXPIRE none 1 | EXPIRE b -1 | GET b | TTL k extra
EXPIRE b 9223372036854775807
LPUSH l 1 2 3 | RPUSH l 4 5 | LRANGE l 0 -1 | LRANGE l -2 -1 | LRANGE l 1 1
LRANGE l 3 1 | LRANGE l 10 20 | LRANGE l -100 1 | LRANGE none 0 -1 | LRANGE l a b
LPOP l | LPOP l 2 | LPOP l 0 | LPOP none | LPOP none 2 | LPOP l -1 | LPOP l x | GET l
LPUSH l | RPUSH k x | LPUSH k x | LRANGE k 0 -1 | LPOP k | BLPOP l 0 | BLPOP l none x
BLPOP l none -1 | BLPOP l | BLPOP k 1 | TYPE l | BLPOP none l 1 | TYPE l
HSET h a 1 b 2 | HSET h a 3 c 4 | HSET h a | HSET h a 1 b | HGET h a | HGET h none
HGET none a | HGETALL none | HGET k a | HSET k a 1 | HGETALL k | TYPE h | GET h | INCR h
HSET one a 1 | HGETALL one | MGET h k | SELECT 0 | SELECT 99 | SELECT x
PING | PING hi | PING a b | ECHO hi | ECHO | NOPE | NOPE a b | nope "x y" | KEYS k*
KEYS none* | SCAN x | SCAN 0 MATCH | SCAN 0 COUNT 0 | SCAN 0 COUNT x | SCAN 0 FOO bar
SCAN 0 MATCH none* COUNT 1000 | PUBLISH c m | PUBLISH c | UNSUBSCRIBE | PUNSUBSCRIBE x
EXEC | DISCARD | MULTI | MULTI | SET t 1 | GET t | LPUSH t x | BLPOP none 0 | EXEC
MULTI | NOPE | EXEC | MULTI | SET t | GET t | EXEC | MULTI | SET t 2 | DISCARD | GET t
CLIENT GETNAME | CLIENT SETNAME me | CLIENT GETNAME | CLIENT SETNAME "a b"
CONFIG GET appendonly | CONFIG GET save | CONFIG GET none | COMMAND INFO none
SUBSCRIBE c d | SUBSCRIBE c | PING | PING x | UNSUBSCRIBE d | PSUBSCRIBE p* | PUBLISH
UNSUBSCRIBE c | PUNSUBSCRIBE p* | GET k | HELLO 4 | HELLO x | DBSIZE | FLUSHALL | DBSIZE
"""
"""Requests whose replies do not depend on who gives them."""


async def _replies(port: int, protocol: int) -> list[tuple[object, ...]]:
    """Send the script, and give what was replied."""
    stream = await TcpStream.connect("127.0.0.1", port, read_timeout=20)
    replies: list[tuple[object, ...]] = []
    async with Wire(stream) as client:
        await client.ask("HELLO", protocol)
        for line in SCRIPT.strip().split("\n"):
            for words in line.split(" | "):
                await stream.write_all(words.encode() + b"\r\n")
                reply = await client.read()
                more = [await client.read()] if words == "SUBSCRIBE c d" else []
                replies.append((words, reply, *more))
    return replies


@needs("redis-server")
@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_says_the_same(run: Run, tmp_path: Path, protocol: int) -> None:
    """Word for word, errors too: the script is sent to both."""

    async def main(real: int) -> list[list[tuple[object, ...]]]:
        async with serving() as running:
            return [await _replies(port, protocol) for port in (running.port, real)]

    with real_server(tmp_path) as real:
        ours, theirs = run(main, real)

    assert ours == theirs
    assert sum(isinstance(reply[1], Failure) for reply in ours) > 40
