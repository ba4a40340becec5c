"""Room 7, streams and files (rules io-*).

What every stream of bytes can do, copying between two of them, and a connection in
memory; sockets are in `sumida.net`.
"""

from sumida.io.copying import CopyCounts, copy, copy_bidirectional
from sumida.io.duplex import DuplexStream, duplex
from sumida.io.stream import ReadHalf, Stream, WriteHalf
from sumida.io.watching import Watch, watch

__all__ = (
    "CopyCounts",
    "DuplexStream",
    "ReadHalf",
    "Stream",
    "Watch",
    "WriteHalf",
    "copy",
    "copy_bidirectional",
    "duplex",
    "watch",
)
