"""A lock that owns what it guards: no value without the lock.

For state that several tasks change across an `await`. Where nothing is awaited between
reading and writing, asyncio needs no lock at all. For threads: `ThreadMutex`.
"""

from asyncio import Future, get_running_loop
from collections.abc import Awaitable
from sys import getrefcount
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, final

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.operation import (
    DONE_AWAITABLE,
    PENDING,
    UNSHARED,
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

__all__ = ("Mutex", "MutexGuard")


@final
class _State(Generic[T]):
    """What a mutex and its guards share; a guard does not know the mutex itself."""

    __slots__ = ("is_locked", "spare", "value", "waiters")

    def __init__(self, value: T) -> None:
        self.value = value
        self.is_locked = False
        self.waiters = WaiterQueue()
        # The last guard made or left, to be used again when nobody else knows of it.
        self.spare: MutexGuard[T] = None  # type: ignore[assignment]  # None is never unshared

    def __repr__(self) -> str:
        if not self.is_locked:
            return f"<Mutex {self.value!r}>"
        return f"<Mutex locked, {len(self.waiters)} waiting>"

    def drop_spare(self) -> None:
        """Let the spare guard go."""
        self.spare = None  # type: ignore[assignment]  # as above

    def pass_on(self) -> None:
        """Give the lock to the next in line, or to nobody."""
        if self.waiters.assign(1):
            self.is_locked = False


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

    __slots__ = ("_state",)

    def __init__(self, value: T) -> None:
        self._state = _State(value)

    def __repr__(self) -> str:
        return repr(self._state)

    def __del__(self) -> None:
        # The spare guard and the state know each other; so that they, and the value,
        # go with the mutex, not with the next run of the collector.
        self._state.drop_spare()

    @property
    def is_locked(self) -> bool:
        """Whether some task has the lock."""
        return self._state.is_locked

    def lock(self) -> "MutexGuard[T]":
        """Get the lock, waiting for it: `async with`, or `await`.

        Returns:
            An operation that gives itself, holding the lock until it is released. It
            holds nothing before it is awaited or entered.

        Cancel safety:
            Safe: the lock goes to the next in line; the place is lost.
        """
        state = self._state
        guard = state.spare
        if getrefcount(guard) == UNSHARED:
            return guard
        guard = state.spare = MutexGuard(state)
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
        return blocking(
            MutexGuard(self._state), self._state.waiters.loop, "blocking_lock()"
        )


@final
class MutexGuard(QueuedOperation["MutexGuard[T]"], Generic[T]):
    """The lock of a mutex, or the wait for it; made by `lock`.

    Source:
        `tokio::sync::MutexGuard`
    """

    __slots__ = ("_is_held", "_kept", "_net", "_state")

    def __init__(self, state: _State[T]) -> None:
        self._waiters = state.waiters
        self._waiter = None
        self._state = state
        # False; True; or the loop on which it was waited for.
        self._is_held: object = False
        # Its waiter, while it does not wait: to be used again.
        self._kept: Waiter | None = None
        self._net: Net | None = None

    def __repr__(self) -> str:
        state = "held" if self._is_held else "waiting" if self.is_armed else "idle"
        return f"<MutexGuard {state} of {self._state!r}>"

    @property
    def is_held(self) -> bool:
        """Whether this guard has the lock."""
        return bool(self._is_held)

    @property
    def value(self) -> T:
        """What the mutex owns; it can be replaced.

        Raises:
            ReleasedError: The lock is not held through this guard.
        """
        if not self._is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        return self._state.value

    @value.setter
    def value(self, value: T) -> None:
        if not self._is_held:
            raise ReleasedError(f"value of {self!r}", "use it while the lock is held")
        self._state.value = value

    def poll(self) -> "MutexGuard[T] | Literal[Pending.PENDING]":
        """Take the lock if it is free; see `Operation.poll`.

        Returns:
            Itself, holding the lock, or `PENDING`.

        Raises:
            MisuseError: It holds the lock already.
        """
        state = self._state
        if self._is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if state.is_locked:
            if self._waiter is None or not self.take_grant():
                return PENDING
        else:
            state.is_locked = True
            self.forget_place()
        self._is_held = True
        if state.spare is self:
            # It must be seen when this one is dropped.
            state.drop_spare()
        self._net = Net("a MutexGuard", state.waiters, state.pass_on)
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
        state = self._state
        if state.spare is self:
            # It keeps its place in the line, for whoever keeps it.
            state.drop_spare()

    def give_back(self, granted: int) -> None:
        """Pass the lock on."""
        assert granted == 1
        self._state.pass_on()

    def release(self) -> None:
        """Give the lock back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for it.
        """
        if self._is_held:
            state = self._state
            state.pass_on()
            self._is_held = False
            if self._net is not None:
                self._net.clear()
                self._net = None
            if hooks.observer is not None:
                hooks.observer.released(state, self)

    async def __aenter__(self) -> "MutexGuard[T]":
        # The same as to await it, with nothing called that need not be; and no net,
        # for `__aexit__` is sure to come.
        state = self._state
        if self._waiter is not None or hooks.observer is not None:
            return await self
        if not state.is_locked:
            # Who must wait takes its place at once; only who need not yields in its
            # turn.
            left = budget.left - 1
            if not left:
                return await self
            budget.left = left
            state.is_locked = self._is_held = True
            return self
        if self._is_held:
            return await self
        waiters = self._waiters
        # To ask for the running loop is a system call on CPython 3.11.
        loop = waiters.loop if waiters.head is not None else None
        if loop is None:
            loop = get_running_loop()
        future: Future[object] = Future(loop=loop)
        waiter = self._kept
        if waiter is None:
            waiter = Waiter()
        else:
            self._kept = None
        self._waiter = waiter
        waiters.join(waiter, future, self)
        try:
            await future
        except BaseException as error:
            self.disarm()
            if type(error) is RuntimeError and get_running_loop() is not loop:
                # The task refused the future: those in line are of another loop.
                waiters.check_loop()
                return await self
            raise
        # Nothing but the lock wakes one that waits for it.
        assert waiter.granted
        waiter.ticket = waiter.granted = 0
        waiter.future = self._waiter = None
        self._kept = waiter
        self._is_held = loop
        return self

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        if self._net is not None or not self._is_held or hooks.observer is not None:
            self.release()
            return DONE_AWAITABLE
        state = self._state
        waiters = self._waiters
        if waiters.head is None:
            state.is_locked = False
        else:
            if waiters.loop is self._is_held:
                if waiters.assign_here(1):
                    state.is_locked = False
            elif waiters.assign(1):
                state.is_locked = False
            if state.spare is not None:
                # Soon nobody knows of it: the next `lock` of this task takes it.
                state.spare = self
        self._is_held = False
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
