"""A lock that readers share and writers have alone; it owns what it guards.

For state that is read often, across an `await`, and seldom written. Where reading
does not wait a `Mutex` is cheaper, and a `watch` channel tells of each change.
"""

from asyncio import Future, get_running_loop
from collections.abc import Awaitable, Generator
from types import TracebackType, coroutine
from typing import TYPE_CHECKING, Final, Generic, Literal, Self, cast, final

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.operation import (
    BUDGET,
    DONE_AWAITABLE,
    PENDING,
    Pending,
    QueuedOperation,
    budget,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("MAX_READERS", "RwLock", "RwLockReadGuard", "RwLockWriteGuard")

MAX_READERS: Final = (1 << 32) - 1 >> 3
"""How many may read at once, unless told otherwise; Tokio's number."""


@final
class RwLock(Generic[T]):
    """A value that many may read at a time, or one may write.

    First come, first served: a reader that comes after a waiting writer waits for
    it, so no writer is starved. Hence a task that reads and asks to read again may
    wait for ever, behind a writer that waits for its first guard.

    Args:
        value: What is guarded.
        max_readers: How many may read at once, 1 or more.

    Raises:
        ValueError: `max_readers` is less than 1.

    Source:
        `tokio::sync::RwLock`
    """

    __slots__ = ("_free", "_max_readers", "_value", "_waiters")

    def __init__(self, value: T, *, max_readers: int = MAX_READERS) -> None:
        if not 1 <= max_readers <= MAX_READERS:
            raise ValueError(
                f"max_readers must be 1 to {MAX_READERS}, not {max_readers}"
            )
        self._value = value
        self._max_readers = max_readers
        # A reader takes one permit, a writer all of them.
        self._free = max_readers
        self._waiters = WaiterQueue(in_batches=True)

    def __repr__(self) -> str:
        held = self._max_readers - self._free
        waiting = len(self._waiters)
        if not held:
            return f"<RwLock {self._value!r}>"
        if self._free:
            return f"<RwLock {held} reading, {waiting} waiting>"
        return f"<RwLock taken or promised, {waiting} waiting>"

    def read(self) -> "RwLockReadGuard[T]":
        """Get the lock to read: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        return RwLockReadGuard(self, 1)

    def write(self) -> "RwLockWriteGuard[T]":
        """Get the lock to write: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        return RwLockWriteGuard(self, self._max_readers)

    def try_read(self) -> "RwLockReadGuard[T]":
        """Get the lock to read if nobody writes or waits.

        Returns:
            The guard, to be released.

        Raises:
            WouldBlock: It is not free.
        """
        guard = RwLockReadGuard(self, 1)
        if guard.poll() is PENDING:
            raise WouldBlock("read-write lock, for reading")
        return guard

    def try_write(self) -> "RwLockWriteGuard[T]":
        """Get the lock to write if nobody has it or waits.

        Returns:
            The guard, to be released.

        Raises:
            WouldBlock: It is not free.
        """
        guard = RwLockWriteGuard(self, self._max_readers)
        if guard.poll() is PENDING:
            raise WouldBlock("read-write lock, for writing")
        return guard

    def blocking_read(self) -> "RwLockReadGuard[T]":
        """Get the lock to read from a thread that runs no event loop.

        Returns:
            The guard; release it with `loop.call_soon_threadsafe(guard.release)`.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The loop is closed.
        """
        guard = RwLockReadGuard(self, 1)
        blocking(guard, self._waiters.loop, "blocking_read()")
        return guard

    def blocking_write(self) -> "RwLockWriteGuard[T]":
        """Get the lock to write from a thread that runs no event loop.

        Returns:
            The guard; release it with `loop.call_soon_threadsafe(guard.release)`.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The loop is closed.
        """
        guard = RwLockWriteGuard(self, self._max_readers)
        blocking(guard, self._waiters.loop, "blocking_write()")
        return guard

    def _give(self, permits: int) -> None:
        waiters = self._waiters
        if waiters.head is not None:
            permits = waiters.assign(permits)
        self._free += permits

    def _absorb(self) -> None:
        free, self._free = self._free, 0
        self._free = self._waiters.assign(free)


class _Guard(QueuedOperation["_Guard[T]"], Generic[T]):
    """What both guards do."""

    __slots__ = ("_hold", "_lock", "_permits")

    def __init__(self, lock: RwLock[T], permits: int) -> None:
        self._waiters = lock._waiters
        self._waiter = None
        self._lock = lock
        self._permits = permits
        # While it has the lock: the net below one that was awaited; the loop on which
        # it was waited for by `async with`; True if it did not have to wait there.
        self._hold: object = None

    def __repr__(self) -> str:
        state = "held" if self.is_held else "waiting" if self.is_armed else "idle"
        return f"<{type(self).__name__} {state} of {self._lock!r}>"

    if TYPE_CHECKING:

        def __await__(self) -> Generator[object, None, Self]:
            """Give itself, and with its own type."""
            raise NotImplementedError

    @property
    def needed(self) -> int:
        """How many permits it waits for."""
        return self._permits

    @property
    def is_held(self) -> bool:
        """Whether this guard has the lock."""
        return self._hold is not None

    def _checked(self) -> RwLock[T]:
        if not self.is_held:
            raise ReleasedError(f"use of {self!r}", "use it while the lock is held")
        return self._lock

    def poll(self) -> "Self | Literal[Pending.PENDING]":
        """Take the lock if it is free; see `Operation.poll`.

        Returns:
            Itself, holding the lock, or `PENDING`.

        Raises:
            MisuseError: It holds the lock already.
        """
        lock = self._lock
        if self.is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if self._waiter is None or not self.take_grant():
            if self._permits > lock._free:
                return PENDING
            lock._free -= self._permits
            self.forget_place()
        self._hang_net()
        if hooks.observer is not None:
            hooks.observer.acquired(lock, self)
        return self

    def _hang_net(self) -> None:
        lock, permits = self._lock, self._permits
        what = f"a {type(self).__name__}"
        self._hold = Net(what, self._waiters, lambda: lock._give(permits))

    def _let_go(self) -> None:
        hold, self._hold = self._hold, None
        if isinstance(hold, Net):
            hold.clear()

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for the lock; see `Operation.arm`."""
        waiter = QueuedOperation.arm(self, future)
        if self._lock._free:
            self._lock._absorb()
        return waiter

    def give_back(self, granted: int) -> None:
        """Pass the lock on."""
        self._lock._give(granted)

    def release(self) -> None:
        """Give the lock back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for it.
        """
        if self.is_held:
            lock = self._lock
            lock._waiters.check_loop()
            self._let_go()
            lock._give(self._permits)
            if hooks.observer is not None:
                hooks.observer.released(lock, self)

    @coroutine
    def __aenter__(self) -> Generator[object, None, Self]:
        # The same as to await it, with nothing called that need not be; and no net,
        # for `__aexit__` is sure to come.
        lock = self._lock
        if (
            self._waiter is not None
            or self._hold is not None
            or hooks.observer is not None
        ):
            return (yield from self.__await__())
        free = lock._free - self._permits
        if free >= 0:
            left = budget.left - 1
            if left:
                budget.left = left
                lock._free = free
                self._hold = True
                return self
            # Only who need not wait yields: who must takes its place at once.
            budget.left = BUDGET
            yield None
            again = cast("Generator[object, None, Self]", self.__aenter__())
            return (yield from again)
        loop = get_running_loop()
        waiter = self._waiter = Waiter(self._permits)
        waiter.sleep_on(loop)
        self._waiters.join(waiter, waiter, self)
        if lock._free:
            lock._absorb()
        try:
            if not waiter.is_awake:
                yield waiter
        except BaseException:
            self.disarm()
            raise
        # Nothing but the lock wakes one that waits for it.
        assert waiter.granted
        waiter.ticket = waiter.granted = 0
        waiter.future = self._waiter = None
        self._hold = loop
        return self

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        permits = self._permits
        waiters = self._waiters
        hold = self._hold
        if hold is True:
            if waiters.head is not None:
                permits = waiters.assign(permits)
        elif hold is not None and hold is waiters.loop:
            permits = waiters.assign_here(permits)
        else:
            self.release()
            return DONE_AWAITABLE
        self._lock._free += permits
        self._hold = None
        return DONE_AWAITABLE

    def __enter__(self) -> Self:
        self._checked()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


@final
class RwLockReadGuard(_Guard[T]):
    """The lock to read, or the wait for it; made by `RwLock.read`.

    Source:
        `tokio::sync::RwLockReadGuard`
    """

    __slots__ = ()

    @property
    def value(self) -> T:
        """What the lock owns.

        Raises:
            ReleasedError: The lock is not held through this guard.
        """
        return self._checked()._value


@final
class RwLockWriteGuard(_Guard[T]):
    """The lock to write, or the wait for it; made by `RwLock.write`.

    Source:
        `tokio::sync::RwLockWriteGuard`
    """

    __slots__ = ()

    @property
    def value(self) -> T:
        """What the lock owns; it can be replaced.

        Raises:
            ReleasedError: The lock is not held through this guard.
        """
        return self._checked()._value

    @value.setter
    def value(self, value: T) -> None:
        self._checked()._value = value

    def downgrade(self) -> RwLockReadGuard[T]:
        """Go on as a reader: no writer comes between, and waiting readers come in.

        Returns:
            The guard to read with; this one is released.

        Raises:
            ReleasedError: The lock is not held through this guard.
            WrongLoopError: Tasks of another loop wait for it.
        """
        lock = self._checked()
        lock._waiters.check_loop()
        self._let_go()
        reader = RwLockReadGuard(lock, 1)
        reader._hang_net()
        lock._give(self._permits - 1)
        return reader
