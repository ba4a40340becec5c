"""A whole server: accept, limit, serve each connection in a task, drain, stop.

`serve(handler, host, port)` for one TCP address; `Server` for several listeners of any
kind. A handler is an async function of one stream. It need not close it.
"""

import asyncio
import logging
import ssl
from asyncio import CancelledError, Task
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from socket import socket
from types import TracebackType
from typing import Final, Generic, Literal, Self, TypeAlias, TypeVar, Unpack, final

from sumida._core.settle import cancel_and_wait
from sumida.errors import Closed, Disconnected, Elapsed, MisuseError, SumidaError
from sumida.io.stream import Stream
from sumida.net._accepting import accept_all
from sumida.net._limit import ConnectionLimit
from sumida.net._listen import BACKLOG, Listener
from sumida.net._options import CONNECT_TIMEOUT, TcpOptions, check_policy
from sumida.net.tcp import TcpListener, TcpStream
from sumida.runtime.timeouts import timeout
from sumida.sync.cancellation import CancellationToken
from sumida.sync.notify import Notify
from sumida.sync.semaphore import SemaphorePermit

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


class _Connection(Generic[S]):
    """What the server knows of a handler's task.

    Args:
        sock: The accepted socket, until the task has taken it.
    """

    __slots__ = ("sock", "stream")

    def __init__(self, sock: socket) -> None:
        self.sock: socket | None = sock
        self.stream: S | None = None


@final
class Server(Generic[S]):
    """Serve what comes from one or more listeners, all of the same kind.

    Entering the block begins; leaving it stops: no more connections, `drain` seconds
    for the handlers to finish, then they are cancelled. A handler's error closes its
    own connection and is logged with the peer. When the system runs out of
    descriptors the server waits and tries again. When a listener fails for good the
    server stops, and `wait_stopped` and leaving the block raise its error.

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
        "_failure",
        "_handler",
        "_handlers",
        "_limit",
        "_listeners",
        "_on_disconnect",
        "_report",
        "_self_stop",
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
        if not drain >= 0:
            raise ValueError(f"drain must be 0 seconds or more, not {drain}")
        check_policy(on_disconnect)
        self._handler = handler
        self._listeners = tuple(listeners)
        self._addresses = tuple(each._show() for each in self._listeners)
        self._limit = ConnectionLimit(max_connections)
        self._drain = drain
        self._on_disconnect = on_disconnect
        self._accepting: list[Task[None]] = []
        self._handlers: dict[Task[None], _Connection[S]] = {}
        self._ended = Notify()
        self._failure: Exception | None = None
        self._self_stop: Task[StopReport] | None = None
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

    @property
    def max_connections(self) -> int:
        """How many are served at once.

        May be set while it serves: a higher limit lets in who waits, a lower one lets
        those finish that there are.

        Raises:
            ValueError: It is less than 1.
        """
        return self._limit.count

    @max_connections.setter
    def max_connections(self, count: int) -> None:
        self._limit.count = count

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
        """Take connections until the server stops, or the listener fails for good."""
        try:
            await accept_all(listener, self._limit, partial(self._begin, listener))
        except Exception as error:  # noqa: BLE001  # `wait_stopped` raises it
            _logger.error("%r failed; its server stops: %s", listener, error)  # noqa: TRY400  # as above
            if self._failure is None:
                self._failure = error
            if self._self_stop is None:
                loop = asyncio.get_running_loop()
                self._self_stop = loop.create_task(self.stop(), name=f"stop {self!r}")

    def _begin(
        self, listener: Listener[S], sock: socket, permit: SemaphorePermit
    ) -> None:
        """Give a connection its task."""
        connection = _Connection[S](sock)
        task = asyncio.get_running_loop().create_task(
            self._serve_one(listener, connection), name=f"serve {listener._show()}"
        )
        self._handlers[task] = connection
        task.add_done_callback(partial(self._end, permit))

    def _end(self, permit: SemaphorePermit, task: Task[None]) -> None:
        sock = self._handlers.pop(task).sock
        if sock is not None:
            # Cancelled before its first step.
            sock.close()
        self._limit.release(permit)
        if not self._handlers:
            self._ended.notify_waiters()

    async def _serve_one(
        self, listener: Listener[S], connection: _Connection[S]
    ) -> None:
        sock, connection.sock = connection.sock, None
        assert sock is not None
        try:
            stream = connection.stream = await listener.attach(sock)
        except (SumidaError, OSError) as error:
            _logger.debug("a connection to %s failed: %s", listener, error)
            return
        task = asyncio.current_task()
        assert task is not None
        token = self.stopping.child_token()
        _token.set(token)
        engine = stream._engine
        engine.on_disconnect = partial(self._peer_left, task, token)
        if engine.at_eof or engine.is_lost:
            engine.tell_disconnect()
        try:
            async with stream:
                try:
                    await self._handler(stream)
                except Closed as error:
                    # The end of the peer's messages, for who does not loop over them.
                    if error.what != engine.what or stream.is_closed:
                        raise
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
            engine.on_disconnect = None
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
        """Wait until the server has stopped: by `stop`, or because a listener failed.

        Returns:
            How it stopped.

        Raises:
            OSError: A listener failed with it.
            Closed: Somebody else has closed a listener.

        Cancel safety:
            Safe.
        """
        while self._report is None:
            await self._ended.notified()
        self._raise_failure()
        return self._report

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

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
        for listener in self._listeners:
            if seconds:
                self._take_waiting(listener)
            listener.close()
        before = len(self._handlers)
        late: list[Task[None]] = []
        try:
            await cancel_and_wait(self._accepting)
            await self._wait_ended(seconds)
        finally:
            late.extend(self._handlers)
            for task in late:
                task.cancel("the server stops")
        await self._wait_ended(_CANCEL_GRACE)
        if self._report is None:
            self._report = self._make_report(before, len(late))
            self._ended.notify_waiters()
        return self._report

    def _take_waiting(self, listener: Listener[S]) -> None:
        """Take who has connected already: the close would reset them."""
        while (permit := self._limit.try_acquire()) is not None:
            try:
                sock = listener.try_accept_socket()
            except (OSError, Closed):
                sock = None
            if sock is None:
                self._limit.release(permit)
                return
            self._begin(listener, sock, permit)

    def _make_report(self, before: int, late: int) -> StopReport:
        """Count, and abort the connections of those who ignore their cancel."""
        stuck = dict(self._handlers)
        for task, connection in stuck.items():
            stream = connection.stream
            _logger.warning(
                "%s ignores its cancel; %r is aborted", task.get_name(), stream
            )
            if stream is not None:
                stream.abort()
        names = tuple(task.get_name() for task in stuck)
        return StopReport(before - late, late - len(stuck), names)

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
        if self._self_stop is not None:
            await self._self_stop
        if exc_type is None:
            self._raise_failure()


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
