"""Files and folders that are removed when they are no longer needed.

`async with temporary_folder() as folder:` gives a `Path`, `async with temporary_file()
as file:` a `File` whose `name` is its path. They are made and removed on a thread, and
removed however the block is left.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from io import FileIO
from os import PathLike
from pathlib import Path

from sumida.io._handle import Handle
from sumida.io._offload import acquire, complete
from sumida.io.files import File

__all__ = ("temporary_file", "temporary_folder")


@asynccontextmanager
async def temporary_folder(
    folder: str | PathLike[str] | None = None, prefix: str = "sumida-"
) -> AsyncIterator[Path]:
    """Make a folder that only this user can look into, and remove it with all in it.

    Args:
        folder: Where to make it; the system's place for such things when None.
        prefix: What its name begins with.

    Yields:
        Its path.

    Raises:
        OSError: The system refused.

    Cancel safety:
        Safe: it is removed all the same.
    """
    path = await acquire(partial(_make_folder, folder, prefix), _remove_folder)
    try:
        yield path
    finally:
        await complete(partial(_remove_folder, path))


@asynccontextmanager
async def temporary_file(
    folder: str | PathLike[str] | None = None, prefix: str = "sumida-", suffix: str = ""
) -> AsyncIterator[File]:
    """Make a file that only this user can open, and remove it.

    It may be renamed in the block, and stays then.

    Args:
        folder: Where to make it; the system's place for such things when None.
        prefix: What its name begins with.
        suffix: What its name ends with.

    Yields:
        The file, open to read and write; its `name` is its path.

    Raises:
        OSError: The system refused, or a write failed whose task was cancelled.

    Cancel safety:
        Safe: it is removed all the same.
    """
    raw, path = await acquire(partial(_make_file, folder, prefix, suffix), _drop_file)
    try:
        async with File(Handle(raw, f"File {path!r}", path)) as file:
            yield file
    finally:
        await complete(partial(_remove_file, path))


def _make_folder(folder: str | PathLike[str] | None, prefix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=prefix, dir=folder))


def _remove_folder(path: Path) -> None:
    # Removed by the block itself, perhaps.
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _make_file(
    folder: str | PathLike[str] | None, prefix: str, suffix: str
) -> tuple[FileIO, str]:
    fd, path = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
    try:
        return FileIO(fd, "r+"), os.fspath(path)
    except BaseException:
        os.close(fd)
        raise


def _remove_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()


def _drop_file(made: tuple[FileIO, str]) -> None:
    raw, path = made
    raw.close()
    _remove_file(path)
