"""A lock that readers share and writers have alone; it owns what it guards.

For state that is read often, across an `await`, and seldom written. Where nobody waits
while he reads a `Mutex` does as well, and a `watch` channel tells of each change.
"""

from sys import getrefcount
from typing import TYPE_CHECKING, Final, Generic, final

from sumida._core.arguments import check_count
from sumida._core.bridge import blocking
from sumida.errors import WouldBlock
from sumida.operation import PENDING, UNSHARED
from sumida.sync._permits import Holder, Permits

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
class _State(Permits, Generic[T]):
    """What a lock and its guards share."""

    __slots__ = ("max_readers", "value")

    def __init__(self, lock: "RwLock[T]", value: T, max_readers: int) -> None:
        # A reader takes one permit, a writer all of them.
        Permits.__init__(self, lock, max_readers)
        self.value = value
        self.max_readers = max_readers

    def __repr__(self) -> str:
        left = self.left
        held = self.max_readers - left
        waiting = len(self.waiters)
        if not held:
            return f"<RwLock {self.value!r}>"
        if left:
            return f"<RwLock {held} reading, {waiting} waiting>"
        return f"<RwLock taken or promised, {waiting} waiting>"


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
        TypeError: `max_readers` is no int.
        ValueError: `max_readers` is less than 1, or more than `MAX_READERS`.

    Source:
        `tokio::sync::RwLock`
    """

    __slots__ = ("__weakref__", "_spare_reader", "_spare_writer", "_state")

    def __init__(self, value: T, *, max_readers: int = MAX_READERS) -> None:
        if check_count("max_readers", max_readers, 1) > MAX_READERS:
            raise ValueError(
                f"max_readers must be 1 to {MAX_READERS}, not {max_readers}"
            )
        self._state = _State(self, value, max_readers)
        # The last guards made or left, to be used again when nobody else knows of them.
        self._spare_reader: RwLockReadGuard[T] = None  # type: ignore[assignment]  # None is never unshared
        self._spare_writer: RwLockWriteGuard[T] = None  # type: ignore[assignment]  # as there

    def __repr__(self) -> str:
        return repr(self._state)

    def read(self) -> "RwLockReadGuard[T]":
        """Get the lock to read: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        guard = self._spare_reader
        if getrefcount(guard) == UNSHARED:
            return guard
        guard = self._spare_reader = RwLockReadGuard(self._state, 1)
        return guard

    def write(self) -> "RwLockWriteGuard[T]":
        """Get the lock to write: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        guard = self._spare_writer
        if getrefcount(guard) == UNSHARED:
            return guard
        state = self._state
        guard = self._spare_writer = RwLockWriteGuard(state, state.max_readers)
        return guard

    def try_read(self) -> "RwLockReadGuard[T]":
        """Get the lock to read if nobody writes or waits.

        Returns:
            The guard, to be released.

        Raises:
            WouldBlock: It is not free.
        """
        guard = RwLockReadGuard(self._state, 1)
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
        guard = RwLockWriteGuard(self._state, self._state.max_readers)
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
        guard = RwLockReadGuard(self._state, 1)
        return blocking(guard, self._state.home, "blocking_read()")

    def blocking_write(self) -> "RwLockWriteGuard[T]":
        """Get the lock to write from a thread that runs no event loop.

        Returns:
            The guard; release it with `loop.call_soon_threadsafe(guard.release)`.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The loop is closed.
        """
        guard = RwLockWriteGuard(self._state, self._state.max_readers)
        return blocking(guard, self._state.home, "blocking_write()")

    def _put_spare(self, holder: object) -> None:
        if type(holder) is RwLockReadGuard:
            self._spare_reader = holder
        else:
            self._spare_writer = holder  # type: ignore[assignment]  # one of its own

    def _drop_spare(self, holder: object) -> None:
        if holder is self._spare_reader:
            self._spare_reader = None  # type: ignore[assignment]  # as above
        elif holder is self._spare_writer:
            self._spare_writer = None  # type: ignore[assignment]  # as above


@final
class RwLockReadGuard(Holder["RwLockReadGuard[T]", _State[T]], Generic[T]):
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
        self._check_held("value")
        return self._state.value


@final
class RwLockWriteGuard(Holder["RwLockWriteGuard[T]", _State[T]], Generic[T]):
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
        self._check_held("value")
        return self._state.value

    @value.setter
    def value(self, value: T) -> None:
        self._check_held("value")
        self._state.value = value

    def downgrade(self) -> RwLockReadGuard[T]:
        """Go on as a reader: no writer comes between, and waiting readers come in.

        Returns:
            The guard to read with; this one is released.

        Raises:
            ReleasedError: The lock is not held through this guard.
            WrongLoopError: Tasks of another loop wait for it.
        """
        self._check_held("downgrade")
        state = self._state
        state.give(self._permits - 1)
        self._let_go()
        reader = RwLockReadGuard(state, 1)
        reader._hang_net()
        return reader
