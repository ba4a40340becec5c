"""A lock that owns what it guards: no value without the lock.

For state that several tasks change across an `await`. Where nothing is awaited between
reading and writing, asyncio needs no lock at all. For threads: `ThreadMutex`.
"""

import warnings
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, final

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize
from sumida._core.waiters import WaiterQueue
from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.operation import (
    DONE_AWAITABLE,
    PENDING,
    Pending,
    QueuedOperation,
    ready_awaitable,
    spend,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Mutex", "MutexGuard")


@final
class Mutex(Generic[T]):
    """A value that one task may use at a time; waiters are served in order.

    A task that locks twice waits for itself for ever. A block that raises gives the
    lock back, and what it half changed with it.

    Args:
        value: What is guarded; None where the lock guards something else.

    Source:
        `tokio::sync::Mutex`
    """

    __slots__ = ("_is_locked", "_value", "_waiters")

    def __init__(self, value: T) -> None:
        self._value = value
        self._is_locked = False
        self._waiters = WaiterQueue()

    def __repr__(self) -> str:
        if not self._is_locked:
            return f"<Mutex {self._value!r}>"
        return f"<Mutex locked, {len(self._waiters)} waiting>"

    @property
    def is_locked(self) -> bool:
        """Whether some task has the lock."""
        return self._is_locked

    def lock(self) -> "MutexGuard[T]":
        """Get the lock, waiting for it: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released. It
            holds nothing before it is awaited or entered.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        return MutexGuard(self)

    def try_lock(self) -> "MutexGuard[T]":
        """Get the lock if nobody has it or waits for it.

        Returns:
            The guard, to be released.

        Raises:
            WouldBlock: Somebody has it.
        """
        guard = MutexGuard(self)
        if guard.poll() is PENDING:
            raise WouldBlock("mutex")
        return guard

    def blocking_lock(self) -> "MutexGuard[T]":
        """Get the lock from a thread that runs no event loop.

        Returns:
            The guard; release it with `loop.call_soon_threadsafe(guard.release)`.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The loop is closed.
        """
        return blocking(MutexGuard(self), self._waiters.loop, "blocking_lock()")

    def _pass_on(self) -> None:
        if not self._waiters.serve_first():
            self._is_locked = False


@final
class MutexGuard(QueuedOperation["MutexGuard[T]"], Generic[T]):
    """The lock of a mutex, or the wait for it; made by `lock`.

    Source:
        `tokio::sync::MutexGuard`
    """

    __slots__ = ("_is_held", "_mutex")

    def __init__(self, mutex: Mutex[T]) -> None:
        self._waiters = mutex._waiters
        self._waiter = None
        self._mutex = mutex
        self._is_held = False

    def __repr__(self) -> str:
        state = "held" if self._is_held else "waiting" if self.is_armed else "idle"
        return f"<MutexGuard {state} of {self._mutex!r}>"

    @property
    def is_held(self) -> bool:
        """Whether this guard has the lock."""
        return self._is_held

    @property
    def value(self) -> T:
        """What the mutex owns; it can be replaced.

        Raises:
            ReleasedError: The lock is not held through this guard.
        """
        if not self._is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        return self._mutex._value

    @value.setter
    def value(self, value: T) -> None:
        if not self._is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        self._mutex._value = value

    def poll(self) -> "MutexGuard[T] | Literal[Pending.PENDING]":
        """Take the lock if it is free; see `Operation.poll`.

        Returns:
            Itself, holding the lock, or `PENDING`.

        Raises:
            MisuseError: It holds the lock already.
        """
        mutex = self._mutex
        if self._is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if mutex._is_locked:
            if self._waiter is None or not self.take_grant():
                return PENDING
        else:
            mutex._is_locked = True
            self.forget_place()
        self._is_held = True
        if hooks.observer is not None:
            hooks.observer.acquired(mutex, self)
        return self

    def give_back(self, granted: int) -> None:
        """Pass the lock on."""
        assert granted == 1
        self._mutex._pass_on()

    def release(self) -> None:
        """Give the lock back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for it.
        """
        if self._is_held:
            mutex = self._mutex
            if mutex._waiters.head is None:
                mutex._is_locked = False
            else:
                mutex._pass_on()
            self._is_held = False
            if hooks.observer is not None:
                hooks.observer.released(mutex, self)

    def __aenter__(self) -> "Awaitable[MutexGuard[T]]":
        if spend() or self.poll() is PENDING:
            return self
        return ready_awaitable(self)

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        self.release()
        return DONE_AWAITABLE

    def __enter__(self) -> Self:
        if not self._is_held:
            raise ReleasedError(
                f"with {self!r}", "use `async with mutex.lock()`, or await it first"
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if self._is_held:
            mutex = self._mutex
            finalize(mutex._waiters, mutex._pass_on)
            warnings.warn(
                f"{self!r} was collected while held; use `async with`, or release it",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
