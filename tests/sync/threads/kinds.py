"""Every way to hold a thread lock, for the tests that hold one on a loop."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from sumida.sync.threads import ThreadMutex, ThreadRwLock


class Releasable(AbstractContextManager[int], Protocol):
    """What all the guards are."""

    def release(self) -> None:
        """Give the lock back."""
        ...


Take = Callable[[], Releasable]
Lock = ThreadMutex[int] | ThreadRwLock[int]


def mutex() -> tuple[Lock, Take]:
    """A mutex, and how to take it."""
    lock = ThreadMutex(1)
    return lock, lock.lock


def read() -> tuple[Lock, Take]:
    """A lock, and how to read it."""
    lock = ThreadRwLock(1)
    return lock, lock.read


def write() -> tuple[Lock, Take]:
    """A lock, and how to write it."""
    lock = ThreadRwLock(1)
    return lock, lock.write


def upgradable() -> tuple[Lock, Take]:
    """A lock, and how to read it as one who may write."""
    lock = ThreadRwLock(1)
    return lock, lock.upgradable_read


def upgraded() -> tuple[Lock, Take]:
    """A lock, and how to write it after reading."""
    lock = ThreadRwLock(1)
    return lock, lambda: lock.upgradable_read().upgrade()


def downgraded() -> tuple[Lock, Take]:
    """A lock, and how to read it after writing."""
    lock = ThreadRwLock(1)
    return lock, lambda: lock.write().downgrade()


def try_lock() -> tuple[Lock, Take]:
    """A mutex, and how to take it without waiting."""
    lock = ThreadMutex(1)
    return lock, lock.try_lock


def try_write() -> tuple[Lock, Take]:
    """A lock, and how to write it without waiting."""
    lock = ThreadRwLock(1)
    return lock, lock.try_write


every_guard = pytest.mark.parametrize(
    "make",
    [mutex, try_lock, read, write, try_write, upgradable, upgraded, downgraded],
)
Make = Callable[[], tuple[Lock, Take]]


def line_of(function: Callable[..., object], text: str) -> str:
    """Give `file:line` of the one line of `function` that holds `text`."""
    lines, first = inspect.getsourcelines(function)
    (offset,) = (index for index, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(function)}:{first + offset}"


def call_me(name: str) -> None:
    """Name the running task: an eager one has no name while it starts."""
    task = asyncio.current_task()
    assert task is not None
    task.set_name(name)


async def hold_across_await(take: Take, name: str = "holder") -> None:
    """Hold the guard while the loop turns once."""
    call_me(name)
    with take():
        await asyncio.sleep(0)
