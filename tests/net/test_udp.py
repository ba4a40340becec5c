"""UDP: datagrams, a bounded queue, errors."""

import asyncio
from collections.abc import Callable

import pytest

from sumida import select, sleep
from sumida.errors import BusyError, Closed, Disconnected, Elapsed
from sumida.net import UdpSocket
from sumida.testing import turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.support import Run

LOCAL = "127.0.0.1"


def test_datagrams_arrive_whole(run: Run) -> None:
    """With their sender."""

    async def main() -> None:
        server = await UdpSocket.bind(LOCAL, 0)
        async with server, await UdpSocket.connect(LOCAL, server.port) as client:
            assert client.peer_address == server.local_address
            await client.send(b"one")
            await client.send(b"two")
            assert await server.recv_from() == (b"one", client.local_address)
            assert await server.recv() == b"two"
            await server.send_to(b"answer", client.local_address)
            assert await client.recv() == b"answer"
            assert f"to {LOCAL}:{server.port}" in repr(client)

    run(main)


def test_what_nobody_receives_is_dropped_and_counted(run: Run) -> None:
    """The oldest first: memory stays bounded."""

    async def main() -> tuple[int, int, bytes]:
        server = await UdpSocket.bind(LOCAL, 0, receive_queue=3)
        async with server, await UdpSocket.connect(LOCAL, server.port) as client:
            for n in range(10):
                await client.send(b"%d" % n)
            while server.dropped < 7:
                await asyncio.sleep(0)
            assert bool(server)
            return len(server), server.dropped, await server.recv()

    assert run(main) == (3, 7, b"7")


def test_bad_arguments_are_refused(run: Run) -> None:
    """With value and limit."""

    async def main() -> None:
        with pytest.raises(ValueError, match="receive_queue must be 1 or more, not 0"):
            await UdpSocket.bind(LOCAL, 0, receive_queue=0)
        with pytest.raises(ValueError, match="read_timeout"):
            await UdpSocket.bind(LOCAL, 0, read_timeout=0)
        async with await UdpSocket.bind(LOCAL, 0) as server:
            with pytest.raises(ValueError, match="at most 65507 bytes, not 65508"):
                await server.send_to(b"x" * 65_508, (LOCAL, 9))
            with pytest.raises(ValueError, match=r"use send_to\(\)"):
                await server.send(b"x")
            with pytest.raises(OSError, match="in use"):
                await UdpSocket.bind(LOCAL, server.port)

    run(main)


def test_a_refusal_reaches_who_receives(run: Run) -> None:
    """On a connected socket, as a typed error."""

    async def main() -> None:
        async with await UdpSocket.bind(LOCAL, 0) as server:
            port = server.port
        await turns()
        async with await UdpSocket.connect(LOCAL, port) as client:
            with pytest.raises(Disconnected, match="refused"):
                while True:
                    await client.send(b"x")
                    await select(client.recv_from(), sleep(0.01))

    run(main)


def test_waits_end(run: Run) -> None:
    """By the deadline, by close; one task receives at a time."""

    async def main() -> None:
        server = await UdpSocket.bind(LOCAL, 0, read_timeout=0.01)
        with pytest.raises(Elapsed, match="a datagram"):
            await server.recv()
        waiting = asyncio.create_task(server.recv())
        server._read_timeout = None
        await turns()
        with pytest.raises(BusyError, match="two tasks receive"):
            await server.recv()
        server.close()
        server.close()
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await server.send_to(b"x", (LOCAL, 9))
        assert server.is_closed
        await turns()

    run(main)


class Receiving:
    """A world in which one task receives."""

    def __init__(self, server: UdpSocket) -> None:
        self.server = server
        self.sent = 0

    async def subject(self) -> object:
        """Receive."""
        return await self.server.recv()

    def wakes(self) -> list[Callable[[], object]]:
        """Let a datagram arrive."""

        def arrive() -> None:
            self.sent += 1
            self.server._receive(b"kept", (LOCAL, 9))

        return [arrive]

    def check(self, outcome: Outcome) -> None:
        """Find it taken, or there."""
        assert len(self.server) == self.sent - outcome.returned
        self.server._queue.clear()


def test_recv_is_cancel_safe(run: Run) -> None:
    """Wherever a cancel strikes, and when it loses a select."""

    async def main() -> int:
        async with await UdpSocket.bind(LOCAL, 0) as server:
            assert (await select(server.recv_from(), sleep(0)))[0] == 1
            return await cancel_everywhere(lambda: Receiving(server))

    assert run(main) > 5
