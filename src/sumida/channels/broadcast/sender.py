"""The sending sides of a broadcast channel."""

from typing import TYPE_CHECKING, Generic, final

from sumida._core.blocks import ClosingBlock
from sumida._core.finalize import finalize_unclosed
from sumida.channels.broadcast._shared import NoReceivers, Shared, Slot
from sumida.channels.broadcast.receiver import Receiver
from sumida.errors import Closed
from sumida.operation import Operation

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Sender", "WeakSender")


@final
class Sender(ClosingBlock, Generic[T]):
    """A sender to all subscribers; made by `channel`, more by `clone`.

    Source:
        `tokio::sync::broadcast::Sender`
    """

    __slots__ = ("_is_open", "_shared")

    def __init__(self, shared: Shared[T]) -> None:
        self._shared = shared
        self._is_open = True

    def __repr__(self) -> str:
        shared = self._shared
        closed = "" if self._is_open else ", closed"
        return (
            f"<broadcast.Sender {len(self)}/{shared.capacity}, "
            f"receivers: {shared.receivers}{closed}>"
        )

    def __len__(self) -> int:
        """Count the messages that some receiver has not seen."""
        return len(self._shared.slots)

    def __bool__(self) -> bool:
        """Be true, messages or not."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether every receiver has seen everything."""
        return not self._shared.slots

    @property
    def capacity(self) -> int:
        """How many messages a receiver may be behind."""
        return self._shared.capacity

    @property
    def receiver_count(self) -> int:
        """How many receivers there are."""
        return self._shared.receivers

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._shared.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, which do not."""
        return self._shared.weak_senders

    def same_channel(self, other: "Sender[T]") -> bool:
        """Tell whether `other` sends into the same channel.

        Args:
            other: Any broadcast sender.

        Returns:
            Whether it does.

        Raises:
            TypeError: `other` is none.
        """
        if not isinstance(other, Sender):
            raise TypeError(f"other must be a broadcast sender, not {other!r}")
        return self._shared is other._shared

    def send(self, item: T) -> int:
        """Send `item` to all who are subscribed now; it never waits.

        Args:
            item: Any object; every receiver gets this same object.

        Returns:
            How many receivers it will reach, unless they lag or go; 0 if there is
            none, and `item` is dropped. (Tokio has an error for that.)

        Raises:
            Closed: This sender is closed; `error.item` gives `item` back.
            WrongLoopError: Receivers wait on another loop; nothing is sent.
        """
        if not self._is_open:
            raise Closed("sender", item)
        shared = self._shared
        receivers = shared.receivers
        if receivers:
            waiters = shared.items
            if waiters.head is not None:
                waiters.wake_all()
            tail = shared.tail
            shared.slots[tail] = Slot(item, receivers)
            shared.slots.pop(tail - shared.capacity, None)
            shared.tail = tail + 1
        return receivers

    def subscribe(self) -> Receiver[T]:
        """Make a receiver of all that is sent from now on.

        Returns:
            The receiver.

        Raises:
            Closed: This sender is closed.
        """
        if not self._is_open:
            raise Closed("sender")
        return Receiver(self._shared)

    def closed(self) -> Operation[None]:
        """Wait until there is no receiver.

        Returns:
            An operation; done at once while nobody is subscribed.

        Cancel safety:
            Safe.
        """
        return NoReceivers(self._shared)

    def clone(self) -> "Sender[T]":
        """Make another sender of this channel, which has to be closed as well.

        Returns:
            The new sender.

        Raises:
            Closed: This sender is closed.
        """
        if not self._is_open:
            raise Closed("sender")
        self._shared.senders += 1
        return Sender(self._shared)

    def downgrade(self) -> "WeakSender[T]":
        """Make a weak sender, which does not keep the channel open.

        Returns:
            The weak sender.
        """
        return WeakSender(self._shared)

    def close(self) -> None:
        """Say that this sender is done; closing twice does no harm.

        Raises:
            WrongLoopError: Receivers wait on another loop.
        """
        if self._is_open:
            self._shared.items.check_loop()
            self._is_open = False
            self._shared.drop_sender()

    def __del__(self) -> None:
        if self._is_open:
            finalize_unclosed(self, self._shared.items, self._shared.drop_sender)


@final
class WeakSender(Generic[T]):
    """A sender that does not keep the channel open; made by `Sender.downgrade`.

    Source:
        `tokio::sync::broadcast::WeakSender`
    """

    __slots__ = ("_shared",)

    def __init__(self, shared: Shared[T]) -> None:
        self._shared = shared
        shared.weak_senders += 1

    def __repr__(self) -> str:
        return f"<broadcast.WeakSender, {self._shared.senders} strong>"

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._shared.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, this one among them."""
        return self._shared.weak_senders

    def upgrade(self) -> Sender[T] | None:
        """Make a sender, if the channel has one still.

        Returns:
            A new sender, or None when the last one is closed.
        """
        if not self._shared.senders:
            return None
        self._shared.senders += 1
        return Sender(self._shared)

    def __del__(self) -> None:
        self._shared.weak_senders -= 1
