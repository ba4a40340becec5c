"""The latest value only: for state that changes, and that many look at.

A receiver sees the current value at any time and can wait for the next change;
changes that follow each other quickly are merged, and the last is never missed. For
every message in turn use `broadcast`.
"""

import copy
from asyncio import sleep
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Self, final

from sumida._core.blocks import ClosingBlock
from sumida._core.finalize import finalize, finalize_unclosed
from sumida.channels._wake import wake_own
from sumida.channels._watch import Changed, NoReceivers, State
from sumida.errors import Closed
from sumida.operation import Operation, Source, spend

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Receiver", "Sender", "channel")


@final
class Sender(ClosingBlock, Generic[T]):
    """The side that sets the value; made by `channel`, more by `clone`.

    Source:
        `tokio::sync::watch::Sender`
    """

    __slots__ = ("_is_open", "_state")

    def __init__(self, state: State[T]) -> None:
        self._state = state
        self._is_open = True

    def __repr__(self) -> str:
        state = self._state
        closed = "" if self._is_open else ", closed"
        return (
            f"<watch.Sender version {state.version}, "
            f"receivers: {state.receivers}{closed}>"
        )

    @property
    def is_closed(self) -> bool:
        """Whether nobody watches now, or this sender is closed."""
        return not (self._state.receivers and self._is_open)

    @property
    def receiver_count(self) -> int:
        """How many receivers there are."""
        return self._state.receivers

    @property
    def sender_count(self) -> int:
        """How many senders are open."""
        return self._state.senders

    def same_channel(self, other: "Sender[T]") -> bool:
        """Tell whether `other` sets the same value.

        Args:
            other: Any watch sender.

        Returns:
            Whether it does.

        Raises:
            TypeError: `other` is none.
        """
        if not isinstance(other, Sender):
            raise TypeError(f"other must be a watch sender, not {other!r}")
        return self._state is other._state

    def borrow(self) -> T:
        """Look at the value.

        Returns:
            The value itself: do not change it in place, nobody would be told.
        """
        return self._state.value

    def _open_state(self, *unsent: T) -> State[T]:
        if not self._is_open:
            raise Closed("sender", *unsent)
        return self._state

    def send(self, value: T) -> None:
        """Set the value; an equal one counts as a change, too.

        Args:
            value: Any object.

        Raises:
            Closed: There is no receiver, and the value is not stored, or this sender
                is closed; `error.item` gives `value` back.
            WrongLoopError: Receivers wait on another loop; nothing is stored.
        """
        state = self._open_state(value)
        if not state.receivers:
            raise Closed("watch channel", value)
        state.set(value)

    def send_replace(self, value: T) -> T:
        """Set the value, whether somebody watches or not.

        Args:
            value: Any object.

        Returns:
            The value before.

        Raises:
            Closed: This sender is closed.
            WrongLoopError: Receivers wait on another loop; nothing is stored.
        """
        state = self._open_state(value)
        before = state.value
        state.set(value)
        return before

    def send_modify(self, modify: Callable[[T], T]) -> None:
        """Set the value to what a function makes of it.

        Args:
            modify: Gets a deep copy of the value, which it may change, and returns
                the new value. If it raises, nothing has changed and nobody wakes.

        Raises:
            Closed: This sender is closed.
            WrongLoopError: Receivers wait on another loop; nothing is stored.
        """
        state = self._open_state()
        # Receivers hold the value itself: it is never changed under them.
        state.set(modify(copy.deepcopy(state.value)))

    def send_if_modified(self, modify: Callable[[T], object]) -> bool:
        """Let a function change the value, and tell only if it says that it did.

        For values that are changed in place; for others use `send_modify`.

        Args:
            modify: Gets a deep copy of the value, and returns True if it changed it:
                the copy is the value then. With any other result, or if it raises,
                the copy is dropped, nothing has changed and nobody wakes. (Tokio
                keeps the change, and tells nobody.)

        Returns:
            Whether it was changed.

        Raises:
            Closed: This sender is closed.
            WrongLoopError: Receivers wait on another loop; nothing is stored.
        """
        state = self._open_state()
        value = copy.deepcopy(state.value)
        if modify(value) is not True:
            return False
        state.set(value)
        return True

    def subscribe(self) -> "Receiver[T]":
        """Make a receiver that has seen the current value.

        Returns:
            The receiver.

        Raises:
            Closed: This sender is closed.
        """
        return Receiver(self._open_state())

    def closed(self) -> Operation[None]:
        """Wait until there is no receiver.

        Returns:
            An operation; done at once while nobody watches.

        Cancel safety:
            Safe.
        """
        return NoReceivers(self._state)

    def clone(self) -> "Sender[T]":
        """Make another sender, which has to be closed as well.

        Returns:
            The new sender.

        Raises:
            Closed: This sender is closed.
        """
        state = self._open_state()
        state.senders += 1
        return Sender(state)

    def close(self) -> None:
        """Say that this sender is done; closing twice does no harm.

        Raises:
            WrongLoopError: Receivers wait on another loop.
        """
        if self._is_open:
            self._state.changes.check_loop()
            self._is_open = False
            self._state.drop_sender()

    def __del__(self) -> None:
        if self._is_open:
            finalize_unclosed(self, self._state.changes, self._state.drop_sender)


@final
class Receiver(Source[None], ClosingBlock, Generic[T]):
    """One who watches the value; made by `channel`, `subscribe` and `clone`.

    `async for` gives the current value, then each change, and ends when all senders
    are closed and the last value was given.

    Source:
        `tokio::sync::watch::Receiver`
    """

    __slots__ = ("_changed", "_is_open", "_state")

    def __init__(self, state: State[T]) -> None:
        self._state = state
        # It knows which version was seen last; it does not know the receiver, so that
        # one that is dropped is collected at once.
        self._changed = Changed(state)
        self._is_open = True
        state.receivers += 1

    def __repr__(self) -> str:
        state = self._state
        news = "unseen" if self._changed.seen != state.version else "seen"
        return f"<watch.Receiver version {state.version} {news}>"

    def borrow(self) -> T:
        """Look at the value without counting it as seen.

        Returns:
            The value itself: do not change it in place.
        """
        return self._state.value

    def borrow_and_update(self) -> T:
        """Look at the value, and count it as seen.

        Returns:
            The value itself: do not change it in place.
        """
        self._changed.seen = self._state.version
        return self._state.value

    def has_changed(self) -> bool:
        """Tell whether there is a value not seen yet.

        Returns:
            Whether there is.

        Raises:
            Closed: All senders are closed, even if there is one.
        """
        if not self._state.senders:
            raise Closed("watch channel")
        return self._changed.seen != self._state.version

    def mark_changed(self) -> None:
        """Count the current value as not seen, for a task that waits already, too.

        Raises:
            WrongLoopError: The task waits on another loop; nothing is changed.
        """
        changed = self._changed
        if changed.is_armed:
            self._state.changes.check_loop()
        changed.seen = -1
        wake_own(changed)

    def mark_unchanged(self) -> None:
        """Count the current value as seen."""
        self._changed.seen = self._state.version

    def changed(self) -> Operation[None]:
        """Wait for a value not seen yet, and count it as seen.

        Returns:
            An operation, the same each time. Keep the receiver while it waits: one
            that is collected is closed.

        Raises:
            Closed: When awaited: all senders are closed, or this receiver is, and
                the last value was seen.

        Cancel safety:
            Safe: nothing is counted as seen.
        """
        return self._changed

    def operation(self) -> Operation[None]:
        """Give `changed()`, so that `select.loop` takes the receiver itself."""
        return self._changed

    async def wait_for(self, predicate: Callable[[T], bool]) -> T:
        """Wait until the value is as wanted; the current one is looked at first.

        Args:
            predicate: Told of the value, and of each change that is not merged.

        Returns:
            The value, which counts as seen.

        Raises:
            Closed: All senders are closed, and the last value is not as wanted.

        Cancel safety:
            Safe: what was looked at and was not as wanted counts as seen.
        """
        if spend():
            # It may never have to wait.
            await sleep(0)
        while True:
            value = self.borrow_and_update()
            if predicate(value):
                return value
            await self._changed

    def clone(self) -> "Receiver[T]":
        """Make another receiver that has seen what this one has.

        Returns:
            The new receiver.
        """
        other = Receiver(self._state)
        other._changed.seen = self._changed.seen
        return other

    def same_channel(self, other: "Receiver[T]") -> bool:
        """Tell whether `other` watches the same value.

        Args:
            other: Any watch receiver.

        Returns:
            Whether it does.

        Raises:
            TypeError: `other` is none.
        """
        if not isinstance(other, Receiver):
            raise TypeError(f"other must be a watch receiver, not {other!r}")
        return self._state is other._state

    def close(self) -> None:
        """Watch no more; closing twice does no harm.

        Raises:
            WrongLoopError: A sender waits on another loop.
        """
        if self._is_open:
            self._state.closings.check_loop()
            self._state.changes.check_loop()
            self._is_open = False
            self._changed.close()
            self._state.drop_receiver()

    def __aiter__(self) -> "_Values[T]":
        return _Values(self)

    def __del__(self) -> None:
        if self._is_open:
            state, changed = self._state, self._changed

            def drop() -> None:
                # Who waits with the operation alone must not wait for ever.
                changed.close()
                state.drop_receiver()

            finalize(state.closings, drop, state.changes)


@final
class _Values(Generic[T]):
    """The current value, then each change."""

    __slots__ = ("_is_begun", "_receiver")

    def __init__(self, receiver: Receiver[T]) -> None:
        self._receiver = receiver
        self._is_begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_begun:
            try:
                await self._receiver.changed()
            except Closed:
                raise StopAsyncIteration from None
        self._is_begun = True
        return self._receiver.borrow_and_update()


def channel(initial: T) -> tuple[Sender[T], Receiver[T]]:
    """Make a channel that has a value from the start, which counts as seen.

    Args:
        initial: The first value.

    Returns:
        The sender and a receiver.
    """
    state = State(initial)
    return Sender(state), Receiver(state)
