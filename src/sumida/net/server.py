"""A whole server: accept, limit, serve each connection in a task, drain, stop.

`serve(handler, host, port)` for one TCP address; `Server` for several listeners of any
kind. A handler is an async function of one stream. It need not close it.
"""

import asyncio
import errno
import logging
import ssl
from asyncio import CancelledError, Task
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from socket import socket
from types import TracebackType
from typing import Final, Generic, Literal, Self, TypeAlias, TypeVar, Unpack, final

from sumida.errors import Disconnected, Elapsed, MisuseError, SumidaError
from sumida.io.stream import Stream
from sumida.net._listen import BACKLOG, Listener
from sumida.net._options import CONNECT_TIMEOUT, TcpOptions
from sumida.net.tcp import TcpListener, TcpStream
from sumida.runtime.timeouts import timeout
from sumida.runtime.timers import sleep
from sumida.runtime.yielding import yield_now
from sumida.sync.cancellation import CancellationToken
from sumida.sync.notify import Notify
from sumida.sync.semaphore import Semaphore, SemaphorePermit

__all__ = ("OnDisconnect", "Server", "StopReport", "connection_token", "serve")

S = TypeVar("S", bound=Stream)

OnDisconnect: TypeAlias = Literal["finish", "cancel"] | float
"""What becomes of a handler whose peer has gone: see `Server`."""

_logger: Final = logging.getLogger("sumida")

_MAX_CONNECTIONS: Final = 10_000
"""Connections served at once, unless told otherwise."""

_DRAIN: Final = 10.0
"""Seconds that handlers have to finish when the server stops."""

_CANCEL_GRACE: Final = 5.0
"""Seconds that cancelled handlers have to clean up."""

_FIRST_BACK_OFF: Final = 0.05
_LAST_BACK_OFF: Final = 1.0
"""Seconds to wait when the system has no descriptor or memory left: from, to."""

_BATCH: Final = 64
"""Connections accepted before the other tasks run once."""

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_token: ContextVar[CancellationToken] = ContextVar("sumida.net.connection")


def connection_token() -> CancellationToken:
    """Give the token of the connection that the caller serves.

    It is cancelled when the peer has gone, and when the server begins to stop: a
    handler that waits for the next request selects on it, and ends.

    Returns:
        The token; its `reason` tells which of the two it was.

    Raises:
        MisuseError: The caller is no handler of a `Server`.
    """
    try:
        return _token.get()
    except LookupError:
        raise MisuseError(
            "connection_token() was called outside of a handler",
            "call it in the function that was passed to serve()",
        ) from None


@final
@dataclass(frozen=True, slots=True)
class StopReport:
    """How a server stopped.

    Attributes:
        finished: Handlers that ended by themselves while it drained.
        cancelled: Handlers that were cancelled, and ended.
        stuck: Names of the tasks of handlers that ignored their cancel.
    """

    finished: int
    cancelled: int
    stuck: tuple[str, ...]


@final
class Server(Generic[S]):
    """Serve what comes from one or more listeners, all of the same kind.

    Entering the block begins; leaving it stops: no more connections, `drain` seconds
    for the handlers to finish, then they are cancelled. A handler's error closes its
    own connection and is logged with the peer. When the system runs out of
    descriptors the server waits and tries again.

    Args:
        handler: An async function of one stream, which is closed when it returns.
        listeners: Where connections come from; the server closes them.
        max_connections: How many are served at once, 1 or more; further ones wait in
            the kernel.
        drain: How long handlers may go on when the server stops, in seconds.
        on_disconnect: What becomes of a handler when its peer ends the connection:
            "finish" lets it run, "cancel" cancels it, a number gives it as many
            seconds. A peer that ends its side only (half-close) counts as gone, for
            nobody can tell the two apart.

    Attributes:
        stopping: Cancelled when the server begins to stop.

    Raises:
        ValueError: An argument is out of range.
    """

    __slots__ = (
        "_accepting",
        "_addresses",
        "_drain",
        "_ended",
        "_handler",
        "_handlers",
        "_limit",
        "_listeners",
        "_on_disconnect",
        "_report",
        "stopping",
    )

    def __init__(
        self,
        handler: Callable[[S], Awaitable[object]],
        listeners: Sequence[Listener[S]],
        *,
        max_connections: int = _MAX_CONNECTIONS,
        drain: float = _DRAIN,
        on_disconnect: OnDisconnect = "finish",
    ) -> None:
        if not listeners:
            raise ValueError("listeners must be one or more, not none")
        if max_connections < 1:
            raise ValueError(
                f"max_connections must be 1 or more, not {max_connections}"
            )
        if not drain >= 0:
            raise ValueError(f"drain must be 0 seconds or more, not {drain}")
        _check_policy(on_disconnect)
        self._handler = handler
        self._listeners = tuple(listeners)
        self._addresses = tuple(each._show() for each in self._listeners)
        self._limit = Semaphore(max_connections)
        self._drain = drain
        self._on_disconnect = on_disconnect
        self._accepting: list[Task[None]] = []
        self._handlers: dict[Task[None], S | None] = {}
        self._ended = Notify()
        self._report: StopReport | None = None
        self.stopping = CancellationToken()

    def __repr__(self) -> str:
        state = "stopping" if self.stopping.is_cancelled else "idle"
        if self._accepting and state == "idle":
            state = "serving"
        places = ", ".join(self._addresses)
        return f"<Server {places} {state}, {len(self._handlers)} connections>"

    @property
    def port(self) -> int:
        """The port of the first listener.

        Raises:
            AttributeError: It is no TCP listener.
        """
        listener = self._listeners[0]
        if not isinstance(listener, TcpListener):
            message = f"{listener!r} has no port"
            raise AttributeError(message)  # noqa: TRY004  # as of an attribute
        return listener.port

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens."""
        return self._addresses

    @property
    def connections(self) -> int:
        """Connections that are served now."""
        return len(self._handlers)

    def start(self) -> None:
        """Begin to accept.

        Raises:
            MisuseError: It was started already.
        """
        if self._accepting or self.stopping.is_cancelled:
            raise MisuseError(
                f"{self!r} was started already", "make one Server for each start"
            )
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            name = f"accept {listener._show()}"
            task = loop.create_task(self._accept(listener), name=name)
            self._accepting.append(task)

    async def _accept(self, listener: Listener[S]) -> None:
        """Take connections until the server stops."""
        back_off = _FIRST_BACK_OFF
        batch = 0
        while True:
            permit = await self._limit.acquire()
            try:
                while (sock := listener.try_accept_socket()) is None:
                    batch = 0
                    await listener.readable()
            except OSError as error:
                permit.release()
                if error.errno not in _SHORTAGES:
                    raise
                _logger.warning(
                    "cannot accept on %s: %s; trying again in %.2f s",
                    listener,
                    error,
                    back_off,
                )
                await sleep(back_off)
                back_off = min(2 * back_off, _LAST_BACK_OFF)
                continue
            except BaseException:
                permit.release()
                raise
            back_off = _FIRST_BACK_OFF
            task = asyncio.get_running_loop().create_task(
                self._serve_one(listener, sock), name=f"serve {listener._show()}"
            )
            self._handlers.setdefault(task, None)

            def ended(task: Task[None], permit: SemaphorePermit = permit) -> None:
                self._handlers.pop(task, None)
                permit.release()
                self._ended.notify_waiters()

            task.add_done_callback(ended)
            batch += 1
            if batch >= _BATCH:
                batch = 0
                await yield_now()

    async def _serve_one(self, listener: Listener[S], sock: socket) -> None:
        try:
            stream = await listener.attach(sock)
        except (SumidaError, OSError, ssl.SSLError) as error:
            _logger.debug("a connection to %s failed: %s", listener, error)
            return
        task = asyncio.current_task()
        assert task is not None
        self._handlers[task] = stream
        token = self.stopping.child_token()
        _token.set(token)
        stream._engine.on_disconnect = lambda: self._peer_left(task, token)
        try:
            async with stream:
                await self._handler(stream)
        except Disconnected as error:
            _logger.debug("%s", error)
        except Elapsed as error:
            _logger.info("%r is closed: %s", stream, error)
        except CancelledError:
            if not task.cancelling():
                _logger.exception("the handler of %r cancelled itself", stream)
            raise
        except Exception:
            _logger.exception("the handler of %r failed; it is closed", stream)
        finally:
            stream._engine.on_disconnect = None
            token.cancel("the handler has ended")

    def _peer_left(self, task: Task[None], token: CancellationToken) -> None:
        """Do what the policy says when a peer has ended its connection."""
        token.cancel("the peer has gone")
        policy = self._on_disconnect
        if policy == "cancel":
            task.cancel("the peer has gone")
        elif policy != "finish":
            loop = asyncio.get_running_loop()
            late = loop.call_later(float(policy), task.cancel, "the peer has gone")
            task.add_done_callback(lambda _: late.cancel())

    async def wait_stopped(self) -> StopReport:
        """Wait until somebody has stopped the server.

        Returns:
            How it stopped.

        Cancel safety:
            Safe.
        """
        while self._report is None:
            await self._ended.notified()
        return self._report

    async def stop(self, drain: float | None = None) -> StopReport:
        """Stop: accept no more, drain, cancel the rest, and see them end.

        Args:
            drain: How long handlers may go on, in seconds; what the server was made
                with by default.

        Returns:
            How it went; stopping twice gives the same.

        Raises:
            ValueError: `drain` is negative.

        Cancel safety:
            Safe: a cancelled call has cancelled the handlers.
        """
        seconds = self._drain if drain is None else drain
        if not seconds >= 0:
            raise ValueError(f"drain must be 0 seconds or more, not {seconds}")
        self.stopping.cancel("the server stops")
        for task in self._accepting:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        before = len(self._handlers)
        try:
            await self._wait_ended(seconds)
        finally:
            late = list(self._handlers)
            for task in late:
                task.cancel("the server stops")
        await self._wait_ended(_CANCEL_GRACE)
        stuck = dict(self._handlers)
        for task, stream in stuck.items():
            _logger.warning(
                "%s ignores its cancel; %r is aborted", task.get_name(), stream
            )
            if stream is not None:
                stream.abort()
        if self._report is None:
            self._report = StopReport(
                before - len(late),
                len(late) - len(stuck),
                tuple(task.get_name() for task in stuck),
            )
            self._ended.notify_waiters()
        return self._report

    async def _wait_ended(self, seconds: float) -> None:
        try:
            async with timeout(seconds):
                while self._handlers:
                    await self._ended.notified()
        except Elapsed:
            return

    async def __aenter__(self) -> Self:
        if not self._accepting:
            self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop(0.0 if exc_type is not None else None)


def _check_policy(policy: OnDisconnect) -> None:
    if policy in ("finish", "cancel"):
        return
    if isinstance(policy, str) or not policy >= 0:
        raise ValueError(  # a text may be right, too
            f"on_disconnect must be 'finish', 'cancel' or seconds, not {policy!r}"
        )


async def serve(  # noqa: PLR0913  # one call configures the server
    handler: Callable[[TcpStream], Awaitable[object]],
    host: str | None,
    port: int,
    *,
    max_connections: int = _MAX_CONNECTIONS,
    drain: float = _DRAIN,
    on_disconnect: OnDisconnect = "finish",
    backlog: int = BACKLOG,
    reuse_port: bool = False,
    tls: ssl.SSLContext | None = None,
    handshake_timeout: float | None = CONNECT_TIMEOUT,
    **options: Unpack[TcpOptions],
) -> Server[TcpStream]:
    """Listen on a TCP address and serve what comes.

    Args:
        handler: An async function of one stream; see `Server`.
        host: As in `TcpListener.bind`.
        port: As in `TcpListener.bind`; 0 for a free one.
        max_connections: As in `Server`.
        drain: As in `Server`, in seconds.
        on_disconnect: As in `Server`.
        backlog: As in `TcpListener.bind`.
        reuse_port: As in `TcpListener.bind`.
        tls: As in `TcpListener.bind`.
        handshake_timeout: As in `TcpListener.bind`, in seconds.
        **options: Of the connections; see `TcpOptions`.

    Returns:
        A server that accepts; leave its block, or `stop` it.

    Raises:
        ValueError: An argument is out of range.
        ConnectError: The host's name is not known.
        OSError: The address is in use, or not of this machine.

    Cancel safety:
        Safe: a cancelled call leaves nothing open.
    """
    listener = await TcpListener.bind(
        host,
        port,
        backlog=backlog,
        reuse_port=reuse_port,
        tls=tls,
        handshake_timeout=handshake_timeout,
        **options,
    )
    try:
        server = Server(
            handler,
            [listener],
            max_connections=max_connections,
            drain=drain,
            on_disconnect=on_disconnect,
        )
        server.start()
    except BaseException:
        listener.close()
        raise
    return server
