"""What our own transports share on their writing side: when a writer has to wait."""

import asyncio
from asyncio import AbstractEventLoop

from sumida.io._engine import HIGH_WATER, Engine

__all__ = ("MarkedTransport",)


class MarkedTransport(asyncio.Transport):
    """Counts what was not written yet, and tells its engine of the two marks.

    Whoever changes `_unsent` calls `_look_at_marks` after it.

    Args:
        loop: The event loop.
        engine: What is told of room, and of the end.
    """

    __slots__ = ("_engine", "_high", "_is_closing", "_is_paused", "_loop", "_unsent")

    def __init__(self, loop: AbstractEventLoop, engine: Engine) -> None:
        super().__init__()
        self._loop = loop
        self._engine = engine
        self._unsent = 0
        self._high = HIGH_WATER
        self._is_paused = False
        self._is_closing = False

    def get_write_buffer_size(self) -> int:
        """Count what was not written yet."""
        return self._unsent

    def set_write_buffer_limits(
        self,
        high: int | None = None,
        low: int | None = None,  # noqa: ARG002  # asyncio's signature
    ) -> None:
        """Set the high-water mark, in bytes; the low one is a quarter of it."""
        self._high = HIGH_WATER if high is None else high
        self._look_at_marks()

    def can_write_eof(self) -> bool:
        """Tell that it can."""
        return True

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self._is_closing

    def _look_at_marks(self) -> None:
        if self._unsent > self._high and not self._is_paused:
            self._is_paused = True
            self._engine.pause_writing()
        elif self._is_paused and self._unsent <= self._high // 4:
            self._is_paused = False
            self._engine.resume_writing()
