"""A lock between threads that owns the value it guards: `ThreadMutex`.

For state that several threads change. The value is reached only through the lock, so
it cannot be used without. For tasks of one loop use `sumida.sync.Mutex`, for a
single number `AtomicInt`, where reads dominate `ThreadRwLock`.

On an event loop's thread it may be taken for a moment: should another *thread* hold
it, the whole loop waits. It refuses to be held across an `await`, where it would stop
the loop for ever: see `ThreadMutex.lock`.
"""

import sys
import warnings
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from threading import Lock, get_ident
from types import TracebackType
from typing import Generic, TypeVar, final

from sumida.errors import Elapsed, ReleasedError, WouldBlock
from sumida.sync.threads._held import (
    Hold,
    hold,
    refuse_late_release,
    refuse_waiting,
)
from sumida.sync.threads._timed import acquire, check_timeout

__all__ = ("ThreadMutex", "ThreadMutexGuard")

T = TypeVar("T")


@final
class _Cell(Generic[T]):
    """The lock and its value, shared by the mutex and its guard."""

    # It never refers to the guard: a guard that is dropped must be freed at once.
    __slots__ = ("hold", "lock", "thread", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.lock = Lock()
        self.thread = 0  # who holds it; read only to refuse a wait for oneself
        self.hold: Hold | None = None

    def wait(self, timeout: float | None) -> None:
        if self.thread == get_ident():
            refuse_waiting("a ThreadMutex", (self.hold,))
        if not acquire(self.lock, timeout) and timeout is not None:
            raise Elapsed(timeout, "a ThreadMutex")


@final
class ThreadMutexGuard(Generic[T]):
    """A mutex held: made by `ThreadMutex.lock`, released by `with` or `release`.

    A guard that is dropped without being released gives the lock back too, with a
    `ResourceWarning`. It belongs to the thread that took it, which may pass it to
    another, but two may not use it at once.

    Source:
        `parking_lot::MutexGuard`
    """

    __slots__ = ("_cell", "_hold")

    def __init__(self, cell: _Cell[T], held: Hold | None) -> None:
        self._cell: _Cell[T] | None = cell
        self._hold = held

    def __repr__(self) -> str:
        cell = self._cell
        if cell is None:
            return "<ThreadMutexGuard released>"
        return f"<ThreadMutexGuard {cell.value!r}>"

    @property
    def value(self) -> T:
        """The guarded value; assign to replace it.

        Raises:
            ReleasedError: The guard was released.
        """
        return self._held().value

    @value.setter
    def value(self, value: T) -> None:
        self._held().value = value

    @property
    def is_released(self) -> bool:
        """Whether the lock was given back."""
        return self._cell is None

    def release(self) -> None:
        """Give the lock back; again without effect.

        Raises:
            HeldAcrossAwaitError: The guard was held across an `await`. While
                another exception is being handled it gets a note instead.
        """
        self.__exit__(None, sys.exception(), None)

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
            self._cell = None
            cell.thread = 0
            held = self._hold
            if held is None:
                cell.lock.release()
                return
            cell.hold = None
            cell.lock.release()
            if held.turn.loop is None:
                refuse_late_release("a ThreadMutex", held, exc)

    def __del__(self) -> None:
        cell = self._cell
        if cell is not None:
            self._cell = None
            cell.thread = 0
            cell.hold = None
            cell.lock.release()
            warnings.warn(
                "a ThreadMutexGuard was dropped without being released; "
                "use `with mutex.lock() as value:`",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def _held(self) -> _Cell[T]:
        cell = self._cell
        if cell is None:
            raise ReleasedError(
                "the guard of a ThreadMutex is used after its release",
                "lock the mutex again",
            )
        return cell


@final
class ThreadMutex(Generic[T]):
    """A value, and the lock without which no thread gets at it.

    `with mutex.lock() as value:` gives the value itself. One that cannot be changed
    in place is replaced through the guard, or by `replace` and `update`. An
    exception in the block releases the lock and marks nothing: there is no
    poisoning, as in `parking_lot` and Tokio.

    A thread that waits for a mutex it holds itself is refused with `MisuseError`.
    Waiting threads are served in no promised order.

    Args:
        value: What is guarded. Keep no other reference to it.

    Source:
        `parking_lot::Mutex`, `std::sync::Mutex`

    Example:
        >>> hits = ThreadMutex({"a": 0})
        >>> with hits.lock() as counts:
        ...     counts["a"] += 1
        >>> hits
        <ThreadMutex {'a': 1}>
        >>> guard = ThreadMutex(1).lock()
        >>> with guard:
        ...     guard.value += 1
    """

    __slots__ = ("_cell",)

    def __init__(self, value: T) -> None:
        self._cell = _Cell(value)

    def __repr__(self) -> str:
        cell = self._cell
        if not cell.lock.acquire(blocking=False):
            return "<ThreadMutex locked>"
        cell.thread = get_ident()
        try:
            return f"<ThreadMutex {cell.value!r}>"
        finally:
            cell.thread = 0
            cell.lock.release()

    @property
    def is_locked(self) -> bool:
        """Whether a guard is held now, by whatever thread."""
        return self._cell.lock.locked()

    def lock(self, timeout: float | None = None) -> ThreadMutexGuard[T]:
        """Take the lock, blocking this thread until it is free.

        On an event loop's thread the guard must be released before the task is
        suspended: a `with` block in which an `await` let the loop turn raises
        `HeldAcrossAwaitError` at its end (or adds it as a note to the exception
        that ends it), and another task that meets the lock meanwhile gets that
        error at once.

        Args:
            timeout: How long to wait at most, in seconds; None for ever.

        Returns:
            The guard, held from now on: a context manager that gives the value.

        Raises:
            Elapsed: The lock was not free in time.
            HeldAcrossAwaitError: A suspended task of this same thread holds it.
            MisuseError: This thread holds it itself.
            ValueError: `timeout` is negative.
        """
        if timeout is not None:
            check_timeout(timeout)
        cell = self._cell
        if not cell.lock.acquire(False):  # noqa: FBT003 - by keyword costs 20 ns
            cell.wait(timeout)
        cell.thread = get_ident()
        loop = running_loop()
        if loop is None:
            return ThreadMutexGuard(cell, None)
        held = cell.hold = hold(loop)
        return ThreadMutexGuard(cell, held)

    def try_lock(self) -> ThreadMutexGuard[T]:
        """Take the lock if it is free now.

        Returns:
            The guard.

        Raises:
            WouldBlock: A guard is held.
        """
        cell = self._cell
        if not cell.lock.acquire(blocking=False):
            raise WouldBlock("a ThreadMutex")
        cell.thread = get_ident()
        loop = running_loop()
        if loop is None:
            return ThreadMutexGuard(cell, None)
        held = cell.hold = hold(loop)
        return ThreadMutexGuard(cell, held)

    def replace(self, value: T) -> T:
        """Put `value` in the place of the guarded one.

        Args:
            value: The new one.

        Returns:
            The one before.
        """
        with self.lock() as before:
            self._cell.value = value
        return before

    def update(self, update: Callable[[T], T]) -> T:
        """Replace the value by what `update` makes of it.

        Args:
            update: Called once, with the lock held. If it raises, nothing is
                replaced.

        Returns:
            The new value.
        """
        with self.lock() as before:
            new = self._cell.value = update(before)
        return new
