"""What a listening socket does, of whatever family."""

import asyncio
import contextlib
import errno
import socket
import ssl
from abc import abstractmethod
from asyncio import Future, Task
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, Generic, Literal, TypeVar

from sumida._core.blocks import ClosingBlock
from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed, SumidaError
from sumida.io._engine import Engine
from sumida.io.stream import Stream
from sumida.net._attach import attach
from sumida.net._connect import show_address
from sumida.net._options import Options
from sumida.operation import PENDING, Operation, Pending, QueuedOperation, Source
from sumida.runtime.timeouts import timeout

__all__ = ("BACKLOG", "GONE", "Listener")

S = TypeVar("S", bound=Stream)

BACKLOG: Final = 1024
"""Connections that may wait to be accepted; the kernel has a limit of its own."""

GONE: Final = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EPERM",
        "EPROTO",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)
"""Errors of `accept` that speak of one connection: the next one is as good as any.

Linux tells there of what befell a connection that waited, and EPERM is a firewall's.
"""

_TRIES: Final = 64
"""Connections in a row that may be gone, before the other tasks have their turn."""

_HANDSHAKES: Final = 64
"""TLS handshakes made at once while somebody waits: a mute client holds up nobody."""


class Listener(Source[S], ClosingBlock, Generic[S]):
    """A socket that accepts connections.

    Args:
        sock: Listening.
        options: Of the connections.
        tls: A context for TLS; None for plain connections.
        handshake_timeout: How long a TLS handshake may take, in seconds.
    """

    __slots__ = (
        "__weakref__",
        "_attaching",
        "_handshake_timeout",
        "_is_closed",
        "_is_watching",
        "_name",
        "_options",
        "_readable",
        "_ready",
        "_socket",
        "_tls",
        "_waiters",
    )

    def __init__(
        self,
        sock: socket.socket,
        options: Options,
        tls: ssl.SSLContext | None,
        handshake_timeout: float | None,
    ) -> None:
        sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
        self._socket = sock
        # Kept, to be told when it is closed, too.
        self._name: object = sock.getsockname()
        self._options = options
        self._tls = tls
        self._handshake_timeout = handshake_timeout
        self._waiters = WaiterQueue()
        self._ready: deque[S | OSError] = deque()
        self._attaching: set[Task[None]] = set()
        self._is_closed = False
        self._is_watching = False
        self._readable: Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else self._show()
        return f"<{type(self).__name__} {state}>"

    def _show(self) -> str:
        """Give its address, for people."""
        return show_address(self._name)

    @abstractmethod
    def _make_stream(self, engine: Engine) -> S:
        """Make a stream of the listener's kind."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context for TLS; None for plain connections.

        May be set: connections that are accepted from then on have the new one, so a
        certificate is renewed without closing the port.
        """
        return self._tls

    @tls.setter
    def tls(self, context: ssl.SSLContext | None) -> None:
        self._tls = context

    def accept(self) -> Operation[S]:
        """Take the next connection, waiting while there is none.

        A TLS handshake is made before, several at once; one that fails is no error
        here, and the next connection is taken.

        Returns:
            An operation that gives the stream.

        Raises:
            Closed: When awaited: the listener was closed.
            OSError: When awaited: the system has no descriptor left, or the like; the
                connection waits, and can be accepted later.

        Cancel safety:
            Safe: a connection that was taken meanwhile is the next call's.
        """
        return _Accept(self, self._waiters)

    def operation(self) -> Operation[S]:
        """Give what takes the next connection; see `Source.operation`."""
        return self.accept()

    def __aiter__(self) -> AsyncIterator[S]:
        return self

    async def __anext__(self) -> S:
        try:
            return await self.accept()
        except Closed:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Stop accepting; the connections that there are go on. Twice does no harm."""
        if self._is_closed:
            return
        self._waiters.check_loop()
        self._is_closed = True
        self._is_watching = False
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        for task in self._attaching:
            task.cancel()
        for stream in self._ready:
            if isinstance(stream, Stream):
                stream.abort()
        self._ready.clear()
        self._waiters.wake_all()
        if self._readable is not None:
            _wake(self._readable)

    # What `serve` uses, which gives each connection a task at once.

    def try_accept_socket(self) -> socket.socket | None:
        """Take a connection, as a socket, if there is one.

        Returns:
            A socket of the caller's, or None.

        Raises:
            Closed: The listener was closed.
            OSError: The system refuses, for lack of descriptors or memory.
        """
        if self._is_closed:
            raise Closed(repr(self))
        for _ in range(_TRIES):
            try:
                return self._socket.accept()[0]
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                if error.errno not in GONE:
                    raise
        return None

    async def readable(self) -> None:
        """Wait until a connection may be there, or the listener was closed.

        Cancel safety:
            Safe.
        """
        if self._is_closed:
            return
        loop = asyncio.get_running_loop()
        future: Future[None] = loop.create_future()
        number = self._socket.fileno()
        loop.add_reader(number, _wake, future)
        self._readable = future
        try:
            await future
        finally:
            self._readable = None
            # A closed one has been forgotten by the loop, and its number may be
            # somebody else's.
            if not self._is_closed:
                loop.remove_reader(number)

    async def attach(self, sock: socket.socket) -> S:
        """Make a stream of an accepted socket, with its TLS handshake.

        Args:
            sock: What `try_accept_socket` gave.

        Returns:
            The stream.

        Raises:
            Disconnected: The peer has gone already, or the handshake failed.
            Elapsed: The handshake took too long.

        Cancel safety:
            Safe: a cancelled call has closed the socket.
        """
        name = type(self).__name__.replace("Listener", "Stream")
        if self._tls is None:
            engine = await attach(sock, name, self._options, is_server=True)
        else:
            try:
                async with timeout(self._handshake_timeout):
                    engine = await attach(
                        sock, name, self._options, tls=self._tls, is_server=True
                    )
            except BaseException:
                sock.close()
                raise
        return self._make_stream(engine)

    # One connection is taken for each call that waits, and no more: the rest stays in
    # the kernel's queue, where another process may have it.

    def _watch(self) -> None:
        if not self._is_watching and not self._is_closed:
            self._is_watching = True
            loop = asyncio.get_running_loop()
            loop.add_reader(self._socket.fileno(), self._on_readable)

    def _stop_watching(self) -> None:
        if self._is_watching:
            self._is_watching = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _on_readable(self) -> None:
        wanted = len(self._waiters)
        if wanted and self._tls is not None:
            wanted = max(wanted, _HANDSHAKES)
        missing = wanted - len(self._attaching) - len(self._ready)
        if missing <= 0:
            self._stop_watching()
            return
        for _ in range(missing):
            try:
                sock = self.try_accept_socket()
            except OSError as error:
                self._stop_watching()
                self._ready.append(error)
                self._waiters.wake_all()
                return
            if sock is None:
                return
            task = asyncio.get_running_loop().create_task(self._attach_ready(sock))
            self._attaching.add(task)
            task.add_done_callback(partial(self._attached, sock))

    def _attached(self, sock: socket.socket, task: Task[None]) -> None:
        self._attaching.discard(task)
        if task.cancelled():
            # Perhaps before its first step, so that nobody has closed it.
            sock.close()

    async def _attach_ready(self, sock: socket.socket) -> None:
        try:
            stream = await self.attach(sock)
        except (SumidaError, OSError):
            if self._waiters.head is not None:
                # It was none: another one is wanted in its place, and may be accepted
                # before the callback of this task's end has run.
                self._attaching.discard(asyncio.current_task())
                self._watch()
            return
        if self._is_closed:
            stream.abort()
            return
        self._ready.append(stream)
        self._waiters.wake_all()


def _wake(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Accept(QueuedOperation[S], Generic[S]):
    """Take the next connection."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener[S], waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._listener = listener

    def __repr__(self) -> str:
        return f"<accept of {self._listener!r}>"

    def poll(self) -> S | Literal[Pending.PENDING]:
        """Take a stream if one is ready; see `Operation.poll`.

        Returns:
            The stream, or `PENDING`.

        Raises:
            Closed: The listener was closed.
            OSError: The system refused.
        """
        listener = self._listener
        if listener._ready:
            self.forget_place()
            stream = listener._ready.popleft()
            if isinstance(stream, OSError):
                raise stream
            return stream
        if listener._is_closed:
            self.forget_place()
            raise Closed(repr(listener))
        return PENDING

    def arm(self, future: Future[object]) -> object:
        """Wait, and have the socket watched; see `Operation.arm`."""
        waiter = QueuedOperation.arm(self, future)
        self._listener._watch()
        return waiter

    def is_ready(self) -> bool:
        """Tell whether there is a stream; see `Operation.is_ready`."""
        return bool(self._listener._ready) or self._listener._is_closed
