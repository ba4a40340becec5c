"""What users of other libraries lose in pools and streams, row by row of the list.

Each test first does it the usual way and sees the fault, then does it with sumida.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sumida import select
from sumida.errors import Disconnected
from sumida.io import duplex
from sumida.net import Framed, LinesCodec, Pool, TcpStream, serve
from sumida.sync import Notify
from sumida.testing import turns
from tests.support import Run


def test_row_01_waiting_on_two_streams_loses_no_message(run: Run) -> None:
    """`asyncio.wait` over two `readline` takes both lines and gives one; select not."""

    async def usual() -> int:
        a, b = asyncio.StreamReader(), asyncio.StreamReader()
        a.feed_data(b"1\n")
        b.feed_data(b"2\n")
        reads = [asyncio.create_task(reader.readline()) for reader in (a, b)]
        done, _ = await asyncio.wait(reads, return_when="FIRST_COMPLETED")
        used = 1  # the idiom: one of `done` is handled, then the loop goes round
        return len(done) - used

    async def ours() -> int:
        a, a_peer = duplex()
        b, b_peer = duplex()
        async with a, a_peer, b, b_peer:
            await a_peer.write_all(b"1\n")
            await b_peer.write_all(b"2\n")
            left, right = Framed(a, LinesCodec()), Framed(b, LinesCodec())
            got = [await select(left, right) for _ in range(2)]
        return 2 - len({value for _, value in got})

    lost_usual, lost = run(usual), run(ours)

    assert lost_usual == 1
    assert lost == 0


@dataclass
class Slow:
    """A server that answers a line with a line; "slow" when it is let.

    Attributes:
        asked: Notified when it was asked for something slow.
        answers: Notified to let it answer that.
    """

    asked: Notify = field(default_factory=Notify)
    answers: Notify = field(default_factory=Notify)

    async def handle(self, stream: TcpStream) -> None:
        """Answer."""
        with suppress(Disconnected):
            lines = Framed(stream, LinesCodec())
            async for line in lines:
                if line == "slow":
                    self.asked.notify_one()
                    await self.answers.notified()
                await lines.send(f"answer to {line}")


class UsualPool:
    """A queue of connections, as people write one: taken, and put back in `finally`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: asyncio.Queue[Framed[str, str]] = asyncio.Queue()
        self.made: list[TcpStream] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Framed[str, str]]:
        """Take one."""
        if self.idle.empty():
            self.made.append(await TcpStream.connect("127.0.0.1", self.port))
            self.idle.put_nowait(Framed(self.made[-1], LinesCodec()))
        connection = await self.idle.get()
        try:
            yield connection
        finally:
            self.idle.put_nowait(connection)


async def ask(connection: Framed[str, str], question: str) -> str:
    """Ask something."""
    await connection.send(question)
    return await connection.recv()


def test_row_02_a_cancelled_request_poisons_no_connection(run: Run) -> None:
    """The next user of a queue gets the other's reply; that of a pool his own."""

    async def usual() -> str:
        slow = Slow()
        async with await serve(slow.handle, "127.0.0.1", 0, drain=0.1) as server:
            pool = UsualPool(server.port)

            async def request(question: str) -> str:
                async with pool.acquire() as connection:
                    return await ask(connection, question)

            task = asyncio.create_task(request("slow"))
            await slow.asked.notified()
            task.cancel()
            await asyncio.wait([task])
            slow.answers.notify_one()
            answer = await request("mine")
            for stream in pool.made:
                stream.abort()
            return answer

    async def ours() -> tuple[str, int]:
        slow = Slow()
        async with await serve(slow.handle, "127.0.0.1", 0, drain=0.1) as server:

            async def connect() -> Framed[str, str]:
                stream = await TcpStream.connect("127.0.0.1", server.port)
                return Framed(stream, LinesCodec())

            async with Pool(connect, max_size=1) as pool:

                async def request(question: str) -> str:
                    async with pool.acquire() as connection:
                        return await ask(connection, question)

                task = asyncio.create_task(request("slow"))
                await slow.asked.notified()
                task.cancel()
                await asyncio.wait([task])
                slow.answers.notify_one()
                return await request("mine"), pool.status.discarded

    assert run(usual) == "answer to slow"
    assert run(ours) == ("answer to mine", 1)


def test_row_02_cancelled_callers_use_up_no_place(run: Run) -> None:
    """However many are cancelled while a connection is made for them or handed over."""

    async def main() -> None:
        slow = Slow()
        async with await serve(slow.handle, "127.0.0.1", 0, drain=0.1) as server:

            async def connect() -> Framed[str, str]:
                stream = await TcpStream.connect("127.0.0.1", server.port)
                return Framed(stream, LinesCodec())

            async with Pool(connect, max_size=2, acquire_timeout=5) as pool:

                async def request() -> str:
                    async with pool.acquire() as connection:
                        return await ask(connection, "mine")

                for count in range(40):
                    tasks = [asyncio.create_task(request()) for _ in range(5)]
                    await turns(count % 13)
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
                # It would be an `Elapsed`, for ever.
                answers = [asyncio.create_task(request()) for _ in range(4)]
                for answer in answers:
                    assert await answer == "answer to mine"

    run(main)
