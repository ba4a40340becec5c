"""Give a connected socket to the event loop."""

import asyncio
import socket
import ssl

from sumida.errors import Disconnected
from sumida.io._engine import Engine
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
        what = f"{kind} {_name_of(sock, kind)}"
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
        sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: engine, sock)
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


def _name_of(sock: socket.socket, kind: str) -> str:
    """Give the peer's address, or the own one where the peer has none."""
    try:
        return show_address(sock.getpeername() or sock.getsockname())
    except OSError as error:
        raise Disconnected(kind, "begin", error.strerror or str(error)) from error
