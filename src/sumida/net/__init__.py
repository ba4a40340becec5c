"""Room 4, sockets (rules net-*): streams, listeners, servers.

`TcpStream.connect` for a client, `serve` for a server. A bare stream carries bytes, not
messages.
"""

from sumida.net.server import Server, StopReport, connection_token, serve
from sumida.net.tcp import TcpListener, TcpStream
from sumida.net.unix import UnixListener, UnixStream

__all__ = (
    "Server",
    "StopReport",
    "TcpListener",
    "TcpStream",
    "UnixListener",
    "UnixStream",
    "connection_token",
    "serve",
)
