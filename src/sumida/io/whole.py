"""Read and write a whole file by one call.

Small files only: all of it is in memory. For a big one see `io.read_chunks`.
"""

import contextlib
import errno
import os
import secrets
import stat
from os import PathLike
from pathlib import Path
from typing import Final

from sumida.io._checks import freeze
from sumida.io._handle import read_fully, write_fully
from sumida.io._offload import off_loop
from sumida.io._raw import open_raw, telling_full
from sumida.io._writing import Data
from sumida.runtime.blocking import blocking_cancelled

__all__ = ("read", "read_text", "write", "write_atomic")

_ALL: Final = 1 << 62
"""More bytes than any file has."""


async def read(path: str | PathLike[str]) -> bytes:
    """Read a whole file.

    Args:
        path: The file.

    Returns:
        What is in it.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: The system refused for another reason.

    Cancel safety:
        Safe: nothing is changed.

    Source:
        `tokio::fs::read`
    """
    return await off_loop(_read, os.fspath(path))


def _read(path: str) -> bytes:
    with open_raw(path, "r", 0) as raw:
        return read_fully(raw, _ALL)


async def read_text(
    path: str | PathLike[str], encoding: str = "utf-8", errors: str = "strict"
) -> str:
    """Read a whole file as text; the ends of lines stay as they are.

    Args:
        path: The file.
        encoding: Of the text.
        errors: What to do about bytes that are not text, as for `bytes.decode`.

    Returns:
        The text.

    Raises:
        UnicodeDecodeError: It is not text.
        FileNotFoundError: There is no such file.
        OSError: The system refused for another reason.

    Cancel safety:
        Safe: nothing is changed.

    Source:
        `tokio::fs::read_to_string`
    """
    return (await read(path)).decode(encoding, errors)


async def write(path: str | PathLike[str], data: Data | str) -> None:
    """Write a whole file: a new one, or in the place of what is in it.

    Who reads it meanwhile, or after a crash, may see a part; see `write_atomic`.

    Args:
        path: The file.
        data: Bytes, or text, which is written as UTF-8.

    Raises:
        TypeError: `data` is neither.
        StorageFullError: The disk is full; a part may have been written.
        OSError: The system refused for another reason.

    Cancel safety:
        Not safe: a cancelled call may write all the same.

    Source:
        `tokio::fs::write`
    """
    kept = _bytes(data)
    await off_loop(_write, os.fspath(path), kept)


def _write(path: str, data: bytes) -> None:
    with telling_full(path), open_raw(path, "w", 0o666) as raw:
        write_fully(raw, data)


async def write_atomic(path: str | PathLike[str], data: Data | str) -> None:
    """Write a whole file, so that everybody sees the old or the new one, never a part.

    That holds after a crash, too: the new file is written beside the old one, brought
    to the disk, and renamed. It has the old one's permissions, and its owner where
    that is allowed; other names (hard links) keep the old content. A symbolic link
    stays, and what it leads to is replaced.

    Args:
        path: The file.
        data: Bytes, or text, which is written as UTF-8.

    Raises:
        TypeError: `data` is neither.
        StorageFullError: The disk is full; the old file is as it was.
        OSError: The system refused for another reason; as above.

    Cancel safety:
        Not safe: a cancelled call may replace the file all the same, as a whole.
    """
    kept = _bytes(data)
    await off_loop(_write_atomic, os.fspath(path), kept)


def _write_atomic(path: str, data: bytes) -> None:
    target = Path(path).resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        old = target.stat()
    except FileNotFoundError:
        old = None
    with telling_full(path):
        # Nobody may read what nobody might read before.
        raw = open_raw(str(draft), "x", 0o666 if old is None else 0o600)
        try:
            with raw:
                if old is not None:
                    _take_after(raw.fileno(), old)
                write_fully(raw, data)
                os.fsync(raw.fileno())
            if blocking_cancelled():
                draft.unlink()
                return
            draft.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        _sync_folder(target.parent)


def _take_after(fd: int, old: os.stat_result) -> None:
    """Give a new file the owner and the permissions of the old one."""
    if (os.getuid(), os.getgid()) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where it can be asked for."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems do not know how.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)


def _bytes(data: Data | str) -> bytes:
    return data.encode() if isinstance(data, str) else freeze(data)
