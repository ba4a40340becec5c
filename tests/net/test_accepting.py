"""Accepting by hand: what befalls a connection before it is taken."""

import socket
import struct

import pytest

from sumida import select, timeout
from sumida.net import TcpListener, TcpStream
from tests.support import Run

LOCAL = "127.0.0.1"
AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: a close is a reset."""


@pytest.mark.parametrize("gone", [1, 2, 5])
def test_peers_that_are_gone_already_hold_up_nobody(run: Run, gone: int) -> None:
    """A connection that was reset in the queue is passed over, and the next taken."""

    async def main() -> tuple[str, int]:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            for _ in range(gone):
                peer = socket.create_connection((LOCAL, listener.port))
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                peer.close()
            async with (
                timeout(30),
                await TcpStream.connect(LOCAL, listener.port) as client,
                await listener.accept() as server,
            ):
                assert server.peer_address == client.local_address
                return server.peer_address

    assert run(main)[0] == LOCAL


def test_a_listener_is_a_branch_of_a_select(run: Run) -> None:
    """Each turn takes the next connection; when it is closed the loop ends."""

    async def main() -> int:
        streams = []
        async with timeout(30), await TcpListener.bind(LOCAL, 0) as listener:
            clients = [await TcpStream.connect(LOCAL, listener.port) for _ in range(3)]
            async for _, stream in select.loop(stream=listener, biased=True):
                streams.append(stream)
                if len(streams) == len(clients):
                    listener.close()
            ends = {stream.local_address for stream in clients}
            assert {stream.peer_address for stream in streams} == ends
            for stream in clients + streams:
                stream.close()
        return len(streams)

    assert run(main) == 3
