"""A pool against a queue of connections, and against a new connection each time.

    python bench/bench_pool.py

The queue is what people write in its place; it checks nothing, hands a connection on
whatever became of it, and has no deadline. What a connection costs is on the loopback,
without TLS or a login: anywhere else it is more.
"""

import asyncio
from collections.abc import Callable, Coroutine

from harness import Row, best_of, show

from sumida.net import Pool, TcpStream, serve

USES = 2_000
NEW = 100
USERS = 50
SIZE = 10
LOCAL = "127.0.0.1"

Main = Callable[[], Coroutine[object, object, None]]


async def answer(stream: TcpStream) -> None:
    """Send back whatever comes."""
    while data := await stream.read():
        await stream.write_all(data)


async def ask(stream: TcpStream) -> None:
    """Make a request."""
    await stream.write_all(b"ping")
    await stream.read_exact(4)


def pooled(*, asks: bool) -> Main:
    """Use a connection of a pool again and again."""

    async def main() -> None:
        async with await serve(answer, LOCAL, 0) as server:

            async def connect() -> TcpStream:
                return await TcpStream.connect(LOCAL, server.port)

            async with Pool(connect, max_size=SIZE) as pool:
                for _ in range(USES):
                    async with pool.acquire() as stream:
                        if asks:
                            await ask(stream)

    return main


def queued(*, asks: bool) -> Main:
    """Use a connection of a queue again and again."""

    async def main() -> None:
        async with await serve(answer, LOCAL, 0) as server:
            idle: asyncio.Queue[TcpStream] = asyncio.Queue()
            idle.put_nowait(await TcpStream.connect(LOCAL, server.port))
            for _ in range(USES):
                stream = await idle.get()
                try:
                    if asks:
                        await ask(stream)
                finally:
                    idle.put_nowait(stream)
            idle.get_nowait().close()

    return main


def new(*, asks: bool) -> Main:
    """Make a connection for each use."""

    async def main() -> None:
        async with await serve(answer, LOCAL, 0) as server:
            for _ in range(NEW):
                async with await TcpStream.connect(LOCAL, server.port) as stream:
                    if asks:
                        await ask(stream)

    return main


async def pooled_by_many() -> None:
    """Share ten connections among fifty users."""
    async with await serve(answer, LOCAL, 0) as server:

        async def connect() -> TcpStream:
            return await TcpStream.connect(LOCAL, server.port)

        async with Pool(connect, max_size=SIZE) as pool:

            async def use() -> None:
                for _ in range(USES // USERS):
                    async with pool.acquire():
                        await asyncio.sleep(0)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(USERS):
                    tasks.create_task(use())


async def queued_by_many() -> None:
    """Do the same with a queue."""
    async with await serve(answer, LOCAL, 0) as server:
        idle: asyncio.Queue[TcpStream] = asyncio.Queue()
        for _ in range(SIZE):
            idle.put_nowait(await TcpStream.connect(LOCAL, server.port))

        async def use() -> None:
            for _ in range(USES // USERS):
                stream = await idle.get()
                try:
                    await asyncio.sleep(0)
                finally:
                    idle.put_nowait(stream)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(USERS):
                tasks.create_task(use())
        while not idle.empty():
            idle.get_nowait().close()


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    pool, queue, pool_ask, queue_ask, many, queue_many = best_of(
        [
            pooled(asks=False),
            queued(asks=False),
            pooled(asks=True),
            queued(asks=True),
            pooled_by_many,
            queued_by_many,
        ],
        USES,
        rounds=7,
    )
    fresh, fresh_ask = best_of([new(asks=False), new(asks=True)], NEW, rounds=7)
    return [
        Row("acquire and release", pool, "a new connection", fresh, floor=10.0),
        Row("acquire and release", pool, "a queue of connections", queue),
        Row("request over the pool", pool_ask, "a new connection", fresh_ask),
        Row("request over the pool", pool_ask, "a queue of connections", queue_ask),
        Row("50 users of 10", many, "a queue of connections", queue_many),
    ]


if __name__ == "__main__":
    show("pool", rows())
