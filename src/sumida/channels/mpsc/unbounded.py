"""The sending side of an mpsc channel without a bound.

Rarely what you want: nothing tells a fast producer to wait, and memory grows. It is
for the few cases in which waiting would be a deadlock (the consumer sends to itself)
or is impossible (a synchronous callback) and something else bounds the messages.
"""

import logging
from typing import TYPE_CHECKING, Final, Generic, final

from sumida._core.blocks import ClosingBlock
from sumida._core.finalize import finalize_unclosed
from sumida.channels.mpsc._chan import Chan
from sumida.channels.mpsc._sends import ReceiverClosed
from sumida.errors import Closed
from sumida.operation import Operation

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("UnboundedSender", "WeakUnboundedSender")

_logger: Final = logging.getLogger("sumida")

_GROWTH: Final = 10
"""A queue that goes on growing is told of again when it is so many times as long."""


@final
class UnboundedSender(ClosingBlock, Generic[T]):
    """One sender of a channel without a bound; made by `unbounded_channel`.

    A queue of 100,000 messages is logged as a warning, and again at each tenfold.

    Source:
        `tokio::sync::mpsc::UnboundedSender`
    """

    __slots__ = ("_chan", "_is_open")

    def __init__(self, chan: Chan[T]) -> None:
        self._chan = chan
        self._is_open = True

    def __repr__(self) -> str:
        closed = "" if self._is_open else ", closed"
        return f"<UnboundedSender {self._chan.load}{closed}>"

    @property
    def is_closed(self) -> bool:
        """Whether the receiver refuses further messages, or this sender is closed."""
        return self._chan.is_closed or not self._is_open

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._chan.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, which do not."""
        return self._chan.weak_senders

    def same_channel(self, other: "UnboundedSender[T]") -> bool:
        """Tell whether `other` sends into the same channel.

        Args:
            other: Any sender without a bound.

        Returns:
            Whether it does.

        Raises:
            TypeError: `other` is none.
        """
        if not isinstance(other, UnboundedSender):
            raise TypeError(f"other must be an unbounded sender, not {other!r}")
        return self._chan is other._chan

    def send(self, item: T) -> None:
        """Put `item` in the queue; never waits, so it is not `async`.

        Args:
            item: Any object; the receiver gets this same object.

        Raises:
            Closed: The receiver is gone, or this sender is closed; `error.item`
                gives `item` back.
            WrongLoopError: The receiver waits on another loop; nothing is sent.
        """
        chan = self._chan
        if not self._is_open:
            raise Closed("sender", item)
        if chan.is_closed:
            raise Closed("channel", item)
        chan.put(item)
        if len(chan.queue) >= chan.alarm:
            chan.alarm *= _GROWTH
            _logger.warning(
                "%s is sent to faster than it is read, and nothing holds the sender "
                "back: use a channel with a capacity",
                repr(self),  # as it is now, whenever the record is written
            )

    def closed(self) -> Operation[None]:
        """Wait until the receiver is closed or gone.

        Returns:
            An operation; it stays done.

        Cancel safety:
            Safe.
        """
        return ReceiverClosed(self._chan)

    def clone(self) -> "UnboundedSender[T]":
        """Make another sender of this channel, which has to be closed as well.

        Returns:
            The new sender.

        Raises:
            Closed: This sender is closed.
        """
        if not self._is_open:
            raise Closed("sender")
        self._chan.senders += 1
        return UnboundedSender(self._chan)

    def downgrade(self) -> "WeakUnboundedSender[T]":
        """Make a weak sender, which does not keep the channel open.

        Returns:
            The weak sender.
        """
        return WeakUnboundedSender(self._chan)

    def close(self) -> None:
        """Say that this sender is done; closing twice does no harm.

        Raises:
            WrongLoopError: The receiver waits on another loop.
        """
        if self._is_open:
            self._chan.items.check_loop()
            self._is_open = False
            self._chan.drop_sender()

    def __del__(self) -> None:
        if self._is_open:
            chan = self._chan
            finalize_unclosed(self, chan.items, chan.drop_sender)


@final
class WeakUnboundedSender(Generic[T]):
    """An unbounded sender that does not keep the channel open.

    Source:
        `tokio::sync::mpsc::WeakUnboundedSender`
    """

    __slots__ = ("_chan",)

    def __init__(self, chan: Chan[T]) -> None:
        self._chan = chan
        chan.weak_senders += 1

    def __repr__(self) -> str:
        return f"<WeakUnboundedSender {self._chan.load}>"

    @property
    def strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._chan.senders

    @property
    def weak_count(self) -> int:
        """Weak senders, this one among them."""
        return self._chan.weak_senders

    def upgrade(self) -> UnboundedSender[T] | None:
        """Make a sender, if the channel has one still.

        Returns:
            A new sender, or None when the last one is closed.
        """
        chan = self._chan
        if not chan.senders:
            return None
        chan.senders += 1
        return UnboundedSender(chan)

    def __del__(self) -> None:
        self._chan.weak_senders -= 1
