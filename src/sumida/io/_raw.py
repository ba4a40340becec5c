"""Files as the threads see them: opened so that nothing hangs, with typed errors."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from sumida.io._handle import raise_told

__all__ = ("open_raw", "telling_full")


@contextmanager
def telling_full(path: str) -> Iterator[None]:
    """Give the error of a full disk its type, inside the block.

    Args:
        path: The file.

    Yields:
        Nothing.
    """
    try:
        yield
    except OSError as error:
        raise_told(error, path)


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
