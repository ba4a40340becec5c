"""A lock between threads for many readers or one writer: `ThreadRwLock`.

For a value that is read much oftener, and for longer, than it is written. Where the
reading is a dictionary look-up take `ThreadMutex`: under the global interpreter lock
readers run side by side only while they wait for something or are in code that gives
it up. For tasks of one loop use `sumida.sync.RwLock`.

As every lock of this package it refuses to be held across an `await`: see
`ThreadMutex.lock`.
"""

import sys
import warnings
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from reprlib import recursive_repr
from threading import get_ident
from types import TracebackType
from typing import ClassVar, Generic, TypeVar, final

from sumida.errors import ReleasedError, WouldBlock
from sumida.sync.threads._held import Hold, hold, refuse_late_release
from sumida.sync.threads._shares import READ, UPGRADABLE, WRITE, Shares
from sumida.sync.threads._timed import check_timeout

__all__ = (
    "ThreadReadGuard",
    "ThreadRwLock",
    "ThreadUpgradableGuard",
    "ThreadWriteGuard",
)

T = TypeVar("T")


@final
class _Cell(Generic[T]):
    """The value and its shares, known to the lock and to all its guards."""

    __slots__ = ("shares", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.shares = Shares()

    def __repr__(self) -> str:
        return f"<_Cell {self.shares.state}>"


class _Guard(Generic[T]):
    """What the three guards have in common: release, and the value."""

    __slots__ = ("_cell", "_hold", "_thread")

    _kind: ClassVar[int]

    def __init__(self, cell: _Cell[T], thread: int, held: Hold | None) -> None:
        self._cell: _Cell[T] | None = cell
        self._thread = thread
        self._hold = held

    def __repr__(self) -> str:
        cell = self._cell
        state = "released" if cell is None else repr(cell.value)
        return f"<{type(self).__name__} {state}>"

    @property
    def value(self) -> T:
        """The guarded value.

        Raises:
            ReleasedError: The guard was released or changed for another.
        """
        return self._held().value

    @property
    def is_released(self) -> bool:
        """Whether the lock was given back, or passed to another guard."""
        return self._cell is None

    def release(self) -> None:
        """Give the lock back; again without effect.

        Raises:
            HeldAcrossAwaitError: The guard was held across an `await`. While
                another exception is being handled it gets a note instead.
        """
        if self._cell is not None:
            self._release(self._cell, sys.exception())

    def __enter__(self) -> T:
        cell = self._cell
        return self._held().value if cell is None else cell.value

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cell = self._cell
        if cell is not None:
            self._release(cell, exc)

    def __del__(self) -> None:
        cell = self._cell
        if cell is not None:
            self._cell = None
            cell.shares.drop(self._kind, self._thread, self._hold)
            warnings.warn(
                f"a {type(self).__name__} was dropped without being released; "
                "use it in a `with`",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def _held(self) -> _Cell[T]:
        cell = self._cell
        if cell is None:
            raise ReleasedError(
                f"a {type(self).__name__} is used after it was given up",
                "take the lock again, or use the guard that replaced it",
            )
        return cell

    def _release(self, cell: _Cell[T], raising: BaseException | None) -> None:
        self._cell = None
        held = self._hold
        cell.shares.leave(self._kind, self._thread, held)
        if held is not None and held.is_late:
            refuse_late_release("a ThreadRwLock", held, raising)


@final
class ThreadReadGuard(_Guard[T]):
    """A share for reading, made by `ThreadRwLock.read`.

    Released by `with` or `release`; one that is dropped gives its share back too,
    with a `ResourceWarning`. It belongs to the thread that took it.

    Source:
        `parking_lot::RwLockReadGuard`
    """

    __slots__ = ()

    _kind = READ


@final
class ThreadWriteGuard(_Guard[T]):
    """The lock for writing, made by `ThreadRwLock.write`; see `ThreadReadGuard`.

    Source:
        `parking_lot::RwLockWriteGuard`
    """

    __slots__ = ()

    _kind = WRITE

    @property
    def value(self) -> T:
        """The guarded value; assign to replace it.

        Raises:
            ReleasedError: The guard was released or changed for another.
        """
        return self._held().value

    @value.setter
    def value(self, value: T) -> None:
        self._held().value = value

    def downgrade(self) -> ThreadReadGuard[T]:
        """Go on reading, with no other writer in between, and let readers in.

        Those who wait are admitted in their order: none past a writer.

        Returns:
            The guard to go on with; this one is given up.

        Raises:
            ReleasedError: It was given up before.
        """
        cell = self._held()
        cell.shares.downgrade(WRITE, READ)
        self._cell = None
        return ThreadReadGuard(cell, self._thread, self._hold)

    def downgrade_to_upgradable(self) -> "ThreadUpgradableGuard[T]":
        """Go on as upgradable reader, with no other writer in between.

        Returns:
            The guard to go on with; this one is given up.

        Raises:
            ReleasedError: It was given up before.
        """
        cell = self._held()
        cell.shares.downgrade(WRITE, UPGRADABLE)
        self._cell = None
        return ThreadUpgradableGuard(cell, self._thread, self._hold)


@final
class ThreadUpgradableGuard(_Guard[T]):
    """A share for reading that may become the writer's; see `ThreadReadGuard`.

    Made by `ThreadRwLock.upgradable_read`. There is at most one at a time: two
    readers that both waited to write would wait for each other.

    Source:
        `parking_lot::RwLockUpgradableReadGuard`
    """

    __slots__ = ()

    _kind = UPGRADABLE

    def upgrade(self, timeout: float | None = None) -> ThreadWriteGuard[T]:
        """Begin to write when the readers have left, with no writer in between.

        Meanwhile no new reader comes in.

        Args:
            timeout: How long to wait at most, in seconds; None for ever.

        Returns:
            The guard to go on with; this one is given up.

        Raises:
            Elapsed: The readers did not leave in time; this guard is as it was.
            HeldAcrossAwaitError: A suspended task of this thread is a reader.
            MisuseError: This thread is one of the readers.
            ReleasedError: It was given up before.
            ValueError: `timeout` is negative.
        """
        check_timeout(timeout)
        cell = self._held()
        cell.shares.upgrade(timeout)
        self._cell = None
        return ThreadWriteGuard(cell, self._thread, self._hold)

    def try_upgrade(self) -> ThreadWriteGuard[T]:
        """Begin to write if nobody else reads now.

        Returns:
            The guard to go on with; this one is given up.

        Raises:
            ReleasedError: It was given up before.
            WouldBlock: There are readers; this guard is as it was.
        """
        cell = self._held()
        if not cell.shares.try_upgrade():
            raise WouldBlock("a ThreadRwLock, by readers,")
        self._cell = None
        return ThreadWriteGuard(cell, self._thread, self._hold)

    def downgrade(self) -> ThreadReadGuard[T]:
        """Become a plain reader, so that another may be the upgradable one.

        Returns:
            The guard to go on with; this one is given up.

        Raises:
            ReleasedError: It was given up before.
        """
        cell = self._held()
        cell.shares.downgrade(UPGRADABLE, READ)
        self._cell = None
        return ThreadReadGuard(cell, self._thread, self._hold)


@final
class ThreadRwLock(Generic[T]):
    """A value, and the lock without which no thread gets at it: many may read it.

    `with lock.read() as value:` and `with lock.write() as value:` give the value
    itself; nothing stops a reader from changing it but the reader.

    It is fair: those who wait are served in their order, and a new reader waits
    behind a writer that waits. So a thread that reads, and would read again behind
    such a writer, would wait for itself: that, and every other wait of a thread for
    a lock of which it holds a guard, is refused with `MisuseError`. There is no
    poisoning: an exception in a block releases the lock.

    Args:
        value: What is guarded. Keep no other reference to it.

    Source:
        `parking_lot::RwLock`

    Example:
        >>> table = ThreadRwLock({"a": 1})
        >>> with table.read() as entries:
        ...     entries["a"]
        1
        >>> guard = table.write()
        >>> with guard as entries:
        ...     entries["b"] = 2
        ...     reader = guard.downgrade()
        >>> with reader as entries:
        ...     sorted(entries)
        ['a', 'b']
    """

    __slots__ = ("_cell",)

    def __init__(self, value: T) -> None:
        self._cell = _Cell(value)

    @recursive_repr("<ThreadRwLock ...>")
    def __repr__(self) -> str:
        cell = self._cell
        shares = cell.shares
        state = shares.state
        thread = get_ident()
        if state or not shares.try_enter(READ, thread):
            return f"<ThreadRwLock {state or shares.state}>"
        try:
            return f"<ThreadRwLock {cell.value!r}>"
        finally:
            shares.leave(READ, thread, None)

    @property
    def is_locked(self) -> bool:
        """Whether anybody reads or writes now."""
        shares = self._cell.shares
        return shares.writer or shares.upgradable or shares.readers > 0

    @property
    def is_write_locked(self) -> bool:
        """Whether anybody writes now."""
        return self._cell.shares.writer

    @property
    def reader_count(self) -> int:
        """How many read now, the upgradable one included."""
        shares = self._cell.shares
        return shares.readers + shares.upgradable

    @property
    def waiter_count(self) -> int:
        """How many threads wait now."""
        return self._cell.shares.waiting

    def read(self, timeout: float | None = None) -> ThreadReadGuard[T]:
        """Take a share for reading, waiting while there is, or waits, a writer.

        Args:
            timeout: How long to wait at most, in seconds; None for ever.

        Returns:
            The guard, held from now on: a context manager that gives the value.

        Raises:
            Elapsed: It did not come free in time.
            HeldAcrossAwaitError: A suspended task of this same thread is in the way.
            MisuseError: This thread holds a guard, and a writer waits for it.
            ValueError: `timeout` is negative.
        """
        if timeout is not None:
            check_timeout(timeout)
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(READ, thread):
            shares.enter(READ, timeout)
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadReadGuard(cell, thread, held)

    def try_read(self) -> ThreadReadGuard[T]:
        """Take a share for reading if there is, and waits, no writer.

        Returns:
            The guard.

        Raises:
            WouldBlock: There is one.
        """
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(READ, thread):
            raise WouldBlock("a ThreadRwLock")
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadReadGuard(cell, thread, held)

    def write(self, timeout: float | None = None) -> ThreadWriteGuard[T]:
        """Take the lock for writing, waiting until nobody else holds it.

        Args:
            timeout: How long to wait at most, in seconds; None for ever.

        Returns:
            The guard, held from now on: a context manager that gives the value.

        Raises:
            Elapsed: It did not come free in time.
            HeldAcrossAwaitError: A suspended task of this same thread holds it.
            MisuseError: This thread holds a guard of it.
            ValueError: `timeout` is negative.
        """
        if timeout is not None:
            check_timeout(timeout)
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(WRITE, thread):
            shares.enter(WRITE, timeout)
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadWriteGuard(cell, thread, held)

    def try_write(self) -> ThreadWriteGuard[T]:
        """Take the lock for writing if nobody holds it.

        Returns:
            The guard.

        Raises:
            WouldBlock: Somebody does.
        """
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(WRITE, thread):
            raise WouldBlock("a ThreadRwLock")
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadWriteGuard(cell, thread, held)

    def upgradable_read(self, timeout: float | None = None) -> ThreadUpgradableGuard[T]:
        """Take the one share for reading that can be upgraded, beside other readers.

        Args:
            timeout: How long to wait at most, in seconds; None for ever.

        Returns:
            The guard, held from now on: a context manager that gives the value.

        Raises:
            Elapsed: It did not come free in time.
            HeldAcrossAwaitError: A suspended task of this same thread is in the way.
            MisuseError: This thread holds a guard of it, and would have to wait.
            ValueError: `timeout` is negative.
        """
        if timeout is not None:
            check_timeout(timeout)
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(UPGRADABLE, thread):
            shares.enter(UPGRADABLE, timeout)
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadUpgradableGuard(cell, thread, held)

    def try_upgradable_read(self) -> ThreadUpgradableGuard[T]:
        """Take the share that can be upgraded if that is possible now.

        Returns:
            The guard.

        Raises:
            WouldBlock: There is a writer, one that waits, or such a reader.
        """
        cell = self._cell
        shares = cell.shares
        thread = get_ident()
        if not shares.try_enter(UPGRADABLE, thread):
            raise WouldBlock("a ThreadRwLock")
        loop = running_loop()
        held = None if loop is None else shares.note(hold(loop))
        return ThreadUpgradableGuard(cell, thread, held)

    def replace(self, value: T) -> T:
        """Put `value` in the place of the guarded one.

        Args:
            value: The new one.

        Returns:
            The one before.
        """
        with self.write() as before:
            self._cell.value = value
        return before

    def update(self, update: Callable[[T], T]) -> T:
        """Replace the value by what `update` makes of it.

        Args:
            update: Called once, with the lock held for writing. If it raises,
                nothing is replaced.

        Returns:
            The new value.
        """
        with self.write() as before:
            new = self._cell.value = update(before)
        return new
