"""A lock that owns what it guards: no value without the lock.

For state that several tasks change across an `await`. Where nothing is awaited between
reading and writing, asyncio needs no lock at all. For threads: `ThreadMutex`.
"""

from asyncio import Future, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Awaitable, Generator
from sys import getrefcount
from types import TracebackType, coroutine
from typing import TYPE_CHECKING, Final, Generic, Literal, Self, cast, final
from weakref import ref

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida._core.home import home_of
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.operation import (
    BUDGET,
    DONE_AWAITABLE,
    PENDING,
    UNSHARED,
    Pending,
    QueuedOperation,
    budget,
    refuse_second,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Mutex", "MutexGuard")

_OTHER: Final = True
"""Stands for the holder of a lock that the lock itself must not know."""


@final
class _State(Generic[T]):
    """What a mutex and its guards share; a guard does not know the mutex itself."""

    __slots__ = ("holder", "made_on", "mutex", "value", "waiters")

    def __init__(self, mutex: "Mutex[T]", value: T) -> None:
        self.mutex = ref(mutex)
        self.value = value
        # None while the lock is free; the guard, if it was entered without waiting; or
        # `_OTHER`, for any other guard, and for the next in line that was given it.
        self.holder: object = None
        self.waiters = WaiterQueue()
        self.made_on = running_loop()

    def __repr__(self) -> str:
        if self.holder is None:
            return f"<Mutex {self.value!r}>"
        return f"<Mutex locked, {len(self.waiters)} waiting>"

    def drop_spare(self, guard: "MutexGuard[T]") -> None:
        """Let the spare guard go, if it is `guard`."""
        mutex = self.mutex()
        if mutex is not None and mutex._spare is guard:
            mutex._spare = None  # type: ignore[assignment]  # as there

    def pass_on(self) -> None:
        """Give the lock to the next in line, or to nobody."""
        self.holder = None if self.waiters.assign(1) else _OTHER


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

    __slots__ = ("__weakref__", "_spare", "_state")

    def __init__(self, value: T) -> None:
        self._state = _State(self, value)
        # The last guard made or left, to be used again when nobody else knows of it.
        self._spare: MutexGuard[T] = None  # type: ignore[assignment]  # None is never unshared

    def __repr__(self) -> str:
        return repr(self._state)

    @property
    def is_locked(self) -> bool:
        """Whether some task has the lock."""
        return self._state.holder is not None

    def lock(self) -> "MutexGuard[T]":
        """Get the lock, waiting for it: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released. It
            holds nothing before it is awaited or entered.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        guard = self._spare
        if getrefcount(guard) == UNSHARED:
            return guard
        guard = self._spare = MutexGuard(self._state)
        return guard

    def try_lock(self) -> "MutexGuard[T]":
        """Get the lock if nobody has it or waits for it.

        Returns:
            The guard, to be released.

        Raises:
            WouldBlock: Somebody has it.
        """
        guard = MutexGuard(self._state)
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
        state = self._state
        loop = home_of(state.waiters.loop, state.made_on)
        return blocking(MutexGuard(state), loop, "blocking_lock()")


@final
class MutexGuard(QueuedOperation["MutexGuard[T]"], Generic[T]):
    """The lock of a mutex, or the wait for it; made by `lock`.

    Source:
        `tokio::sync::MutexGuard`
    """

    __slots__ = ("_hold", "_kept", "_state")

    def __init__(self, state: _State[T]) -> None:
        self._waiters = state.waiters
        self._waiter = None
        self._state = state
        # While it has the lock but is not the state's holder: the net below one that
        # was awaited, or the loop on which it was waited for by `async with`.
        self._hold: object = None
        # Its waiter, while it does not wait: to be used again.
        self._kept: Waiter | None = None

    def __repr__(self) -> str:
        state = "held" if self.is_held else "waiting" if self.is_armed else "idle"
        return f"<MutexGuard {state} of {self._state!r}>"

    @property
    def is_held(self) -> bool:
        """Whether this guard has the lock."""
        return self._hold is not None or self._state.holder is self

    @property
    def value(self) -> T:
        """What the mutex owns; it can be replaced.

        Raises:
            ReleasedError: The lock is not held through this guard.
        """
        if not self.is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        return self._state.value

    @value.setter
    def value(self, value: T) -> None:
        if not self.is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        self._state.value = value

    def poll(self) -> "MutexGuard[T] | Literal[Pending.PENDING]":
        """Take the lock if it is free; see `Operation.poll`.

        Returns:
            Itself, holding the lock, or `PENDING`.

        Raises:
            BusyError: Another task enters with it.
            MisuseError: It holds the lock already.
        """
        state = self._state
        if self.is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        waiter = self._waiter
        if waiter is not None and waiter.future is waiter:
            # The task that entered with it sleeps, and may have been served.
            refuse_second(self)
        if state.holder is None:
            state.holder = _OTHER
            self.forget_place()
        elif waiter is None or not self.take_grant():
            return PENDING
        # It must be seen when this one is dropped.
        state.drop_spare(self)
        self._hold = Net("a MutexGuard", state.waiters, state.pass_on)
        if hooks.observer is not None:
            hooks.observer.acquired(state, self)
        return self

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for the lock; see `Operation.arm`."""
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = self._waiters.new_waiter(1)
        self._waiters.join(waiter, future, self)
        return waiter

    def disarm(self) -> None:
        """Leave those who wait for the lock; see `Operation.disarm`."""
        QueuedOperation.disarm(self)
        # It keeps its place in the line, for whoever keeps it.
        self._state.drop_spare(self)

    def give_back(self, granted: int) -> None:
        """Pass the lock on."""
        assert granted == 1
        self._state.pass_on()

    def release(self) -> None:
        """Give the lock back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for it.
        """
        if self.is_held:
            state = self._state
            state.pass_on()
            hold, self._hold = self._hold, None
            if isinstance(hold, Net):
                hold.clear()
            if hooks.observer is not None:
                hooks.observer.released(state, self)

    @coroutine
    def __aenter__(self) -> Generator[object, None, "MutexGuard[T]"]:
        # The same as to await it, with nothing called that need not be; and no net,
        # for `__aexit__` is sure to come.
        state = self._state
        if state.holder is None and self._waiter is None and hooks.observer is None:
            left = budget.left - 1
            if left:
                budget.left = left
                state.holder = self
                return self
            # Only who need not wait yields: who must takes its place at once.
            budget.left = BUDGET
            yield None
            again = cast("Generator[object, None, MutexGuard[T]]", self.__aenter__())
            return (yield from again)
        if (
            self._waiter is not None
            or self._hold is not None
            or state.holder is self
            or hooks.observer is not None
        ):
            return (yield from self.__await__())
        waiters = self._waiters
        # To ask for the running loop is a system call on CPython 3.11.
        loop = waiters.loop if waiters.head is not None else None
        if loop is None:
            loop = get_running_loop()
        waiter = self._kept
        if waiter is None:
            waiter = Waiter()
        else:
            self._kept = None
        self._waiter = waiter
        waiter.sleep_on(loop)
        waiters.join(waiter, waiter, self)
        try:
            yield waiter
        except BaseException as error:
            self.disarm()
            if type(error) is RuntimeError and get_running_loop() is not loop:
                # The task refused the waiter: those in line are of another loop.
                return (yield from self.__await__())
            raise
        # Nothing but the lock wakes one that waits for it.
        assert waiter.granted
        waiter.ticket = waiter.granted = 0
        waiter.future = self._waiter = None
        self._kept = waiter
        self._hold = loop
        return self

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        state = self._state
        if state.holder is self:
            if self._waiters.head is None:
                state.holder = None
                return DONE_AWAITABLE
            state.pass_on()
        elif self._hold is not None and self._hold is self._waiters.loop:
            state.holder = None if self._waiters.assign_here(1) else _OTHER
            self._hold = None
        else:
            self.release()
            return DONE_AWAITABLE
        mutex = state.mutex()
        if mutex is not None:
            # Soon nobody knows of it: the next `lock` of this task takes it.
            mutex._spare = self
        return DONE_AWAITABLE

    def __enter__(self) -> Self:
        if not self.is_held:
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
