"""Signals as a stream: each listener hears all that come after it was made.

`async for _ in signal(SIGHUP)` to reload, or `recv` in a `select`. SIGINT and SIGTERM
are `sumida.run`'s own, see `shutdown_token`; a listener is told of them as well, and
does not change what `run` does.
"""

import asyncio
import contextlib
import signal as stdlib
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Literal, Self, final

from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed, SignalError
from sumida.operation import PENDING, Operation, Pending, QueuedOperation, Source
from sumida.process._dispatch import listen
from sumida.process._names import name_of, named
from sumida.process._wakeup import keep_awake, let_sleep

__all__ = ("SignalStream", "ctrl_c", "signal")


@final
class _Ear:
    """What the handler tells, and the stream asks; it does not keep the stream alive.

    Args:
        loop: The loop of those who wait.
        number: The signal.
    """

    __slots__ = ("_loop", "_stop", "is_closed", "is_pending", "number", "waiters")

    def __init__(self, loop: AbstractEventLoop, number: int) -> None:
        self._loop = loop
        self.number = named(number)
        self.is_closed = False
        self.is_pending = False
        self.waiters = WaiterQueue()
        self._stop: Callable[[], None] = listen(number, self._hear)
        keep_awake(loop)

    def __repr__(self) -> str:
        return f"<_Ear for {name_of(self.number)}>"

    def _hear(self, _number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.tell)

    def tell(self) -> None:
        """Note that it came; whoever looks first takes it."""
        if not self.is_closed:
            self.is_pending = True
            self.wake_next()

    def wake_next(self) -> None:
        """Let the first who waits look."""
        waiter = self.waiters.first()
        if waiter is not None:
            self.waiters.wake(waiter)

    def close(self) -> None:
        """Hear no more; on the main thread."""
        if not self.is_closed:
            self.is_closed = True
            self._stop()
            let_sleep(self._loop)
            if not self._loop.is_closed():
                self.waiters.wake_all()

    def close_soon(self) -> None:
        """Hear no more; on any thread, at any moment."""
        if not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.close)
                return
        if threading.current_thread() is threading.main_thread():
            self.close()


@final
class _Recv(QueuedOperation[int]):
    """Wait for the next.

    Args:
        ear: Where it is heard.
    """

    __slots__ = ("_ear",)

    def __init__(self, ear: _Ear) -> None:
        QueuedOperation.__init__(self, ear.waiters)
        self._ear = ear

    def __repr__(self) -> str:
        return f"<next {name_of(self._ear.number)}>"

    def poll(self) -> int | Literal[Pending.PENDING]:
        """Take it, if it has come; see `Operation.poll`.

        Returns:
            The signal, or `PENDING`.

        Raises:
            Closed: The stream was closed.
        """
        ear = self._ear
        if ear.is_pending:
            ear.is_pending = False
            self.forget_place()
            return ear.number
        if ear.is_closed:
            self.forget_place()
            raise Closed(f"stream of {name_of(ear.number)}")
        return PENDING

    def disarm(self) -> None:
        """Leave; what woke it and was not taken wakes the next; see `Operation`."""
        was_armed = self.is_armed
        QueuedOperation.disarm(self)
        if was_armed and self._ear.is_pending:
            self._ear.wake_next()

    def is_ready(self) -> bool:
        """Tell whether it is still there; see `Operation.is_ready`."""
        return self._ear.is_pending or self._ear.is_closed


@final
class SignalStream(Source[int]):
    """One listener of one signal; made by `signal`.

    Any number of listeners are each told of a signal. What comes several times before
    it is taken is taken once, as the kernel itself has it; what comes after `recv` has
    returned is always seen. Leave it by `with`, or close it.

    When the last listener is closed the signal does again what it did before. (Tokio
    keeps it for ever, so that a later Ctrl-C does nothing: its users trip over that.)

    Source:
        `tokio::signal::unix::Signal`
    """

    __slots__ = ("__weakref__", "_ear")

    def __init__(self, ear: _Ear) -> None:
        self._ear = ear

    def __repr__(self) -> str:
        ear = self._ear
        state = "closed" if ear.is_closed else "pending" if ear.is_pending else "open"
        return f"<SignalStream {name_of(ear.number)} {state}>"

    @property
    def number(self) -> int:
        """The signal, one of `signal.Signals` where it has a name."""
        return self._ear.number

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._ear.is_closed

    def recv(self) -> Operation[int]:
        """Wait for the signal.

        Returns:
            An operation that gives the signal.

        Raises:
            Closed: When awaited: the stream was closed.

        Cancel safety:
            Safe: a cancelled call has taken nothing.
        """
        return _Recv(self._ear)

    def operation(self) -> Operation[int]:
        """Give what `select.loop` waits for; see `Source`."""
        return _Recv(self._ear)

    def close(self) -> None:
        """Listen no more; twice does no harm."""
        self._ear.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        try:
            return await _Recv(self._ear)
        except Closed:
            raise StopAsyncIteration from None

    def __del__(self) -> None:
        # Nothing is lost by it, so nobody is warned.
        if not self._ear.is_closed:
            self._ear.close_soon()


def signal(number: int) -> SignalStream:
    """Listen to a signal from now on.

    Args:
        number: One of the constants of the module `signal`.

    Returns:
        A stream: iterate over it, call `recv`, or pass it to `select.loop`.

    Raises:
        SignalError: There is no such signal, or nobody may listen to it; on uvloop
            that is so for SIGCHLD, which it needs for itself.
        MisuseError: Called on another thread than the main one.
        RuntimeError: No event loop runs.

    Source:
        `tokio::signal::unix::signal`
    """
    loop = asyncio.get_running_loop()
    if number == stdlib.SIGCHLD and type(loop).__module__.startswith("uvloop"):
        raise SignalError(number, "uvloop keeps it for itself; use Child.wait")
    return SignalStream(_Ear(loop, number))


@final
class _CtrlC(Operation[None]):
    """Wait for one SIGINT."""

    __slots__ = ("_recv", "_stream")

    def __init__(self) -> None:
        self._stream = signal(stdlib.SIGINT)
        self._recv = self._stream.recv()

    def __repr__(self) -> str:
        return "<Ctrl-C>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it came; see `Operation.poll`."""
        if self._recv.poll() is PENDING:
            return PENDING
        self._stream.close()
        return None

    def arm(self, future: asyncio.Future[object]) -> object:
        """Wait for it; see `Operation.arm`."""
        return self._recv.arm(future)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._recv.disarm()


def ctrl_c() -> Operation[None]:
    """Wait for one Ctrl-C, or another SIGINT, that comes after this call.

    Each call is a listener of its own, until it is done. In a loop use
    `signal(SIGINT)`, which misses none that comes between two turns. `sumida.run` stops
    the program at a Ctrl-C whether or not somebody waits for it here.

    Returns:
        An operation, which is spent once it is done.

    Raises:
        MisuseError: Called on another thread than the main one.

    Cancel safety:
        Safe: one that comes later is not heard by this call any more.

    Source:
        `tokio::signal::ctrl_c`
    """
    return _CtrlC()
