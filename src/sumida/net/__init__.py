"""Room 4, sockets (rules net-*): streams, listeners, servers, messages, pools.

`TcpStream.connect` for a client, `serve` for a server, `Framed` for messages over
either: a bare stream carries bytes, and one read is not one message.
"""

from sumida.net.codec import (
    AnyDelimiterCodec,
    BytesCodec,
    Codec,
    Decoder,
    Encoder,
    JsonLinesCodec,
    LengthDelimitedCodec,
    LinesCodec,
)
from sumida.net.framed import Framed, FramedParts, FramedRead, FramedWrite
from sumida.net.pool import Lease, Pool, PoolStatus
from sumida.net.server import Server, StopReport, connection_token, serve
from sumida.net.tcp import TcpListener, TcpStream
from sumida.net.udp import UdpSocket
from sumida.net.unix import PeerCredentials, UnixListener, UnixStream
from sumida.net.workers import Workers, WorkersReport, serve_workers

__all__ = (
    "AnyDelimiterCodec",
    "BytesCodec",
    "Codec",
    "Decoder",
    "Encoder",
    "Framed",
    "FramedParts",
    "FramedRead",
    "FramedWrite",
    "JsonLinesCodec",
    "Lease",
    "LengthDelimitedCodec",
    "LinesCodec",
    "PeerCredentials",
    "Pool",
    "PoolStatus",
    "Server",
    "StopReport",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "Workers",
    "WorkersReport",
    "connection_token",
    "serve",
    "serve_workers",
)
