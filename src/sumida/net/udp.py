"""UDP: datagrams, each of which arrives whole, or not at all.

What arrives while nobody receives is kept up to a limit; then the oldest is dropped
and counted, so memory stays bounded.
"""

import asyncio
import socket
from asyncio import DatagramTransport, Future
from collections import deque
from typing import Final, Literal, Self, TypeAlias, cast, final

from sumida._core.blocks import ClosingBlock
from sumida._core.waiters import WaiterQueue
from sumida.errors import BusyError, Closed, Disconnected, Elapsed
from sumida.io._checks import check_timeout
from sumida.net._connect import resolve, show_address
from sumida.net._options import TIMEOUT
from sumida.operation import PENDING, Operation, Pending, QueuedOperation

__all__ = ("Address", "UdpSocket")

Address: TypeAlias = tuple[str, int]

_QUEUE: Final = 1024
_LARGEST: Final = 65_507


@final
class _Protocol(asyncio.DatagramProtocol):
    """What the transport calls."""

    __slots__ = ("owner",)

    def __init__(self) -> None:
        self.owner: UdpSocket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        """Keep a datagram."""
        if self.owner is not None:
            self.owner._receive(data, cast("Address", addr[:2]))

    def error_received(self, exc: Exception) -> None:
        """Keep an error that the network has sent back."""
        if self.owner is not None:
            self.owner._fail(exc)

    def connection_lost(
        self,
        exc: Exception | None,  # noqa: ARG002  # asyncio's signature
    ) -> None:
        """End."""
        if self.owner is not None:
            self.owner._end()

    def pause_writing(self) -> None:
        """Let senders wait."""
        if self.owner is not None:
            self.owner._is_congested = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        if self.owner is not None:
            self.owner._is_congested = False
            self.owner._senders.wake_all()


@final
class UdpSocket(ClosingBlock):
    """A UDP socket; made by `bind` or `connect`.

    Source:
        `tokio::net::UdpSocket`
    """

    __slots__ = (
        "_dropped",
        "_error",
        "_has_ended",
        "_is_closed",
        "_is_congested",
        "_peer",
        "_queue",
        "_read_timeout",
        "_receivers",
        "_senders",
        "_transport",
    )

    def __init__(
        self,
        transport: DatagramTransport,
        peer: Address | None,
        limit: int,
        read_timeout: float | None,
    ) -> None:
        self._transport = transport
        self._peer = peer
        self._queue: deque[tuple[bytes, Address]] = deque(maxlen=limit)
        self._read_timeout = read_timeout
        self._dropped = 0
        self._error: Exception | None = None
        self._is_congested = False
        self._is_closed = False
        self._has_ended = False
        self._receivers = WaiterQueue()
        self._senders = WaiterQueue()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else show_address(self.local_address)
        to = "" if self._peer is None else f" to {show_address(self._peer)}"
        queued = f"{len(self._queue)} queued, {self._dropped} dropped"
        return f"<UdpSocket {state}{to}, {queued}>"

    @classmethod
    async def bind(
        cls,
        host: str | None,
        port: int,
        *,
        receive_queue: int = _QUEUE,
        read_timeout: float | None = TIMEOUT,
        reuse_port: bool = False,
    ) -> Self:
        """Receive at an address, from anybody.

        Args:
            host: A name or an address of this machine; None for all (IPv4).
            port: 0 to 65535; 0 for a free one.
            receive_queue: Datagrams that are kept for `recv_from`, 1 or more; beyond
                it the oldest is dropped.
            read_timeout: How long one wait for a datagram may take, in seconds.
            reuse_port: Whether several processes may receive at the port.

        Returns:
            The socket.

        Raises:
            ValueError: An argument is out of range.
            ConnectError: The name is not known.
            OSError: The address is in use, or not of this machine.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        address = (await resolve(host or "0.0.0.0", port))[0]  # noqa: S104  # asked for
        sock = socket.socket(address[0], socket.SOCK_DGRAM)
        try:
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address[1])
        except BaseException:
            sock.close()
            raise
        return await cls._make(sock, None, receive_queue, read_timeout)

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        receive_queue: int = _QUEUE,
        read_timeout: float | None = TIMEOUT,
    ) -> Self:
        """Send to one address, and receive from it only.

        Args:
            host: A name or an address.
            port: 1 to 65535.
            receive_queue: As in `bind`.
            read_timeout: As in `bind`, in seconds.

        Returns:
            The socket.

        Raises:
            ValueError: An argument is out of range.
            ConnectError: The name is not known.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        family, peer = (await resolve(host, port))[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
            # It sends nothing, and so does not wait.
            await asyncio.get_running_loop().sock_connect(sock, peer)
        except BaseException:
            sock.close()
            raise
        return await cls._make(sock, peer, receive_queue, read_timeout)

    @classmethod
    async def _make(
        cls,
        sock: socket.socket,
        peer: Address | None,
        limit: int,
        read_timeout: float | None,
    ) -> Self:
        try:
            check_timeout("read_timeout", read_timeout)
            _check_queue(limit)
            sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(
                _Protocol, sock=sock
            )
        except BaseException:
            sock.close()
            raise
        made = cls(transport, peer, limit, read_timeout)
        protocol.owner = made
        return made

    @property
    def local_address(self) -> Address:
        """Host and port of this side."""
        known = self._transport.get_extra_info("sockname")
        return cast("Address", known[:2]) if known else ("", 0)

    @property
    def peer_address(self) -> Address | None:
        """Where a connected socket sends."""
        return self._peer

    @property
    def port(self) -> int:
        """The port of this side."""
        return self.local_address[1]

    @property
    def dropped(self) -> int:
        """Datagrams that arrived and were dropped, for nobody received them."""
        return self._dropped

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def __len__(self) -> int:
        """Count the datagrams that can be received at once."""
        return len(self._queue)

    def __bool__(self) -> bool:
        return True

    def recv_from(self) -> Operation[tuple[bytes, Address]]:
        """Take the next datagram and where it came from.

        Returns:
            An operation that gives both.

        Raises:
            Closed: When awaited: the socket was closed.
            Disconnected: When awaited: the peer of a connected socket refuses.
            Elapsed: When awaited: nothing came within the read timeout.
            BusyError: When awaited: another task receives.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        return _Receive(self, self._receivers)

    async def recv(self) -> bytes:
        """Take the next datagram; see `recv_from`.

        Returns:
            The datagram.

        Cancel safety:
            Safe: a cancelled call has taken nothing.
        """
        return (await self.recv_from())[0]

    async def send_to(self, data: bytes, address: Address) -> None:
        """Send a datagram to an address.

        Args:
            data: At most 65,507 bytes.
            address: Host, as an address, and port.

        Raises:
            ValueError: `data` is too long.
            Closed: The socket was closed.

        Cancel safety:
            Safe: a cancelled call has sent nothing.
        """
        await self._send(data, address)

    async def send(self, data: bytes) -> None:
        """Send a datagram from a connected socket.

        Args:
            data: At most 65,507 bytes.

        Raises:
            ValueError: `data` is too long, or the socket is not connected.
            Closed: The socket was closed.

        Cancel safety:
            Safe: a cancelled call has sent nothing.
        """
        if self._peer is None:
            raise ValueError("send() needs a connected socket; use send_to()")
        await self._send(data, None)

    async def _send(self, data: bytes, address: Address | None) -> None:
        if len(data) > _LARGEST:
            raise ValueError(f"data must be at most {_LARGEST} bytes, not {len(data)}")
        if self._is_congested:
            await _Room(self, self._senders)
        if self._is_closed:
            raise Closed(repr(self))
        self._transport.sendto(data, address)

    def close(self) -> None:
        """Close it; what was received can still be taken. Twice does no harm."""
        if not self._is_closed:
            self._is_closed = True
            self._transport.close()

    # What the transport tells.

    def _receive(self, data: bytes, address: Address) -> None:
        queue = self._queue
        if len(queue) == queue.maxlen:
            self._dropped += 1
        queue.append((data, address))
        self._receivers.wake_all()

    def _fail(self, error: Exception) -> None:
        # Only a connected socket knows whom it concerns.
        if self._peer is not None:
            self._error = error
            self._receivers.wake_all()

    def _end(self) -> None:
        self._is_closed = self._has_ended = True
        self._is_congested = False
        self._receivers.wake_all()
        self._senders.wake_all()


def _check_queue(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"receive_queue must be 1 or more, not {limit}")


@final
class _Receive(QueuedOperation[tuple[bytes, Address]]):
    """Take the next datagram."""

    __slots__ = ("_is_late", "_socket", "_timer")

    def __init__(self, owner: UdpSocket, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._socket = owner
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False

    def __repr__(self) -> str:
        return f"<datagram of {self._socket!r}>"

    def poll(self) -> tuple[bytes, Address] | Literal[Pending.PENDING]:
        """Take a datagram if there is one; see `Operation.poll`.

        Returns:
            The datagram and its sender, or `PENDING`.

        Raises:
            Closed: The socket was closed.
            Disconnected: The peer refuses.
            Elapsed: Nothing came in time.
        """
        owner = self._socket
        if owner._queue:
            self.forget_place()
            return owner._queue.popleft()
        if owner._error is not None:
            error, owner._error = owner._error, None
            self.forget_place()
            raise Disconnected(repr(owner), "receive", str(error))
        if owner._is_closed:
            self.forget_place()
            raise Closed(repr(owner))
        if self._is_late:
            self._is_late = False
            self.forget_place()
            raise Elapsed(owner._read_timeout or 0.0, f"a datagram on {owner!r}")
        return PENDING

    def arm(self, future: Future[object]) -> object:
        """Wait, with a deadline; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The waiter.

        Raises:
            BusyError: Another task receives.
        """
        owner = self._socket
        if owner._receivers.first() is not None:
            raise BusyError(
                f"two tasks receive from {owner!r} at once", "let one task receive"
            )
        waiter = QueuedOperation.arm(self, future)
        # Late is what this wait is, not one that lost a `select` before.
        self._is_late = False
        if owner._read_timeout is not None:
            loop = future.get_loop()
            self._timer = loop.call_later(owner._read_timeout, self._be_late)
        return waiter

    def _be_late(self) -> None:
        self._is_late = True
        self._waiters.wake_all()

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._stop_timer()
        QueuedOperation.disarm(self)

    def forget_place(self) -> None:
        """Leave the queue, and the deadline."""
        self._stop_timer()
        QueuedOperation.forget_place(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@final
class _Room(QueuedOperation[None]):
    """Wait until there is room to send."""

    __slots__ = ("_socket",)

    def __init__(self, owner: UdpSocket, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._socket = owner

    def __repr__(self) -> str:
        return f"<room to send on {self._socket!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is room; see `Operation.poll`."""
        if self._socket._is_congested:
            return PENDING
        self.forget_place()
        return None
