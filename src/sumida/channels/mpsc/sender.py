"""The sending sides of a bounded mpsc channel."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Generic, final

from sumida._core.arguments import check_count
from sumida._core.blocks import ClosingBlock
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize_unclosed
from sumida._core.forgotten import tell_if_dropped
from sumida.channels.mpsc._chan import Chan
from sumida.channels.mpsc._sends import (
    NO_SEND,
    SENT,
    ReceiverClosed,
    Reserve,
    ReserveMany,
    Send,
    SendMany,
)
from sumida.channels.mpsc.permits import Permit, Permits
from sumida.errors import Closed, Full
from sumida.operation import Operation

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Sender", "WeakSender")

_LOOKS: Final = 8
"""So many sends of each sender look whether an `await` was forgotten."""


@final
class Sender(ClosingBlock, Generic[T]):
    """One sender of a bounded channel; made by `channel`, more by `clone`.

    Several tasks may use one sender; a clone of its own lets each say when it is
    done. The channel ends when the last sender is closed: use `with`, or `close`. A
    sender that is collected unclosed closes too, with a `ResourceWarning`.

    A `send` that is not awaited sends nothing. The first sends of each sender look
    whether it stands as a statement of its own, and give a `RuntimeWarning` then.

    Source:
        `tokio::sync::mpsc::Sender`
    """

    __slots__ = ("_chan", "_is_open", "_looks", "_spare", "_spare_many")

    def __init__(self, chan: Chan[T]) -> None:
        self._chan = chan
        self._is_open = True
        # The last `Send` made, to be used again when nobody else knows of it.
        self._spare = NO_SEND
        self._looks = _LOOKS
        self._spare_many: SendMany[T] | None = None

    def __repr__(self) -> str:
        closed = "" if self._is_open else ", closed"
        return f"<Sender {self._chan.load}{closed}>"

    @property
    def is_closed(self) -> bool:
        """Whether the receiver refuses further messages, or this sender is closed."""
        return self._chan.is_closed or not self._is_open

    @property
    def capacity(self) -> int:
        """Places that are free now: neither queued nor reserved."""
        return self._chan.vacant

    @property
    def max_capacity(self) -> int:
        """Places that there are."""
        return self._chan.capacity

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._chan.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, which do not."""
        return self._chan.weak_senders

    def same_channel(self, other: "Sender[T] | WeakSender[T]") -> bool:
        """Tell whether `other` sends into the same channel.

        Args:
            other: Any sender.

        Returns:
            Whether it does.

        Raises:
            TypeError: `other` is none.
        """
        if not isinstance(other, Sender | WeakSender):
            raise TypeError(f"other must be a sender of mpsc, not {other!r}")
        return self._chan is other._chan

    def send(self, item: T) -> Operation[None]:
        """Put `item` in the queue, waiting while it is full.

        Waiting senders are served first come, first served. To be done does not
        mean to be received.

        Args:
            item: Any object; the receiver gets this same object.

        Returns:
            An operation, spent once it is done: keep it no longer than that.

        Raises:
            Closed: When awaited, the receiver is gone, or at once, this sender is
                closed; `error.item` gives `item` back.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has sent nothing;
            the caller still has `item`, and its place in the queue is given up. To
            hold a place before there is an item use `reserve`.
        """
        send = self._spare
        # It is spent, so nobody may await it again. (Its reference count would say
        # whether somebody keeps it all the same, and take a tenth of the time.)
        if send.item is SENT:
            send.item = item
            return send
        if not self._is_open:
            raise Closed("sender", item)
        send = Send(self._chan, item)
        if self._looks:
            self._looks -= 1
            tell_if_dropped("send()")
        else:
            self._spare = send
        return send

    def send_many(self, items: Iterable[T]) -> Operation[None]:
        """Put all of `items` in the queue at once, waiting until all have a place.

        Args:
            items: Up to `max_capacity` objects.

        Returns:
            An operation, spent once it is done: keep it no longer than that.

        Raises:
            ValueError: There are more items than the channel has places.
            Closed: When awaited, the receiver is gone, or at once, this sender is
                closed; `error.unsent` gives the items back.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has sent none.
        """
        batch = [*items]
        chan = self._chan
        if len(batch) > chan.capacity:
            self._check_places(len(batch))
        if not self._is_open:
            raise Closed("sender", *batch)
        send = self._spare_many
        if send is not None and send._items is None and send._waiter is None:
            send._items = batch
            send._places = len(batch)
            return send
        send = SendMany(chan, batch)
        if self._looks:
            self._looks -= 1
            tell_if_dropped("send_many()")
        else:
            self._spare_many = send
        return send

    def try_send(self, item: T) -> None:
        """Put `item` in the queue if there is a place; never wait.

        Args:
            item: Any object; the receiver gets this same object.

        Raises:
            Full: There is no place, or all are promised to those who wait;
                `error.item` gives `item` back.
            Closed: The receiver is gone, or this sender closed; as above.
            WrongLoopError: The receiver waits on another loop; nothing is sent.
        """
        chan = self._chan
        if not self._is_open:
            raise Closed("sender", item)
        if chan.is_closed:
            raise Closed("channel", item)
        if chan.free <= 0:
            raise Full("channel", chan.capacity, item)
        chan.put(item)
        chan.credit = 0

    def blocking_send(self, item: T) -> None:
        """Put `item` in the queue from a thread that runs no event loop.

        Args:
            item: Any object; the receiver gets this same object.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: The receiver is gone, this sender or the loop is closed;
                `error.item` gives `item` back.
        """
        if not self._is_open:
            raise Closed("sender", item)
        chan = self._chan
        try:
            blocking(Send(chan, item), chan.home, "blocking_send()")
        except Closed as error:
            if error.unsent:
                raise
            raise Closed(error.what, item) from None

    def reserve(self) -> Operation[Permit[T]]:
        """Get a place in the queue for a message to come, waiting while it is full.

        Returns:
            An operation that gives the permit. Use it with `with`, or release it.

        Raises:
            Closed: When awaited, the receiver is gone, or at once, this sender is
                closed.

        Cancel safety:
            Safe: the place goes to the next in line.
        """
        if not self._is_open:
            raise Closed("sender")
        return Reserve(self._chan, 1)

    def reserve_many(self, places: int) -> Operation[Permits[T]]:
        """Get several places at once, for messages to come.

        Args:
            places: How many, 0 to `max_capacity`.

        Returns:
            An operation that gives the permits.

        Raises:
            TypeError: `places` is no int.
            ValueError: It is negative, or the channel never has so many.
            Closed: As `reserve`.

        Cancel safety:
            Safe: the places go to the next in line.
        """
        check_count("places", places)
        self._check_places(places)
        if not self._is_open:
            raise Closed("sender")
        return ReserveMany(self._chan, places)

    def try_reserve(self) -> Permit[T]:
        """Get a place if there is one; never wait.

        Returns:
            The permit.

        Raises:
            Full: There is none, or all are promised to those who wait.
            Closed: As `reserve`.
        """
        self._hold_now(1)
        return Permit(self._chan)

    def try_reserve_many(self, places: int) -> Permits[T]:
        """Get several places at once if they are free; never wait.

        Args:
            places: How many, 0 or more.

        Returns:
            The permits.

        Raises:
            TypeError: `places` is no int.
            ValueError: It is negative.
            Full: There are not so many, or never will be.
            Closed: As `reserve`.
        """
        check_count("places", places)
        self._hold_now(places)
        return Permits(self._chan, places)

    def _check_places(self, places: int) -> None:
        capacity = self._chan.capacity
        if not 0 <= places <= capacity:
            raise ValueError(
                f"{places} places wanted at once of a channel of {capacity}; "
                "take them in parts, or raise the capacity"
            )

    def _hold_now(self, places: int) -> None:
        chan = self._chan
        if not self._is_open:
            raise Closed("sender")
        if chan.is_closed:
            raise Closed("channel")
        if not chan.hold(places):
            raise Full("channel", chan.capacity)

    def closed(self) -> Operation[None]:
        """Wait until the receiver is closed or gone: nobody wants messages any more.

        Returns:
            An operation; it stays done.

        Cancel safety:
            Safe.
        """
        return ReceiverClosed(self._chan)

    def clone(self) -> "Sender[T]":
        """Make another sender of this channel, which has to be closed as well.

        Returns:
            The new sender.

        Raises:
            Closed: This sender is closed.
        """
        if not self._is_open:
            raise Closed("sender")
        self._chan.senders += 1
        return Sender(self._chan)

    def downgrade(self) -> "WeakSender[T]":
        """Make a weak sender, which does not keep the channel open.

        Returns:
            The weak sender.
        """
        return WeakSender(self._chan)

    def close(self) -> None:
        """Say that this sender is done; closing twice does no harm.

        A send of it that waits already keeps its place and is carried out.

        Raises:
            WrongLoopError: The receiver waits on another loop.
        """
        if self._is_open:
            self._chan.items.check_loop()
            self._is_open = False
            self._spare = NO_SEND
            self._chan.drop_sender()

    def __del__(self) -> None:
        if self._is_open:
            chan = self._chan
            finalize_unclosed(self, chan.items, chan.drop_sender)


@final
class WeakSender(Generic[T]):
    """A sender that does not keep the channel open; made by `Sender.downgrade`.

    Source:
        `tokio::sync::mpsc::WeakSender`
    """

    __slots__ = ("_chan",)

    def __init__(self, chan: Chan[T]) -> None:
        self._chan = chan
        chan.weak_senders += 1

    def __repr__(self) -> str:
        return f"<WeakSender {self._chan.load}>"

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._chan.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, this one among them."""
        return self._chan.weak_senders

    def upgrade(self) -> Sender[T] | None:
        """Make a sender, if the channel has one still.

        Returns:
            A new sender, or None when the last one is closed and no permit is held.
        """
        chan = self._chan
        if not (chan.senders or chan.held):
            return None
        chan.senders += 1
        return Sender(chan)

    def __del__(self) -> None:
        self._chan.weak_senders -= 1
