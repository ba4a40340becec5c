"""What the senders and receivers of a watch channel share."""

from typing import Any, Generic, Literal, TypeVar, final

from sumida._core.waiters import WaiterQueue
from sumida.channels._wake import wake_own
from sumida.errors import Closed
from sumida.operation import PENDING, Pending, QueuedOperation

__all__ = ("Changed", "NoReceivers", "State")

T = TypeVar("T")


@final
class State(Generic[T]):
    """What senders and receivers share: a value, and how often it was set."""

    __slots__ = (
        "changes",
        "closings",
        "receivers",
        "senders",
        "value",
        "version",
    )

    def __init__(self, value: T) -> None:
        self.value = value
        self.version = 0
        self.senders = 1
        self.receivers = 0
        self.changes = WaiterQueue(in_order=False)
        self.closings = WaiterQueue(in_order=False)

    def set(self, value: T) -> None:
        """Store `value` and wake all who wait for a change."""
        self.changes.check_loop()
        self.value = value
        self.version += 1
        self.changes.wake_all()

    def drop_sender(self) -> None:
        """Count one sender less."""
        self.senders -= 1
        if not self.senders:
            self.changes.wake_all()

    def drop_receiver(self) -> None:
        """Count one receiver less."""
        self.receivers -= 1
        if not self.receivers:
            self.closings.wake_all()


@final
class Changed(QueuedOperation[None]):
    """Wait for a value that a receiver has not seen."""

    __slots__ = ("_state", "is_open", "seen")

    def __init__(self, state: State[Any]) -> None:
        QueuedOperation.__init__(self, state.changes)
        self._state = state
        self.is_open = True
        self.seen = state.version

    def __repr__(self) -> str:
        return f"<changed() from version {self.seen} of {self._state.version}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is one; see `Operation.poll`."""
        state = self._state
        if self.seen != state.version:
            self.seen = state.version
            self.forget_place()
            return None
        if not (state.senders and self.is_open):
            raise Closed("watch channel" if self.is_open else "receiver")
        return PENDING

    def is_ready(self) -> bool:
        """Tell whether there is one, or the end; see `Operation.is_ready`."""
        state = self._state
        return self.seen != state.version or not (state.senders and self.is_open)

    def close(self) -> None:
        """Wait no more."""
        self.is_open = False
        wake_own(self)


@final
class NoReceivers(QueuedOperation[None]):
    """Wait until nobody watches."""

    __slots__ = ("_state",)

    def __init__(self, state: State[Any]) -> None:
        QueuedOperation.__init__(self, state.closings)
        self._state = state

    def __repr__(self) -> str:
        return f"<closed() of watch, {self._state.receivers} receivers>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is none; see `Operation.poll`."""
        if self._state.receivers:
            return PENDING
        self.forget_place()
        return None

    def is_ready(self) -> bool:
        """Tell whether there is still none; see `Operation.is_ready`."""
        return not self._state.receivers
