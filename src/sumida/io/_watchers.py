"""Two ways to learn of changes: the kernel tells, or somebody looks again and again.

Neither knows the handle that people hold, so that one which is forgotten can be
collected. What may wait for the disk is done on a thread, one look at a time.
"""

import contextlib
from abc import abstractmethod
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast, final

from sumida.io._changes import Board
from sumida.io._inotify import Event, Inotify
from sumida.io._offload import start
from sumida.io._places import Listing, Place, Stamp, places, stamp, take_listing
from sumida.runtime._delivery import Job

__all__ = ("RETRY", "KernelWatcher", "PollingWatcher", "Watcher")

_TRIES: Final = 10
"""How often links may change while they are followed, before it is tried later."""

RETRY: Final = 1.0
"""How often it is looked whether a folder that went has come back, in seconds."""


class Watcher:
    """Puts on a board what has changed.

    Args:
        path: What is watched, an absolute path.
        is_folder: Whether every entry below it counts.
    """

    __slots__ = ("_board", "_is_closed", "_is_looking", "_timer", "is_folder", "path")

    def __init__(self, path: Path, *, is_folder: bool) -> None:
        self.path = path
        self.is_folder = is_folder
        self._board = cast("Board", None)
        self._is_looking = False
        self._is_closed = False
        self._timer: TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.path}>"

    @abstractmethod
    def look(self) -> None:
        """See what is there now; on a thread."""
        raise NotImplementedError

    @abstractmethod
    def compare(self) -> None:
        """Put on the board what is not as it was, and plan what comes next."""
        raise NotImplementedError

    @abstractmethod
    def release(self) -> None:
        """Give the system's things back."""
        raise NotImplementedError

    def begin(self, board: Board, loop: AbstractEventLoop) -> None:
        """Watch from now on; `look` was called once.

        Args:
            board: Where changes go.
            loop: The event loop.
        """
        del loop
        self._board = board

    def _start_looking(self) -> None:
        self._timer = None
        if not self._is_looking and not self._is_closed:
            self._is_looking = True
            start(self.look, self._looked)

    def _looked(self, job: Job[None]) -> None:
        self._is_looking = False
        if self._is_closed:
            self.release()
            return
        if job.error is not None:
            # What is not there is no error here, so this is a fault of ours.
            raise job.error
        self.compare()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Watch no longer; twice does no harm."""
        if self._is_closed:
            return
        self._is_closed = True
        self._cancel_timer()
        # A thread that looks may use them still.
        if not self._is_looking:
            self.release()


@final
class PollingWatcher(Watcher):
    """Looks at the path again and again.

    Args:
        path: What is watched, an absolute path.
        is_folder: Whether every entry below it counts.
        period: How often, in seconds.
    """

    __slots__ = ("_loop", "_new", "_old", "period")

    def __init__(self, path: Path, *, is_folder: bool, period: float) -> None:
        super().__init__(path, is_folder=is_folder)
        self.period = period
        self._loop = cast("AbstractEventLoop", None)
        self._old: Listing | Stamp = None
        self._new: Listing | Stamp = None

    def look(self) -> None:
        """See what is there now; on a thread."""
        self._new = take_listing(self.path) if self.is_folder else stamp(self.path)

    def begin(self, board: Board, loop: AbstractEventLoop) -> None:
        """Compare with what is there now; see `Watcher.begin`."""
        super().begin(board, loop)
        self._old = self._new
        self._loop = loop
        self._timer = loop.call_later(self.period, self._start_looking)

    def compare(self) -> None:
        """Put on the board what is not as it was, and look again in a while."""
        old, new = self._old, self._new
        self._old = new
        if old != new:
            if isinstance(old, dict) and isinstance(new, dict):
                for name in old.keys() | new.keys():
                    if name not in old or name not in new or old[name] != new[name]:
                        self._board.note(self.path / name)
            else:
                self._board.note(self.path)
        self._timer = self._loop.call_later(self.period, self._start_looking)

    def release(self) -> None:
        """Give nothing back: there is nothing."""


@final
class KernelWatcher(Watcher):
    """Is told by the kernel.

    Args:
        path: What is watched, an absolute path.
        is_folder: Whether every entry below it counts.

    Raises:
        OSError: The system has no inotify, or none left for this user.
    """

    __slots__ = (
        "_folders",
        "_has_changed",
        "_inotify",
        "_is_whole",
        "_loop",
        "_must_look",
        "_places",
    )

    def __init__(self, path: Path, *, is_folder: bool) -> None:
        super().__init__(path, is_folder=is_folder)
        self._loop: AbstractEventLoop | None = None
        self._places: Sequence[Place] = ()
        self._folders: dict[int, Path] = {}
        self._is_whole = True
        self._must_look = False
        self._has_changed = False
        self._inotify = Inotify()

    def look(self) -> None:
        """Watch the folders that matter now; on a thread.

        Raises:
            OSError: The user may watch no more; only the first time.
        """
        found = places(self.path, is_folder=self.is_folder)
        folders: dict[int, Path] = {}
        for _ in range(_TRIES):
            folders = self._watch(found)
            again = places(self.path, is_folder=self.is_folder)
            if found == again:
                break
            # A link was changed just before its folder was watched.
            found = again
        else:
            self._is_whole = False
        for number in self._folders.keys() - folders.keys():
            self._inotify.remove(number)
        self._has_changed = folders != self._folders or found != self._places
        self._places = found
        self._folders = folders

    def _watch(self, found: Sequence[Place]) -> dict[int, Path]:
        folders: dict[int, Path] = {}
        self._is_whole = True
        for folder in {place.folder for place in found}:
            try:
                folders[self._inotify.add(str(folder))] = folder
            except OSError as error:
                is_absent = isinstance(error, FileNotFoundError | NotADirectoryError)
                if not is_absent and not self._places:
                    raise
                self._is_whole = False
        return folders

    def begin(self, board: Board, loop: AbstractEventLoop) -> None:
        """Listen to the kernel; see `Watcher.begin`."""
        super().begin(board, loop)
        self._loop = loop
        loop.add_reader(self._inotify.fd, self._hear)
        self._plan()

    def _hear(self) -> None:
        for event in self._inotify.read():
            self._judge(event)
        if self._must_look and not self._is_looking:
            self._cancel_timer()
            self._plan()

    def _judge(self, event: Event) -> None:
        if event.is_lost:
            self._board.note(self.path)
            self._must_look = True
            return
        folder = self._folders.get(event.folder)
        if folder is None:
            return
        if event.is_gone:
            self._must_look = True
            return
        for place in self._places:
            if place.folder != folder:
                continue
            if place.name is None:
                self._board.note(self.path / event.name)
            elif place.name == event.name:
                self._board.note(self.path)
                self._must_look = self._must_look or event.is_entry

    def compare(self) -> None:
        """Tell if the path has come to mean something else.

        What was behind a new link may have changed before it was watched, so that is
        told once more.
        """
        if self._has_changed:
            self._board.note(self.path)
        self._plan()

    def _plan(self) -> None:
        if self._must_look:
            self._must_look = False
            self._start_looking()
        elif not self._is_whole and self._loop is not None:
            self._timer = self._loop.call_later(RETRY, self._start_looking)

    def release(self) -> None:
        """Give the inotify instance back."""
        if self._inotify.fd >= 0:
            if self._loop is not None and not self._loop.is_closed():
                with contextlib.suppress(RuntimeError):
                    self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
