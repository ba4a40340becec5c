"""The receiving side of an mpsc channel."""

import warnings
from asyncio import Future, get_running_loop
from collections.abc import Generator
from sys import getrefcount
from typing import TYPE_CHECKING, Generic, Literal, Self, final

from sumida._core import hooks
from sumida._core.arguments import check_count
from sumida._core.blocks import ClosingBlock
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize
from sumida._core.waiters import Waiter
from sumida.channels.mpsc._chan import LINGER_REST, Chan
from sumida.errors import BusyError, Closed, Empty
from sumida.operation import (
    BUDGET,
    PENDING,
    UNSHARED,
    Operation,
    Pending,
    QueuedOperation,
    park,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

R_co = TypeVar("R_co", covariant=True)

__all__ = ("Receiver",)


@final
class Receiver(QueuedOperation[T], ClosingBlock, Generic[T]):
    """The one receiver of a channel; made by `channel` and `unbounded_channel`.

    Iterate over it with `async for`: it drains what is queued after the last sender
    is closed, then ends. It is itself the operation of `recv`, so `select` takes it
    as it stands. Only one task may wait on it at a time.

    Source:
        `tokio::sync::mpsc::Receiver`
    """

    __slots__ = ("_chan", "_queue", "_spare")

    def __init__(self, chan: Chan[T]) -> None:
        QueuedOperation.__init__(self, chan.items)
        self._chan = chan
        # The last `recv_many`, to be used again when nobody else knows of it.
        self._spare: _ReceiveMany[T] | None = None
        # The channel's own, kept here because `recv` needs nothing else of it.
        self._queue = chan.queue

    def __repr__(self) -> str:
        chan = self._chan
        senders = "1 sender" if chan.senders == 1 else f"{chan.senders} senders"
        closed = ", closed" if chan.is_closed else ""
        return f"<Receiver {chan.load}, {senders}{closed}>"

    def __len__(self) -> int:
        """Count the messages that are queued."""
        return len(self._queue)

    def __bool__(self) -> bool:
        """Be true, queued messages or not."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether nothing is queued."""
        return not self._queue

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or no sender is left; messages may still be queued."""
        chan = self._chan
        return chan.is_closed or not (chan.senders or chan.held)

    @property
    def capacity(self) -> int:
        """Places that are free now."""
        return self._chan.vacant

    @property
    def max_capacity(self) -> int:
        """Places that there are."""
        return self._chan.capacity

    @property
    def sender_strong_count(self) -> int:
        """Senders that keep the channel open."""
        return self._chan.senders

    @property
    def sender_weak_count(self) -> int:
        """Weak senders, which do not."""
        return self._chan.weak_senders

    def recv(self) -> Operation[T]:
        """Take the next message, waiting while there is none.

        Returns:
            An operation that gives the message; the receiver itself.

        Raises:
            Closed: When awaited: every sender is closed, or the receiver is, and
                the queue is drained.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        return self

    # Long, because each call and each frame that it does without is felt here.
    def __await__(self) -> Generator[object, None, T]:  # noqa: C901, PLR0912
        # The other hot path: one look at the takes decides.
        chan = self._chan
        takes = chan.takes
        if takes:
            chan.takes = takes - 1
            return self._queue.popleft()
        queue = self._queue
        if queue:
            if chan.taken >= BUDGET:
                chan.taken = 0
                yield None
            elif chan.rooms.head is None:
                takes = len(queue)
                takes = min(takes, BUDGET)
                chan.takes = takes - 1
                chan.taken += takes
                return queue.popleft()
        result = self.poll()
        if result is not PENDING:
            return result
        if chan.receiver_rest:
            chan.receiver_rest -= 1
        else:
            # A busy sender fills the queue within the turn: see LINGER_REST.
            rest = chan.rest_receiver()
            try:
                yield rest
            except RuntimeError as error:
                if not chan.forgets(rest, error):
                    raise
            result = self.poll()
            if result is not PENDING:
                return result
            chan.receiver_rest = LINGER_REST
        chan.taken = 0
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

    def arm(self, future: Future[object]) -> object:
        """Wait for a message; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The waiter.

        Raises:
            BusyError: Another task waits on this receiver.
        """
        chan = self._chan
        items = chan.items
        if items.head is not None:
            _refuse_second_receiver(chan)
        chan.credit = 0
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = Waiter()
        items.join(waiter, future, self)
        return waiter

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Take the next message if there is one; see `Operation.poll`.

        Returns:
            The message, or `PENDING`.

        Raises:
            Closed: There is none and none can come.
        """
        chan = self._chan
        queue = self._queue
        if not queue:
            if (chan.is_closed or not chan.senders) and chan.has_ended:
                raise Closed("channel")
            return PENDING
        waiter = self._waiter
        if waiter is not None and waiter.ticket:
            waiter.ticket = 0
            self._waiters.leave(waiter)
        if chan.rooms.head is not None:
            chan.vacate(1)
        elif chan.takes:
            chan.takes = 0
        return queue.popleft()

    def is_ready(self) -> bool:
        """Tell whether there is a message, or the end; see `Operation.is_ready`."""
        return bool(self._queue) or self._chan.has_ended

    def recv_many(self, limit: int) -> Operation[list[T]]:
        """Take what is queued, up to `limit`, waiting while there is nothing.

        Args:
            limit: How many messages at the most, 0 or more; 0 gives `[]` at once.

        Returns:
            An operation that gives 1 to `limit` messages in order, or `[]` at the
            end of the channel. Keep the receiver while it waits: one that is
            collected is the end.

        Raises:
            TypeError: `limit` is no int.
            ValueError: It is negative.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        if type(limit) is not int or limit < 0:
            check_count("limit", limit)
        many = self._spare
        if getrefcount(many) == UNSHARED and many is not None:
            many._limit = limit
            return many
        many = self._spare = _ReceiveMany(self._chan, limit)
        return many

    def try_recv(self) -> T:
        """Take the next message if there is one; never wait.

        Returns:
            The message.

        Raises:
            Empty: Nothing is queued now.
            Closed: Nothing is queued and nothing can come.
            WrongLoopError: Senders wait on another loop; nothing is taken.
        """
        if not self._queue:
            if self._chan.has_ended:
                raise Closed("channel")
            raise Empty("channel")
        self._chan.vacate(1)
        return self._queue.popleft()

    def blocking_recv(self) -> T:
        """Take the next message from a thread that runs no event loop.

        Returns:
            The message.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: As `recv`; or the loop is closed.
        """
        chan = self._chan
        return blocking(_Receive(chan), chan.home, "blocking_recv()")

    def close(self) -> None:
        """Refuse further messages; what is queued or promised can still be received.

        Closing twice does no harm.

        Raises:
            WrongLoopError: Tasks wait on another loop; nothing is changed.
        """
        self._chan.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        chan = self._chan
        takes = chan.takes
        if takes:
            chan.takes = takes - 1
            return self._queue.popleft()
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None

    def __del__(self) -> None:
        chan = self._chan
        if chan.queue:
            warnings.warn(
                f"{self!r} was collected with messages in its queue, which are lost; "
                "close it and drain it with `async for`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        if not chan.is_abandoned:
            finalize(chan.rooms, chan.abandon, chan.closings)


class _ReceiveOperation(QueuedOperation[R_co], Generic[R_co, T]):
    """What waits for a message beside the receiver itself."""

    __slots__ = ("_chan",)

    def __init__(self, chan: Chan[T]) -> None:
        QueuedOperation.__init__(self, chan.items)
        self._chan = chan

    def is_ready(self) -> bool:
        """Tell whether there is a message, or the end; see `Operation.is_ready`."""
        return bool(self._chan.queue) or self._chan.has_ended

    def arm(self, future: Future[object]) -> object:
        """Wait as the one receiver; see `Operation.arm`."""
        chan = self._chan
        _refuse_second_receiver(chan)
        chan.credit = 0
        return QueuedOperation.arm(self, future)


@final
class _Receive(_ReceiveOperation[T, T]):
    """Take one message: `Receiver.recv`, for a thread."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Receive from {self._chan.load}>"

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Take the next message if there is one; see `Operation.poll`."""
        chan = self._chan
        if not chan.queue:
            if chan.has_ended:
                raise Closed("channel")
            return PENDING
        self.forget_place()
        chan.vacate(1)
        return chan.queue.popleft()


@final
class _ReceiveMany(_ReceiveOperation[list[T], T]):
    """Take several messages at once: `Receiver.recv_many`."""

    __slots__ = ("_limit",)

    def __init__(self, chan: Chan[T], limit: int) -> None:
        self._waiters = chan.items
        self._waiter = None
        self._chan = chan
        self._limit = limit

    def __await__(self) -> Generator[object, None, list[T]]:
        chan = self._chan
        queue = chan.queue
        lingers = False
        if chan.taken >= BUDGET:
            chan.taken = 0
            yield None
        elif (
            not queue
            and not chan.receiver_rest
            and chan.senders
            and not chan.is_closed
            and self._limit
        ):
            # A busy sender fills the queue within the turn: see LINGER_REST.
            lingers = True
            relay = chan.relay
            if relay is None or relay.receiver.wakeup is not None:
                rest = chan.rest_receiver()
            else:
                rest = relay.receiver
                rest._asyncio_future_blocking = True
            try:
                yield rest
            except RuntimeError as error:
                if not chan.forgets(rest, error):
                    raise
        if (
            0 < len(queue) <= self._limit
            and chan.rooms.head is None
            and self._waiter is None
        ):
            # As `poll`, for the usual case.
            chan.takes = 0
            chan.taken += 1
            batch = [*queue]
            queue.clear()
            return batch
        result = self.poll()
        if result is PENDING:
            if lingers:
                chan.receiver_rest = LINGER_REST
            elif chan.receiver_rest:
                chan.receiver_rest -= 1
            chan.taken = 0
            result = yield from park(self)
        return result

    def __repr__(self) -> str:
        return f"<ReceiveMany {self._limit} from {self._chan.load}>"

    def poll(self) -> list[T] | Literal[Pending.PENDING]:
        """Take what there is, if anything; see `Operation.poll`."""
        chan = self._chan
        queue = chan.queue
        limit = self._limit
        queued = len(queue)
        if not queued and limit and not chan.has_ended:
            return PENDING
        if self._waiter is not None:
            self.forget_place()
        taken = min(queued, limit)
        chan.takes = 0
        if chan.rooms.head is not None:
            chan.vacate(taken)
        chan.taken += 1
        if taken < queued:
            return [queue.popleft() for _ in range(taken)]
        batch = list(queue)
        queue.clear()
        return batch


def _refuse_second_receiver(chan: Chan[T]) -> None:
    """Refuse to wait for a message where a task does already.

    Args:
        chan: The channel.

    Raises:
        BusyError: Some task waits in a method of the receiver.
    """
    if chan.items.first() is not None:
        raise BusyError(
            "two tasks wait on one Receiver at once",
            "let one task receive and hand the work out, or make a channel for each",
        )
