"""What the ends of pipes and the standard streams have in common: their closing."""

import contextlib
import warnings
from types import TracebackType
from typing import Self

from sumida.errors import Elapsed
from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.runtime.timeouts import timeout

__all__ = ("End", "make_engine")


def make_engine(
    what: str, read_timeout: float | None = None, write_timeout: float | None = None
) -> Engine:
    """Make an engine, with deadlines that were checked.

    Args:
        what: What it is, for messages.
        read_timeout: How long one wait for data may take, in seconds; None for ever.
        write_timeout: How long one wait for room may take, in seconds; None for ever.

    Returns:
        The engine, without a transport.
    """
    return Engine(
        what,
        read_timeout=check_timeout("read_timeout", read_timeout),
        write_timeout=check_timeout("write_timeout", write_timeout),
    )


class End:
    """One direction of bytes, and its closing."""

    __slots__ = ()

    _engine: Engine

    def __repr__(self) -> str:
        return f"<{self._engine.what} {self._engine.state}>"

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or its other end has gone."""
        return self._engine.is_closing or self._engine.is_lost

    def close(self) -> None:
        """Close it when all that was written has gone out; do not wait for that.

        Twice does no harm.
        """
        self._engine.close()

    def abort(self) -> None:
        """Close it at once; what was not sent is lost."""
        self._engine.abort()

    async def wait_closed(self) -> None:
        """Wait until one that was closed has gone.

        Cancel safety:
            Safe.
        """
        await self._engine.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engine = self._engine
        if exc_type is not None and not engine.is_lost and engine.unsent:
            # Nobody knows what the other side would make of half a message.
            engine.abort()
        engine.close()
        try:
            async with timeout(engine.write_timeout):
                await engine.wait_closed()
        except Elapsed:
            engine.abort()

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is None or engine.is_closing or engine.is_lost:
            return
        loop = engine.loop
        if not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(engine.abort)
        warnings.warn(
            f"{self!r} was collected while open; use `async with`, or close it",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
