"""Open a file: see `sumida.io.files` for what can be done with it then."""

import os
from functools import partial
from io import FileIO
from os import PathLike
from typing import Final, Literal, TypeAlias

from sumida.io._handle import Handle
from sumida.io._offload import acquire
from sumida.io._raw import open_raw
from sumida.io.files import File

__all__ = ("Mode", "open")

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
