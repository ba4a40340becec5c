"""The receiving sides of a broadcast channel."""

from asyncio import Future, get_running_loop
from collections.abc import Generator
from typing import TYPE_CHECKING, Generic, Literal, Self, final

from sumida._core import hooks
from sumida._core.blocks import ClosingBlock
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize
from sumida._core.home import home_of
from sumida.channels._wake import wake_own
from sumida.channels.broadcast._shared import LINGER_REST, Shared
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

__all__ = ("Receiver",)


@final
class Receiver(QueuedOperation[T], ClosingBlock, Generic[T]):
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

    def is_ready(self) -> bool:
        """Tell whether there is a message, or the end; see `Operation.is_ready`."""
        shared = self._shared
        return self._cursor != shared.tail or not shared.senders or not self._is_open

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
        shared = self._shared
        loop = home_of(shared.items.loop, shared.loop)
        return blocking(self, loop, "blocking_recv()")

    def close(self) -> None:
        """Receive no more; closing twice does no harm.

        Raises:
            WrongLoopError: Tasks wait on another loop, for a message or for the last
                receiver to go; nothing is changed.
        """
        if self._is_open:
            shared = self._shared
            shared.closings.check_loop()
            shared.items.check_loop()
            self._is_open = False
            shared.drop_receiver(self._cursor)
            self._slots = {}
            wake_own(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None

    def __del__(self) -> None:
        if self._is_open:
            shared, cursor = self._shared, self._cursor
            finalize(shared.closings, lambda: shared.drop_receiver(cursor))
