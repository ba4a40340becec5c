"""The connections behind a pool: where each one is, and who gets it next.

A place is taken by each connection that is idle, leased, promised to a caller whose
task has not run yet, being made or checked, or being closed; there are `max_size`.
Connections are made and checked in tasks of the pool's own, so a caller that is
cancelled takes nothing down with it: what was begun for one is given to the next.
"""

import asyncio
import contextvars
import inspect
import logging
from asyncio import Task
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from inspect import iscoroutine
from math import inf
from typing import Final, Generic, TypeVar, final

from sumida._core.clock import call_at
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import Elapsed
from sumida.net._connections import Entry, finish_closing
from sumida.runtime.timeouts import timeout

__all__ = ("Stock",)

C = TypeVar("C")
T = TypeVar("T")

_logger: Final = logging.getLogger("sumida")


@final
class Stock(Generic[C]):
    """All connections of one pool.

    Args:
        connect: Makes one.
        check: Tells whether one is still good, or an awaitable that does.
        close: Closes one, or gives an awaitable that does.
        max_size: How many places there are.
        min_idle: How many are to be idle, as far as there are places.
        idle_timeout: How long one may be idle, in seconds.
        max_lifetime: How old one may get, in seconds.
        patience: How long making or checking one may take, in seconds.

    Attributes:
        created: How many were made.
        discarded: How many were thrown away.
        failures: What `connect` raised for callers whose task has not run yet.
        idle: Those nobody uses; the one used last at the right, and handed out first,
            so that the others can grow old.
        is_closed: Whether the pool was closed.
        leased: Those in use.
        min_idle: As above.
        promised: Those of callers whose task has not run yet.
        waiters: Who waits for one.
    """

    __slots__ = (
        "_check",
        "_check_waits",
        "_close",
        "_closing",
        "_connect",
        "_context",
        "_idle_timeout",
        "_max_lifetime",
        "_max_size",
        "_patience",
        "_supplies",
        "_timer",
        "created",
        "discarded",
        "failures",
        "idle",
        "is_closed",
        "leased",
        "min_idle",
        "promised",
        "waiters",
    )

    def __init__(  # noqa: PLR0913  # what the pool was configured with
        self,
        connect: Callable[[], Awaitable[C]],
        check: Callable[[C], bool | Awaitable[bool]],
        close: Callable[[C], object],
        *,
        max_size: int,
        min_idle: int,
        idle_timeout: float | None,
        max_lifetime: float | None,
        patience: float | None,
    ) -> None:
        self._connect = connect
        self._check = check
        # Until one call has shown it.
        self._check_waits = inspect.iscoroutinefunction(check)
        self._close = close
        self._max_size = max_size
        self.min_idle = min_idle
        self._idle_timeout = idle_timeout
        self._max_lifetime = max_lifetime
        self._patience = patience
        # Connections outlive the request for which they were made, and its locals.
        self._context = contextvars.copy_context()
        self._timer: asyncio.TimerHandle | None = None
        self.waiters = WaiterQueue()
        self.idle: deque[Entry[C]] = deque()
        self.leased: set[Entry[C]] = set()
        self.promised: dict[Waiter, Entry[C]] = {}
        self.failures: dict[Waiter, BaseException] = {}
        self._supplies: dict[Task[bool], _Supply[C]] = {}
        self._closing: set[Task[None]] = set()
        self.created = 0
        self.discarded = 0
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<Stock of {self.size}/{self._max_size}>"

    @property
    def making(self) -> int:
        """How many are being made or checked."""
        return len(self._supplies)

    @property
    def size(self) -> int:
        """Places that are taken."""
        return (
            len(self.idle)
            + len(self.leased)
            + len(self.promised)
            + len(self._supplies)
            + len(self._closing)
        )

    # Handing out.

    def take(self) -> Entry[C] | None:
        """Take an idle connection that is good.

        Returns:
            It; None if there is none, or if to find out would need a wait.
        """
        while self.idle and not self._check_waits:
            entry = self.idle.pop()
            if self._is_old(entry):
                self.throw_away(entry)
                continue
            try:
                good = self._check(entry.connection)
            except Exception:  # no reason to fail: there are others
                _logger.debug("a check raised", exc_info=True)
                good = False
            if good is not True and inspect.isawaitable(good):
                self._check_waits = True
                self._begin(_Supply(entry, good))
                return None
            if good:
                return entry
            self.throw_away(entry)
        return None

    def look(self) -> None:
        """Serve those who wait, as far as there is something or a place for it."""
        if self.is_closed:
            return
        waiters = self.waiters
        while waiters.head is not None and (waiter := waiters.first()) is not None:
            entry = self.take()
            if entry is None:
                break
            self.promised[waiter] = entry
            waiters.serve(waiter)
        # What `take` could not tell, whatever is being made meanwhile.
        while self.idle and self._more_wait_than(self._checks):
            self._begin(_Supply(self.idle.pop(), None))
        while self.size < self._max_size and self._more_wait_than(len(self._supplies)):
            self._begin(_Supply(None, None))

    @property
    def _checks(self) -> int:
        return sum(supply.is_check for supply in self._supplies.values())

    def fill(self) -> None:
        """Make what is missing of those that are to be idle."""
        while (
            len(self.idle) + len(self._supplies) < self.min_idle
            and self.size < self._max_size
            and not self.is_closed
        ):
            self._begin(_Supply(None, None))

    def _more_wait_than(self, number: int) -> bool:
        waiter = self.waiters.head
        while waiter is not None and number:
            number -= 1
            waiter = waiter.after
        return waiter is not None

    # Making and checking.

    def _spawn(self, coroutine: Coroutine[object, object, T]) -> Task[T]:
        loop = asyncio.get_running_loop()
        return loop.create_task(coroutine, name="Pool", context=self._context.copy())

    def _begin(self, supply: "_Supply[C]") -> None:
        """Start to make a connection, or to check one."""
        task = self._spawn(self._supply(supply))
        self._supplies[task] = supply
        task.add_done_callback(self._end)

    async def _supply(self, supply: "_Supply[C]") -> bool:
        """Make a connection, or check one; tell whether it is good."""
        scope = timeout(self._patience)
        try:
            async with scope:
                if supply.entry is not None:
                    return await self._passes(supply.entry, supply.checking)
                connection = await self._connect()
                loop = asyncio.get_running_loop()
                made = loop.time()
                supply.entry = Entry(connection, loop, made, made)
                self.created += 1
                return True
        except Elapsed:
            if not scope.is_expired:
                raise
            # Who waits has a deadline of its own.
            return False

    async def _passes(self, entry: Entry[C], checking: Awaitable[bool] | None) -> bool:
        try:
            good = self._check(entry.connection) if checking is None else checking
            return await good if inspect.isawaitable(good) else good
        except Exception:  # no reason to fail: there are others
            _logger.debug("a check of %r raised", entry.connection, exc_info=True)
            return False

    def _end(self, task: "Task[bool]") -> None:
        """Hand out what was made or checked; also that of a task that never began."""
        supply = self._supplies.pop(task)
        entry = supply.entry
        error = None if task.cancelled() else task.exception()
        if task.cancelled() and iscoroutine(supply.checking):
            supply.checking.close()
        if entry is not None:
            if error is None and not task.cancelled() and task.result():
                self.offer(entry)
            else:
                self.throw_away(entry)
        elif error is not None:
            self._fail(error)
        self.look()
        if error is None:
            # Otherwise it would be tried again and again, with nobody waiting.
            self.fill()

    def offer(self, entry: Entry[C]) -> None:
        """Promise a connection that is known to be good, or shelve it.

        Args:
            entry: The connection.
        """
        waiter = None if self.is_closed else self.waiters.first()
        if waiter is not None:
            self.promised[waiter] = entry
            self.waiters.serve(waiter)
        else:
            self._shelve(entry)

    def _fail(self, error: BaseException) -> None:
        waiter = None if self.is_closed else self.waiters.first()
        if waiter is not None:
            self.failures[waiter] = error
            self.waiters.serve(waiter)
        else:
            _logger.warning("a connection that nobody waits for failed: %r", error)

    # Coming back, and the end.

    def put_back(self, entry: Entry[C], *, good: bool) -> None:
        """Take a connection back that was leased.

        Args:
            entry: The connection.
            good: Whether it may be used again.
        """
        self.leased.discard(entry)
        if good:
            self._shelve(entry)
        else:
            self.throw_away(entry)
        if self.waiters.head is not None:
            self.look()
        if self.min_idle:
            self.fill()

    def _shelve(self, entry: Entry[C]) -> None:
        if self.is_closed:
            self.throw_away(entry)
            return
        entry.idle_since = time = entry.loop.time()
        self.idle.append(entry)
        due = inf if self._idle_timeout is None else time + self._idle_timeout
        if self._max_lifetime is not None:
            due = min(due, entry.made_at + self._max_lifetime)
        if due < inf:
            self._plan(due)

    def throw_away(self, entry: Entry[C]) -> None:
        """Close a connection; until that is done its place is taken.

        Args:
            entry: The connection, which nobody has any more.
        """
        self.discarded += 1
        connection = entry.connection
        try:
            closing = self._close(connection)
        except Exception:
            _logger.exception("closing %r failed", connection)
            return
        if inspect.isawaitable(closing):
            task = self._spawn(finish_closing(connection, closing))
            self._closing.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: "Task[None]") -> None:
        self._closing.discard(task)
        self.look()
        self.fill()

    def _plan(self, due: float) -> None:
        timer = self._timer
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timer = call_at(due, self._expire)

    def _expire(self) -> None:
        """Close what is too old, or was not used for too long."""
        self._timer = None
        idle = self.idle
        for _ in range(len(idle)):
            entry = idle.popleft()
            if self._is_old(entry):
                self.throw_away(entry)
            else:
                idle.append(entry)
        if idle:
            dues = [inf]
            if self._max_lifetime is not None:
                dues.append(min(e.made_at for e in idle) + self._max_lifetime)
            if self._idle_timeout is not None and len(idle) > self.min_idle:
                dues.append(idle[0].idle_since + self._idle_timeout)
            if min(dues) < inf:
                self._plan(min(dues))
        self.fill()

    def _is_old(self, entry: Entry[C]) -> bool:
        """Tell whether one that was just taken off the shelf has had its time."""
        time = entry.loop.time()
        lifetime, idle_timeout = self._max_lifetime, self._idle_timeout
        return (lifetime is not None and time - entry.made_at >= lifetime) or (
            idle_timeout is not None
            and time - entry.idle_since >= idle_timeout
            and len(self.idle) >= self.min_idle
        )

    def close(self) -> None:
        """Close all that is not leased, and each other one when it comes back.

        Raises:
            WrongLoopError: Tasks of another loop wait.
        """
        if self.is_closed:
            return
        self.waiters.check_loop()
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.waiters.wake_all()
        for entry in (*self.idle, *self.promised.values()):
            self.throw_away(entry)
        self.idle.clear()
        self.promised.clear()
        for task in self._supplies:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until what `close` began is done.

        Cancel safety:
            Safe.
        """
        while tasks := {*self._supplies, *self._closing}:
            await asyncio.wait(tasks)


@final
@dataclass(slots=True)
class _Supply(Generic[C]):
    """What a task of the pool makes or checks.

    Attributes:
        entry: What is checked, or was made.
        checking: The check, if it was begun.
        is_check: Whether it is a check.
    """

    entry: Entry[C] | None
    checking: Awaitable[bool] | None
    is_check: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_check = self.entry is not None
