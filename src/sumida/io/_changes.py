"""What has changed and nobody has taken: the part of a watch that knows no system."""

from asyncio import AbstractEventLoop, TimerHandle
from pathlib import Path
from typing import Final, Literal, final

from sumida._core.waiters import WaiterQueue
from sumida.errors import Closed
from sumida.operation import PENDING, Pending, QueuedOperation

__all__ = ("Board", "Changed")

_PATIENCE: Final = 10
"""After so many quiet times a change is told, though no quiet has come."""


@final
class Board:
    """Gathers changes until it is quiet, and hands them to who waits.

    Args:
        what: What is watched, for messages.
        loop: The event loop.
        settle: How long it has to be quiet, in seconds, 0 or more.

    Attributes:
        what: As above.
        loop: As above.
        waiters: Those who wait for a change.
        is_closed: Whether the watch has ended.
    """

    __slots__ = (
        "_first",
        "_is_ready",
        "_last",
        "_paths",
        "_settle",
        "_timer",
        "is_closed",
        "loop",
        "waiters",
        "what",
    )

    def __init__(self, what: str, loop: AbstractEventLoop, settle: float) -> None:
        self.what = what
        self.waiters = WaiterQueue()
        self.is_closed = False
        self.loop = loop
        self._settle = settle
        self._paths: set[Path] = set()
        self._is_ready = False
        self._first = 0.0
        self._last = 0.0
        self._timer: TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Board of {self.what}, {len(self._paths)} changed>"

    def note(self, path: Path) -> None:
        """Keep that `path` has changed.

        Args:
            path: Its path.
        """
        if self.is_closed:
            return
        self._paths.add(path)
        self._last = self.loop.time()
        if self._timer is None and not self._is_ready:
            self._first = self._last
            self._timer = self.loop.call_later(self._settle, self._look)

    def _look(self) -> None:
        self._timer = None
        due = min(self._last, self._first + self._settle * (_PATIENCE - 1))
        left = due + self._settle - self.loop.time()
        # uvloop's timers may be early by a millisecond, which does not matter here.
        if left > 0.001:  # noqa: PLR2004  # as told above
            self._timer = self.loop.call_later(left, self._look)
            return
        self._is_ready = True
        self.waiters.wake_all()

    def take(self) -> frozenset[Path] | None:
        """Take what has changed.

        Returns:
            The paths; None when there are none, or it is not quiet yet.
        """
        if not self._is_ready:
            return None
        self._is_ready = False
        paths = frozenset(self._paths)
        self._paths.clear()
        return paths

    def close(self) -> None:
        """Tell those who wait that no change will come; twice does no harm."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.waiters.wake_all()


@final
class Changed(QueuedOperation[frozenset[Path]]):
    """Wait for a change.

    Args:
        board: Where it will stand.
    """

    __slots__ = ("_board",)

    def __init__(self, board: Board) -> None:
        QueuedOperation.__init__(self, board.waiters)
        self._board = board

    def __repr__(self) -> str:
        return f"<change of {self._board.what}>"

    def poll(self) -> frozenset[Path] | Literal[Pending.PENDING]:
        """Take what has changed; see `Operation.poll`.

        Returns:
            The paths, or `PENDING`.

        Raises:
            Closed: The watch has ended, and the last change was taken.
        """
        paths = self._board.take()
        if paths is not None:
            self.forget_place()
            return paths
        if self._board.is_closed:
            self.forget_place()
            raise Closed(self._board.what)
        return PENDING

    def is_ready(self) -> bool:
        """Tell whether there is a change; see `Operation.is_ready`."""
        return self._board._is_ready or self._board.is_closed
