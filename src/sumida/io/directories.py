"""What is in a folder, entry by entry, and in all the folders below it.

A folder is read in batches on a thread, so that one with a million entries neither
stops the loop nor fills the memory.
"""

import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, final

from sumida.io._offload import complete, off_loop

__all__ = ("Entries", "Entry", "EntryKind", "read_dir", "walk")

EntryKind: TypeAlias = Literal["file", "folder", "link", "other"]
"""What an entry is; a link is one wherever it leads."""

_BATCH: Final = 256
"""Entries read at once."""


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder.

    Attributes:
        path: Its path.
        kind: What it was when it was seen.

    Source:
        `tokio::fs::DirEntry`
    """

    path: Path
    kind: EntryKind

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.kind == "folder"

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.kind == "file"


@final
class Entries:
    """An async iterator over entries; made by `read_dir` and `walk`.

    Nothing is open between its steps but the folder that is being read, which is closed
    at its end, by `aclose`, and when the iterator is dropped.

    Args:
        top: Where to begin.
        is_deep: Whether to go into the folders.
        on_error: Told of a folder that cannot be read; the error is raised when None.

    Raises:
        FileNotFoundError: When iterated: `top` is not there.
        OSError: When iterated: a folder cannot be read; iterating on leaves it out.

    Source:
        `tokio::fs::ReadDir`
    """

    __slots__ = (
        "_arrived",
        "_batch",
        "_folders",
        "_is_deep",
        "_on_error",
        "_scan",
        "_top",
    )

    def __init__(
        self,
        top: Path,
        *,
        is_deep: bool,
        on_error: Callable[[OSError], object] | None = None,
    ) -> None:
        self._top = top
        self._is_deep = is_deep
        self._on_error = on_error
        self._folders = [top]
        self._scan: _Scan | None = None
        self._arrived = 0
        self._batch: deque[Entry] = deque()

    def __repr__(self) -> str:
        return f"<Entries of {str(self._top)!r}>"

    def __aiter__(self) -> AsyncIterator[Entry]:
        return self

    async def __anext__(self) -> Entry:
        while not self._batch:
            if self._scan is None:
                if not self._folders:
                    raise StopAsyncIteration
                self._scan = _Scan(self._folders.pop())
                self._arrived = 0
            scan = self._scan
            try:
                found = await off_loop(scan.next_batch, self._arrived)
            except OSError as error:
                self._scan = None
                is_gone = (
                    isinstance(error, FileNotFoundError) and scan.path != self._top
                )
                if is_gone:
                    # Removed since it was seen.
                    continue
                if self._on_error is None:
                    raise
                self._on_error(error)
                continue
            if self._scan is scan:
                self._keep(found)
        return self._batch.popleft()

    def _keep(self, found: list[Entry]) -> None:
        self._arrived += len(found)
        if len(found) < _BATCH:
            self._scan = None
        self._batch += found
        if self._is_deep:
            self._folders += [entry.path for entry in found if entry.is_folder]

    async def aclose(self) -> None:
        """End it; twice does no harm.

        Cancel safety:
            Safe: it is ended all the same.
        """
        self._folders.clear()
        self._batch.clear()
        scan, self._scan = self._scan, None
        if scan is not None:
            await complete(scan.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


@final
class _Scan:
    """One folder that is being read.

    A call that was cancelled may still be reading when the next one comes, and what it
    has read was given to nobody: so each tells how many entries have arrived.

    Args:
        path: The folder.
    """

    __slots__ = ("_gate", "_given", "_last", "_names", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._gate = threading.Lock()
        self._names: Iterator[os.DirEntry[str]] | None = None
        self._last: list[Entry] = []
        self._given = 0

    def __repr__(self) -> str:
        return f"<_Scan of {str(self.path)!r}>"

    def next_batch(self, arrived: int) -> list[Entry]:
        """Read some entries; fewer than a whole batch at the end."""
        with self._gate:
            if self._given == arrived:
                if self._names is None:
                    self._names = os.scandir(self.path)  # knows the kinds
                names = islice(self._names, _BATCH)
                self._last = [
                    Entry(self.path / each.name, _kind(each)) for each in names
                ]
                self._given += len(self._last)
            return self._last

    def close(self) -> None:
        """Close the folder."""
        with self._gate:
            names = self._names
            if names is not None:
                names.close()  # type: ignore[attr-defined]  # of what scandir gives

    def __del__(self) -> None:
        self.close()


def _kind(entry: os.DirEntry[str]) -> EntryKind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def read_dir(path: str | PathLike[str]) -> Entries:
    """Read what is in a folder, in no order.

    Args:
        path: The folder.

    Returns:
        An async iterator of `Entry`.

    Source:
        `tokio::fs::read_dir`
    """
    return Entries(Path(path), is_deep=False)


def walk(
    top: str | PathLike[str],
    *,
    on_error: Callable[[OSError], object] | None = None,
) -> Entries:
    """Read what is in a folder and in all folders below it.

    Links are given and not followed, so it ends. A folder that is removed meanwhile is
    left out.

    Args:
        top: The folder.
        on_error: Told of a folder that cannot be read, which is then left out; the
            error is raised when None.

    Returns:
        An async iterator of `Entry`; a folder comes before what is in it.
    """
    return Entries(Path(top), is_deep=True, on_error=on_error)
