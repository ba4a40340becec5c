"""Whole programs in processes of their own, for the tests of how they end."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import final

import pytest

__all__ = (
    "FORCE_AFTER",
    "GRACE",
    "INT",
    "PATIENCE",
    "TERM",
    "Program",
    "both",
    "loops",
)

PATIENCE = 60
"""Seconds after which a program that should have ended is a failure."""

PROGRAM = """
import asyncio, atexit, hashlib, signal, sys, threading, time
import sumida

def say(text):
    print(text, flush=True)

def for_ever():
    while True:
        time.sleep(1000)

{body}

sumida.run(main, uvloop={uvloop}, grace={grace}, force_after={force_after})
say("returned")
"""

GRACE = 0.2
FORCE_AFTER = 0.3
TERM = signal.SIGTERM
INT = signal.SIGINT


@final
class Program:
    """A program in a process of its own."""

    def __init__(
        self,
        body: str,
        *,
        uvloop: bool,
        grace: float = GRACE,
        force_after: float | None = FORCE_AFTER,
    ) -> None:
        source = PROGRAM.format(
            body=textwrap.dedent(body),
            uvloop=uvloop,
            grace=grace,
            force_after=force_after,
        )
        self.process = subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, line: str) -> None:
        """Read lines until `line`."""
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"{line!r} was not said: {self.finish()}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> tuple[int, list[str], str]:
        """Wait for its end; the exit status, what else it said, and its stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.split("\n")[:-1], err


both: Callable[..., pytest.MarkDecorator] = pytest.mark.parametrize
loops = both("uvloop", [False, True], ids=["asyncio", "uvloop"])
