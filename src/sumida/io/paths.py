"""What can be done with a path: look, rename, copy, remove; each call on a thread."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeVar

from sumida.io._offload import off_loop
from sumida.io._raw import telling_full

__all__ = (
    "copy_file",
    "create_dir",
    "create_dir_all",
    "exists",
    "metadata",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
)

T = TypeVar("T")


async def metadata(
    path: str | PathLike[str], *, follow_links: bool = True
) -> os.stat_result:
    """Look at what is there.

    Args:
        path: A file or folder.
        follow_links: Whether to look at what a link leads to, or at the link.

    Returns:
        What the system knows of it; `st_size` is its size in bytes.

    Raises:
        FileNotFoundError: There is nothing.
        OSError: The system refused for another reason.

    Cancel safety:
        Safe.

    Source:
        `tokio::fs::metadata`, `symlink_metadata`
    """
    return await off_loop(os.stat, path, follow_symlinks=follow_links)


async def exists(path: str | PathLike[str]) -> bool:
    """Tell whether something is there.

    Args:
        path: A file or folder; links are followed.

    Returns:
        Whether there is.

    Raises:
        OSError: It cannot be known, because a folder may not be looked into.

    Cancel safety:
        Safe.

    Source:
        `tokio::fs::try_exists`
    """
    try:
        await metadata(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


async def rename(source: str | PathLike[str], target: str | PathLike[str]) -> None:
    """Give a file or folder another name, in the place of the file that has it.

    Args:
        source: What is there.
        target: Its new name, on the same file system.

    Raises:
        FileNotFoundError: There is nothing at `source`.
        OSError: The system refused for another reason.

    Cancel safety:
        Not safe: a cancelled call may rename all the same.

    Source:
        `tokio::fs::rename`
    """
    await off_loop(Path(source).replace, target)


async def copy_file(source: str | PathLike[str], target: str | PathLike[str]) -> int:
    """Copy a file and its permissions, in the kernel where it can.

    Args:
        source: The file.
        target: The name of the copy; a file that is there is replaced in place.

    Returns:
        Its size in bytes.

    Raises:
        StorageFullError: The disk is full; a part may have been written.
        FileNotFoundError: There is no such file.
        OSError: The system refused for another reason; or both are one file.

    Cancel safety:
        Not safe: a cancelled call goes on to its end.

    Source:
        `tokio::fs::copy`
    """
    return await off_loop(_copy, os.fspath(source), os.fspath(target))


def _copy(source: str, target: str) -> int:
    with telling_full(target):
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    return Path(target).stat().st_size


async def create_dir(path: str | PathLike[str], permissions: int = 0o777) -> None:
    """Make a folder.

    Args:
        path: Its path.
        permissions: Of the folder, less the process's mask.

    Raises:
        FileExistsError: There is something.
        FileNotFoundError: There is no folder to make it in.
        OSError: The system refused for another reason.

    Cancel safety:
        Not safe: a cancelled call may make it all the same.

    Source:
        `tokio::fs::create_dir`
    """
    await _told(path, partial(os.mkdir, path, permissions))


async def create_dir_all(path: str | PathLike[str], permissions: int = 0o777) -> None:
    """Make a folder, and those that it is to be in; nothing if it is there.

    Args:
        path: Its path.
        permissions: Of the last folder, less the process's mask.

    Raises:
        FileExistsError: There is a file.
        OSError: The system refused for another reason.

    Cancel safety:
        Not safe: a cancelled call may make them all the same.

    Source:
        `tokio::fs::create_dir_all`
    """
    await _told(path, partial(os.makedirs, path, permissions, exist_ok=True))


async def remove_file(path: str | PathLike[str]) -> None:
    """Remove a file, or a link.

    Args:
        path: Its path.

    Raises:
        FileNotFoundError: There is nothing.
        OSError: It is a folder, or the system refused.

    Cancel safety:
        Not safe: a cancelled call may remove it all the same.

    Source:
        `tokio::fs::remove_file`
    """
    await off_loop(Path(path).unlink)


async def remove_dir(path: str | PathLike[str]) -> None:
    """Remove an empty folder.

    Args:
        path: Its path.

    Raises:
        FileNotFoundError: There is nothing.
        OSError: It is not empty or no folder, or the system refused.

    Cancel safety:
        Not safe: a cancelled call may remove it all the same.

    Source:
        `tokio::fs::remove_dir`
    """
    await off_loop(Path(path).rmdir)


async def remove_dir_all(path: str | PathLike[str]) -> None:
    """Remove a folder with all that is in it; links are removed and not followed.

    Args:
        path: Its path; no link.

    Raises:
        FileNotFoundError: There is nothing.
        OSError: It is no folder, or the system refused; some may have been removed.

    Cancel safety:
        Not safe: a cancelled call goes on to its end.

    Source:
        `tokio::fs::remove_dir_all`
    """
    await off_loop(shutil.rmtree, path)


async def _told(path: str | PathLike[str], call: Callable[[], T]) -> T:
    def work() -> T:
        with telling_full(os.fspath(path)):
            return call()

    return await off_loop(work)
