"""A pool: connections that are made once and used by many, one at a time.

A lease is a guard: a connection comes back only if its user's block ended well. One
whose user was cancelled, or raised, may have half a reply under way; it is thrown away,
never handed to another.
"""

import asyncio
import contextlib
import warnings
from asyncio import Future, TimerHandle
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Literal, Self, TypeVar, final

from sumida._core import hooks
from sumida._core.clock import call_at, now
from sumida.errors import Closed, Elapsed, MisuseError, ReleasedError
from sumida.io._checks import check_timeout
from sumida.net._connections import Entry, close_by_itself, is_good
from sumida.net._stock import Stock
from sumida.operation import (
    DONE_AWAITABLE,
    PENDING,
    Pending,
    QueuedOperation,
    budget,
    ready_awaitable,
)

__all__ = ("Lease", "Pool", "PoolStatus")

C = TypeVar("C")

_ACQUIRE_TIMEOUT: Final = 30.0
_IDLE_TIMEOUT: Final = 60.0


@final
@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What a pool holds.

    Attributes:
        idle: Connections that nobody uses.
        leased: Connections in use.
        making: Connections that are being made or checked.
        waiting: Callers that wait for one.
        created: Connections made since the beginning.
        discarded: Connections thrown away since the beginning.
    """

    idle: int
    leased: int
    making: int
    waiting: int
    created: int
    discarded: int


@final
class Pool(Generic[C]):
    """Connections to one place, at most `max_size`; first come, first served.

    They are made and checked by tasks of the pool's own. What was begun for a caller
    that is cancelled goes to the next one, and what a failure leaves is closed.

    Args:
        connect: Makes a connection: an async function without arguments.
        max_size: How many there are at most, 1 or more; those that are being made, or
            closed, are counted.
        min_idle: How many are kept ready, 0 to `max_size`: they are made ahead, from
            `async with` or the first `acquire` on, and not closed for being idle.
        idle_timeout: After how long without use one is closed, in seconds; None for
            never.
        max_lifetime: How old one may get, in seconds; None for ever. It is closed when
            it is idle, or comes back.
        acquire_timeout: How long `acquire` waits, making included, in seconds; None
            for ever. Making or checking one may take as long, whoever waits.
        check: Tells whether an idle connection is still good, before it is handed
            out: a function of it, or an async one; to raise is to say no. By default
            a stream is good if it is open both ways and has nothing to read that
            nobody asked for, anything else if its `is_closed` is not True.
        close: Closes a connection, or an async function that does, for which it has
            five seconds; its `aclose()` or `close()` by default.

    Raises:
        ValueError: A number is out of range.
    """

    __slots__ = ("_acquire_timeout", "_max_size", "_stock")

    def __init__(  # noqa: PLR0913  # one call configures the pool
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        max_size: int,
        min_idle: int = 0,
        idle_timeout: float | None = _IDLE_TIMEOUT,
        max_lifetime: float | None = None,
        acquire_timeout: float | None = _ACQUIRE_TIMEOUT,
        check: Callable[[C], bool | Awaitable[bool]] | None = None,
        close: Callable[[C], object] | None = None,
    ) -> None:
        if max_size < 1:
            raise ValueError(f"max_size must be 1 or more, not {max_size}")
        if not 0 <= min_idle <= max_size:
            raise ValueError(f"min_idle must be 0 to {max_size}, not {min_idle}")
        self._max_size = max_size
        self._acquire_timeout = check_timeout("acquire_timeout", acquire_timeout)
        self._stock: Stock[C] = Stock(
            connect,
            check or is_good,
            close or close_by_itself,
            max_size=max_size,
            min_idle=min_idle,
            idle_timeout=check_timeout("idle_timeout", idle_timeout),
            max_lifetime=check_timeout("max_lifetime", max_lifetime),
            patience=self._acquire_timeout,
        )

    def __repr__(self) -> str:
        status = self.status
        state = "closed, " if self.is_closed else ""
        return (
            f"<Pool {state}{status.leased} of {self._max_size} in use, "
            f"{status.idle} idle, {status.waiting} waiting>"
        )

    @property
    def status(self) -> PoolStatus:
        """What it holds now."""
        stock = self._stock
        return PoolStatus(
            idle=len(stock.idle),
            leased=len(stock.leased) + len(stock.promised),
            making=stock.making,
            waiting=len(stock.waiters),
            created=stock.created,
            discarded=stock.discarded,
        )

    @property
    def max_size(self) -> int:
        """How many connections there are at most."""
        return self._max_size

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._stock.is_closed

    def acquire(self) -> "Lease[C]":
        """Get a connection, waiting while all are in use.

        Use it by `async with`, which gives the connection: a block that ends well
        returns it, one that raises or is cancelled discards it. Or await it, alone or
        in a `select`, for a guard with `connection`, `release` and `discard`.

        Returns:
            The lease.

        Raises:
            Closed: When awaited: the pool was closed.
            Elapsed: When awaited: no connection could be had within
                `acquire_timeout`; it says who holds them.
            Exception: When awaited: what `connect` raised.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, holds nothing. What
            was made for it is the next caller's. It loses its place in the line.
        """
        return Lease(self)

    async def close(self) -> None:
        """Close the idle connections, and each other one when it comes back.

        Who waits for one gets `Closed`; what was being made is cancelled. Twice does
        no harm.

        Raises:
            WrongLoopError: Tasks of another loop wait.

        Cancel safety:
            Safe: the pool is closed at once; call it again to wait on.
        """
        self._stock.close()
        await self._stock.wait_closed()

    async def __aenter__(self) -> Self:
        self._stock.fill()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@final
class Lease(QueuedOperation["Lease[C]"], Generic[C]):
    """The right to use one connection, or the wait for it; made by `Pool.acquire`.

    After it was given back it can be awaited again, for another connection.

    Args:
        pool: Whose.
    """

    __slots__ = ("__weakref__", "_entry", "_is_late", "_pool", "_timer")

    def __init__(self, pool: Pool[C]) -> None:
        self._waiters = pool._stock.waiters
        self._waiter = None
        self._pool = pool
        self._entry: Entry[C] | None = None
        self._timer: TimerHandle | None = None
        self._is_late = False

    def __repr__(self) -> str:
        if self._entry is not None:
            return f"<Lease {self._entry.connection!r}>"
        return f"<Lease {'waiting' if self.is_armed else 'empty'} of {self._pool!r}>"

    @property
    def connection(self) -> C:
        """The connection.

        Raises:
            ReleasedError: The lease has none: not yet, or not any more.
        """
        if self._entry is None:
            raise ReleasedError(f"{self!r} has no connection", "await acquire() first")
        return self._entry.connection

    @property
    def is_held(self) -> bool:
        """Whether it has a connection."""
        return self._entry is not None

    def poll(self) -> "Lease[C] | Literal[Pending.PENDING]":
        """Take a connection if there is one for it; see `Operation.poll`.

        Returns:
            Itself, with the connection, or `PENDING`.

        Raises:
            MisuseError: It has one already.
            Closed: The pool was closed.
            Elapsed: It has waited too long.
        """
        if self._entry is not None:
            raise MisuseError(
                f"{self!r} is awaited while in use",
                "call acquire() again for another connection",
            )
        stock = self._pool._stock
        if self._timer is not None:
            self._stop_timer()
        if stock.is_closed:
            self.forget_place()
            raise Closed("pool")
        waiter = self._waiter
        if waiter is not None and waiter.granted:
            self._is_late = False
            error = stock.failures.pop(waiter, None)
            entry = stock.promised.pop(waiter, None)
            self.take_grant()
            if error is not None:
                raise error
            assert entry is not None
            return self._hold(entry)
        if self._is_late:
            self._is_late = False
            self.forget_place()
            raise Elapsed(self._pool._acquire_timeout or 0.0, self._what())
        # Nobody is passed: as long as one waits there is nothing to take.
        taken = stock.take()
        if taken is None:
            return PENDING
        self.forget_place()
        return self._hold(taken)

    def _hold(self, entry: Entry[C]) -> Self:
        self._entry = entry
        task = asyncio.current_task(entry.loop)
        entry.holder = "no task" if task is None else task.get_name()
        stock = self._pool._stock
        stock.leased.add(entry)
        if stock.min_idle:
            stock.fill()
        if hooks.observer is not None:
            hooks.observer.acquired(self._pool, self)
        return self

    def _what(self) -> str:
        stock = self._pool._stock
        holders = ", ".join(sorted(entry.holder for entry in stock.leased))
        making = f", {stock.making} being made" if stock.making else ""
        size = self._pool._max_size
        return f"one of {size} connections: held by {holders or 'nobody'}{making}"

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for a connection; see `Operation.arm`."""
        token = QueuedOperation.arm(self, future)
        seconds = self._pool._acquire_timeout
        if seconds is not None:
            self._timer = call_at(now() + seconds, self._expire)
        self._pool._stock.look()
        return token

    def _expire(self) -> None:
        self._timer = None
        waiter = self._waiter
        if waiter is not None and waiter.linked and waiter.future is not None:
            self._is_late = True
            if not waiter.future.done():
                self._waiters.wake(waiter)

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        self._stop_timer()
        QueuedOperation.disarm(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_back(self, granted: int) -> None:  # noqa: ARG002  # one, if any
        """Pass on the connection that was to be its own."""
        waiter = self._waiter
        assert waiter is not None
        stock = self._pool._stock
        stock.failures.pop(waiter, None)
        entry = stock.promised.pop(waiter, None)
        if entry is not None:
            stock.offer(entry)

    def release(self) -> None:
        """Give the connection back, for the next; twice does no harm."""
        self._leave(good=True)

    def discard(self) -> None:
        """Throw the connection away: what it would answer next is not known."""
        self._leave(good=False)

    def _leave(self, *, good: bool) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            self._pool._stock.put_back(entry, good=good)
            if hooks.observer is not None:
                hooks.observer.released(self._pool, self)

    def __aenter__(self) -> Awaitable[C]:
        left = budget.left - 1
        if left and self._waiter is None and self._entry is None:
            budget.left = left
            self.poll()
            # Filled by `poll`, if it could.
            entry: Entry[C] | None = self._entry
            if entry is not None:
                return ready_awaitable(entry.connection)
        return self._enter()

    async def _enter(self) -> C:
        if self._entry is None:
            await self
        return self.connection

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        self._leave(good=exc_type is None)
        return DONE_AWAITABLE

    def __enter__(self) -> C:
        return self.connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(good=exc_type is None)

    def __del__(self) -> None:
        entry = self._entry
        if entry is None:
            return
        loop = entry.loop
        if not loop.is_closed():
            stock = self._pool._stock
            # The loop may be closed by its own thread between the two calls.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_put_back_lost, stock, entry)
        warnings.warn(
            f"{self!r} of {entry.holder} was collected in use; use `async with`, "
            "or release it",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


def _put_back_lost(stock: Stock[C], entry: Entry[C]) -> None:
    stock.put_back(entry, good=False)
