"""A pool and what breaks it: a cancel at each await, and connections that went bad."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from sumida import select, sleep
from sumida.errors import Disconnected
from sumida.net import Framed, Lease, LinesCodec, Pool, TcpStream, serve
from sumida.testing import turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.net.sockets import reset
from tests.net.wires import Maker, Wire
from tests.support import Run


async def by_with(pool: Pool[Wire]) -> int:
    """Use a connection, with a wait in the midst."""
    async with pool.acquire() as wire:
        return wire.number


async def by_hand(pool: Pool[Wire]) -> int:
    """Take a lease and give it back."""
    lease = await pool.acquire()
    number = lease.connection.number
    lease.release()
    return number


async def by_select(pool: Pool[Wire]) -> int:
    """Take a lease in a race."""
    _, lease = await select(pool.acquire(), sleep(1e6))
    assert isinstance(lease, Lease)
    with lease as wire:
        return wire.number


async def passes(wire: Wire) -> bool:
    """Look whether it is good, which takes a while."""
    await turns(2)
    return not wire.is_closed


class Acquiring:
    """A world in which one task gets a connection.

    Args:
        call: How.
        how: What lets it have one: "made", "handed on", "checked" or "failed".
    """

    def __init__(self, call: Callable[[Pool[Wire]], object], how: str) -> None:
        self.call = call
        self.how = how
        self.maker = Maker(waits=True)
        self.pool = Pool(
            self.maker, max_size=1, check=passes if how == "checked" else None
        )
        self.holding: asyncio.Task[Lease[Wire]] | None = None
        if how in {"handed on", "checked"}:
            self.maker.waits = False
            self.holding = asyncio.ensure_future(self.pool.acquire())

    async def subject(self) -> object:
        """Get one."""
        if self.holding is not None:
            await asyncio.wait([self.holding])
        return await self.call(self.pool)  # type: ignore[misc]  # a coroutine

    def wakes(self) -> list[Callable[[], object]]:
        """Let it have one, once it waits for the connection itself."""
        if self.holding is None:
            return [self.maker.fail if self.how == "failed" else self.maker.let]
        # The first suspension is that of `asyncio.wait`, which ends by itself.
        return [self.release, self.release]

    def release(self) -> None:
        """Give back what is held, so that it can be handed on."""
        if self.holding is not None and self.holding.done():
            self.holding.result().release()

    async def check(self, outcome: Outcome) -> None:
        """Find at most one connection, and it usable."""
        if self.how == "failed" and not outcome.was_cancelled:
            assert isinstance(outcome.error, ConnectionRefusedError)
        await turns()
        self.release()
        self.maker.waits = False
        for gate in self.maker.gates:
            if not gate.done():
                gate.set_result(None)
        await turns()
        status = self.pool.status
        assert (status.leased, status.waiting, status.making) == (0, 0, 0), status
        assert len(self.maker.open) == status.idle <= 1
        async with self.pool.acquire():
            assert self.maker.most == 1
        await self.pool.close()
        assert not self.maker.open


@pytest.mark.parametrize("how", ["made", "handed on", "checked", "failed"])
@pytest.mark.parametrize("call", [by_with, by_hand, by_select])
def test_a_cancelled_acquire_leaks_nothing(
    run: Run, call: Callable[[Pool[Wire]], object], how: str
) -> None:
    """Wherever the cancel strikes: no connection, no place, no other's turn."""

    async def main() -> int:
        return await cancel_everywhere(lambda: Acquiring(call, how))

    assert run(main) > 5


def descriptors() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def echo(stream: TcpStream) -> None:
    """Send back whatever comes."""
    with suppress(Disconnected):
        while data := await stream.read():
            await stream.write_all(data)


@pytest.mark.parametrize("cancelled", range(3))
def test_no_descriptor_is_leaked_whenever_users_are_cancelled(
    run: Run, cancelled: int
) -> None:
    """Over real sockets, after each number of turns, with others who wait."""

    async def main() -> None:
        async with await serve(echo, "127.0.0.1", 0, drain=0.1) as server:

            async def connect() -> TcpStream:
                return await TcpStream.connect("127.0.0.1", server.port)

            async def use(pool: Pool[TcpStream]) -> bytes:
                async with pool.acquire() as stream:
                    await stream.write_all(b"ping")
                    return await stream.read_exact(4)

            # The resolver's and the loop's own come with the first.
            async with Pool(connect, max_size=1) as pool:
                await use(pool)
            while server.connections:
                await turns()
            before = descriptors()
            for count in range(25):
                async with Pool(connect, max_size=2) as pool:
                    tasks = [asyncio.create_task(use(pool)) for _ in range(4)]
                    await turns(count)
                    for task in tasks[cancelled:]:
                        task.cancel()
                    await asyncio.wait(tasks)
                    for task in tasks[:cancelled]:
                        assert task.result() == b"ping"
                    assert await use(pool) == b"ping"
                while server.connections:
                    await turns()
                assert descriptors() == before

    run(main)


class Server:
    """Accepts by hand, so that a test can do anything at its end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ends: list[socket.socket] = []

    async def connect(self) -> TcpStream:
        """Connect to it."""
        stream = await TcpStream.connect(*self.listener.getsockname())
        self.ends.append(self.listener.accept()[0])
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self.ends, self.listener):
            one.close()


async def leave_a_reply(end: socket.socket, _: TcpStream) -> None:
    """Answer what nobody asks any more."""
    end.sendall(b"late")


async def end_it(end: socket.socket, _: TcpStream) -> None:
    """Close the server's side, as one that restarts."""
    end.close()


async def reset_it(end: socket.socket, _: TcpStream) -> None:
    """Reset it."""
    reset(end)


async def shut_down(_: socket.socket, stream: TcpStream) -> None:
    """End our side: nothing can be asked over it any more."""
    await stream.shutdown()


async def close_it(_: socket.socket, stream: TcpStream) -> None:
    """Close it ourselves."""
    stream.close()


WAYS = [leave_a_reply, end_it, reset_it, shut_down, close_it]


@pytest.mark.parametrize("spoil", WAYS)
def test_a_connection_that_went_bad_is_not_handed_out(
    run: Run, spoil: Callable[[socket.socket, TcpStream], Awaitable[None]]
) -> None:
    """Whichever way it went bad, on the shelf or while it was used."""

    async def main() -> None:
        with Server() as server:
            async with Pool(server.connect, max_size=1) as pool:
                async with pool.acquire() as first:
                    await spoil(server.ends[0], first)
                    await turns()
                async with pool.acquire() as second:
                    assert second is not first
                    assert len(server.ends) == 2
                    assert first.is_closed

    run(main)


def test_a_good_connection_is_handed_out_again(run: Run) -> None:
    """The proof of the test above."""

    async def main() -> None:
        with Server() as server:
            async with Pool(server.connect, max_size=1) as pool:
                async with pool.acquire() as first:
                    server.ends[0].sendall(b"x")
                    await first.read_exact(1)
                async with pool.acquire() as second:
                    assert second is first

    run(main)


@pytest.mark.parametrize("spoils", [None, "read", "half", "fed", "ended"])
def test_a_pool_of_messages_looks_at_what_is_left(run: Run, spoils: str | None) -> None:
    """A message, or half of one, that was not asked for; or one that was only fed."""

    async def main() -> bool:
        with Server() as server:

            async def connect() -> Framed[str, str]:
                return Framed(await server.connect(), LinesCodec())

            async with Pool(connect, max_size=1) as pool:
                async with pool.acquire() as first:
                    end = server.ends[0]
                    end.sendall(b"1\n2\n3\nha" if spoils == "half" else b"1\n2\n")
                    await turns()
                    got = [await first.recv()]
                    if spoils != "read":
                        got.append(await first.recv())
                    if spoils == "half":
                        got.append(await first.recv())
                    if spoils == "fed":
                        await first.feed("x")
                    if spoils == "ended":
                        end.close()
                        await turns()
                async with pool.acquire() as second:
                    same = second is first
            return same

    assert run(main) == (spoils is None)


def test_a_pool_may_hold_anything_that_can_be_closed(run: Run) -> None:
    """One whose `is_closed` is a method is not taken for closed."""

    class Foreign:
        def __init__(self) -> None:
            self.ended = False

        def is_closed(self) -> bool:
            return self.ended

        async def close(self) -> None:
            await asyncio.sleep(0)
            self.ended = True

    async def main() -> None:
        made: list[Foreign] = []

        async def connect() -> Foreign:
            made.append(Foreign())
            return made[-1]

        async with Pool(connect, max_size=1) as pool:
            for _ in range(3):
                async with pool.acquire():
                    pass
        assert [foreign.ended for foreign in made] == [True]

    run(main)


def test_a_peer_that_does_not_read_holds_up_no_close(run: Run) -> None:
    """What was written to it is dropped with the connection."""

    async def main() -> None:
        with Server() as server:
            async with Pool(server.connect, max_size=1) as pool:
                with suppress(KeyError):
                    async with pool.acquire() as stream:
                        stream._engine.write(b"x" * (1 << 24))
                        assert stream.unsent
                        raise KeyError
                async with pool.acquire():
                    assert len(server.ends) == 2

    run(main)
