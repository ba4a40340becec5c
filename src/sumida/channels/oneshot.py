"""One value, once: the answer to a request.

The asker makes the channel, sends the sender along with the request, and awaits the
receiver. Nobody can answer twice, and if the answerer goes away the asker learns it.
For several values use `mpsc`.
"""

import warnings
from asyncio import AbstractEventLoop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from typing import TYPE_CHECKING, Final, Generic, Literal, cast, final

from sumida._core.blocks import ClosingBlock
from sumida._core.bridge import blocking
from sumida._core.finalize import finalize
from sumida._core.home import home_of
from sumida._core.waiters import WaiterQueue
from sumida.errors import AlreadySent, Closed, Empty, MisuseError
from sumida.operation import PENDING, Operation, Pending, QueuedOperation

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Receiver", "Sender", "channel")


@final
class _Nothing:
    """Stands where no value is: any object may be sent."""

    __slots__ = ()


_NOTHING: Final = _Nothing()


@final
class _Shot(Generic[T]):
    """What the two sides share."""

    __slots__ = (
        "closings",
        "is_receiver_closed",
        "is_sender_closed",
        "is_sent",
        "loop",
        "value",
        "values",
    )

    def __init__(self) -> None:
        self.value: T | _Nothing = _NOTHING
        self.is_sent = False
        self.is_sender_closed = False
        self.is_receiver_closed = False
        self.loop: AbstractEventLoop | None = running_loop()
        # The receiver, waiting for the value; senders, waiting for its end.
        self.values = WaiterQueue()
        self.closings = WaiterQueue(in_order=False)

    def close_sender(self) -> None:
        """Let the receiver know that nothing will come."""
        self.is_sender_closed = True
        self.values.wake_all()

    def close_receiver(self) -> None:
        """Let the sender, and a task that waits all the same, know of the end."""
        self.is_receiver_closed = True
        self.closings.wake_all()
        self.values.wake_all()

    def abandon(self) -> None:
        """Close for a receiver that nobody has any more."""
        self.value = _NOTHING
        self.close_receiver()


@final
class Sender(ClosingBlock, Generic[T]):
    """The side that sends the one value; made by `channel`.

    Source:
        `tokio::sync::oneshot::Sender`
    """

    __slots__ = ("_shot",)

    def __init__(self, shot: _Shot[T]) -> None:
        self._shot = shot

    def __repr__(self) -> str:
        shot = self._shot
        state = "sent" if shot.is_sent else "closed" if self.is_closed else "open"
        return f"<oneshot.Sender {state}>"

    @property
    def is_closed(self) -> bool:
        """Whether the receiver is gone, or this side was closed without sending."""
        return self._shot.is_receiver_closed or self._shot.is_sender_closed

    def send(self, item: T) -> None:
        """Send the value; it never waits. To be sent does not mean to be received.

        Args:
            item: Any object.

        Raises:
            AlreadySent: A value was sent before; `error.item` gives this one back.
            Closed: The receiver is gone, or this side was closed; as above.
            WrongLoopError: The receiver waits on another loop; nothing is sent.
        """
        shot = self._shot
        if shot.is_sent:
            raise AlreadySent(item)
        if self.is_closed:
            raise Closed("oneshot channel", item)
        shot.values.check_loop()
        shot.is_sent = True
        shot.value = item
        shot.values.wake_all()

    def closed(self) -> Operation[None]:
        """Wait until the receiver is closed or gone: nobody wants the value any more.

        Returns:
            An operation; it stays done.

        Cancel safety:
            Safe.
        """
        return _ReceiverGone(self._shot)

    def close(self) -> None:
        """Go away without sending; does nothing after `send`, or the second time.

        Raises:
            WrongLoopError: The receiver waits on another loop.
        """
        shot = self._shot
        if not (shot.is_sent or shot.is_sender_closed):
            shot.values.check_loop()
            shot.close_sender()

    def __del__(self) -> None:
        shot = self._shot
        if not (shot.is_sent or shot.is_sender_closed):
            finalize(shot.values, shot.close_sender)
            if not shot.is_receiver_closed:
                warnings.warn(
                    f"{self!r} was collected without sending; "
                    "send, or close it to say that nothing comes",
                    ResourceWarning,
                    source=self,
                    stacklevel=2,
                )


@final
class Receiver(QueuedOperation[T], ClosingBlock, Generic[T]):
    """The side that gets the one value; made by `channel`.

    It is an operation: await it, or pass it to `select`.

    Source:
        `tokio::sync::oneshot::Receiver`
    """

    __slots__ = ("_is_terminated", "_shot")

    def __init__(self, shot: _Shot[T]) -> None:
        QueuedOperation.__init__(self, shot.values)
        self._shot = shot
        self._is_terminated = False

    def __repr__(self) -> str:
        if self._is_terminated:
            return "<oneshot.Receiver done>"
        shot = self._shot
        closed = shot.is_receiver_closed or shot.is_sender_closed
        state = "closed" if closed else "empty" if self.is_empty else "ready"
        return f"<oneshot.Receiver {state}>"

    @property
    def is_empty(self) -> bool:
        """Whether no value is there to be taken."""
        return isinstance(self._shot.value, _Nothing)

    @property
    def is_terminated(self) -> bool:
        """Whether the value, or the end, was given to the caller."""
        return self._is_terminated

    def recv(self) -> Operation[T]:
        """Wait for the value.

        Returns:
            An operation that gives it; the receiver itself.

        Raises:
            Closed: When awaited: the sender went away without sending, or this
                receiver was closed before it did.
            MisuseError: When awaited: the value, or the end, was given before.

        Cancel safety:
            Safe: a value that was sent stays to be received.
        """
        return self

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Take the value if it is there; see `Operation.poll`.

        Returns:
            The value, or `PENDING`.

        Raises:
            Closed: None will come.
            MisuseError: It, or the end, was given before.
        """
        shot = self._shot
        if self._is_terminated:
            raise MisuseError(
                f"{self!r} is awaited again", "make one channel for each answer"
            )
        value = shot.value
        if isinstance(value, _Nothing):
            if not (shot.is_sender_closed or shot.is_receiver_closed):
                return PENDING
            self._is_terminated = True
            raise Closed("oneshot channel")
        shot.value = _NOTHING
        self._is_terminated = True
        self.forget_place()
        return value

    def try_recv(self) -> T:
        """Take the value if it is there; never wait.

        Returns:
            The value.

        Raises:
            Empty: It has not come yet.
            Closed: It will not come, or was taken before.
        """
        if self._is_terminated:
            raise Closed("oneshot channel")
        value = self.poll()
        if value is PENDING:
            raise Empty("oneshot channel")
        return value

    def blocking_recv(self) -> T:
        """Wait for the value on a thread that runs no event loop.

        Returns:
            The value.

        Raises:
            MisuseError: Called on an event loop's thread, or before a loop is known.
            Closed: As `recv`; or the loop is closed.
        """
        shot = self._shot
        loop = home_of(shot.values.loop, shot.closings.loop, shot.loop)
        return blocking(cast("Operation[T]", self), loop, "blocking_recv()")

    def close(self) -> None:
        """Want no value any more; one that was sent before can still be taken.

        Raises:
            WrongLoopError: The sender waits on another loop.
        """
        shot = self._shot
        if not shot.is_receiver_closed:
            shot.closings.check_loop()
            shot.values.check_loop()
            shot.close_receiver()

    def __del__(self) -> None:
        if not self._shot.is_receiver_closed:
            finalize(self._shot.closings, self._shot.abandon)


@final
class _ReceiverGone(QueuedOperation[None]):
    """Wait until the receiver is closed."""

    __slots__ = ("_shot",)

    def __init__(self, shot: "_Shot[Any]") -> None:
        QueuedOperation.__init__(self, shot.closings)
        self._shot = shot

    def __repr__(self) -> str:
        return f"<closed() of oneshot {'armed' if self.is_armed else 'idle'}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it is; see `Operation.poll`."""
        if not self._shot.is_receiver_closed:
            return PENDING
        self.forget_place()
        return None


def channel() -> tuple[Sender[T], Receiver[T]]:
    """Make a channel for one value.

    Returns:
        The sender and the receiver.
    """
    shot: _Shot[T] = _Shot()
    return Sender(shot), Receiver(shot)
