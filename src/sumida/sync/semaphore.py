"""A number of permits: so many may do something at once.

For a limit on connections, requests, open files. A `Mutex` is for one value that one
task may touch at a time.
"""

from asyncio import Future, get_running_loop
from collections.abc import Awaitable, Generator
from sys import getrefcount
from types import TracebackType, coroutine
from typing import Literal, Self, cast, final
from weakref import ref

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import Closed, MisuseError, NoPermits, ReleasedError
from sumida.operation import (
    BUDGET,
    DONE_AWAITABLE,
    PENDING,
    UNSHARED,
    Pending,
    QueuedOperation,
    budget,
)

__all__ = ("Semaphore", "SemaphorePermit")


def _check(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, not {value}")
    return value


@final
class _State:
    """What a semaphore and its permits share; a permit does not know the semaphore."""

    __slots__ = ("free", "is_closed", "semaphore", "waiters")

    def __init__(self, semaphore: "Semaphore", permits: int) -> None:
        self.semaphore = ref(semaphore)
        self.free = permits
        self.is_closed = False
        self.waiters = WaiterQueue(in_batches=True)

    def __repr__(self) -> str:
        closed = ", closed" if self.is_closed else ""
        return f"<Semaphore {self.free} free, {len(self.waiters)} waiting{closed}>"

    def drop_spare(self, permit: "SemaphorePermit") -> None:
        """Let the spare holder go, if it is `permit`."""
        semaphore = self.semaphore()
        if semaphore is not None and semaphore._spare is permit:
            semaphore._spare = None  # type: ignore[assignment]  # as there

    def give(self, permits: int) -> None:
        """Hand permits to those who wait, and keep what nobody wants."""
        if self.waiters.head is not None:
            permits = self.waiters.assign(permits)
        self.free += permits

    def absorb(self) -> None:
        """Hand what is free to those who wait; called when one joined."""
        free, self.free = self.free, 0
        self.free = self.waiters.assign(free)


@final
class Semaphore:
    """Permits that are handed out first come, first served.

    One who waits for many is not starved by those who want few: it is given what
    comes free, in its turn, until it has enough.

    Args:
        permits: How many there are at first, 0 or more.

    Raises:
        TypeError: `permits` is no int.
        ValueError: `permits` is negative.

    Source:
        `tokio::sync::Semaphore`
    """

    __slots__ = ("__weakref__", "_spare", "_state")

    def __init__(self, permits: int) -> None:
        self._state = _State(self, _check("permits", permits))
        # The last holder made or left, to be used again when nobody else knows of it.
        self._spare: SemaphorePermit = None  # type: ignore[assignment]  # None is never unshared

    def __repr__(self) -> str:
        return repr(self._state)

    @property
    def available_permits(self) -> int:
        """Permits that nobody has, and nobody waits for."""
        return self._state.free

    @property
    def is_closed(self) -> bool:
        """Whether no more permits are given."""
        return self._state.is_closed

    def acquire(self, permits: int = 1) -> "SemaphorePermit":
        """Get permits, waiting until there are enough: `async with`, or `await`.

        Args:
            permits: How many at once, 0 or more. More than there are is no error:
                `add_permits` may come.

        Returns:
            An operation that gives itself, with the permits, which it holds until it
            is released. It holds nothing before it is awaited or entered.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            Closed: When awaited, the semaphore is closed.

        Cancel safety:
            Safe: what was given goes to the next in line; the place is lost.
        """
        if type(permits) is not int or permits < 0:
            _check("permits", permits)
        permit = self._spare
        if getrefcount(permit) == UNSHARED:
            permit._permits = permits
            return permit
        permit = self._spare = SemaphorePermit(self._state, permits)
        return permit

    def try_acquire(self, permits: int = 1) -> "SemaphorePermit":
        """Get permits if there are enough that nobody waits for.

        Args:
            permits: How many at once, 0 or more.

        Returns:
            The permits, to be released.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            NoPermits: There are not enough.
            Closed: The semaphore is closed.
        """
        _check("permits", permits)
        permit = SemaphorePermit(self._state, permits)
        if permit.poll() is PENDING:
            raise NoPermits(permits, self._state.free)
        return permit

    def blocking_acquire(self, permits: int = 1) -> "SemaphorePermit":
        """Get permits from a thread that runs no event loop; release them there, too.

        Args:
            permits: How many at once, 0 or more.

        Returns:
            The permits. Give them back with `loop.call_soon_threadsafe`.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The semaphore, or the loop, is closed.
        """
        _check("permits", permits)
        permit = SemaphorePermit(self._state, permits)
        return blocking(permit, self._state.waiters.loop, "blocking_acquire()")

    def add_permits(self, permits: int) -> None:
        """Make more permits.

        Args:
            permits: How many, 0 or more.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            WrongLoopError: Tasks of another loop wait.
        """
        self._state.give(_check("permits", permits))

    def forget_permits(self, permits: int) -> int:
        """Remove free permits for good.

        Args:
            permits: How many at the most, 0 or more.

        Returns:
            How many there were to remove.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
        """
        removed = min(_check("permits", permits), self._state.free)
        self._state.free -= removed
        return removed

    def close(self) -> None:
        """Give no more permits: all who wait get `Closed`. What is held stays valid.

        Raises:
            WrongLoopError: Tasks of another loop wait.
        """
        self._state.waiters.check_loop()
        self._state.is_closed = True
        self._state.waiters.wake_all()


@final
class SemaphorePermit(QueuedOperation["SemaphorePermit"]):
    """Permits of a semaphore, or the wait for them; made by `acquire`.

    Await it, or enter it with `async with`; it then holds the permits until it is
    released. After that it can be awaited again.

    Source:
        `tokio::sync::SemaphorePermit`
    """

    __slots__ = ("_hold", "_kept", "_permits", "_state")

    def __init__(self, state: _State, permits: int) -> None:
        self._waiters = state.waiters
        self._waiter = None
        self._state = state
        self._permits = permits
        # While it holds them: the net below one that was awaited; the loop on which it
        # was waited for by `async with`; True if it did not have to wait there.
        self._hold: object = None
        # Its waiter, while it does not wait: to be used again.
        self._kept: Waiter | None = None

    def __repr__(self) -> str:
        state = "held" if self.is_held else "waiting" if self.is_armed else "idle"
        return f"<SemaphorePermit {self._permits} {state} of {self._state!r}>"

    @property
    def needed(self) -> int:
        """How many permits it waits for."""
        return self._permits

    @property
    def is_held(self) -> bool:
        """Whether the permits are held."""
        return self._hold is not None

    @property
    def num_permits(self) -> int:
        """How many permits are held."""
        return self._permits if self.is_held else 0

    def poll(self) -> "SemaphorePermit | Literal[Pending.PENDING]":
        """Take the permits if there are enough; see `Operation.poll`.

        Returns:
            Itself, holding them, or `PENDING`.

        Raises:
            MisuseError: It holds them already.
            Closed: The semaphore is closed.
        """
        state = self._state
        if self.is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if state.is_closed:
            raise Closed("semaphore")
        if self._waiter is None or not self.take_grant():
            if self._permits > state.free:
                return PENDING
            state.free -= self._permits
            self.forget_place()
        # It must be seen when this one is dropped.
        state.drop_spare(self)
        self._hang_net()
        if hooks.observer is not None:
            hooks.observer.acquired(state, self)
        return self

    def _hang_net(self) -> None:
        state, permits = self._state, self._permits
        self._let_go()
        self._hold = Net(
            f"a SemaphorePermit of {permits}",
            self._waiters,
            lambda: state.give(permits),
        )

    def _let_go(self) -> None:
        hold, self._hold = self._hold, None
        if isinstance(hold, Net):
            hold.clear()

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for permits; see `Operation.arm`."""
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = self._waiters.new_waiter(self._permits)
        self._waiters.join(waiter, future, self)
        if self._state.free:
            self._state.absorb()
        return waiter

    def disarm(self) -> None:
        """Leave those who wait for permits; see `Operation.disarm`."""
        QueuedOperation.disarm(self)
        # It keeps its place in the line, for whoever keeps it.
        self._state.drop_spare(self)

    def give_back(self, granted: int) -> None:
        """Pass the permits on."""
        self._state.give(granted)

    def release(self) -> None:
        """Give the permits back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for them.
        """
        if self.is_held:
            state = self._state
            state.give(self._permits)
            self._let_go()
            if hooks.observer is not None:
                hooks.observer.released(state, self)

    def forget(self) -> None:
        """Keep the permits for good: nobody gets them back.

        Raises:
            ReleasedError: It holds none.
        """
        self._check_held("forget")
        self._let_go()

    def split(self, permits: int) -> "SemaphorePermit | None":
        """Put some of the permits into a holder of their own.

        Args:
            permits: How many, 0 or more.

        Returns:
            The new holder; None if there are not so many.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            ReleasedError: It holds none.
        """
        _check("permits", permits)
        self._check_held("split")
        if permits > self._permits:
            return None
        other = SemaphorePermit(self._state, permits)
        other._hang_net()
        self._permits -= permits
        self._hang_net()
        return other

    def merge(self, other: "SemaphorePermit") -> None:
        """Take over the permits of another holder, which holds none then.

        Args:
            other: A holder of the same semaphore.

        Raises:
            MisuseError: It is of another semaphore, or this one.
            ReleasedError: One of them holds none.
        """
        if other._state is not self._state or other is self:
            raise MisuseError(
                f"{other!r} cannot be merged into {self!r}",
                "merge two permits of one semaphore",
            )
        self._check_held("merge")
        other._check_held("merge")
        other._let_go()
        self._permits += other._permits
        self._hang_net()

    def _check_held(self, what: str) -> None:
        if not self.is_held:
            raise ReleasedError(f"{what} of {self!r}", "do so while it is held")

    @coroutine
    def __aenter__(self) -> Generator[object, None, "SemaphorePermit"]:  # noqa: C901
        # The same as to await it, with nothing called that need not be; and no net,
        # for `__aexit__` is sure to come.
        state = self._state
        if (
            self._waiter is not None
            or self._hold is not None
            or state.is_closed
            or hooks.observer is not None
        ):
            return (yield from self.__await__())
        free = state.free - self._permits
        if free >= 0:
            left = budget.left - 1
            if left:
                budget.left = left
                state.free = free
                self._hold = True
                return self
            # Only who need not wait yields: who must takes its place at once.
            budget.left = BUDGET
            yield None
            again = cast("Generator[object, None, SemaphorePermit]", self.__aenter__())
            return (yield from again)
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
        waiter.needed = self._permits
        self._waiter = waiter
        waiter.sleep_on(loop)
        waiters.join(waiter, waiter, self)
        if state.free:
            state.absorb()
        try:
            if not waiter.is_awake:
                yield waiter
        except BaseException as error:
            self.disarm()
            if type(error) is RuntimeError and get_running_loop() is not loop:
                # The task refused the waiter: those in line are of another loop.
                waiters.check_loop()
                return (yield from self.__await__())
            raise
        if self._state.is_closed:
            self.disarm()
            raise Closed("semaphore")
        # Nothing but permits, or the end, wakes one that waits for them.
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
        waiters = self._waiters
        permits = self._permits
        hold = self._hold
        if hold is True:
            if waiters.head is None:
                state.free += permits
                self._hold = None
                return DONE_AWAITABLE
            permits = waiters.assign(permits)
        elif hold is not None and hold is waiters.loop:
            permits = waiters.assign_here(permits)
        else:
            self.release()
            return DONE_AWAITABLE
        state.free += permits
        self._hold = None
        semaphore = state.semaphore()
        if semaphore is not None:
            # Soon nobody knows of it: the next `acquire` of this task takes it.
            semaphore._spare = self
        return DONE_AWAITABLE

    def __enter__(self) -> Self:
        self._check_held("with")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
