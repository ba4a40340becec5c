"""What stands behind a file: the descriptor, whose turn it is, what was read ahead.

One operation at a time is on a thread. It holds the turn until it has ended, also when
the task that asked for it has gone meanwhile; so nothing ever happens at once to one
descriptor, and closing waits. What a read has brought and nobody took stays, and the
next read begins with it; a write, a seek or a `tell` counts from where the reader
stands, not the descriptor.
"""

import contextlib
import errno
from asyncio import AbstractEventLoop, Future, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from io import FileIO
from typing import Final, Literal, NoReturn, TypeVar, cast, final

from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed, StorageFullError
from sumida.io._ahead import Ahead
from sumida.io._offload import start
from sumida.operation import PENDING, Pending, QueuedOperation
from sumida.runtime._delivery import Job
from sumida.runtime.blocking import blocking_cancelled

__all__ = (
    "Handle",
    "raise_told",
    "read_fully",
    "write_fully",
)

T = TypeVar("T")

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}

_STEP: Final = 4 * 1024 * 1024
"""Bytes read at once by a call for many, so that an abandoned one ends soon."""


def raise_told(error: BaseException, path: str) -> NoReturn:
    """Raise an error; that of a full disk by its own type.

    Args:
        error: What went wrong.
        path: The file.

    Raises:
        StorageFullError: The disk is full.
    """
    try:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StorageFullError(path, error.errno or errno.ENOSPC) from error
        raise error
    finally:
        del error


def read_fully(raw: FileIO, count: int) -> bytes:
    """Read `count` bytes, or to the end of the file; on a thread.

    Args:
        raw: Where from.
        count: How many.

    Returns:
        The bytes.
    """
    parts = []
    while count > 0 and not blocking_cancelled():
        part = raw.read(min(count, _STEP))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_fully(raw: FileIO, data: bytes) -> None:
    """Write all of `data`; on a thread.

    Args:
        raw: Where to.
        data: What.
    """
    view = memoryview(data)
    while view:
        # None would be a descriptor that does not block, which ours is not.
        view = view[raw.write(view) or 0 :]


@final
class Handle:
    """One open file.

    Args:
        raw: The descriptor.
        what: What it is, for messages.
        path: Its path, for errors.

    Attributes:
        raw: As above.
        what: As above.
        path: As above.
        loop: The event loop.
        ahead: What was read and not taken.
        is_busy: Whether somebody has the turn.
        is_closing: Whether it is closed, or is going to be.
        is_closed: Whether the descriptor was given back.
        late: The error of a write whose task had gone.
        turns: Those who wait for their turn.
        arrivals: Those who wait for what is being read ahead.
        closers: Those who wait for the end.
    """

    __slots__ = (
        "ahead",
        "arrivals",
        "closers",
        "is_busy",
        "is_closed",
        "is_closing",
        "late",
        "loop",
        "path",
        "raw",
        "turns",
        "what",
    )

    def __init__(self, raw: FileIO, what: str, path: str) -> None:
        self.raw = raw
        self.what = what
        self.path = path
        self.loop: AbstractEventLoop = get_running_loop()
        self.ahead = Ahead()
        self.is_busy = False
        self.is_closing = False
        self.is_closed = False
        self.late: BaseException | None = None
        self.turns = WaiterQueue()
        self.arrivals = WaiterQueue(in_order=False)
        self.closers = WaiterQueue(in_order=False)

    def __repr__(self) -> str:
        return f"<Handle of {self.what}, {len(self.ahead)} bytes ahead>"

    # Turns.

    async def wait_for_turn(self) -> None:
        """Wait until nothing else is done with the file.

        Raises:
            Closed: It was closed.

        Cancel safety:
            Safe.
        """
        await Turn(self)

    def try_turn(self) -> bool:
        """Take the turn if nobody has it.

        Returns:
            Whether it was taken.
        """
        if self.is_busy or self.is_closing:
            return False
        self.is_busy = True
        return True

    def let_go(self) -> None:
        """Give the turn to the next; to the closing, if that is wanted."""
        if self.is_closing:
            start(self.raw.close, self._closed)
        elif not self.turns.serve_first():
            self.is_busy = False

    async def run(
        self,
        work: Callable[[], T],
        *,
        kept: Callable[[T], object] | None = None,
        is_writing: bool = False,
    ) -> T:
        """Do `work` on a thread, with the turn.

        The turn is still the caller's when this returns, and given away when it
        raises.

        Args:
            work: What to do.
            kept: Called on the loop with the result, also when the task has gone.
            is_writing: Whether a failure is to be told later if the task has gone.

        Returns:
            The result.

        Cancel safety:
            Safe as the caller makes it: the work goes on to its end, which `kept` or
            the next operation learns of.
        """
        done: Future[None] = self.loop.create_future()

        def ended(job: Job[T]) -> None:
            if job.error is None and kept is not None:
                kept(cast("T", job.result))
            # A cancel reaches the future at once, and the task a turn later.
            if done.done():
                leave(job)
            else:
                done.set_result(None)

        def leave(job: Job[T]) -> None:
            error, job.error = job.error, None
            if is_writing and error is not None and self.late is None:
                self.late = error
            self.let_go()

        try:
            job = start(work, ended)
        except BaseException:
            self.let_go()
            raise
        try:
            await done
        except BaseException:
            job.is_abandoned = True
            if done.done() and not done.cancelled():
                # It had ended, and the task was cancelled before it could look.
                leave(job)
            done.cancel()
            raise
        error, job.error = job.error, None
        if error is None:
            return cast("T", job.result)
        self.let_go()
        try:
            raise_told(error, self.path)
        finally:
            del error  # it leads to this frame, which would lead to it

    # The end.

    def begin_close(self) -> None:
        """Close it when what is being done has ended; twice does no harm."""
        if self.is_closing:
            return
        self.is_closing = True
        self.ahead.settle()
        self.ahead.forget()
        self.turns.wake_all()
        self.arrivals.wake_all()
        if not self.is_busy:
            self.is_busy = True
            self.let_go()

    def _closed(self, job: Job[None]) -> None:
        self.is_closed = True
        error, job.error = job.error, None
        if error is not None and self.late is None:
            self.late = error
        self.closers.wake_all()

    async def close(self) -> None:
        """Close it, and wait until it is.

        Cancel safety:
            Safe: it is closed all the same.
        """
        self.begin_close()
        await Closing(self)

    def raise_late(self) -> None:
        """Tell of a write that failed when nobody waited for it."""
        error, self.late = self.late, None
        if error is not None:
            try:
                raise_told(error, self.path)
            finally:
                del error

    def drop(self) -> None:
        """Close it at once if nothing is done with it, or soon; for a finaliser."""
        if self.is_closing:
            return
        if running_loop() is not self.loop and not self.loop.is_closed():
            # The collector has come upon it on another thread.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.begin_close)
                return
        self.is_closing = True
        if not self.is_busy:
            self.is_busy = self.is_closed = True
            self.raw.close()


@final
class Turn(QueuedOperation[None]):
    """Wait until nothing else is done with a file.

    Args:
        handle: The file.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle) -> None:
        QueuedOperation.__init__(self, handle.turns)
        self._handle = handle

    def __repr__(self) -> str:
        return f"<turn of {self._handle.what}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """Take the turn, if nobody has it; see `Operation.poll`.

        Returns:
            None when it is taken, or `PENDING`.

        Raises:
            Closed: The file was closed.
        """
        handle = self._handle
        if self.take_grant():
            return None
        if handle.is_closing:
            self.forget_place()
            raise Closed(handle.what)
        if handle.try_turn():
            self.forget_place()
            return None
        return PENDING

    def give_back(self, granted: int) -> None:
        """Let the next have it."""
        del granted
        self._handle.let_go()


@final
class Closing(QueuedOperation[None]):
    """Wait until a file is closed.

    Args:
        handle: The file.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle) -> None:
        QueuedOperation.__init__(self, handle.closers)
        self._handle = handle

    def __repr__(self) -> str:
        return f"<end of {self._handle.what}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it is; see `Operation.poll`."""
        if not self._handle.is_closed:
            return PENDING
        self.forget_place()
        return None
