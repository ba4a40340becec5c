"""The kernel's own watch of folders on Linux: the calls, and what they tell.

Python has no module for it, so libc is called directly. A folder is watched and never
a file: editors save by renaming a new file over the old one, and a watch on the old
one would go with it.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple, final

__all__ = ("Event", "Inotify", "parse")

_MODIFY: Final = 0x2
_ATTRIB: Final = 0x4
_CLOSE_WRITE: Final = 0x8
_MOVED_FROM: Final = 0x40
_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_DELETE: Final = 0x200
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
_UNMOUNT: Final = 0x2000
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_ONLYDIR: Final = 0x01000000
_INTEREST: Final = (
    _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
) | (_DELETE_SELF | _MOVE_SELF | _ONLYDIR)

_HEAD: Final = struct.Struct("iIII")
_READ_SIZE: Final = 64 * 1024
"""Bytes read at once; one event has at most 16 and a name of 255."""


@final
class Event(NamedTuple):
    """One thing that happened in a watched folder.

    Attributes:
        folder: The number that `Inotify.add` gave; -1 for all of them.
        name: The entry; empty for the folder itself.
        is_lost: Whether events were lost, so that anything may have changed.
        is_gone: Whether the folder is no longer watched, or no longer there.
        is_entry: Whether the entry came, went or was replaced, and not only written.
    """

    folder: int
    name: str
    is_lost: bool = False
    is_gone: bool = False
    is_entry: bool = False


def parse(data: bytes) -> Iterator[Event]:
    """Read what the kernel wrote.

    Args:
        data: Whole events, as a read gives them.

    Yields:
        The events, in order.
    """
    at = 0
    while at + _HEAD.size <= len(data):
        folder, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length
        gone = mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED)
        entry = mask & (_MOVED_FROM | _MOVED_TO | _CREATE | _DELETE)
        yield Event(folder, name, bool(mask & _OVERFLOW), bool(gone), bool(entry))


class _Calls:
    """The functions of libc, looked up when they are first needed."""

    __slots__ = ("_libc",)

    def __init__(self) -> None:
        self._libc: ctypes.CDLL | None = None

    def call(self, name: str, *args: object) -> int:
        """Call a function that gives -1 and an `errno` when it fails."""
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "inotify is Linux's own")
        if self._libc is None:
            self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            function = getattr(self._libc, name)
        except AttributeError:
            raise OSError(errno.ENOSYS, f"libc has no {name}") from None
        result: int = function(*args)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


_calls: Final = _Calls()


@final
class Inotify:
    """One instance of the kernel's, and the folders that it watches.

    Raises:
        OSError: There is none here, or the user has no instance left.

    Attributes:
        fd: The descriptor, which is readable when something happened.
    """

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = _calls.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def __repr__(self) -> str:
        return f"<Inotify {self.fd}>"

    def add(self, folder: str) -> int:
        """Watch a folder; one that is watched already keeps its number.

        Args:
            folder: Its path.

        Returns:
            Its number in events.

        Raises:
            OSError: It is not there, or the user may not watch more.
        """
        path = os.fsencode(folder)
        try:
            return _calls.call(
                "inotify_add_watch",
                ctypes.c_int(self.fd),
                ctypes.c_char_p(path),
                ctypes.c_uint32(_INTEREST),
            )
        except OSError as error:
            raise OSError(error.errno, error.strerror, folder) from None

    def remove(self, number: int) -> None:
        """Watch a folder no longer; nothing happens when it has gone already.

        Args:
            number: What `add` gave.
        """
        try:
            _calls.call("inotify_rm_watch", ctypes.c_int(self.fd), ctypes.c_int(number))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def read(self) -> list[Event]:
        """Take what has happened; nothing when nothing has."""
        try:
            return list(parse(os.read(self.fd, _READ_SIZE)))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Give the instance back; twice does no harm."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # Of one whose loop was closed under it.
        if hasattr(self, "fd"):
            self.close()
