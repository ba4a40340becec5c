"""A lock between threads for many readers or one writer: `ThreadRwLock`.

For a value that is read much oftener, and for longer, than it is written. Where the
reading is a dictionary look-up take `ThreadMutex`: under the global interpreter lock
readers run side by side only while they wait for something or are in code that gives
it up. For tasks of one loop use `sumida.sync.RwLock`.

As every lock of this package it refuses to be held across an `await`: see
`ThreadMutex.lock`.
"""

from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from reprlib import recursive_repr
from threading import get_ident
from typing import Generic, TypeVar, final

from sumida.errors import WouldBlock
from sumida.sync.threads._held import hold
from sumida.sync.threads._shares import READ, UPGRADABLE, WRITE, Cell
from sumida.sync.threads._timed import check_timeout
from sumida.sync.threads.rwguards import (
    ThreadReadGuard,
    ThreadUpgradableGuard,
    ThreadWriteGuard,
)

__all__ = ("ThreadRwLock",)

T = TypeVar("T")


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
        self._cell = Cell(value)

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
