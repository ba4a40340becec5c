"""Accepting by hand: what befalls a connection before it is taken."""

import socket
import struct

import pytest

from sumida import timeout
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
