"""What the tests of child processes count: descriptors, zombies, members of groups."""

import os
from pathlib import Path

from sumida.process._members import living_members

__all__ = ("descriptors", "is_dead", "living_members", "zombies")


def descriptors() -> int:
    """Count the open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def _fields(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def zombies() -> list[int]:
    """List our children that have ended and were not reaped."""
    ours = str(os.getpid()).encode()
    return [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and _fields(path.name)[:2] == [b"Z", ours]
    ]


def is_dead(pid: int) -> bool:
    """Whether a process has ended; it may still be unreaped."""
    return _fields(str(pid))[:1] in ([], [b"Z"], [b"X"])
