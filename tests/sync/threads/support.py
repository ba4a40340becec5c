"""What the tests of the thread locks share: threads that cannot hang a test."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, TypeVar

from sumida.sync.threads import (
    ThreadReadGuard,
    ThreadRwLock,
    ThreadUpgradableGuard,
    ThreadWriteGuard,
)
from sumida.sync.threads._timed import acquire

R = TypeVar("R")
Guard = ThreadReadGuard[int] | ThreadWriteGuard[int] | ThreadUpgradableGuard[int]

PATIENCE: Final = 30.0
"""Seconds after which a wait that should have ended is a failure; never waited for."""


def together(*functions: Callable[[], R]) -> list[R]:
    """Run each function in a thread of its own, all started at one moment.

    Args:
        functions: What the threads run.

    Returns:
        Their results, in the order of the functions.

    Raises:
        ExceptionGroup: Some raised.
        TimeoutError: One did not end.
    """
    results: dict[int, R] = {}
    errors: list[Exception] = []
    start = threading.Barrier(len(functions))

    def work(index: int, function: Callable[[], R]) -> None:
        start.wait(PATIENCE)
        try:
            results[index] = function()
        except Exception as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    workers = [
        threading.Thread(target=work, args=(index, function), daemon=True)
        for index, function in enumerate(functions)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
        if worker.is_alive():
            message = f"{worker.name} did not end"
            raise TimeoutError(message)
    if errors:
        message = "threads failed"
        raise ExceptionGroup(message, errors)
    return [results[index] for index in range(len(functions))]


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until `condition` holds.

    Args:
        condition: Asked again and again.

    Raises:
        TimeoutError: It never held.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        # Not a wait, only a hint to the scheduler.
        time.sleep(0)
        if time.monotonic() > deadline:
            message = "the condition never held"
            raise TimeoutError(message)


class Waiting:
    """Threads that wait for a lock in the order in which they were started."""

    __slots__ = ("entered", "go", "lock", "threads")

    def __init__(self, lock: ThreadRwLock[int]) -> None:
        self.lock = lock
        self.entered: list[str] = []
        self.go = {name: threading.Event() for name in "abcdef"}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, take: Callable[[], Guard]) -> None:
        """Start a thread that waits, enters, and leaves when it is told to."""

        def work() -> None:
            with take():
                self.entered.append(name)
                self.go[name].wait(PATIENCE)

        before = self.lock.waiter_count
        thread = threading.Thread(target=work, daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: self.lock.waiter_count == before + 1)

    def has_entered(self, *names: str) -> None:
        """Wait until these, and no others, have come in."""
        until(lambda: len(self.entered) >= len(names))
        assert sorted(self.entered) == sorted(names)

    def end(self) -> None:
        """Let all go, and see that they do."""
        for event in self.go.values():
            event.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert not self.lock.is_locked
        assert not self.lock.waiter_count


class Interruption(Exception):
    """What the signal handler below raises."""


@contextlib.contextmanager
def interrupted(
    lock: ThreadRwLock[int], first: Callable[[], object]
) -> Iterator[threading.Thread]:
    """Raise in the main thread when it waits for `lock`, after doing `first`."""
    raised = threading.Event()

    def handler(_signum: int, _frame: FrameType | None) -> None:
        if not raised.is_set():
            raised.set()
            first()
            raise Interruption

    def is_asleep(ident: int) -> bool:
        # Or about to be: the handler uses the lock itself, so it must not come where
        # the lock is at work.
        frame = sys._current_frames()[ident]
        return lock.waiter_count == 1 and frame.f_code is acquire.__code__

    def interrupt() -> None:
        ident = threading.main_thread().ident
        assert ident is not None
        until(lambda: is_asleep(ident))
        # A signal that comes just before the thread falls asleep does not wake it.
        while not raised.is_set():
            signal.pthread_kill(ident, signal.SIGUSR1)
            time.sleep(0)

    before = signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)


def taken_elsewhere(take: Callable[[], Guard]) -> Guard:
    """Give a guard that another thread took and passed on."""
    (guard,) = together(take)
    return guard
