"""A number of permits: so many may do something at once.

For a limit on connections, requests, open files. A `Mutex` is for one value that one
task may touch at a time.
"""

from sys import getrefcount
from typing import final

from sumida._core.arguments import check_count
from sumida._core.bridge import blocking
from sumida._core.finalize import Net
from sumida.errors import MisuseError, NoPermits
from sumida.operation import PENDING, UNSHARED
from sumida.sync._permits import Holder, Permits

__all__ = ("Semaphore", "SemaphorePermit")


@final
class _State(Permits):
    """What a semaphore and its permits share."""

    __slots__ = ()

    def __repr__(self) -> str:
        closed = ", closed" if self.is_closed else ""
        return f"<Semaphore {self.left} free, {len(self.waiters)} waiting{closed}>"


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
        self._state = _State(self, check_count("permits", permits))
        # The last holder made or left, to be used again when nobody else knows of it.
        self._spare: SemaphorePermit = None  # type: ignore[assignment]  # None is never unshared

    def __repr__(self) -> str:
        return repr(self._state)

    @property
    def available_permits(self) -> int:
        """Permits that nobody has, and nobody waits for."""
        return self._state.left

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
            check_count("permits", permits)
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
        check_count("permits", permits)
        permit = SemaphorePermit(self._state, permits)
        if permit.poll() is PENDING:
            raise NoPermits(permits, self._state.left)
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
        check_count("permits", permits)
        permit = SemaphorePermit(self._state, permits)
        return blocking(permit, self._state.home, "blocking_acquire()")

    def add_permits(self, permits: int) -> None:
        """Make more permits.

        Args:
            permits: How many, 0 or more.

        Raises:
            TypeError: `permits` is no int.
            ValueError: `permits` is negative.
            WrongLoopError: Tasks of another loop wait.
        """
        self._state.give(check_count("permits", permits))

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
        removed = min(check_count("permits", permits), self._state.left)
        self._state.free -= removed
        return removed

    def close(self) -> None:
        """Give no more permits: all who wait get `Closed`. What is held stays valid.

        Raises:
            WrongLoopError: Tasks of another loop wait.
        """
        self._state.close()

    def _put_spare(self, holder: object) -> None:
        self._spare = holder  # type: ignore[assignment]  # one of its own

    def _drop_spare(self, holder: object) -> None:
        if holder is self._spare:
            self._spare = None  # type: ignore[assignment]  # as above


@final
class SemaphorePermit(Holder["SemaphorePermit", _State]):
    """Permits of a semaphore, or the wait for them; made by `acquire`.

    Await it, or enter it with `async with`; it then holds the permits until it is
    released. After that it can be awaited again.

    Source:
        `tokio::sync::SemaphorePermit`
    """

    __slots__ = ()

    def __repr__(self) -> str:
        state = "held" if self.is_held else "waiting" if self.is_armed else "idle"
        return f"<SemaphorePermit {self._permits} {state} of {self._state!r}>"

    @property
    def num_permits(self) -> int:
        """How many permits are held."""
        return self._permits if self.is_held else 0

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
        check_count("permits", permits)
        self._check_held("split")
        if permits > self._permits:
            return None
        self._resize(self._permits - permits)
        other = SemaphorePermit(self._state, permits)
        other._hang_net()
        return other

    def merge(self, other: "SemaphorePermit") -> None:
        """Take over the permits of another holder, which holds none then.

        Args:
            other: A holder of the same semaphore.

        Raises:
            TypeError: `other` is none.
            MisuseError: It is of another semaphore, or this one.
            ReleasedError: One of them holds none.
        """
        if not isinstance(other, SemaphorePermit):
            raise TypeError(f"other must be a semaphore's permit, not {other!r}")
        if other._state is not self._state or other is self:
            raise MisuseError(
                f"{other!r} cannot be merged into {self!r}",
                "merge two permits of one semaphore",
            )
        self._check_held("merge")
        other._check_held("merge")
        other._let_go()
        self._resize(self._permits + other._permits)

    def _resize(self, permits: int) -> None:
        is_netted = isinstance(self._hold, Net)
        if is_netted:
            self._let_go()
        self._permits = permits
        if is_netted:
            self._hang_net()
