"""Count what a test must not leak."""

import asyncio
from pathlib import Path

from sumida.io._offload import FILES

__all__ = ("descriptors", "names_in", "wait_for_descriptors")


def descriptors() -> int:
    """Count the open descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def wait_for_descriptors(count: int) -> None:
    """Wait until so many are open, and no more: a thread may be about to close one."""
    async with asyncio.timeout(10):
        while FILES._threads.busy(None) or descriptors() != count:
            await asyncio.sleep(0)


def names_in(folder: Path) -> list[str]:
    """List what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())
