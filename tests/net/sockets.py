"""A stream of ours, and a bare socket at its other end that does as it is told."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sumida.net import TcpListener, TcpStream

__all__ = ("facing", "reset")


@asynccontextmanager
async def facing() -> AsyncIterator[tuple[TcpStream, socket.socket]]:
    """Connect a stream to a socket; both are closed at the end."""
    async with await TcpListener.bind("127.0.0.1", 0) as listener:
        # At once: the kernel answers for the listener.
        peer = socket.create_connection(listener.address)
        try:
            stream = await listener.accept()
            try:
                yield stream, peer
            finally:
                stream.abort()
                await stream.wait_closed()
        finally:
            peer.close()


def reset(peer: socket.socket) -> None:
    """Close a socket by a reset, whatever it has read or not."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
