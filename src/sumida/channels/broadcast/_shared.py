"""What the senders and receivers of a broadcast channel share."""

from asyncio import AbstractEventLoop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from typing import Any, Final, Generic, Literal, TypeVar, final

from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Pending, QueuedOperation

__all__ = ("LINGER_REST", "NoReceivers", "Shared", "Slot")

T = TypeVar("T")

LINGER_REST: Final = 15
"""Waits that really park after one that lingered for a turn in vain; see mpsc."""


@final
class Slot(Generic[T]):
    """A message, and how many receivers have yet to see it."""

    __slots__ = ("item", "unseen")

    def __init__(self, item: T, unseen: int) -> None:
        self.item = item
        self.unseen = unseen


@final
class Shared(Generic[T]):
    """What senders and receivers share.

    Attributes:
        slots: The messages kept, by their number; one that all have seen is not.
        tail: The number of the next message.
        receivers: How many there are.
        senders: How many strong ones are open.
    """

    __slots__ = (
        "capacity",
        "closings",
        "items",
        "loop",
        "receivers",
        "senders",
        "slots",
        "tail",
        "weak_senders",
    )

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.slots: dict[int, Slot[T]] = {}
        self.tail = 0
        self.receivers = 0
        self.senders = 1
        self.weak_senders = 0
        self.items = WaiterQueue(in_order=False)
        self.closings = WaiterQueue(in_order=False)
        self.loop: AbstractEventLoop | None = running_loop()

    def drop_sender(self) -> None:
        """Count one strong sender less."""
        self.senders -= 1
        if not self.senders:
            self.items.wake_all()

    def drop_receiver(self, cursor: int) -> None:
        """Count one receiver less: what it had not seen, it need not be kept for."""
        self.receivers -= 1
        slots = self.slots
        for number in range(max(cursor, self.tail - self.capacity), self.tail):
            # It is there: one receiver at least has not seen it, this one.
            slot = slots[number]
            slot.unseen -= 1
            if not slot.unseen:
                del slots[number]
        if not self.receivers:
            self.closings.wake_all()


@final
class NoReceivers(QueuedOperation[None]):
    """Wait until there is no receiver."""

    __slots__ = ("_shared",)

    def __init__(self, shared: Shared[Any]) -> None:
        QueuedOperation.__init__(self, shared.closings)
        self._shared = shared

    def __repr__(self) -> str:
        return f"<closed() of broadcast, receivers: {self._shared.receivers}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is none; see `Operation.poll`."""
        if self._shared.receivers:
            return PENDING
        self.forget_place()
        return None

    def is_ready(self) -> bool:
        """Tell whether there is still none; see `Operation.is_ready`."""
        return not self._shared.receivers
