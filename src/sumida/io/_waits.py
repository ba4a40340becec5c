"""What one waits for on a stream: data, room, the end.

Each read is an operation: it looks at what has arrived, and takes it only when all
that it wants is there. So a read that is cancelled, or loses a `select`, has taken
nothing, also one that wants a whole line.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, final

from sumida._core import hooks
from sumida._core.sleeper import Sleeper
from sumida.errors import (
    Disconnected,
    Elapsed,
    IncompleteReadError,
    LimitExceededError,
)
from sumida.operation import (
    BUDGET,
    PENDING,
    Operation,
    Pending,
    QueuedOperation,
    budget,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from sumida._core.waiters import WaiterQueue
    from sumida.io._engine import Engine
    from sumida.io._writing_side import WritingSide

__all__ = (
    "End",
    "Peek",
    "Read",
    "ReadExact",
    "ReadInteger",
    "ReadToEnd",
    "ReadUntil",
    "Readable",
    "Room",
)

T_co = TypeVar("T_co", covariant=True)


class _ReadOperation(Operation[T_co], Generic[T_co]):
    """Something that waits for data.

    Args:
        engine: Where the data arrives.
        wanted: How many bytes there must be before looking again is worth it.
    """

    __slots__ = ("_engine", "_future", "_wanted")

    def __init__(self, engine: Engine, wanted: int = 1) -> None:
        self._engine = engine
        self._future: Future[object] | Sleeper | None = None
        self._wanted = wanted

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self._engine.what}>"

    def arm(self, future: Future[object]) -> object:
        """Wait for data; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The engine.

        Raises:
            BusyError: Another task reads from this stream.
        """
        engine = self._engine
        engine.wait_for_data(future, self._wanted)
        self._future = future
        return engine

    def disarm(self) -> None:
        """Wait no longer; see `Operation.disarm`."""
        # Kept, for `poll` asks whether this wait was late.
        future = self._future
        engine = self._engine
        # Nobody else has taken its place, or it has been woken already.
        if future is not None and (engine.reader is future or engine.reader is None):
            engine.stop_waiting_for_data()

    # Written out, so that a read which waits is one frame.
    def __await__(self) -> Generator[object, None, T_co]:
        engine = self._engine
        left = budget.left - 1
        budget.left = left or BUDGET
        if not left:
            yield None
        result = self.poll()
        if result is not PENDING:
            return result
        observer = hooks.observer
        if observer is not None:
            observer.waiting(self)
        sleeper = engine.spare or Sleeper(get_running_loop())
        try:
            while True:
                engine.wait_for_data(sleeper, self._wanted)
                # Nobody else's until this task has run again.
                engine.spare = None
                self._future = sleeper
                sleeper._asyncio_future_blocking = True
                yield sleeper
                result = self.poll()
                if result is not PENDING:
                    return result
        finally:
            if engine.reader is sleeper:
                engine.stop_waiting_for_data()
            engine.spare = sleeper
            # A wait that was cancelled is not late the next time.
            self._future = None
            if observer is not None:
                observer.resumed(self)


@final
class Read(_ReadOperation[bytes]):
    """Take what is there.

    Args:
        engine: Where from.
        limit: How many bytes at most.
    """

    __slots__ = ("limit",)

    def __init__(self, engine: Engine, limit: int) -> None:
        _ReadOperation.__init__(self, engine)
        self.limit = limit

    def poll(self) -> bytes | Literal[Pending.PENDING]:
        """Take it, if there is anything; see `Operation.poll`."""
        engine = self._engine
        if engine.size:
            return engine.take(self.limit)
        if engine.is_unusual and not engine.check_reading(self._future):
            return b""
        return PENDING

    # The read that nearly everything is made of, so its usual course is written out:
    # each call costs as much as ten lines. Whatever is unusual goes the common way.
    def __await__(self) -> Generator[object, None, bytes]:
        engine = self._engine
        if engine.size:
            # Who waits lets others run by that.
            left = budget.left - 1
            budget.left = left or BUDGET
            if not left:
                yield None
            return engine.take(self.limit)
        sleeper = engine.spare
        if (
            sleeper is None
            or engine.reader is not None
            or engine.is_unusual
            or hooks.observer is not None
        ):
            return (yield from _ReadOperation.__await__(self))
        engine.reader = sleeper
        engine.wanted = 1
        engine.spare = None
        timeout = engine.read_timeout
        if timeout is not None:
            clock = engine.clock
            engine.read_due = due = clock() + timeout
            if due < engine.timer_due:
                engine.set_timer(due)
        sleeper._asyncio_future_blocking = True
        try:
            yield sleeper
        except BaseException:
            if engine.reader is sleeper:
                engine.stop_waiting_for_data()
            engine.spare = sleeper
            raise
        engine.spare = sleeper
        data = engine.chunk
        if data and engine.size <= self.limit and not engine.is_unusual:
            engine.chunk = b""
            engine.size = 0
            return data
        self._future = sleeper
        return (yield from _ReadOperation.__await__(self))


@final
class Peek(_ReadOperation[bytes]):
    """Look at what is there, and leave it."""

    __slots__ = ()

    def poll(self) -> bytes | Literal[Pending.PENDING]:
        """Give a copy, if there is anything; see `Operation.poll`."""
        engine = self._engine
        if engine.size:
            return bytes(engine.gathered())
        return PENDING if engine.check_reading(self._future) else b""


@final
class ReadExact(_ReadOperation[bytes]):
    """Take a number of bytes, when all are there.

    Args:
        engine: Where from.
        count: How many bytes.
    """

    __slots__ = ()

    def __init__(self, engine: Engine, count: int) -> None:
        _ReadOperation.__init__(self, engine, count)

    def poll(self) -> bytes | Literal[Pending.PENDING]:
        """Take them, if all are there; see `Operation.poll`.

        Returns:
            The bytes, or `PENDING`.

        Raises:
            IncompleteReadError: The stream ended before.
        """
        engine = self._engine
        count = self._wanted
        if engine.size >= count:
            return engine.take(count) if count else b""
        if engine.check_reading(self._future):
            return PENDING
        raise IncompleteReadError(engine.take(count), count)


@final
class ReadInteger(_ReadOperation[int]):
    """Take an integer, when all of it is there.

    Args:
        engine: Where from.
        size: How many bytes.
        order: "big" or "little".
        is_signed: Whether it may be negative.
    """

    __slots__ = ("_is_signed", "_order")

    def __init__(
        self,
        engine: Engine,
        size: int,
        order: Literal["big", "little"],
        *,
        is_signed: bool,
    ) -> None:
        _ReadOperation.__init__(self, engine, size)
        self._order: Literal["big", "little"] = order
        self._is_signed = is_signed

    def poll(self) -> int | Literal[Pending.PENDING]:
        """Take it, if all is there; see `Operation.poll`.

        Returns:
            The integer, or `PENDING`.

        Raises:
            IncompleteReadError: The stream ended before.
        """
        engine = self._engine
        size = self._wanted
        if engine.size >= size:
            data = engine.take(size)
            return int.from_bytes(data, self._order, signed=self._is_signed)
        if engine.check_reading(self._future):
            return PENDING
        raise IncompleteReadError(engine.take(size), size)


@final
class ReadUntil(_ReadOperation[bytes]):
    """Take all up to a separator, and the separator.

    Args:
        engine: Where from.
        separator: What ends it.
        limit: How many bytes at most, with the separator.
        is_line: Whether the end of the stream ends it too.
    """

    __slots__ = ("_is_line", "_limit", "_scanned", "_separator")

    def __init__(
        self, engine: Engine, separator: bytes, limit: int, *, is_line: bool
    ) -> None:
        _ReadOperation.__init__(self, engine)
        self._separator = separator
        self._limit = limit
        self._is_line = is_line
        # Where the next look begins: what was seen has no separator.
        self._scanned = 0

    def poll(self) -> bytes | Literal[Pending.PENDING]:
        """Take it, if the separator is there; see `Operation.poll`.

        Returns:
            The bytes, or `PENDING`.

        Raises:
            IncompleteReadError: The stream ended before the separator came.
            LimitExceededError: There is no separator within the limit; nothing was
                taken.
        """
        engine = self._engine
        size = engine.size
        if size > self._scanned:
            separator = self._separator
            found = engine.gathered().find(separator, self._scanned)
            end = found + len(separator)
            if found >= 0 and end <= self._limit:
                self._scanned = 0
                return engine.take(end)
            if found >= 0 or size >= self._limit:
                self._scanned = 0
                raise LimitExceededError(engine.what, size, self._limit)
            self._scanned = max(0, size - len(separator) + 1)
        if engine.check_reading(self._future):
            # One more than was seen.
            self._wanted = size + 1
            return PENDING
        self._scanned = 0
        rest = engine.take(size)
        if self._is_line:
            return rest
        raise IncompleteReadError(rest, None)


@final
class ReadToEnd(_ReadOperation[bytes]):
    """Take all there will be, when the stream has ended.

    Args:
        engine: Where from.
        limit: How many bytes at most.
    """

    __slots__ = ("_limit",)

    def __init__(self, engine: Engine, limit: int) -> None:
        # More than is allowed: the end comes first, or this is an error.
        _ReadOperation.__init__(self, engine, limit + 1)
        self._limit = limit

    def poll(self) -> bytes | Literal[Pending.PENDING]:
        """Take it, if the stream has ended; see `Operation.poll`.

        Returns:
            The bytes, or `PENDING`.

        Raises:
            LimitExceededError: There is more than the limit; nothing was taken.
        """
        engine = self._engine
        if engine.size > self._limit:
            raise LimitExceededError(engine.what, engine.size, self._limit)
        if engine.check_reading(self._future):
            return PENDING
        return engine.take(engine.size)


@final
class Readable(_ReadOperation[None]):
    """Wait until a read would not wait."""

    __slots__ = ()

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is data, an end or an error; see `Operation.poll`."""
        engine = self._engine
        if engine.size or engine.is_lost or engine.is_closing:
            return None
        return PENDING if engine.check_reading(self._future) else None


@final
class Room(QueuedOperation[None]):
    """Wait until the transport has room.

    Args:
        engine: Whose.
        waiters: Who waits for it.
    """

    __slots__ = ("_due", "_engine")

    def __init__(self, engine: WritingSide, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._engine = engine
        self._due: float | None = None

    def __repr__(self) -> str:
        return f"<room to write on {self._engine.what}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is room; see `Operation.poll`.

        Returns:
            None when there is, or `PENDING`.

        Raises:
            Disconnected: The connection is gone.
            Elapsed: It takes too long.
        """
        engine = self._engine
        if engine.is_lost:
            self.forget_place()
            reason = str(engine.error or "it has ended")
            raise Disconnected(engine.what, "write", reason)
        if not engine.is_congested:
            self.forget_place()
            self._due = None
            return None
        if self._due is not None and self._due <= engine.loop.time():
            self.forget_place()
            self._due = None
            raise Elapsed(engine.write_timeout or 0.0, f"room on {engine.what}")
        return PENDING

    def arm(self, future: Future[object]) -> object:
        """Wait, with a deadline; see `Operation.arm`."""
        engine = self._engine
        if self._due is None and engine.write_timeout is not None:
            self._due = engine.loop.time() + engine.write_timeout
        if self._due is not None:
            engine.watch_writing(self._due)
        return QueuedOperation.arm(self, future)


@final
class End(QueuedOperation[None]):
    """Wait until the transport has ended.

    Args:
        engine: Whose.
        waiters: Who waits for it.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: WritingSide, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._engine = engine

    def __repr__(self) -> str:
        return f"<end of {self._engine.what}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it has; see `Operation.poll`."""
        if not self._engine.is_lost:
            return PENDING
        self.forget_place()
        return None
