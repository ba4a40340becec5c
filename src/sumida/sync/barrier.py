"""Wait until so many tasks have come to the same point."""

from asyncio import Future
from dataclasses import dataclass
from typing import Literal, final

from sumida._core.arguments import check_count
from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Operation, Pending, QueuedOperation

__all__ = ("Barrier", "BarrierWaitResult")


@final
@dataclass(frozen=True, slots=True)
class BarrierWaitResult:
    """What a task learns when the barrier opens.

    Attributes:
        is_leader: Whether it was the one that came last; true for exactly one.

    Source:
        `tokio::sync::BarrierWaitResult`
    """

    is_leader: bool


@final
class Barrier:
    """Lets tasks pass in groups of a fixed size, again and again.

    Args:
        size: How many make a group; 0 is taken as 1, as in Tokio.

    Raises:
        TypeError: `size` is no int.
        ValueError: It is negative.

    Source:
        `tokio::sync::Barrier`
    """

    __slots__ = ("_arrived", "_generation", "_size", "_waiters")

    def __init__(self, size: int) -> None:
        self._size = max(check_count("size", size), 1)
        self._arrived = 0
        self._generation = 0
        self._waiters = WaiterQueue()

    def __repr__(self) -> str:
        return f"<Barrier {self._arrived}/{self._size}>"

    @property
    def size(self) -> int:
        """How many make a group."""
        return self._size

    def wait(self) -> Operation[BarrierWaitResult]:
        """Arrive, and wait for the others.

        Returns:
            An operation.

        Cancel safety:
            Safe: a task that leaves before the barrier opens does not count. (In
            Tokio it does.)
        """
        return _Arrival(self, self._waiters)


@final
class _Arrival(QueuedOperation[BarrierWaitResult]):
    """One task at a barrier."""

    __slots__ = ("_barrier", "_generation")

    def __init__(self, barrier: Barrier, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._barrier = barrier
        # The group it has arrived for; -1 while it has not.
        self._generation = -1

    def __repr__(self) -> str:
        state = "waiting" if self.is_armed else "idle"
        return f"<Arrival {state} at {self._barrier!r}>"

    def poll(self) -> BarrierWaitResult | Literal[Pending.PENDING]:
        """Pass if the group is complete; see `Operation.poll`."""
        barrier = self._barrier
        if self._generation >= 0:
            if self._generation == barrier._generation:
                return PENDING
            self._generation = -1
            self.forget_place()
            return BarrierWaitResult(is_leader=False)
        if barrier._arrived + 1 < barrier._size:
            return PENDING
        barrier._waiters.check_loop()
        barrier._arrived = 0
        barrier._generation += 1
        barrier._waiters.wake_all()
        self.forget_place()
        return BarrierWaitResult(is_leader=True)

    def arm(self, future: Future[object]) -> object:
        """Arrive; see `Operation.arm`."""
        waiter = QueuedOperation.arm(self, future)
        self._barrier._arrived += 1
        self._generation = self._barrier._generation
        return waiter

    def disarm(self) -> None:
        """Go away again, if the barrier has not opened; see `Operation.disarm`."""
        if self._generation >= 0:
            if self._generation == self._barrier._generation:
                self._barrier._arrived -= 1
            self._generation = -1
        QueuedOperation.disarm(self)
