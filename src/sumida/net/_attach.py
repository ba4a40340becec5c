"""Give a connected socket to the event loop."""

import socket
import ssl

from sumida.errors import Disconnected
from sumida.io._engine import Engine
from sumida.io._poller import poller_of
from sumida.io._sockets import SocketTransport
from sumida.net._connect import show_address
from sumida.net._options import Options
from sumida.net._tls import TlsEngine

__all__ = ("attach",)


async def attach(  # noqa: PLR0913  # the one place where all of it meets
    sock: socket.socket,
    kind: str,
    options: Options,
    *,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    is_server: bool = False,
) -> Engine:
    """Make an engine for a connected socket, which it owns from now on.

    Args:
        sock: A connected stream socket.
        kind: The name of the stream's class, for messages.
        options: Of the stream.
        tls: The context of a TLS connection; None for plain.
        server_hostname: The name that the server's certificate must have.
        is_server: Whether this side accepted the connection.

    Returns:
        The engine, connected.

    Raises:
        Disconnected: The peer has gone already, or the TLS handshake failed.

    Cancel safety:
        Safe: a cancelled call has closed the socket.
    """
    engine: Engine
    try:
        peer = _peer_of(sock, kind)
        what = f"{kind} {show_address(peer or sock.getsockname())}"
        if tls is None:
            engine = Engine(
                what,
                read_timeout=options.read_timeout,
                write_timeout=options.write_timeout,
            )
        else:
            engine = TlsEngine(
                what,
                tls,
                read_timeout=options.read_timeout,
                write_timeout=options.write_timeout,
                server_hostname=server_hostname,
                is_server=is_server,
            )
        await _connect(engine, sock, peer)
    except BaseException:
        sock.close()
        raise
    try:
        # After the loop has set what it likes.
        options.set_on(sock)
    except OSError as error:
        engine.abort()
        raise Disconnected(what, "begin", error.strerror or str(error)) from error
    if isinstance(engine, TlsEngine):
        try:
            await engine.handshake()
        except Disconnected:
            # The peer is told why, so this is no abort.
            engine.close()
            raise
        except BaseException:
            engine.abort()
            raise
    return engine


async def _connect(engine: Engine, sock: socket.socket, peer: object) -> None:
    """Give an engine a transport, of ours or of the loop's."""
    sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
    loop = engine.loop
    poller = poller_of(loop)
    if poller is None:
        await loop.connect_accepted_socket(lambda: engine, sock)
    else:
        SocketTransport(loop, poller, sock, engine, peer).start()


def _peer_of(sock: socket.socket, kind: str) -> object:
    """Give the peer's address."""
    try:
        return sock.getpeername()
    except OSError as error:
        raise Disconnected(kind, "begin", error.strerror or str(error)) from error
