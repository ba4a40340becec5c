"""How a sender waits for places: first it lingers, then it parks.

One that lingers stands before all who come after it. While nobody does it is not even
in the queue; who comes seats it there, with a `Turn` in the place of a future.
"""

from asyncio import Future
from collections.abc import Generator
from typing import TypeVar

from sumida.channels.mpsc._chan import LINGER_REST, Chan, Turn
from sumida.operation import PENDING, QueuedOperation, park

__all__ = ("join_senders", "linger", "park_for_long", "stop_lingering")

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


def linger(
    operation: QueuedOperation[R_co], chan: Chan[T]
) -> Generator[object, None, R_co]:
    """Wait for places: first without parking, if that may do; see `LINGER_REST`.

    Args:
        operation: One whose `poll` has just given `PENDING`.
        chan: Its channel.

    Returns:
        The operation's result.
    """
    # Nobody else lingers: who did was seated when this one looked for places.
    if chan.sender_rest or chan.rooms.head is not None:
        if chan.sender_rest:
            chan.sender_rest -= 1
        chan.spent = 0
        return (yield from park(operation))
    # First, for it may refuse: nobody would come back to what had been put there.
    rest = chan.rest_sender()
    chan.lingerer = operation
    chan.lingering = operation.needed
    try:
        yield rest
        if chan.lingerer is operation:
            chan.lingerer = None
        result = operation.poll()
    except BaseException as error:
        stop_lingering(operation, chan)
        if not chan.forgets(rest, error):
            raise
        result = operation.poll()
    if result is PENDING:
        result = yield from park_for_long(operation, chan)
    return result


def stop_lingering(operation: QueuedOperation[R_co], chan: Chan[T]) -> None:
    """Leave the place of one that lingered and is cancelled, or has failed.

    Args:
        operation: One that lingered.
        chan: Its channel.
    """
    if chan.lingerer is operation:
        chan.lingerer = None
    operation.disarm()


def join_senders(
    operation: QueuedOperation[R_co], chan: Chan[T], future: Future[object]
) -> object:
    """Put an operation among those that wait for places.

    Args:
        operation: What waits.
        chan: Its channel.
        future: What is set when it has what it needs.

    Returns:
        The waiter.
    """
    waiter = operation._waiter
    if waiter is not None:
        turn: object = waiter.future
        if isinstance(turn, Turn) and turn.is_over:
            waiter.future = future
            return waiter
    token = QueuedOperation.arm(operation, future)
    # No credit while somebody waits, and each message that is taken from now on lets
    # one of them go on.
    chan.credit = 0
    chan.takes = 0
    if chan.capacity - chan.held > len(chan.queue):
        chan.absorb()
    return token


def park_for_long(
    operation: QueuedOperation[R_co], chan: Chan[T]
) -> Generator[object, None, R_co]:
    """Park one that lingered in vain: the receiver is slower than the senders.

    Args:
        operation: One whose `poll` has just given `PENDING`.
        chan: Its channel.

    Returns:
        The operation's result.
    """
    chan.sender_rest = LINGER_REST
    chan.spent = 0
    waiter = operation._waiter
    if waiter is not None:
        turn: object = waiter.future
        if isinstance(turn, Turn):
            turn.is_over = True
    return (yield from park(operation))
