"""Reap the processes that children leave behind, where nobody else does (Linux).

A process whose parent ends is given to the first process of the system, which reaps
it. In many a container that is a program which does not: its dead stay as zombies.
`with adopt_orphans():` makes this process the one to whom they are given.
"""

import asyncio
import contextlib
import ctypes
import os
from asyncio import TimerHandle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sumida.errors import MisuseError
from sumida.process._handle import reap_adopted, with_group

__all__ = ("LOOK_INTERVAL", "adopt_orphans")

LOOK_INTERVAL: Final = 0.5
"""How often dead orphans are looked for, in seconds: nothing tells of them but SIGCHLD,
which uvloop keeps for itself."""

_SET_SUBREAPER: Final = 36


@contextmanager
def adopt_orphans() -> Iterator[None]:
    """Be the parent of what children leave behind, inside the block.

    Those in the process group of a child that is still held are reaped when they end,
    at the latest half a second after. Those that have left their group stay zombies
    until this process ends: nobody can tell whether another part of the program waits
    for them.

    Yields:
        Nothing.

    Raises:
        MisuseError: The system has no such thing.
        RuntimeError: No event loop runs.

    Source:
        `prctl(2)`, `PR_SET_CHILD_SUBREAPER`
    """
    loop = asyncio.get_running_loop()
    _set_subreaper(on=True)
    timer: TimerHandle

    def look() -> None:
        nonlocal timer
        for group in with_group():
            reap_adopted(group)
        timer = loop.call_later(LOOK_INTERVAL, look)

    timer = loop.call_later(LOOK_INTERVAL, look)
    try:
        yield
    finally:
        timer.cancel()
        _set_subreaper(on=False)


_holders: Final[list[int]] = []
"""The processes that have it on: this one, once for each block."""


def _set_subreaper(*, on: bool) -> None:
    if on:
        _holders.append(os.getpid())
    else:
        with contextlib.suppress(ValueError):  # a forked child has none
            _holders.remove(os.getpid())
        if _holders:
            return
    try:
        failed = ctypes.CDLL(None).prctl(_SET_SUBREAPER, int(on), 0, 0, 0)
    except AttributeError:
        failed = 1
    if failed:
        _holders.clear()
        raise MisuseError(
            "this system does not give orphans to anybody but its first process",
            "do without adopt_orphans",
        )
