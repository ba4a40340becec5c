"""The operations of a sender: send, send many, reserve, wait for the end."""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, Generic, Literal, TypeVar, final

from sumida._core.waiters import Waiter
from sumida.channels.mpsc._chan import Chan
from sumida.channels.mpsc._lingering import (
    join_senders,
    linger,
    park_for_long,
    stop_lingering,
)
from sumida.channels.mpsc.permits import Permit, Permits
from sumida.errors import Closed, MisuseError
from sumida.operation import (
    BUDGET,
    DONE,
    PENDING,
    Pending,
    QueuedOperation,
    ready,
    refuse_second,
    spend,
    wait_next_turn,
)

__all__ = (
    "NO_SEND",
    "SENT",
    "ReceiverClosed",
    "Reserve",
    "ReserveMany",
    "Send",
    "SendMany",
)

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


@final
class _Sent:
    """Stands where the item was, once it is sent."""

    __slots__ = ()


SENT: Final = _Sent()


def spent_error(operation: object) -> MisuseError:
    """Say that a send was awaited again.

    Args:
        operation: The send.

    Returns:
        The error, to be raised.
    """
    return MisuseError(
        f"{operation!r} has sent its item already",
        "call send() again for each item",
    )


def _append_and_leave(queue: deque[Any], waiter: Waiter, item: object) -> None:
    queue.append(item)
    waiter.ticket = 0


@final
class Send(QueuedOperation[None]):
    """Put one item in the queue, waiting for a place; spent once it is done."""

    __slots__ = ("_append", "_chan", "item")

    def __init__(self, chan: Chan[Any], item: object) -> None:
        self._waiter = None
        self._waiters = chan.rooms
        self._chan = chan
        self._append: Callable[[object], None] = chan.queue.append
        self.item: object = item

    def __repr__(self) -> str:
        state = "done" if self.item is SENT else "waiting" if self.is_armed else "idle"
        return f"<Send {state} on {self._chan.load}>"

    @property
    def is_terminated(self) -> bool:
        """Whether the item is sent."""
        return self.item is SENT

    def __await__(self) -> Generator[object, None, None]:
        # The hot path of the library: one look at the credit decides, for there is
        # none while the channel is full or closed or its receiver waits.
        chan = self._chan
        credit = chan.credit
        item = self.item
        if item is not SENT:
            if credit:
                chan.credit = credit - 1
                # By a name of its own: CPython 3.11 is slow to call what is in a slot.
                append = self._append
                append(item)
                self.item = SENT
                return DONE
            if (
                chan.lingerer is None
                and len(chan.queue) + chan.held >= chan.capacity
                and not chan.sender_rest
                and chan.rooms.head is None
                and not chan.is_closed
                and chan.senders
                and self._waiter is None
            ):
                return self._linger()
            if self._waiter is not None:
                refuse_second(self)
            if chan.put_now(item):
                self.item = SENT
                self.forget_place()
                return DONE
        if chan.spent >= BUDGET:
            chan.spent = 0
            return wait_next_turn(self)
        if self.poll() is PENDING:
            return linger(self, chan)
        return DONE

    def _linger(self) -> Generator[object, None, None]:
        """Do as `linger`, the first in a full channel, with all calls written out."""
        chan = self._chan
        relay = chan.relay
        if relay is None or relay.sender.wakeup is not None:
            rest = chan.rest_sender()
        else:
            rest = relay.sender
            rest._asyncio_future_blocking = True
        # Only now, for `rest_sender` may refuse, and nobody would come back to it.
        chan.lingerer = self
        chan.lingering = 1
        try:
            yield rest
            if chan.lingerer is self:
                chan.lingerer = None
                free = chan.capacity - chan.held - len(chan.queue)
                if free > 0 and not chan.is_closed and chan.items.head is None:
                    self._append(self.item)
                    self.item = SENT
                    free = min(free, BUDGET)
                    chan.credit = free - 1
                    chan.spent += free
                    return
            is_pending = self.poll() is PENDING
        except BaseException as error:
            stop_lingering(self, chan)
            if not chan.forgets(rest, error):
                raise
            is_pending = self.poll() is PENDING
        if is_pending:
            yield from park_for_long(self, chan)

    def poll(self) -> Literal[Pending.PENDING] | None:
        """Send now if there is a place; see `Operation.poll`.

        Returns:
            None when it is sent, else `PENDING`.

        Raises:
            Closed: The receiver is gone, or every sender is; the item is in the error.
            MisuseError: It has been sent already.
        """
        chan = self._chan
        item = self.item
        if item is SENT:
            raise spent_error(self)
        if chan.is_closed:
            raise Closed("channel", item)
        if not chan.senders and not self.is_armed:
            raise Closed("sender", item)
        if chan.items.head is not None:
            # Before the grant is taken, which would be lost.
            chan.items.check_loop()
        if self._waiter is not None and self.take_grant():
            self._append = chan.queue.append
            chan.put(item)
            chan.held -= 1
        elif chan.free > 0:
            chan.put(item)
            chan.credit = 0
            self.forget_place()
        else:
            return PENDING
        self.item = SENT
        return None

    def arm(self, future: Future[object]) -> object:
        """Join the senders that wait for a place; see `Operation.arm`."""
        return join_senders(self, self._chan, future)

    def disarm(self) -> None:
        """Leave the senders that wait; see `Operation.disarm`."""
        QueuedOperation.disarm(self)
        chan = self._chan
        waiter = self._waiter
        if waiter is not None:
            # It keeps its place, until it has sent its item in whatever way.
            self._append = partial(_append_and_leave, chan.queue, waiter)
        # It may have been what kept the channel open.
        chan.wake_if_ended()

    def give_back(self, granted: int) -> None:
        """Pass the place on."""
        self._chan.release(granted)


NO_SEND: Final = Send(Chan(1), None)
"""Stands where there is no spare: never spent, so never used."""


class _Placed(QueuedOperation[R_co], Generic[R_co, T]):
    """Get a number of places at once, then do something with them.

    Args:
        chan: The channel.
        places: How many, 0 to the channel's capacity.
    """

    __slots__ = ("_chan", "_places")

    def __init__(self, chan: Chan[T], places: int) -> None:
        QueuedOperation.__init__(self, chan.rooms)
        self._chan = chan
        self._places = places

    def __repr__(self) -> str:
        state = "waiting" if self.is_armed else "idle"
        name = type(self).__name__
        return f"<{name} {self._places} {state} on {self._chan.load}>"

    @property
    def needed(self) -> int:
        """How many places it waits for."""
        return self._places

    def poll(self) -> R_co | Literal[Pending.PENDING]:
        """Take the places now if they are free; see `Operation.poll`.

        Returns:
            What the places are good for, or `PENDING`.
        """
        chan = self._chan
        self._check()
        if not self.take_grant():
            if not chan.hold(self._places):
                return PENDING
            self.forget_place()
        return self._finish()

    def __await__(self) -> Generator[object, None, R_co]:
        if self._waiter is not None:
            refuse_second(self)
        if spend():
            return wait_next_turn(self)
        result = self.poll()
        if result is PENDING:
            return linger(self, self._chan)
        return ready(result)

    def _check(self, *unsent: T) -> None:
        """Refuse to go on with a closed channel; `Closed` if so."""
        chan = self._chan
        if chan.is_closed:
            raise Closed("channel", *unsent)
        if not chan.senders and not self.is_armed:
            raise Closed("sender", *unsent)

    def _finish(self) -> R_co:
        """Use the places, which are held now."""
        raise NotImplementedError

    def arm(self, future: Future[object]) -> object:
        """Join the senders that wait for a place; see `Operation.arm`."""
        return join_senders(self, self._chan, future)

    def disarm(self) -> None:
        """Leave the senders that wait; see `Operation.disarm`."""
        QueuedOperation.disarm(self)
        # It may have been what kept the channel open.
        self._chan.wake_if_ended()

    def give_back(self, granted: int) -> None:
        """Pass the places on."""
        self._chan.release(granted)


@final
class Reserve(_Placed[Permit[T], T]):
    """Get one place, for a message that is sent later."""

    __slots__ = ()

    def _finish(self) -> Permit[T]:
        return Permit(self._chan)


@final
class ReserveMany(_Placed[Permits[T], T]):
    """Get several places at once, for messages that are sent later."""

    __slots__ = ()

    def _finish(self) -> Permits[T]:
        return Permits(self._chan, self._places)


@final
class SendMany(_Placed[None, T]):
    """Send several messages at once, or none; spent once it is done.

    Args:
        chan: The channel.
        items: The messages, at most the channel's capacity.
    """

    __slots__ = ("_items",)

    def __init__(self, chan: Chan[T], items: list[T]) -> None:
        self._waiters = chan.rooms
        self._waiter = None
        self._chan = chan
        self._places = len(items)
        self._items: list[T] | None = items

    @property
    def is_terminated(self) -> bool:
        """Whether the items are sent."""
        return self._items is None

    # Long, as `Receiver.__await__` is: what is called is written out.
    def __await__(self) -> Generator[object, None, None]:  # noqa: C901, PLR0912
        chan = self._chan
        items = self._items
        if (
            items is None
            or chan.is_closed
            or not chan.senders
            or self._waiter is not None
        ):
            return (yield from _Placed.__await__(self))
        if chan.lingerer is not None:
            chan.seat_lingerer()
        queue = chan.queue
        places = self._places
        if places <= chan.capacity - chan.held - len(queue):
            if chan.items.head is not None:
                chan.items.wake_all()
                # It went to wait in a turn of its own: this one is young.
                chan.spent = 0
            elif chan.spent >= BUDGET:
                chan.spent = 0
                return (yield from wait_next_turn(self))
            self._put(items)
            return None
        if chan.sender_rest or chan.rooms.head is not None:
            return (yield from linger(self, chan))
        relay = chan.relay
        if relay is None or relay.sender.wakeup is not None:
            rest = chan.rest_sender()
        else:
            rest = relay.sender
            rest._asyncio_future_blocking = True
        # Only now; see `Send._linger`.
        chan.lingerer = self
        chan.lingering = places
        try:
            yield rest
            if chan.lingerer is self:
                chan.lingerer = None
                if (
                    places <= chan.capacity - chan.held - len(queue)
                    and chan.items.head is None
                    and not chan.is_closed
                ):
                    self._put(items)
                    return None
            result = self.poll()
        except BaseException as error:
            stop_lingering(self, chan)
            if not chan.forgets(rest, error):
                raise
            result = self.poll()
        if result is PENDING:
            yield from park_for_long(self, chan)
        return None

    def _put(self, items: list[T]) -> None:
        chan = self._chan
        chan.credit = 0
        chan.spent += 1
        chan.queue.extend(items)
        self._items = None

    def _check(self, *_: T) -> None:
        items = self._items
        if items is None:
            raise spent_error(self)
        super()._check(*items)
        # Before places are taken, which would be lost.
        self._chan.items.check_loop()

    def _finish(self) -> None:
        chan = self._chan
        items = self._items
        assert items is not None
        chan.put_many(items)
        chan.held -= len(items)
        self._items = None


@final
class ReceiverClosed(QueuedOperation[None]):
    """Wait until the receiver refuses further messages."""

    __slots__ = ("_chan",)

    def __init__(self, chan: Chan[Any]) -> None:
        QueuedOperation.__init__(self, chan.closings)
        self._chan = chan

    def __repr__(self) -> str:
        return f"<ReceiverClosed {'armed' if self.is_armed else 'idle'}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether the receiver is gone; see `Operation.poll`.

        Returns:
            None if so, else `PENDING`.
        """
        if not self._chan.is_closed:
            return PENDING
        self.forget_place()
        return None
