"""TCP: connect to a server, or be one.

`TcpStream.connect` and `TcpListener.bind`; `sumida.net.serve` for a whole server.
"""

import socket
import ssl
from typing import Self, TypeAlias, Unpack, cast, final

from sumida.errors import Elapsed
from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.io.stream import Stream
from sumida.net._attach import attach
from sumida.net._connect import connect_socket, resolve
from sumida.net._listen import BACKLOG, Listener
from sumida.net._options import CONNECT_TIMEOUT, Options, TcpOptions
from sumida.runtime.timeouts import timeout

__all__ = ("SocketAddress", "TcpListener", "TcpStream")

SocketAddress: TypeAlias = tuple[str, int]


@final
class TcpStream(Stream):
    """A TCP connection, plain or with TLS; made by `connect`, or by a listener.

    Source:
        `tokio::net::TcpStream`
    """

    __slots__ = ()

    @classmethod
    async def connect(  # noqa: PLR0913  # one call configures the connection
        cls,
        host: str,
        port: int,
        *,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        local_address: SocketAddress | None = None,
        **options: Unpack[TcpOptions],
    ) -> Self:
        """Connect to the first address of `host` that answers (RFC 8305).

        Args:
            host: A name or an address.
            port: 1 to 65535.
            connect_timeout: How long it may take, in seconds: the name, all its
                addresses, the TLS handshake; None for ever.
            tls: A context for TLS, such as `ssl.create_default_context()`; None for
                a plain connection.
            server_hostname: The name that the certificate must have; `host` by
                default.
            local_address: Host and port to connect from.
            **options: See `TcpOptions`.

        Returns:
            The stream.

        Raises:
            ValueError: An argument is out of range.
            ConnectError: No address answered.
            Disconnected: The TLS handshake failed.
            Elapsed: It took too long.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        check_timeout("connect_timeout", connect_timeout)
        checked = Options(**options)
        try:
            async with timeout(connect_timeout):
                sock = await connect_socket(host, port, checked, local_address)
                engine = await attach(
                    sock,
                    cls.__name__,
                    checked,
                    tls=tls,
                    server_hostname=server_hostname or host,
                )
        except Elapsed as late:
            raise Elapsed(late.after, f"a connection to {host}:{port}") from None
        return cls(engine)

    @classmethod
    async def from_socket(
        cls, sock: socket.socket, **options: Unpack[TcpOptions]
    ) -> Self:
        """Make a stream of a connected socket, which belongs to it from now on.

        Args:
            sock: A connected TCP socket.
            **options: See `TcpOptions`.

        Returns:
            The stream.

        Raises:
            ValueError: An option is out of range.
            OSError: It is not connected.

        Cancel safety:
            Safe: a cancelled call has closed the socket.
        """
        checked = Options(**options)
        checked.set_buffers(sock)
        return cls(await attach(sock, cls.__name__, checked))

    @property
    def peer_address(self) -> SocketAddress:
        """Host and port of the other side."""
        return self._info("peername")

    @property
    def local_address(self) -> SocketAddress:
        """Host and port of this side."""
        return self._info("sockname")

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, which knows the version and the certificate, or None."""
        return getattr(self._engine, "tls", None)

    @property
    def nodelay(self) -> bool:
        """Whether small messages are sent at once."""
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    @nodelay.setter
    def nodelay(self, is_on: bool) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(is_on))

    @property
    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._engine.transport.get_extra_info("socket"))

    def _info(self, name: str) -> SocketAddress:
        known = self._engine.transport.get_extra_info(name)
        return cast("SocketAddress", known[:2]) if known else ("", 0)


@final
class TcpListener(Listener[TcpStream]):
    """A socket that accepts TCP connections; made by `bind` or `from_socket`.

    Source:
        `tokio::net::TcpListener`
    """

    __slots__ = ()

    @classmethod
    async def bind(  # noqa: PLR0913  # one call configures the listener
        cls,
        host: str | None,
        port: int,
        *,
        backlog: int = BACKLOG,
        reuse_port: bool = False,
        tls: ssl.SSLContext | None = None,
        handshake_timeout: float | None = CONNECT_TIMEOUT,
        **options: Unpack[TcpOptions],
    ) -> Self:
        """Listen on the first address of `host` that can be had.

        Args:
            host: A name or an address of this machine; None for all (IPv6 and IPv4).
            port: 1 to 65535, or 0 for a free one; see `port`.
            backlog: Connections that may wait to be accepted.
            reuse_port: Whether several processes may listen on the port, and share
                what comes (`SO_REUSEPORT`).
            tls: A context for TLS; None for plain connections.
            handshake_timeout: How long a TLS handshake may take, in seconds.
            **options: Of the connections; see `TcpOptions`.

        Returns:
            The listener.

        Raises:
            ValueError: An argument is out of range.
            ConnectError: The name is not known.
            OSError: The address is in use, or not of this machine.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        checked = Options(**options)
        check_timeout("handshake_timeout", handshake_timeout)
        if backlog < 1:
            raise ValueError(f"backlog must be 1 or more, not {backlog}")
        if host is None and socket.has_dualstack_ipv6():
            addresses = [(socket.AF_INET6, ("::", port))]
        else:
            addresses = await resolve(host, port, is_passive=True)
        family, address = addresses[0]
        sock = socket.create_server(
            address,
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
            dualstack_ipv6=host is None and family == socket.AF_INET6,
        )
        try:
            checked.set_buffers(sock)
        except BaseException:
            sock.close()
            raise
        return cls(sock, checked, tls, handshake_timeout)

    @classmethod
    def from_socket(
        cls,
        sock: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_timeout: float | None = CONNECT_TIMEOUT,
        **options: Unpack[TcpOptions],
    ) -> Self:
        """Make a listener of a socket that listens, which belongs to it from now on.

        Args:
            sock: From the service manager, a parent process, `socket.create_server`.
            tls: As in `bind`.
            handshake_timeout: As in `bind`, in seconds.
            **options: As in `bind`.

        Returns:
            The listener.

        Raises:
            ValueError: An argument is out of range, or the socket does not listen.
        """
        checked = Options(**options)
        check_timeout("handshake_timeout", handshake_timeout)
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError(f"sock must listen; {sock!r} does not")
        checked.set_buffers(sock)
        return cls(sock, checked, tls, handshake_timeout)

    def _make_stream(self, engine: Engine) -> TcpStream:
        return TcpStream(engine)

    @property
    def address(self) -> SocketAddress:
        """Host and port."""
        return cast("tuple[str, int, int, int]", self._name)[:2]

    @property
    def port(self) -> int:
        """The port, which the system chose if 0 was asked for."""
        return self.address[1]
