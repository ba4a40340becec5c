"""What can be set on a connection, checked once."""

import math
import socket
import struct
from dataclasses import dataclass
from typing import Final, TypedDict, final

from sumida.io._checks import check_timeout

__all__ = (
    "CONNECT_TIMEOUT",
    "TIMEOUT",
    "Options",
    "StreamOptions",
    "TcpOptions",
    "check_policy",
)

CONNECT_TIMEOUT: Final = 10.0
"""How long connecting may take, in seconds: name, all addresses, TLS handshake."""

TIMEOUT: Final = 60.0
"""How long a wait for data, or for room to write, may take, in seconds."""


class StreamOptions(TypedDict, total=False):
    """Keyword arguments of every stream.

    Attributes:
        read_timeout: How long one wait for data may take, in seconds; 60 by default,
            None for ever.
        write_timeout: As above, for one wait for room to write.
        send_buffer: Size of the kernel's buffer for sending, in bytes; the system's
            default when None.
        receive_buffer: As above, for receiving.
    """

    read_timeout: float | None
    write_timeout: float | None
    send_buffer: int | None
    receive_buffer: int | None


class TcpOptions(StreamOptions, total=False):
    """Keyword arguments of every TCP stream, beside those of `StreamOptions`.

    Attributes:
        nodelay: Whether small messages are sent at once (`TCP_NODELAY`); True by
            default. False gathers them, for bulk.
        keepalive: After how many idle seconds the kernel begins to ask whether the
            peer is still there; None, the default, for never.
        linger: How long the kernel goes on sending after a close, in seconds; 0
            resets the connection at once; None for the system's default.
    """

    nodelay: bool
    keepalive: float | None
    linger: float | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a stream, with their defaults; see `TcpOptions`.

    Raises:
        ValueError: A time is not more than 0, or a size is less than 1.
    """

    read_timeout: float | None = TIMEOUT
    write_timeout: float | None = TIMEOUT
    send_buffer: int | None = None
    receive_buffer: int | None = None
    nodelay: bool = True
    keepalive: float | None = None
    linger: float | None = None

    def __post_init__(self) -> None:
        check_timeout("read_timeout", self.read_timeout)
        check_timeout("write_timeout", self.write_timeout)
        check_timeout("keepalive", self.keepalive)
        if self.linger is not None and not self.linger >= 0:
            raise ValueError(f"linger must be 0 seconds or more, not {self.linger}")
        for name in ("send_buffer", "receive_buffer"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise ValueError(f"{name} must be 1 byte or more, not {size}")

    def set_buffers(self, sock: socket.socket) -> None:
        """Set the sizes of the buffers, which must happen before it connects.

        Args:
            sock: The socket; of a listening one, those that it accepts inherit them.
        """
        if self.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)

    def set_on(self, sock: socket.socket) -> None:
        """Set the rest on a connected socket.

        Args:
            sock: The socket.
        """
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self.nodelay))
        if self.keepalive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            seconds = max(1, round(self.keepalive))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE"):
                if hasattr(socket, name):
                    option = getattr(socket, name)
                    sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
                    break
        if self.linger is not None:
            sock.setsockopt(
                socket.SOL_SOCKET,
                socket.SO_LINGER,
                # Rounded down, half a second would be a reset.
                struct.pack("ii", 1, math.ceil(self.linger)),
            )


def check_policy(policy: str | float) -> None:
    """Refuse what says nothing of a handler whose peer has gone.

    Args:
        policy: See `sumida.net.OnDisconnect`.

    Raises:
        ValueError: It is none of the two words, nor a time.
    """
    if policy in ("finish", "cancel"):
        return
    if isinstance(policy, str) or not policy >= 0:
        raise ValueError(  # a text may be right, too
            f"on_disconnect must be 'finish', 'cancel' or seconds, not {policy!r}"
        )
