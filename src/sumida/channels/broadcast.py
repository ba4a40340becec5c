"""Each message reaches every subscriber, and is stored once.

The sender never waits: a subscriber that is more than `capacity` messages behind loses
the oldest, and is told how many. For work that one of many takes use `mpsc`; for state,
of which only the latest counts, `watch`.
"""

import warnings
from asyncio import Future, get_running_loop
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, final

from sumida._core import hooks
from sumida._core.arguments import check_count
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize
from sumida.channels._broadcast import LINGER_REST, NoReceivers, Shared, Slot
from sumida.errors import Closed, Empty, Lagged
from sumida.operation import (
    BUDGET,
    PENDING,
    Operation,
    Pending,
    QueuedOperation,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Receiver", "Sender", "WeakSender", "channel")


@final
class Sender(Generic[T]):
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
            f"{shared.receivers} receivers{closed}>"
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

    def subscribe(self) -> "Receiver[T]":
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._is_open:
            finalize(self._shared.items, self._shared.drop_sender)
            warnings.warn(
                f"{self!r} was collected without being closed; "
                "use it in `with`, or call close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


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


@final
class Receiver(QueuedOperation[T], Generic[T]):
    """One subscriber; made by `Sender.subscribe`.

    It is itself the operation of `recv`. Only one task may wait on it at a time;
    others subscribe for themselves.

    Source:
        `tokio::sync::broadcast::Receiver`
    """

    __slots__ = ("_cursor", "_is_open", "_rest", "_shared", "_slots", "_spent")

    def __init__(self, shared: Shared[T]) -> None:
        QueuedOperation.__init__(self, shared.items)
        self._shared = shared
        self._slots = shared.slots
        self._cursor = shared.tail
        self._spent = 0
        self._rest = 0
        self._is_open = True
        shared.receivers += 1

    def __repr__(self) -> str:
        closed = "" if self._is_open else ", closed"
        return f"<broadcast.Receiver {len(self)}/{self._shared.capacity}{closed}>"

    def __len__(self) -> int:
        """Count the messages not received, those that are lost already among them."""
        return self._shared.tail - self._cursor if self._is_open else 0

    def __bool__(self) -> bool:
        """Be true, messages or not."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to receive."""
        return not len(self)

    @property
    def is_closed(self) -> bool:
        """Whether every sender is closed; messages may still be there."""
        return not self._shared.senders

    @property
    def sender_strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._shared.senders

    @property
    def sender_weak_count(self) -> int:
        """Weak senders, which do not."""
        return self._shared.weak_senders

    def resubscribe(self) -> "Receiver[T]":
        """Make another receiver, of all that is sent from now on.

        Returns:
            The new receiver.
        """
        return Receiver(self._shared)

    def recv(self) -> Operation[T]:
        """Take the next message, waiting while there is none.

        Returns:
            An operation that gives the message; the receiver itself.

        Raises:
            Lagged: When awaited: the oldest messages are lost; the next call gives
                the oldest kept.
            Closed: When awaited: every sender is closed, and all was received.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        return self

    def __await__(self) -> Generator[object, None, T]:  # noqa: C901, PLR0912  # as mpsc
        cursor = self._cursor
        slot = self._slots.get(cursor)
        if slot is not None and self._spent < BUDGET:
            self._spent += 1
            self._cursor = cursor + 1
            unseen = slot.unseen = slot.unseen - 1
            if not unseen:
                del self._slots[cursor]
            return slot.item
        self._spent = 0
        if slot is not None:
            yield None
        result = self.poll()
        if result is not PENDING:
            return result
        if self._rest:
            self._rest -= 1
        else:
            # A busy sender has the next message within the turn.
            yield None
            result = self.poll()
            if result is not PENDING:
                return result
            self._rest = LINGER_REST
        # What `park` does, without a second frame for each step of the task.
        loop = get_running_loop()
        observer = hooks.observer
        if observer is not None:
            observer.waiting(self)
        try:
            while True:
                future: Future[object] = Future(loop=loop)
                self.arm(future)
                try:
                    yield from future
                    result = self.poll()
                except BaseException:
                    self.disarm()
                    raise
                if result is not PENDING:
                    return result
                self.disarm()
        finally:
            if observer is not None:
                observer.resumed(self)

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Take the next message if there is one; see `Operation.poll`.

        Returns:
            The message, or `PENDING`.

        Raises:
            Lagged: The oldest messages are lost.
            Closed: There is none and none can come.
        """
        shared = self._shared
        cursor = self._cursor
        slot = self._slots.get(cursor) if self._is_open else None
        if slot is None:
            if not self._is_open:
                raise Closed("receiver")
            oldest = shared.tail - shared.capacity
            if cursor < oldest:
                self._cursor = oldest
                self.forget_place()
                raise Lagged(oldest - cursor)
            if not shared.senders:
                raise Closed("channel")
            return PENDING
        self._cursor = cursor + 1
        slot.unseen -= 1
        if not slot.unseen:
            del self._slots[cursor]
        self.forget_place()
        return slot.item

    def try_recv(self) -> T:
        """Take the next message if there is one; never wait.

        Returns:
            The message.

        Raises:
            Empty: There is none now.
            Lagged: The oldest messages are lost.
            Closed: There is none and none can come.
        """
        item = self.poll()
        if item is PENDING:
            raise Empty("broadcast channel")
        return item

    def blocking_recv(self) -> T:
        """Take the next message from a thread that runs no event loop.

        Returns:
            The message.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Lagged: As `recv`.
            Closed: As `recv`; or the loop is closed.
        """
        loop = self._shared.loop or self._shared.items.loop
        return blocking(self, loop, "blocking_recv()")

    def close(self) -> None:
        """Receive no more; closing twice does no harm.

        Raises:
            WrongLoopError: A sender waits on another loop.
        """
        if self._is_open:
            self._shared.closings.check_loop()
            self._is_open = False
            self._shared.drop_receiver(self._cursor)
            self._slots = {}
            self._waiters.wake_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._is_open:
            shared, cursor = self._shared, self._cursor
            finalize(shared.closings, lambda: shared.drop_receiver(cursor))


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
