"""Read a file on, block after block, for who takes all of it in order.

A thread that has read needs the interpreter's lock to say so, and a loop that computes
gives it away when it waits, or after 5 ms. A call for each block would so begin when
the loop has nothing left to do, and nothing would be read meanwhile. Here a call that
comes back and finds somebody waiting reads the next block as well, while that one works
on the first.
"""

from collections import deque
from typing import Literal, final

from sumida.errors import Closed
from sumida.io._handle import Handle, raise_told
from sumida.io._offload import start
from sumida.operation import PENDING, Pending, QueuedOperation
from sumida.runtime._delivery import Job

__all__ = ("Feed",)


@final
class Feed:
    """Puts blocks of a file into `Handle.ahead`, for one who takes them.

    Args:
        handle: The file.
        size: Bytes of a block; 1 or more.

    Attributes:
        handle: As above.
        is_running: Whether a call reads on.
        error: What that call failed by, for the first who waits.
    """

    __slots__ = ("_came", "_is_ended", "_size", "error", "handle", "is_running")

    def __init__(self, handle: Handle, size: int) -> None:
        self.handle = handle
        self._size = size
        self.is_running = False
        self.error: BaseException | None = None
        # Whether what was read last was the end of the file.
        self._is_ended = False
        # Read, and not yet seen by the loop: two blocks at most.
        self._came: deque[bytes] = deque()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "idle"
        return f"<Feed of {self.handle.what} {state}>"

    async def more(self) -> bool:
        """Wait until there is more than before; for who cannot go on without.

        Returns:
            Whether there is; False at the end of the file.

        Raises:
            Closed: The file was closed.
            OSError: The system refused.

        Cancel safety:
            Safe: what was read is kept.
        """
        handle = self.handle
        before = handle.ahead.total
        while True:
            # A call that was made before may have seen the end too early.
            is_asked = not self.is_running
            if is_asked:
                await handle.wait_for_turn()
                if handle.ahead.total != before:
                    # By another task, while this one waited.
                    handle.let_go()
                    return True
                self._start()
            await Arrival(self, before)
            if handle.ahead.total != before:
                return True
            if is_asked and self._is_ended:
                return False

    def begin(self) -> None:
        """Read a block, if nobody does anything else; wait for nothing."""
        if not self._is_ended and not self.is_running and self.handle.try_turn():
            self._start()

    def _start(self) -> None:
        """Make the call, with the turn, which it gives back."""
        self.is_running = True
        self.error = None
        try:
            start(self._read_on, self._end)
        except BaseException:
            self.is_running = False
            self.handle.let_go()
            raise

    def _read_on(self) -> None:
        """Read one block, and on while somebody waits for each; on a thread."""
        handle = self.handle
        while True:
            block = handle.raw.read(self._size)
            is_seen = not self._came
            self._came.append(block)
            if (
                not block
                or not is_seen
                or handle.arrivals.head is None
                or handle.turns.head is not None
                or handle.is_closing
            ):
                return
            try:
                handle.loop.call_soon_threadsafe(self._take_in)
            except RuntimeError:
                # The loop was closed.
                return

    def _take_in(self) -> None:
        """Keep what came, and wake who waits."""
        handle = self.handle
        while self._came:
            block = self._came.popleft()
            self._is_ended = not block
            if not handle.is_closing:
                handle.ahead.keep(block)
        handle.arrivals.wake_all()

    def _end(self, job: Job[None]) -> None:
        self.is_running = False
        error, job.error = job.error, None
        if self.handle.arrivals.first() is not None:
            self.error = error
        self._take_in()
        self.handle.let_go()


@final
class Arrival(QueuedOperation[None]):
    """Wait until there is more, or the call that reads on has ended.

    Args:
        feed: Who reads.
        before: What `Ahead.total` was.
    """

    __slots__ = ("_before", "_feed")

    def __init__(self, feed: Feed, before: int) -> None:
        QueuedOperation.__init__(self, feed.handle.arrivals)
        self._feed = feed
        self._before = before

    def __repr__(self) -> str:
        return f"<arrival of {self._feed!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether there is; see `Operation.poll`.

        Returns:
            None when it is worth looking, or `PENDING`.

        Raises:
            Closed: The file was closed.
            OSError: The system refused.
        """
        feed = self._feed
        handle = feed.handle
        is_more = handle.ahead.total != self._before
        if not is_more and feed.is_running and not handle.is_closing:
            return PENDING
        self.forget_place()
        if is_more:
            return None
        if handle.is_closing:
            raise Closed(handle.what)
        error, feed.error = feed.error, None
        if error is not None:
            try:
                raise_told(error, handle.path)
            finally:
                del error  # it leads to this frame, which would lead to it
        return None
