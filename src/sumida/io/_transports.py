"""What the loops' own transports do not offer: a reset."""

import asyncio
import socket
import struct
from typing import Final

__all__ = ("reset_on_close",)

_NO_LINGER: Final = struct.pack("ii", 1, 0)


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the end of a TCP connection be a reset, so that nobody takes it for an end.

    A close alone is a FIN where all was read, and what was cut off looks complete.

    Args:
        transport: Of a connection that is about to be aborted.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError:
            return  # it has gone already
