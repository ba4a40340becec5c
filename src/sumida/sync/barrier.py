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

    __slots__ = ("_arrived", "_size", "_waiters")

    def __init__(self, size: int) -> None:
        self._size = max(check_count("size", size), 1)
        self._arrived = 0
        self._waiters = WaiterQueue(in_order=False)

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
            Safe: a task that leaves before the barrier opens does not count, nor does
            one that was told to, and has not run yet. (In Tokio it does.)
        """
        return _Arrival(self, self._waiters)

    def _open(self) -> bool:
        """Let all go who wait, if with one more they are a group.

        Returns:
            Whether they are.

        Raises:
            WrongLoopError: They wait on another loop.
        """
        others = self._size - 1
        if self._arrived < others:
            return False
        waiters = self._waiters
        waiters.check_loop()
        # Who was cancelled, or woken by another branch of a `select`, is about to
        # leave, or to come again: it is not among those who pass now.
        waiter = waiters.head
        while waiter is not None:
            future = waiter.future
            others -= future is not None and not future.done()
            waiter = waiter.after
        if others > 0:
            return False
        while waiters.serve_first():
            self._arrived -= 1
        return True


@final
class _Arrival(QueuedOperation[BarrierWaitResult]):
    """One task at a barrier."""

    __slots__ = ("_barrier",)

    def __init__(self, barrier: Barrier, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._barrier = barrier

    def __repr__(self) -> str:
        state = "waiting" if self.is_armed else "idle"
        return f"<Arrival {state} at {self._barrier!r}>"

    def poll(self) -> BarrierWaitResult | Literal[Pending.PENDING]:
        """Pass if the group is complete; see `Operation.poll`."""
        if self.take_grant():
            return BarrierWaitResult(is_leader=False)
        if not self._barrier._open():
            return PENDING
        self.disarm()
        return BarrierWaitResult(is_leader=True)

    def arm(self, future: Future[object]) -> object:
        """Arrive; see `Operation.arm`."""
        waiter = QueuedOperation.arm(self, future)
        self._barrier._arrived += 1
        return waiter

    def disarm(self) -> None:
        """Go away again, if the barrier has not opened; see `Operation.disarm`."""
        waiter = self._waiter
        if waiter is not None and waiter.future is not None and not waiter.granted:
            self._barrier._arrived -= 1
        QueuedOperation.disarm(self)
