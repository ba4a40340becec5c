"""The ends of the pools are cancel-safe: whoever calls again waits for what is left."""

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from sumida.runtime.blocking import (
    BlockingPool,
    StuckWorker,
    shutdown_blocking,
    spawn_blocking,
)
from sumida.runtime.cpu import CpuPool, shutdown_cpu, spawn_cpu
from sumida.testing import Outcome, World, cancel_everywhere, turns
from tests.runtime.support import LONG, Gate, is_running, until, until_gone
from tests.support import Run


def join_threads(name: str) -> None:
    """Block until the threads of a pool have ended, and all they say is said."""
    for thread in threading.enumerate():
        if thread.name.startswith(f"{name}-"):
            thread.join(LONG)
            assert not thread.is_alive()


def read_pid(path: Path) -> int:
    """Block until a worker has written its process id."""
    end = time.monotonic() + LONG
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.001)
    return int(path.read_text())


def wait_for(go: str, mark: str) -> int:
    """Say which process this is, and return when a file is there."""
    Path(mark).write_text(str(os.getpid()))
    while not Path(go).exists():
        time.sleep(0.001)
    return os.getpid()


class ThreadsShutdown:
    """`BlockingPool.shutdown`, while a call runs."""

    numbers: ClassVar["itertools.count[int]"] = itertools.count()
    closes: ClassVar[bool] = True

    def __init__(self) -> None:
        # No thread stays when it has nothing to do: so it can be joined, also when
        # the pool is not closed.
        self.pool = BlockingPool(1, keep_alive=0, name=f"world-{next(self.numbers)}")
        self.gate = Gate()
        self.call: asyncio.Task[object] | None = None
        self.has_begun = False

    def end(self) -> "asyncio.Future[list[StuckWorker]]":
        """Wait for the pool."""
        return asyncio.ensure_future(self.pool.shutdown(LONG))

    async def subject(self) -> list[StuckWorker]:
        """Make a call, then end the pool."""
        self.call = asyncio.create_task(self.pool.run(self.gate.hold, "held"))
        await turns(1)
        self.has_begun = True
        return await self.end()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the call return."""
        return [self.let_go]

    def let_go(self) -> None:
        """Let the call return, and its thread end, before the next turn."""
        self.gate.opened.set()
        join_threads(self.pool.name)

    async def check(self, outcome: Outcome) -> None:
        """The call is neither lost nor cut, and the next who ends the pool sees it."""
        assert outcome.error is None
        assert outcome.value == ([] if outcome.returned else None)
        if self.has_begun:
            assert self.pool.is_closed == self.closes
        if self.call is not None and not self.gate.opened.is_set():
            again = self.end()
            await turns()
            assert not again.done()
            self.let_go()
            assert await again == []
        if self.call is not None:
            assert await self.call == "held"
            assert self.gate.passed == ["held"]
        assert self.pool._threads.watchers == []
        assert await self.pool.shutdown(LONG) == []
        assert len(self.pool) == 0


class ThreadsDrain(ThreadsShutdown):
    """`BlockingPool.drain`, while a call runs."""

    closes = False

    def end(self) -> "asyncio.Future[list[StuckWorker]]":
        """Wait for the calls of this loop."""
        return asyncio.ensure_future(self.pool.drain(LONG))


@pytest.mark.parametrize("world", [ThreadsShutdown, ThreadsDrain])
def test_the_end_of_a_pool_of_threads(run: Run, world: Callable[[], World]) -> None:
    """A cancel cuts no call, leaves no watcher, and the next call waits on."""
    assert run(cancel_everywhere, world) == 8


def test_a_cancelled_shutdown_blocking_can_be_called_again(run: Run) -> None:
    """It waits on, and the call's result comes."""

    async def main() -> tuple[bool, list[StuckWorker], object]:
        gate = Gate()
        call = asyncio.create_task(spawn_blocking(gate.hold, "held"))
        await gate.until_entered()
        ending = asyncio.create_task(shutdown_blocking(LONG))
        await turns()
        ending.cancel()
        await asyncio.wait([ending])
        again = asyncio.create_task(shutdown_blocking(LONG))
        await turns()
        assert not again.done()
        gate.opened.set()
        return ending.cancelled(), await again, await call

    assert run(main) == (True, [], "held")


class ProcessesShutdown:
    """`CpuPool.shutdown`: a call runs, and then its process takes a while to end."""

    closes: ClassVar[bool] = True

    def __init__(self, folder: Path, number: int) -> None:
        self.pool = CpuPool(1, name=f"world-{number}-cpu")
        self.go = folder / f"{number}-go"
        self.mark = folder / f"{number}-pid"
        self.call: asyncio.Task[int] | None = None
        self.pid = 0

    def end(self) -> "asyncio.Future[list[StuckWorker]]":
        """Wait for the pool."""
        return asyncio.ensure_future(self.pool.shutdown(LONG))

    async def subject(self) -> list[StuckWorker]:
        """Make a call, then end the pool."""
        run = self.pool.run(wait_for, str(self.go), str(self.mark))
        self.call = asyncio.create_task(run)
        await turns(1)
        return await self.end()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the call return; let its process end."""
        return [self.let_go, self.let_end]

    def let_go(self) -> None:
        """Let the call return, and stop its process before it is asked to end."""
        self.pid = read_pid(self.mark)
        # Told behind the drain that waits: when its result is with the loop.
        told = threading.Event()
        watchers = self.pool._threads._threads.watchers
        watchers.append(told.set)
        self.go.touch()
        if self.closes:
            join_threads(self.pool.name)
        assert told.wait(LONG)
        watchers.remove(told.set)
        os.kill(self.pid, signal.SIGSTOP)

    def let_end(self) -> None:
        """Let the process go on to its end."""
        os.kill(self.pid, signal.SIGCONT)
        join_threads(f"{self.pool.name}-end")

    async def check(self, outcome: Outcome) -> None:
        """Who calls again waits until the process is gone, and no result is lost."""
        assert outcome.error is None
        assert outcome.value == ([] if outcome.returned else None)
        if outcome.returned:
            assert not is_running(self.pid)
        if self.call is not None and not outcome.returned:
            if not self.pid:
                self.let_go()
            again = self.end()
            if is_running(self.pid):
                await turns(12)
                assert not again.done()
                os.kill(self.pid, signal.SIGCONT)
            assert await again == []
            assert not is_running(self.pid)
        if self.call is not None:
            assert await self.call == self.pid
        assert await self.pool.shutdown(LONG) == []
        assert len(self.pool) == 0


class ProcessesDrain(ProcessesShutdown):
    """`CpuPool.drain`, in the same way."""

    closes = False

    def end(self) -> "asyncio.Future[list[StuckWorker]]":
        """Wait for the calls of this loop."""
        return asyncio.ensure_future(self.pool.drain(LONG))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ProcessesShutdown, ProcessesDrain])
def test_the_end_of_a_pool_of_processes(
    run: Run,
    kind: Callable[[Path, int], World],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cancelled while a call runs, or while a process ends: the next call waits on."""
    monkeypatch.setattr("sumida.runtime._process._GRACE", LONG)
    numbers = itertools.count()

    assert run(cancel_everywhere, lambda: kind(tmp_path, next(numbers))) == 13


def test_a_cancelled_shutdown_cpu_can_be_called_again(run: Run, tmp_path: Path) -> None:
    """It waits on, and the call's result comes."""
    go, mark = tmp_path / "go", tmp_path / "pid"

    async def main() -> tuple[bool, list[StuckWorker], int]:
        call = asyncio.create_task(spawn_cpu(wait_for, str(go), str(mark)))
        await until(lambda: mark.exists() and bool(mark.read_text()))
        ending = asyncio.create_task(shutdown_cpu(LONG))
        await turns()
        ending.cancel()
        await asyncio.wait([ending])
        again = asyncio.create_task(shutdown_cpu(LONG))
        await turns()
        assert not again.done()
        go.touch()
        return ending.cancelled(), await again, await call

    was_cancelled, stuck, pid = run(main)

    assert (was_cancelled, stuck) == (True, [])
    assert until_gone(pid)
