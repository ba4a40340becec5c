"""Carry bytes from one engine to another, inside the transports' callbacks.

No task runs and nothing is copied: what one transport received the other is given.
When the receiver is slow the sender is held back. The end of one side becomes the
end of the other's writing, and the way back goes on.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Final, final

from sumida.errors import Disconnected
from sumida.io._engine import Engine

__all__ = ("GROWN", "Relay", "loss")

GROWN: Final = 256 * 1024
"""Bytes after which another way is asked for: the kernel's costs more to begin."""


@final
class Relay:
    """One direction.

    Args:
        source: Where bytes come from.
        target: Where they go.
        done: Set when the source has ended, or with the error that broke either.

    Attributes:
        grown: Asked when enough was carried to go another way; returns whether it
            took the bytes, and goes on from there.
        count: Bytes handed to the target.
        has_ended: Whether the source has ended.
    """

    __slots__ = (
        "_done",
        "_is_held",
        "_source",
        "_target",
        "count",
        "grown",
        "has_ended",
    )

    def __init__(self, source: Engine, target: Engine, done: Future[None]) -> None:
        self._source = source
        self._target = target
        self._done = done
        self._is_held = False
        self.count = 0
        self.grown: Callable[[Relay, bytes], bool] | None = None
        self.has_ended = False

    def __repr__(self) -> str:
        return f"<Relay {self._source.what} to {self._target.what}, {self.count} bytes>"

    def start(self) -> None:
        """Begin, with what has arrived already."""
        source, target = self._source, self._target
        source.sink = self
        source.is_unusual = True
        target.target_of = self
        if source.size:
            self.feed(source.take(source.size))
            if source.sink is not self:
                return  # another way was taken at once
        if target.is_lost or target.transport.is_closing():
            self.lose(target.error, target.what)
        elif source.at_eof:
            self.end()
        elif source.is_lost:
            self.lose(source.error, source.what)
        elif not target.is_congested:
            source.let_read()

    def stop(self) -> None:
        """Leave the engines to themselves; twice does no harm."""
        self._source.sink = None
        self._target.target_of = None

    def feed(self, data: bytes) -> None:
        """Hand on what has arrived."""
        target = self._target
        if target.is_lost or target.is_closing:
            self.lose(target.error, target.what)
            return
        grown = self.grown
        if grown is not None and self.count >= GROWN and grown(self, data):
            return
        target.write(data)
        self.count += len(data)
        if target.is_congested and not self._is_held:
            self._is_held = True
            self._source.hold()

    def go_on(self) -> None:
        """Read again: the target has room."""
        if self._is_held:
            self._is_held = False
            self._source.let_read()

    def end(self) -> None:
        """Carry the end of the source across."""
        self.has_ended = True
        target = self._target
        if not (target.is_lost or target.is_closing or target.has_ended_writing):
            try:
                target.end_writing()
            except Disconnected as error:
                self.lose(error, target.what)
                return
        if not self._done.done():
            self._done.set_result(None)

    def lose(self, error: BaseException | None, what: str) -> None:
        """Tell that one of the two broke; after the end of both nobody cares."""
        if not self._done.done():
            self._done.set_exception(loss(error, what))


def loss(error: BaseException | None, what: str) -> Disconnected:
    """Make the error of a copy.

    Args:
        error: What broke a connection, or None.
        what: Which.

    Returns:
        The error.
    """
    if isinstance(error, Disconnected):
        error = error.__cause__ or error
    return Disconnected(what, "copy", str(error or "it was closed"))
