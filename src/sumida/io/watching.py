"""Learn that a file or folder has changed: for what is read again when it does.

`async with await watch("app.toml") as changes:` and wait for `changes.changed()`, alone
or in a `select`. What one gets is where to look, not what happened: several changes
become one, and the file may have changed again by the time it is read. The last change
is never missed.
"""

import contextlib
import warnings
from asyncio import get_running_loop
from collections.abc import AsyncIterator
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from sumida.errors import Closed
from sumida.io._changes import Board, Changed
from sumida.io._checks import check_timeout
from sumida.io._offload import acquire
from sumida.io._watchers import RETRY, KernelWatcher, PollingWatcher, Watcher
from sumida.operation import Operation, Source

__all__ = ("POLL_PERIOD", "Watch", "watch")

POLL_PERIOD: Final = RETRY
"""How often a path is looked at where the kernel does not tell, in seconds."""

_SETTLE: Final = 0.05
"""Longer than an editor takes from the first byte of a small file to the last."""


@final
class Watch(Source[frozenset[Path]]):
    """Changes of a file or folder; made by `watch`.

    Leave it by `async with`, or close it. Use it as an async iterator, which ends when
    it is closed, or as a branch of `select.loop`. If several tasks wait, one of them
    has each change.
    """

    __slots__ = ("__weakref__", "_board", "_changed", "_watcher")

    def __init__(self, board: Board, watcher: Watcher) -> None:
        self._board = board
        self._watcher = watcher
        self._changed = Changed(board)

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        way = "polling" if self.is_polling else "inotify"
        return f"<Watch {state} of {self.path}, {way}>"

    @property
    def path(self) -> Path:
        """What is watched, as an absolute path."""
        return self._watcher.path

    @property
    def is_polling(self) -> bool:
        """Whether the path is looked at again and again: the kernel does not tell."""
        return isinstance(self._watcher, PollingWatcher)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._board.is_closed

    def changed(self) -> Operation[frozenset[Path]]:
        """Wait for the next change, and until it is quiet.

        Returns:
            An operation that gives the paths: the file, or the entries of the folder
            that came, went or were written; the folder itself when it went, came
            back, or changed so fast that the kernel lost count.

        Raises:
            Closed: When awaited: it was closed, and the last change was taken.

        Cancel safety:
            Safe: a cancelled call, or one that loses a `select`, has taken nothing.
        """
        return Changed(self._board) if self._changed.is_armed else self._changed

    def operation(self) -> Operation[frozenset[Path]]:
        """Give `changed()`, so that `select.loop` takes the watch itself."""
        return self.changed()

    def close(self) -> None:
        """Watch no longer; who waits is told by `Closed`. Twice does no harm."""
        self._board.close()
        self._watcher.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[frozenset[Path]]:
        return self

    async def __anext__(self) -> frozenset[Path]:
        try:
            return await self.changed()
        except Closed:
            raise StopAsyncIteration from None

    def __del__(self) -> None:
        board, watcher = self._board, self._watcher
        if board.is_closed:
            return
        loop = board.loop
        if not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(watcher.close)
        warnings.warn(
            f"{self!r} was collected while open; use `async with`, or close it",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


async def watch(
    path: str | PathLike[str],
    *,
    settle: float = _SETTLE,
    poll: float | None = None,
) -> Watch:
    """Watch a file or a folder, from now on.

    A file may be written in place or replaced by another that is renamed to its name,
    as editors do; any link on the way to it may be changed. It may be absent, now or
    later, and so may its folder later. Of a folder the entries are watched, not those
    of folders in it. On Linux the kernel tells (inotify); where it cannot, or no
    instance is left for this user, the path is looked at each `POLL_PERIOD`.

    Args:
        path: The file or folder; where nothing is, a file is expected.
        settle: How long it has to be quiet before a change is told, in seconds, 0 or
            more; after ten times that it is told in any case.
        poll: Look so often instead, in seconds: for network file systems, where the
            kernel does not see what others do. A change within one period that leaves
            size and time of the file as they were is not seen.

    Returns:
        The watch, which listens already.

    Raises:
        ValueError: `settle` is negative, or `poll` is not more than 0.
        FileNotFoundError: The folder of `path` is not there.

    Cancel safety:
        Safe: a cancelled call leaves no watch.
    """
    if not settle >= 0:
        raise ValueError(f"settle must be 0 seconds or more, not {settle}")
    check_timeout("poll", poll)
    watcher = await acquire(partial(_begin, Path(path), poll), Watcher.close)
    loop = get_running_loop()
    board = Board(str(watcher.path), loop, settle)
    watcher.begin(board, loop)
    return Watch(board, watcher)


def _begin(path: Path, poll: float | None) -> Watcher:
    """Make the watcher that works here; on a thread."""
    path = path.absolute()
    path.parent.stat()
    is_folder = path.is_dir()
    watcher: Watcher | None = None
    if poll is None:
        try:
            watcher = KernelWatcher(path, is_folder=is_folder)
            watcher.look()
        except OSError:
            # No inotify here, or none left; what is wrong with the path shows again.
            if watcher is not None:
                watcher.close()
        else:
            return watcher
    watcher = PollingWatcher(path, is_folder=is_folder, period=poll or POLL_PERIOD)
    watcher.look()
    return watcher
