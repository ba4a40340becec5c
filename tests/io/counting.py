"""Count what a test must not leak."""

import asyncio
from pathlib import Path

__all__ = ("descriptors", "wait_for_descriptors")


def descriptors() -> int:
    """Count the open descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def wait_for_descriptors(count: int) -> None:
    """Wait until so many are open, and no more: a thread may be about to close one."""
    async with asyncio.timeout(10):
        while descriptors() != count:
            await asyncio.sleep(0)
