"""Places in a queue that are held before there is a message for them.

`await tx.reserve()` first, then make the message, then `permit.send(message)`, which
cannot fail or wait: so nothing is made that has nowhere to go, and a `select` or a
cancel can never drop it. A permit that is not used gives its place back when it is
released, leaves its block, or is collected.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, final

from sumida._core.finalize import finalize
from sumida.channels.mpsc._chan import Chan
from sumida.errors import Closed, Full, ReleasedError

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("Permit", "Permits")


def _used_error(permit: object) -> ReleasedError:
    return ReleasedError(
        f"{permit!r} has no place left", "reserve a place for each message"
    )


@final
class Permit(Generic[T]):
    """One place in the queue; made by `Sender.reserve`.

    Source:
        `tokio::sync::mpsc::Permit`
    """

    __slots__ = ("_chan", "_is_held")

    def __init__(self, chan: Chan[T]) -> None:
        self._chan = chan
        self._is_held = True

    def __repr__(self) -> str:
        return f"<Permit {'held' if self._is_held else 'used'} of {self._chan.load}>"

    @property
    def is_held(self) -> bool:
        """Whether the place is neither used nor given back yet."""
        return self._is_held

    def send(self, item: T) -> None:
        """Put `item` in the place; it never waits, even after the receiver closed.

        Args:
            item: Any object; the receiver gets this same object.

        Raises:
            ReleasedError: The place was used or given back before.
            Closed: The receiver is gone for good; `error.item` gives `item` back.
            WrongLoopError: The receiver waits on another loop; the place is kept.
        """
        if not self._is_held:
            raise _used_error(self)
        chan = self._chan
        if chan.is_abandoned:
            self.release()
            raise Closed("channel", item)
        chan.items.check_loop()
        self._is_held = False
        chan.held -= 1
        chan.put(item)
        # A closed channel ends with its last permit; `put` has told the receiver.

    def release(self) -> None:
        """Give the place to the next in line; does nothing the second time.

        Raises:
            WrongLoopError: The next in line waits on another loop.
        """
        if self._is_held:
            self._chan.rooms.check_loop()
            self._is_held = False
            self._chan.release(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if self._is_held:
            chan = self._chan
            finalize(chan.rooms, lambda: chan.release(1), chan.items)


@final
class Permits(Generic[T]):
    """Several places in the queue; made by `Sender.reserve_many`.

    Iterate over it for one `Permit` each, or send through it directly.

    Source:
        `tokio::sync::mpsc::PermitIterator`
    """

    __slots__ = ("_chan", "_held")

    def __init__(self, chan: Chan[T], places: int) -> None:
        self._chan = chan
        self._held = places

    def __repr__(self) -> str:
        return f"<Permits {self._held} of {self._chan.load}>"

    def __len__(self) -> int:
        """Places that are neither used nor given back yet."""
        return self._held

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Permit[T]:
        if not self._held:
            raise StopIteration
        self._held -= 1
        return Permit(self._chan)

    def send(self, item: T) -> None:
        """Put `item` in one of the places; see `Permit.send`.

        Args:
            item: Any object; the receiver gets this same object.

        Raises:
            ReleasedError: No place is left.
            Closed: The receiver is gone for good; `error.item` gives `item` back.
            WrongLoopError: As there.
        """
        if not self._held:
            raise _used_error(self)
        # Before a permit is made, which would be lost with its place.
        self._chan.items.check_loop()
        next(self).send(item)

    def send_many(self, items: Iterable[T]) -> None:
        """Put all of `items` in places, in order; all or none.

        Args:
            items: At most as many as there are places left.

        Raises:
            Full: There are more items than places; none was sent.
            Closed: The receiver is gone for good; `error.unsent` gives them back.
            WrongLoopError: The receiver waits on another loop; the places are kept.
        """
        batch = list(items)
        chan = self._chan
        if len(batch) > self._held:
            raise Full("reservation", self._held, *batch)
        if chan.is_abandoned:
            self.release()
            raise Closed("channel", *batch)
        chan.items.check_loop()
        self._held -= len(batch)
        chan.held -= len(batch)
        chan.put_many(batch)

    def release(self) -> None:
        """Give the places that are left to the next in line.

        Raises:
            WrongLoopError: The next in line waits on another loop.
        """
        places = self._held
        if places:
            self._chan.rooms.check_loop()
            self._held = 0
            self._chan.release(places)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        places = self._held
        if places:
            chan = self._chan
            finalize(chan.rooms, lambda: chan.release(places), chan.items)
