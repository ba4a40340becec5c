"""Open a file: see `sumida.io.files` for what can be done with it then."""

import os
import stat
from functools import partial
from io import FileIO
from os import PathLike
from typing import Final, Literal, TypeAlias

from sumida.io._handle import Handle
from sumida.io._offload import acquire
from sumida.io.files import File

__all__ = ("Mode", "open", "open_raw")

Mode: TypeAlias = Literal["r", "r+", "w", "w+", "a", "a+", "x", "x+"]
"""As those of the built-in `open`; a file is always one of bytes."""

_MODES: Final = frozenset({"r", "r+", "w", "w+", "a", "a+", "x", "x+"})


async def open(  # noqa: A001  # as the built-in, for what does the same
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    permissions: int = 0o666,
) -> File:
    """Open a file.

    Args:
        path: Its path.
        mode: "r" to read, "w" to write a new or emptied file, "a" to write to its end,
            "x" to write one that must not be there; with "+" to read and write.
        permissions: Of a file that is made, less the process's mask.

    Returns:
        The file, at its beginning; it is one of bytes, see `File.lines` for text.

    Raises:
        ValueError: There is no such mode; or the path is a FIFO, whose opening and
            reading wait for another process: use `open_receiver`, `open_sender`.
        FileNotFoundError: There is no such file.
        OSError: The system refused for another reason.

    Cancel safety:
        Safe: what a cancelled call has opened is closed.

    Source:
        `tokio::fs::OpenOptions`
    """
    if mode not in _MODES:
        raise ValueError(
            f"mode must be one of {', '.join(sorted(_MODES))}, not {mode!r}; files are "
            "of bytes, and lines() reads text"
        )
    text = os.fspath(path)
    raw = await acquire(partial(open_raw, text, mode, permissions), FileIO.close)
    return File(Handle(raw, f"File {text!r}", text))


def open_raw(path: str, mode: str, permissions: int) -> FileIO:
    """Open a file; on a thread.

    Args:
        path: Its path.
        mode: As for `open`.
        permissions: As for `open`.

    Returns:
        The descriptor, which blocks.

    Raises:
        ValueError: It is a FIFO.
    """

    def opener(name: str, flags: int) -> int:
        # Or opening a FIFO would wait for its other end, for ever perhaps.
        fd = os.open(name, flags | os.O_NONBLOCK, permissions)
        try:
            _refuse_fifo(fd, name)
            # The description is our own: nobody else sees its flags.
            os.set_blocking(fd, True)
        except BaseException:
            os.close(fd)
            raise
        return fd

    return FileIO(path, mode, opener=opener)


def _refuse_fifo(fd: int, path: str) -> None:
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        raise ValueError(f"{path} is a FIFO; use open_receiver() or open_sender()")
