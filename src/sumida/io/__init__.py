"""Room 7, streams and files (rules io-*).

What every stream of bytes can do is in `sumida.io.stream`; sockets are in
`sumida.net`.
"""

from sumida.io.stream import ReadHalf, Stream, WriteHalf

__all__ = ("ReadHalf", "Stream", "WriteHalf")
