"""What the loops' own transports do not offer: a reset."""

import asyncio
import socket
import struct
from collections import deque
from typing import Final, TypeAlias

__all__ = ("MANY_PIECES", "merge", "pieces_of", "reset_on_close")

Piece: TypeAlias = bytes | bytearray | memoryview

MANY_PIECES: Final = 256
"""Pieces that are made one."""

# One for all that have none: an empty deque takes 760 bytes.
_NO_PIECES: Final[deque[Piece]] = deque(maxlen=0)

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


def pieces_of(transport: asyncio.BaseTransport) -> deque[Piece]:
    """Give the pieces that a transport of asyncio's keeps until they can be sent.

    From CPython 3.12 on it adds up all their lengths at each write, so that many
    small ones to a slow peer hold up the loop for seconds (seen in 3.13.0, 2026-11).
    It can go when `_SelectorSocketTransport.get_write_buffer_size` counts.

    Args:
        transport: Of any loop.

    Returns:
        The pieces themselves; none of another kind of transport.
    """
    found = getattr(transport, "_buffer", None)
    return found if type(found) is deque else _NO_PIECES


def merge(pieces: deque[Piece]) -> None:
    """Make one piece of many.

    Args:
        pieces: From `pieces_of`.
    """
    whole = b"".join(pieces)
    pieces.clear()
    pieces.append(memoryview(whole))
