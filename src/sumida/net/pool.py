"""A pool: connections that are made once and used by many, one at a time.

A lease is a guard: a connection comes back only if its user's block ended well. One
whose user was cancelled, or raised, may have half a reply under way; it is thrown away,
never handed to another.
"""

import asyncio
import contextlib
import inspect
import logging
import warnings
from asyncio import AbstractEventLoop, CancelledError, Task
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, final
from weakref import WeakSet

from sumida._core.clock import now
from sumida._core.settle import cancel_and_wait
from sumida.errors import Closed, Elapsed, ReleasedError
from sumida.io._checks import check_timeout
from sumida.runtime.timeouts import timeout
from sumida.sync.semaphore import Semaphore, SemaphorePermit

__all__ = ("Lease", "Pool", "PoolStatus")

C = TypeVar("C")

_logger: Final = logging.getLogger("sumida")

_ACQUIRE_TIMEOUT: Final = 30.0
_IDLE_TIMEOUT: Final = 60.0


@final
@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What a pool holds.

    Attributes:
        idle: Connections that nobody uses.
        leased: Connections in use, and those being made.
        waiting: Callers that wait for one.
        created: Connections made since the beginning.
        discarded: Connections thrown away since the beginning.
    """

    idle: int
    leased: int
    waiting: int
    created: int
    discarded: int


@dataclass(slots=True)
class _Entry(Generic[C]):
    """A connection and its times, in seconds of the loop's clock."""

    connection: C
    made_at: float
    idle_since: float


@final
class Pool(Generic[C]):
    """Connections to one place, at most `max_size`; first come, first served.

    Args:
        connect: Makes a connection: an async function without arguments.
        max_size: How many there are at most, 1 or more.
        min_idle: How many are kept in spite of `idle_timeout`, 0 to `max_size`.
        idle_timeout: After how long without use one is closed, in seconds; None for
            never.
        max_lifetime: How old one may get, in seconds; None for ever.
        acquire_timeout: How long `acquire` waits, making included, in seconds; None
            for ever.
        check: Tells whether an idle connection is still good, before it is handed
            out: a function of it, or an async one. By default one that `is_closed`,
            or has something to read that nobody asked for, is not.
        close: Closes a connection, or an async function that does; its `close()` by
            default.

    Raises:
        ValueError: A number is out of range.
    """

    __slots__ = (
        "_acquire_timeout",
        "_check",
        "_close",
        "_closing",
        "_connect",
        "_created",
        "_discarded",
        "_idle",
        "_idle_timeout",
        "_is_closed",
        "_leases",
        "_making",
        "_max_lifetime",
        "_max_size",
        "_min_idle",
        "_orphans",
        "_places",
        "_timer",
    )

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
        self._connect = connect
        self._max_size = max_size
        self._min_idle = min_idle
        self._idle_timeout = check_timeout("idle_timeout", idle_timeout)
        self._max_lifetime = check_timeout("max_lifetime", max_lifetime)
        self._acquire_timeout = check_timeout("acquire_timeout", acquire_timeout)
        self._check: Callable[[C], bool | Awaitable[bool]] = check or _is_good
        self._close: Callable[[C], object] = close or _close
        self._places = Semaphore(max_size)
        # The one used last is handed out first, so that the others can grow old.
        self._idle: deque[_Entry[C]] = deque()
        self._leases: WeakSet[Lease[C]] = WeakSet()
        self._orphans: dict[Task[_Entry[C]], SemaphorePermit] = {}
        self._making: set[Task[_Entry[C]]] = set()
        self._closing: set[Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._created = 0
        self._discarded = 0
        self._is_closed = False

    def __repr__(self) -> str:
        status = self.status
        state = "closed, " if self._is_closed else ""
        return (
            f"<Pool {state}{status.leased} of {self._max_size} in use, "
            f"{status.idle} idle, {status.waiting} waiting>"
        )

    @property
    def status(self) -> PoolStatus:
        """What it holds now."""
        return PoolStatus(
            idle=len(self._idle),
            leased=self._max_size - self._places.available_permits,
            waiting=len(self._places._waiters),
            created=self._created,
            discarded=self._discarded,
        )

    @property
    def max_size(self) -> int:
        """How many connections there are at most."""
        return self._max_size

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def acquire(self) -> "Lease[C]":
        """Get a connection, waiting while all are in use.

        Use it by `async with`, which gives the connection: a block that ends well
        returns it, one that raises or is cancelled discards it. Or await it for a
        guard with `connection`, `release` and `discard`.

        Returns:
            The lease.

        Raises:
            Closed: When entered: the pool was closed.
            Elapsed: When entered: no connection could be had within
                `acquire_timeout`; it says who holds them.
            Exception: When entered: what `connect` raised.

        Cancel safety:
            Safe: a cancelled call holds nothing; a connection that was being made
            for it is the next caller's.
        """
        return Lease(self)

    async def _get(self) -> tuple[_Entry[C], SemaphorePermit]:
        """Get a connection and the place that it needs."""
        scope = timeout(self._acquire_timeout)
        try:
            async with scope:
                permit = await self._places.acquire()
                try:
                    return await self._find(permit), permit
                except BaseException:
                    # Unless a connection that is still being made needs it.
                    if permit not in self._orphans.values():
                        permit.release()
                    raise
        except Elapsed as late:
            if not scope.is_expired:
                raise
            holders = ", ".join(sorted(lease.holder for lease in self._leases))
            what = f"one of {self._max_size} connections, held by {holders or 'nobody'}"
            raise Elapsed(late.after, what) from None
        except Closed:
            if not self._is_closed:
                raise
            raise Closed("pool") from None

    async def _find(self, permit: SemaphorePermit) -> _Entry[C]:
        """Take an idle connection that is good, or make one."""
        while self._idle:
            entry = self._idle.pop()
            if not self._is_old(entry):
                try:
                    good = self._check(entry.connection)
                    if inspect.isawaitable(good):
                        good = await good
                except BaseException:
                    self._throw_away(entry)
                    raise
                if good:
                    return entry
            self._throw_away(entry)
        return await self._make(permit)

    async def _make(self, permit: SemaphorePermit) -> _Entry[C]:
        """Make a connection in a task of the pool's own.

        A caller that is cancelled leaves it to the pool, which keeps it for the next.
        """
        task = asyncio.get_running_loop().create_task(self._connect_one(), name="Pool")
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        try:
            await asyncio.wait([task])
        except CancelledError:
            self._orphans[task] = permit
            task.add_done_callback(self._adopt)
            raise
        return task.result()

    async def _connect_one(self) -> _Entry[C]:
        connection = await self._connect()
        self._created += 1
        made = now()
        return _Entry(connection, made, made)

    def _adopt(self, task: Task[_Entry[C]]) -> None:
        """Keep a connection whose caller has gone, and give its place back."""
        permit = self._orphans.pop(task)
        try:
            self._keep(task)
        finally:
            permit.release()

    def _keep(self, task: Task[_Entry[C]]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _logger.debug("a connection for a caller that has gone failed: %s", error)
            return
        entry = task.result()
        if self._is_closed:
            self._throw_away(entry)
        else:
            self._idle.append(entry)
            self._plan_expiry()

    def _is_old(self, entry: _Entry[C]) -> bool:
        time = now()
        if (
            self._max_lifetime is not None
            and time - entry.made_at >= self._max_lifetime
        ):
            return True
        idle_timeout = self._idle_timeout
        return (
            idle_timeout is not None
            and time - entry.idle_since >= idle_timeout
            and len(self._idle) >= self._min_idle
        )

    def _give_back(
        self, entry: _Entry[C], permit: SemaphorePermit, *, is_good: bool
    ) -> None:
        if is_good and not self._is_closed:
            entry.idle_since = now()
            self._idle.append(entry)
            self._plan_expiry()
        else:
            self._throw_away(entry)
        permit.release()

    def _throw_away(self, entry: _Entry[C]) -> None:
        """Close a connection, in a task if that takes a wait."""
        self._discarded += 1
        try:
            closing = self._close(entry.connection)
        except Exception:
            _logger.exception("closing %r failed", entry.connection)
            return
        if inspect.isawaitable(closing):
            task = asyncio.get_running_loop().create_task(_finish(closing))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _plan_expiry(self) -> None:
        if self._timer is None and self._idle_timeout is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_timeout, self._expire)

    def _expire(self) -> None:
        """Close what nobody has used for long; the longest unused stands first."""
        self._timer = None
        while len(self._idle) > self._min_idle and self._is_old(self._idle[0]):
            self._throw_away(self._idle.popleft())
        if len(self._idle) > self._min_idle:
            self._plan_expiry()

    async def close(self) -> None:
        """Close the idle connections, and each other one when it comes back.

        Twice does no harm.

        Cancel safety:
            Safe: the pool is closed at once; call it again to wait on.
        """
        if not self._is_closed:
            self._is_closed = True
            self._places.close()
            if self._timer is not None:
                self._timer.cancel()
            while self._idle:
                self._throw_away(self._idle.popleft())
        await cancel_and_wait(self._making)
        if self._closing:
            await asyncio.wait(set(self._closing))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@final
class Lease(Generic[C]):
    """The right to use one connection; made by `Pool.acquire`.

    Args:
        pool: Whose.

    Attributes:
        holder: The name of the task that uses it.
    """

    __slots__ = ("__weakref__", "_entry", "_loop", "_permit", "_pool", "holder")

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._entry: _Entry[C] | None = None
        self._permit: SemaphorePermit | None = None
        self._loop: AbstractEventLoop | None = None
        self.holder = ""

    def __repr__(self) -> str:
        state = "empty" if self._entry is None else repr(self._entry.connection)
        return f"<Lease {state}>"

    @property
    def connection(self) -> C:
        """The connection.

        Raises:
            ReleasedError: The lease has none: not yet, or not any more.
        """
        if self._entry is None:
            raise ReleasedError(f"{self!r} has no connection", "await acquire() first")
        return self._entry.connection

    async def _enter(self) -> Self:
        if self._entry is not None:
            raise ReleasedError(
                f"{self!r} is in use", "call acquire() again for another connection"
            )
        self._entry, self._permit = await self._pool._get()
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        self.holder = task.get_name() if task is not None else "a task"
        self._pool._leases.add(self)
        return self

    def __await__(self) -> Generator[object, None, Self]:
        return self._enter().__await__()

    def release(self) -> None:
        """Give the connection back, for the next; twice does no harm."""
        self._leave(is_good=True)

    def discard(self) -> None:
        """Throw the connection away: what it would answer next is not known."""
        self._leave(is_good=False)

    def _leave(self, *, is_good: bool) -> None:
        entry, self._entry = self._entry, None
        permit, self._permit = self._permit, None
        if entry is not None and permit is not None:
            self._pool._leases.discard(self)
            self._pool._give_back(entry, permit, is_good=is_good)

    async def __aenter__(self) -> C:
        if self._entry is None:
            await self._enter()
        return self.connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(is_good=exc_type is None)

    def __del__(self) -> None:
        entry, loop = self._entry, self._loop
        if entry is not None and loop is not None:
            if not loop.is_closed():
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._pool._throw_away, entry)
            warnings.warn(
                f"{self!r} of {self.holder} was collected in use; use `async with`, "
                "or release it",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


def _is_good(connection: object) -> bool:
    """Tell whether an idle connection can be used, as far as it knows itself."""
    return not (
        getattr(connection, "is_closed", False)
        or getattr(connection, "buffered", 0)
        or getattr(connection, "at_eof", False)
    )


def _close(connection: object) -> object:
    """Close it by its own method, whatever that is called."""
    for name in ("close", "aclose"):
        method = getattr(connection, name, None)
        if method is not None:
            return method()
    return None


async def _finish(closing: Awaitable[object]) -> None:
    try:
        await closing
    except Exception:
        _logger.exception("closing a connection failed")
