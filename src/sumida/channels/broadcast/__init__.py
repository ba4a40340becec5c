"""Each message reaches every subscriber, and is stored once.

The sender never waits: a subscriber that is more than `capacity` messages behind loses
the oldest, and is told how many. For work that one of many takes use `mpsc`; for state,
of which only the latest counts, `watch`.
"""

from typing import TYPE_CHECKING

from sumida._core.arguments import check_count
from sumida.channels.broadcast._shared import Shared
from sumida.channels.broadcast.receiver import Receiver
from sumida.channels.broadcast.sender import Sender, WeakSender

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Receiver", "Sender", "WeakSender", "channel")


def channel(capacity: int) -> Sender[T]:
    """Make a channel without receivers yet.

    Args:
        capacity: How many messages a receiver may be behind before it loses some, 1
            or more; exactly so many are kept. (Tokio rounds up to a power of two.)

    Returns:
        The sender; `subscribe` makes receivers.

    Raises:
        TypeError: `capacity` is no int.
        ValueError: `capacity` is less than 1.
    """
    shared: Shared[T] = Shared(check_count("capacity", capacity, least=1))
    return Sender(shared)
