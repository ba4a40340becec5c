"""How many connections are served at once; the number may change meanwhile."""

from typing import final

from sumida.errors import NoPermits
from sumida.sync.semaphore import Semaphore, SemaphorePermit

__all__ = ("ConnectionLimit",)


@final
class ConnectionLimit:
    """A semaphore whose number of permits can be set.

    Args:
        count: How many there are, 1 or more.

    Raises:
        ValueError: `count` is less than 1.
    """

    __slots__ = ("_count", "_permits", "_surplus")

    def __init__(self, count: int) -> None:
        _check(count)
        self._permits = Semaphore(count)
        self._count = count
        # Permits that are in use though the limit was lowered below them.
        self._surplus = 0

    def __repr__(self) -> str:
        return f"<ConnectionLimit {self._count}>"

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count

    @count.setter
    def count(self, count: int) -> None:
        _check(count)
        more = count - self._count
        self._count = count
        if more > 0:
            paid = min(more, self._surplus)
            self._surplus -= paid
            self._permits.add_permits(more - paid)
        else:
            self._surplus += -more - self._permits.forget_permits(-more)

    async def acquire(self) -> SemaphorePermit:
        """Wait for a place.

        Returns:
            The permit, to be given back by `release`.

        Cancel safety:
            Safe: a cancelled call has taken none.
        """
        return await self._permits.acquire()

    def try_acquire(self) -> SemaphorePermit | None:
        """Take a place if there is one.

        Returns:
            The permit, or None.
        """
        try:
            return self._permits.try_acquire()
        except NoPermits:
            return None

    def release(self, permit: SemaphorePermit) -> None:
        """Give a place back, or drop it where there are too many.

        Args:
            permit: From `acquire`.
        """
        if self._surplus:
            self._surplus -= 1
            permit.forget()
        else:
            permit.release()


def _check(count: int) -> None:
    if count < 1:
        raise ValueError(f"max_connections must be 1 or more, not {count}")
