"""A side is ended that the peer has reset, before the loop has seen it."""

import socket
import struct

import pytest

from sumida.errors import Disconnected
from sumida.io import copy_bidirectional
from sumida.net import TcpStream
from tests.support import Run


async def reset_stream(listener: socket.socket) -> TcpStream:
    """Make a stream whose peer has gone, which nobody has been told of."""
    host, port = listener.getsockname()
    stream = await TcpStream.connect(host, port)
    peer, _ = listener.accept()
    hard = struct.pack("ii", 1, 0)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
    peer.close()
    return stream


def test_a_shutdown_is_a_typed_error(run: Run) -> None:
    """There, or where the next thing is done: not an error of the system."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await reset_stream(listener)
            with pytest.raises(Disconnected):
                await stream.shutdown()
                await stream.read()
            stream.abort()
            await stream.wait_closed()

    run(main)


def test_a_copy_is_a_typed_error(run: Run) -> None:
    """Where the other side has ended already."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            host, port = listener.getsockname()
            client = await TcpStream.connect(host, port)
            peer, _ = listener.accept()
            with peer:
                peer.shutdown(socket.SHUT_WR)
                while not client._engine.at_eof:  # seen before the copy begins
                    await client.readable()
                gone = await reset_stream(listener)
                with pytest.raises(Disconnected):
                    await copy_bidirectional(client, gone)

    run(main)
