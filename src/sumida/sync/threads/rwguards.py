"""The guards of a `ThreadRwLock`: what its `read`, `write` and the others give.

A guard is used in a `with`, which gives the value, or released by hand. One kind is
made into another by giving up the first: no other thread comes in between.
"""

import sys
import warnings
from types import TracebackType
from typing import ClassVar, Generic, TypeVar, final

from sumida.errors import ReleasedError, WouldBlock
from sumida.sync.threads._held import Hold, refuse_late_release
from sumida.sync.threads._shares import READ, UPGRADABLE, WRITE, Cell
from sumida.sync.threads._timed import check_timeout

__all__ = ("ThreadReadGuard", "ThreadUpgradableGuard", "ThreadWriteGuard")

T = TypeVar("T")


class _Guard(Generic[T]):
    """What the three guards have in common: release, and the value."""

    __slots__ = ("_cell", "_hold", "_thread")

    _kind: ClassVar[int]

    def __init__(self, cell: Cell[T], thread: int, held: Hold | None) -> None:
        self._cell: Cell[T] | None = cell
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
            held = self._hold
            cell.shares.leave(self._kind, self._thread, held)
            if held is not None and held.turn.loop is None:
                refuse_late_release("a ThreadRwLock", held, exc)

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

    def _held(self) -> Cell[T]:
        cell = self._cell
        if cell is None:
            raise ReleasedError(
                f"a {type(self).__name__} is used after it was given up",
                "take the lock again, or use the guard that replaced it",
            )
        return cell


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
