"""What the tests of threads and processes share."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LONG = 30.0
"""No test waits longer than this, in seconds."""


class Gate:
    """Holds the threads that come to it until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()
        self.passed: list[object] = []

    def hold(self, mark: object = None) -> object:
        """Say that one is here, wait, and note it."""
        self.entered.release()
        assert self.opened.wait(LONG)
        self.passed.append(mark)
        return mark

    async def until_entered(self) -> None:
        """Wait until one more thread is here, without the pool under test."""
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(
            None, self.entered.acquire, True, LONG
        )  # its signature


async def until(condition: Callable[[], bool]) -> None:
    """Turn the loop until a thread has made `condition` true."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0)


def script(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(  # our own code  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def until_gone(pid: int) -> bool:
    """Wait until a process has ended."""
    end = time.monotonic() + LONG
    while is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
