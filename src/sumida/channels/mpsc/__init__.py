"""Many senders, one receiver, a bounded queue between them: the usual channel.

Reach for it whenever one task hands work to another. `oneshot` carries one answer,
`broadcast` tells all, `watch` keeps the latest value only.

The channel ends for its receiver when the last sender is closed and the queue is
drained; for its senders when the receiver is closed. Not thread-safe: from another
thread use `Sender.blocking_send` and `Receiver.blocking_recv`.
"""

from typing import TYPE_CHECKING

from sumida.channels.mpsc._chan import UNBOUNDED, Chan
from sumida.channels.mpsc.permits import Permit, Permits
from sumida.channels.mpsc.receiver import Receiver
from sumida.channels.mpsc.sender import Sender, WeakSender
from sumida.channels.mpsc.unbounded import UnboundedSender, WeakUnboundedSender

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = (
    "Permit",
    "Permits",
    "Receiver",
    "Sender",
    "UnboundedSender",
    "WeakSender",
    "WeakUnboundedSender",
    "channel",
    "unbounded_channel",
)


def channel(capacity: int) -> tuple[Sender[T], Receiver[T]]:
    """Make a channel that holds at most `capacity` messages.

    Args:
        capacity: 1 or more. Small is good: it is what makes a fast producer wait,
            and what may be lost in a crash. 16 to 1024 for most uses.

    Returns:
        The sender and the receiver.

    Raises:
        TypeError: `capacity` is no int.
        ValueError: `capacity` is less than 1.
    """
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise TypeError(f"capacity must be an int, not {capacity!r}")
    if capacity < 1:
        raise ValueError(
            f"capacity must be 1 or more, not {capacity}; "
            "to hand over one item at a time use 1"
        )
    chan: Chan[T] = Chan(capacity)
    return Sender(chan), Receiver(chan)


def unbounded_channel() -> tuple[UnboundedSender[T], Receiver[T]]:
    """Make a channel whose `send` never waits; see `unbounded` for when not to.

    Returns:
        The sender and the receiver.
    """
    chan: Chan[T] = Chan(UNBOUNDED)
    return UnboundedSender(chan), Receiver(chan)
