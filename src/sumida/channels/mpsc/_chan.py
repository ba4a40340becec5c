"""The state that the two sides of an mpsc channel share.

The places of a channel are counted once: each is queued, held (by a permit, or by a
sender that was granted it and has not run yet) or free. Nobody waits for a place
while one is free. A sender's fast path does not even count: it draws on `credit`, a
number of places that are known to be free and that the running turn may still use.
"""

from asyncio import AbstractEventLoop, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections import deque
from collections.abc import Sequence
from typing import Final, Generic, TypeVar, final

from sumida._core.home import home_of
from sumida._core.waiters import WaiterQueue
from sumida.channels.mpsc._relay import Relay, Rest
from sumida.errors import WrongLoopError
from sumida.operation import BUDGET, QueuedOperation

__all__ = ("Chan", "Turn")

T = TypeVar("T")

UNBOUNDED: Final = 1 << 62
"""The capacity of a channel without a bound."""

_MANY: Final = 100_000
"""So many messages in such a channel are told of."""

LINGER_REST: Final = 15
"""Waits that really park after one that lingered for a turn in vain.

Where both sides are busy each finds the other's work one turn of the loop later, and
needs no future, no wake-up and no turn of its own for that: a third of the time of a
message (CPython 3.11, 64 places). Where they are not, lingering costs a turn; so it is
tried again only once in so many waits.
"""


@final
class Turn:
    """Stands for the future of a sender that will look again in the next turn.

    Its task is going to run without being woken. It has its place in the queue, and is
    granted what comes free, like any other.

    Args:
        loop: The running loop.

    Attributes:
        is_over: Whether its task has looked in vain, and is about to put a future in
            its place: so it keeps its turn, and the places that it was granted.
    """

    __slots__ = ("_loop", "is_over")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.is_over = False

    def get_loop(self) -> AbstractEventLoop:
        """Give the loop, as a future does."""
        return self._loop

    def done(self) -> bool:
        """Be not done: a queue asks of those who wait in it, not of who was served."""
        return False

    def set_result(self, _result: object) -> None:
        """Wake nobody: its task runs by itself, and finds what it was granted."""


@final
class Chan(Generic[T]):
    """Queue, places and waiters of one channel.

    Args:
        capacity: How many messages it holds at most.

    Attributes:
        queue: Messages sent and not yet received.
        capacity: As above.
        alarm: A queue so long is told of, where there is no bound.
        held: Places that belong to a permit or to a sender woken with one.
        credit: Places that may be taken without looking: never more than are free.
        spent: Credit given out since a sender last yielded or waited.
        senders: Strong senders open.
        weak_senders: Weak senders alive.
        is_closed: Whether the receiver refuses further messages.
        is_abandoned: Whether the receiver is gone: nobody will drain the queue.
        takes: Messages that may be received without looking: never more than are
            queued, and none while a sender waits for a place.
        taken: Takes given out since the receiver last yielded or waited.
        rooms: Senders waiting for a place.
        items: The receiver, waiting for a message.
        closings: Senders waiting for the receiver to go.
        lingerer: The sender that lingers, if one does: it stands before all who come
            after it, and is put in `rooms` as soon as somebody does.
        lingering: Places that it needs.
        relay: What lets the two sides take turns; made when one first lingers.
        receiver_rest: Waits of the receiver before it lingers again.
        sender_rest: Waits of senders before one lingers again.
        loop: The loop on which it was made, or None.
    """

    __slots__ = (
        "alarm",
        "capacity",
        "closings",
        "credit",
        "held",
        "is_abandoned",
        "is_closed",
        "items",
        "lingerer",
        "lingering",
        "loop",
        "queue",
        "receiver_rest",
        "relay",
        "rooms",
        "sender_rest",
        "senders",
        "spent",
        "taken",
        "takes",
        "weak_senders",
    )

    def __init__(self, capacity: int) -> None:
        self.queue: deque[T] = deque()
        self.capacity = capacity
        self.alarm = _MANY
        self.held = 0
        self.credit = 0
        self.spent = 0
        self.takes = 0
        self.taken = 0
        self.lingerer: QueuedOperation[object] | None = None
        self.lingering = 1
        self.relay: Relay | None = None
        self.receiver_rest = 0
        self.sender_rest = 0
        self.senders = 1
        self.weak_senders = 0
        self.is_closed = False
        self.is_abandoned = False
        self.rooms = WaiterQueue()
        self.items = WaiterQueue()
        self.loop = running_loop()
        self.closings = WaiterQueue(in_order=False)

    @property
    def free(self) -> int:
        """Places that nobody has, and nobody waits for."""
        if self.lingerer is not None:
            self.seat_lingerer()
        return self.capacity - self.held - len(self.queue)

    @property
    def vacant(self) -> int:
        """As `free`, and nothing is changed: it can be read from any thread."""
        lingerer = self.lingerer
        free = self.capacity - self.held - len(self.queue)
        return free if lingerer is None else max(0, free - lingerer.needed)

    @property
    def home(self) -> AbstractEventLoop | None:
        """The loop on which a thread finds the tasks of this channel, if known."""
        relay = self.relay
        rested = None if relay is None else relay.loop
        return home_of(self.items.loop, self.rooms.loop, rested, self.loop)

    @property
    def load(self) -> str:
        """What a `repr` tells of the queue: `3/64`, or `3` without a bound."""
        queued = len(self.queue)
        return f"{queued}/{self.capacity}" if self.capacity < UNBOUNDED else f"{queued}"

    def put_now(self, item: T) -> bool:
        """Put `item` in the queue if the running turn may, and give credit for more.

        Args:
            item: The message.

        Returns:
            Whether it was put: not while the channel is full or closed, nor when
            the sender has to yield first.

        Raises:
            WrongLoopError: The receiver waits on another loop; nothing is changed.
        """
        if self.lingerer is not None:
            self.seat_lingerer()
        free = self.capacity - self.held - len(self.queue)
        if free <= 0 or self.is_closed or not self.senders:
            return False
        if self.items.head is not None:
            self.items.wake_all()
            # It went to wait in a turn of its own: this one is young.
            self.spent = 0
        elif self.spent >= BUDGET:
            return False
        self.queue.append(item)
        credit = min(free, BUDGET)
        self.credit = credit - 1
        self.spent += credit
        return True

    def rest_sender(self) -> Rest | None:
        """Give what a sender that lingers yields.

        Returns:
            Its rest; None, which goes by way of the loop, if another rests there.

        Raises:
            WrongLoopError: Somebody rests on another loop.
        """
        relay = self.relay
        if relay is None or relay.sender.wakeup is not None:
            relay = self._relay_here()
        rest = relay.sender
        if rest.wakeup is not None:
            self.spent = 0
            return None
        rest._asyncio_future_blocking = True
        return rest

    def rest_receiver(self) -> Rest | None:
        """Give what a receiver that lingers yields; as `rest_sender`.

        Returns:
            As there.

        Raises:
            WrongLoopError: As there.
        """
        relay = self.relay
        if relay is None or relay.receiver.wakeup is not None:
            relay = self._relay_here()
        rest = relay.receiver
        if rest.wakeup is not None:
            self.taken = 0
            return None
        rest._asyncio_future_blocking = True
        return rest

    def _relay_here(self) -> Relay:
        """Give the relay of the running loop; a new one if the loop is another."""
        loop = get_running_loop()
        relay = self.relay
        if relay is None or relay.loop is not loop:
            if relay is not None and relay.is_taken and not relay.loop.is_closed():
                raise WrongLoopError(
                    "a channel is used on two event loops at once",
                    "make one per loop, or cross threads with the blocking_ calls",
                )
            relay = self.relay = Relay(self, loop)
        return relay

    def forgets(self, rest: Rest | None, error: BaseException) -> bool:
        """Tell whether a rest was refused because it is of another loop.

        To ask for the running loop before each rest would cost as much as to rest (a
        system call, on CPython 3.11); the task itself refuses one of another loop.

        Args:
            rest: What was yielded.
            error: What was raised there.

        Returns:
            Whether that was why; there is another relay then.

        Raises:
            WrongLoopError: Somebody rests on that loop.
        """
        if rest is None or type(error) is not RuntimeError:
            return False
        if rest.relay.loop is running_loop():
            return False
        self._relay_here()
        return True

    def seat_lingerer(self) -> None:
        """Put the one that lingers in the queue, because somebody comes after it."""
        operation = self.lingerer
        self.lingerer = None
        if operation is not None:
            relay = self.relay
            loop = get_running_loop() if relay is None else relay.loop
            operation.arm(Turn(loop))  # type: ignore[arg-type]  # all that a queue asks of a future

    def hold(self, places: int) -> bool:
        """Take free places for a permit.

        Args:
            places: How many.

        Returns:
            Whether there were so many; if not, none was taken.
        """
        free = self.free
        if places > free:
            return False
        self.held += places
        self.credit = min(self.credit, free - places)
        return True

    def absorb(self) -> None:
        """Hand all free places to those who wait for some; called when one joined."""
        free = self.capacity - self.held - len(self.queue)
        self.held += free - self.rooms.assign(free)

    def vacate(self, places: int) -> None:
        """Tell that messages are being taken: their places go to waiting senders.

        To be called before they are taken, for it may refuse.

        Args:
            places: How many messages.

        Raises:
            WrongLoopError: The senders wait on another loop.
        """
        self.takes = 0
        rooms = self.rooms
        if rooms.head is not None:
            self.held += places - rooms.assign(places)

    def release(self, places: int) -> None:
        """Give back places that were held and not used.

        Args:
            places: How many.
        """
        # What nobody wants is free; the rest is held by somebody else now.
        rooms = self.rooms
        self.held -= places if rooms.head is None else rooms.assign(places)
        self.wake_if_ended()

    def put(self, item: T) -> None:
        """Queue a message whose place the caller has accounted for.

        Args:
            item: The message.

        Raises:
            WrongLoopError: The receiver waits on another loop; nothing is changed.
        """
        if self.items.head is not None:
            self.items.wake_all()
        self.queue.append(item)

    def put_many(self, items: Sequence[T]) -> None:
        """Queue messages whose places the caller has accounted for, in order.

        Args:
            items: The messages.

        Raises:
            WrongLoopError: The receiver waits on another loop; nothing is changed.
        """
        if items:
            self.items.wake_all()
        self.queue.extend(items)

    @property
    def has_ended(self) -> bool:
        """Whether no message can come any more, beside those that are queued."""
        if self.held:
            return False
        if self.is_closed:
            return True
        # Who lingered when the last sender was closed is in line.
        return not self.senders and self.rooms.first() is None

    def wake_if_ended(self) -> None:
        """Let the receiver see the end, if this is it."""
        if self.items.head is not None and self.has_ended:
            self.items.wake_all()

    def drop_sender(self) -> None:
        """Count one strong sender less."""
        self.senders -= 1
        if not self.senders:
            # An operation that nobody awaits yet must not send after the end; one that
            # lingers may, and is known by its place.
            self.credit = 0
            if self.lingerer is not None:
                self.seat_lingerer()
            self.wake_if_ended()

    def close(self) -> None:
        """Refuse further messages; what is queued or promised may still be taken."""
        if self.is_closed:
            return
        for waiters in (self.rooms, self.items, self.closings):
            if waiters.head is not None:
                waiters.check_loop()
        self.is_closed = True
        self.credit = 0
        self.rooms.wake_all()
        self.closings.wake_all()
        self.wake_if_ended()

    def abandon(self) -> None:
        """Close for a receiver that nobody has any more."""
        self.is_abandoned = True
        self.queue.clear()
        self.close()
