"""A number of permits: so many may do something at once.

For a limit on connections, requests, open files. A `Mutex` is for one value that one
task may touch at a time.
"""

from asyncio import Future
from collections.abc import Awaitable
from types import TracebackType
from typing import Literal, Self, final

from sumida._core import hooks
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed, MisuseError, NoPermits, ReleasedError
from sumida.operation import (
    DONE_AWAITABLE,
    PENDING,
    Pending,
    QueuedOperation,
    budget,
    park_awaitable,
    ready_awaitable,
)

__all__ = ("Semaphore", "SemaphorePermit")


def _check(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, not {value}")
    return value


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

    __slots__ = ("_free", "_is_closed", "_waiters")

    def __init__(self, permits: int) -> None:
        self._free = _check("permits", permits)
        self._is_closed = False
        self._waiters = WaiterQueue()

    def __repr__(self) -> str:
        closed = ", closed" if self._is_closed else ""
        return f"<Semaphore {self._free} free, {len(self._waiters)} waiting{closed}>"

    @property
    def available_permits(self) -> int:
        """Permits that nobody has, and nobody waits for."""
        return self._free

    @property
    def is_closed(self) -> bool:
        """Whether no more permits are given."""
        return self._is_closed

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
        return SemaphorePermit(self, permits)

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
        permit = SemaphorePermit(self, permits)
        if permit.poll() is PENDING:
            raise NoPermits(permits, self._free)
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
        permit = SemaphorePermit(self, permits)
        return blocking(permit, self._waiters.loop, "blocking_acquire()")

    def add_permits(self, permits: int) -> None:
        """Make more permits.

        Args:
            permits: How many, 0 or more.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            WrongLoopError: Tasks of another loop wait.
        """
        self._give(_check("permits", permits))

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
        removed = min(_check("permits", permits), self._free)
        self._free -= removed
        return removed

    def close(self) -> None:
        """Give no more permits: all who wait get `Closed`. What is held stays valid.

        Raises:
            WrongLoopError: Tasks of another loop wait.
        """
        self._waiters.check_loop()
        self._is_closed = True
        self._waiters.wake_all()

    def _give(self, permits: int) -> None:
        waiters = self._waiters
        if waiters.head is not None:
            permits = waiters.assign(permits)
        self._free += permits

    def _absorb(self) -> None:
        free, self._free = self._free, 0
        self._free = self._waiters.assign(free)


@final
class SemaphorePermit(QueuedOperation["SemaphorePermit"]):
    """Permits of a semaphore, or the wait for them; made by `acquire`.

    Await it, or enter it with `async with`; it then holds the permits until it is
    released. After that it can be awaited again.

    Source:
        `tokio::sync::SemaphorePermit`
    """

    __slots__ = ("_is_entered", "_is_held", "_net", "_permits", "_semaphore")

    def __init__(self, semaphore: Semaphore, permits: int) -> None:
        self._waiters = semaphore._waiters
        self._waiter = None
        self._semaphore = semaphore
        self._permits = permits
        self._is_held = False
        self._is_entered = False
        self._net: Net | None = None

    def __repr__(self) -> str:
        state = "held" if self._is_held else "waiting" if self.is_armed else "idle"
        return f"<SemaphorePermit {self._permits} {state} of {self._semaphore!r}>"

    @property
    def needed(self) -> int:
        """How many permits it waits for."""
        return self._permits

    @property
    def is_held(self) -> bool:
        """Whether the permits are held."""
        return self._is_held

    @property
    def num_permits(self) -> int:
        """How many permits are held."""
        return self._permits if self._is_held else 0

    def poll(self) -> "SemaphorePermit | Literal[Pending.PENDING]":
        """Take the permits if there are enough; see `Operation.poll`.

        Returns:
            Itself, holding them, or `PENDING`.

        Raises:
            MisuseError: It holds them already.
            Closed: The semaphore is closed.
        """
        semaphore = self._semaphore
        if self._is_held:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if semaphore._is_closed:
            raise Closed("semaphore")
        if self._waiter is None or not self.take_grant():
            if self._permits > semaphore._free:
                return PENDING
            semaphore._free -= self._permits
            self.forget_place()
        self._is_held = True
        if self._is_entered:
            # `__aexit__` is sure to come.
            self._is_entered = False
        else:
            self._hang_net()
        if hooks.observer is not None:
            hooks.observer.acquired(semaphore, self)
        return self

    def _hang_net(self) -> None:
        semaphore, permits = self._semaphore, self._permits
        self._clear_net()
        self._net = Net(
            f"a SemaphorePermit of {permits}",
            self._waiters,
            lambda: semaphore._give(permits),
        )

    def _clear_net(self) -> None:
        if self._net is not None:
            self._net.clear()
            self._net = None

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for permits; see `Operation.arm`."""
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = self._waiters.new_waiter(self._permits)
        self._waiters.join(waiter, future, self)
        if self._semaphore._free:
            self._semaphore._absorb()
        return waiter

    def give_back(self, granted: int) -> None:
        """Pass the permits on."""
        self._semaphore._give(granted)

    def release(self) -> None:
        """Give the permits back; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for them.
        """
        if self._is_held:
            semaphore = self._semaphore
            semaphore._give(self._permits)
            self._is_held = False
            self._clear_net()
            if hooks.observer is not None:
                hooks.observer.released(semaphore, self)

    def forget(self) -> None:
        """Keep the permits for good: nobody gets them back.

        Raises:
            ReleasedError: It holds none.
        """
        self._check_held("forget")
        self._is_held = False
        self._clear_net()

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
        other = SemaphorePermit(self._semaphore, permits)
        other._is_held = True
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
        if other._semaphore is not self._semaphore or other is self:
            raise MisuseError(
                f"{other!r} cannot be merged into {self!r}",
                "merge two permits of one semaphore",
            )
        self._check_held("merge")
        other._check_held("merge")
        other._is_held = False
        other._clear_net()
        self._permits += other._permits
        self._hang_net()

    def _check_held(self, what: str) -> None:
        if not self._is_held:
            raise ReleasedError(f"{what} of {self!r}", "do so while it is held")

    def __aenter__(self) -> "Awaitable[SemaphorePermit]":
        # The same as to await it, with nothing called that need not be.
        semaphore = self._semaphore
        if (
            self._waiter is not None
            or self._is_held
            or semaphore._is_closed
            or hooks.observer is not None
        ):
            return self
        free = semaphore._free - self._permits
        if free < 0:
            self._is_entered = True
            return park_awaitable(self)
        # Who must wait takes its place at once; only who need not yields in its turn.
        left = budget.left - 1
        if not left:
            return self
        budget.left = left
        semaphore._free = free
        self._is_held = True
        return ready_awaitable(self)

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        semaphore = self._semaphore
        if self._net is None and self._is_held and hooks.observer is None:
            permits = self._permits
            waiters = semaphore._waiters
            if waiters.head is not None:
                permits = waiters.assign(permits)
            semaphore._free += permits
            self._is_held = False
        else:
            self.release()
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
