"""Calls in worker processes: what comes back, what dies, and what is left behind."""

import asyncio
import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sumida.errors import Closed, MisuseError, WorkerDiedError
from sumida.runtime.cpu import CpuPool, shutdown_cpu, spawn_cpu
from tests.runtime.support import LONG, is_running, until, until_gone
from tests.support import Run


class TwoArguments(Exception):
    """An exception that pickle writes and cannot read."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)
        self.second = second


def mark_and_wait(path: str) -> None:
    """Write the process's id to a file, and never return."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(LONG)


def mark_and_return(path: str, value: int) -> int:
    """Note that the call was made."""
    with Path(path).open("a") as file:
        file.write(f"{value}\n")
    return value


def fail(text: str) -> None:
    """Raise."""
    raise KeyError(text)


def fail_unreadably() -> None:
    """Raise what cannot be sent back."""
    raise TwoArguments(1, 2)


def give_lambda() -> Callable[[], int]:
    """Return what cannot be sent back."""
    return lambda: 1


def leave(code: int) -> None:
    """End the process without a word."""
    os._exit(code)


def kill_self() -> None:
    """Die by a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def fork_and_die(path: str) -> None:
    """Die and leave a child behind that holds all the pipes for a while."""
    if os.fork() == 0:
        while not Path(path).exists():
            time.sleep(0.01)
        os._exit(0)
    os._exit(3)


def interrupt_self() -> int:
    """Get what Ctrl-C sends."""
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


def pid_in(path: Path) -> int:
    """Read the process id that a worker has written; 0 before."""
    return int(path.read_text() or 0) if path.exists() else 0


async def file_there(path: Path) -> int:
    """Wait for the process id in a file that a worker writes."""
    await until(lambda: pid_in(path) > 0)
    return pid_in(path)


@pytest.fixture
def pool() -> Iterator[CpuPool]:
    """Give a pool of one worker, and end it."""
    pool = CpuPool(1)
    yield pool
    pool.blocking_shutdown(LONG)
    assert len(pool) == 0


def test_spawn_cpu_runs_in_another_process(run: Run) -> None:
    """Arguments go, the result comes back, and no process is left."""

    async def main() -> tuple[tuple[int, int], int, dict[str, int]]:
        result = await spawn_cpu(divmod, 7, 2)
        pid = await spawn_cpu(os.getpid)
        named = await spawn_cpu(dict, a=1)
        assert await shutdown_cpu(LONG) == []
        assert until_gone(pid)
        return result, pid, named

    result, pid, named = run(main)

    assert (result, named) == ((3, 1), {"a": 1})
    assert pid != os.getpid()


def test_a_worker_is_started_when_needed_and_used_again(
    run: Run, pool: CpuPool
) -> None:
    """No call, no process; then one for all."""

    async def main() -> set[int]:
        assert repr(pool) == "<CpuPool 'sumida-cpu' 0/1 processes, 0 idle, 0 queued>"
        pids = {await pool.run(os.getpid) for _ in range(5)}
        assert repr(pool) == "<CpuPool 'sumida-cpu' 1/1 processes, 1 idle, 0 queued>"
        return pids

    assert len(run(main)) == 1


def test_an_exception_comes_back_with_the_remote_traceback(
    run: Run, pool: CpuPool
) -> None:
    """Type and arguments are kept; the note shows where it was raised."""

    async def main() -> KeyError:
        with pytest.raises(KeyError) as caught:
            await pool.run(fail, "lost")
        return caught.value

    error = run(main)

    assert error.args == ("lost",)
    assert "In sumida-cpu-1 (pid " in error.__notes__[0]
    assert "in fail" in error.__notes__[0]


def test_what_cannot_be_sent_back_is_told(run: Run, pool: CpuPool) -> None:
    """An exception becomes a RuntimeError, a result a TypeError; the worker lives."""

    async def main() -> set[int]:
        before = await pool.run(os.getpid)
        with pytest.raises(RuntimeError, match="TwoArguments: 1") as caught:
            await pool.run(fail_unreadably)
        assert "in fail_unreadably" in caught.value.__notes__[0]
        with pytest.raises(TypeError, match="result of type function cannot be sent"):
            await pool.run(give_lambda)
        return {before, await pool.run(os.getpid)}

    assert len(run(main)) == 1


def test_what_cannot_be_sent_is_refused_before_any_worker(
    run: Run, pool: CpuPool
) -> None:
    """The message names the function and the way out."""

    def local() -> None:
        pass

    async def work() -> None:
        pass

    async def main() -> None:
        with pytest.raises(TypeError, match=r"local cannot be sent .* top level"):
            await pool.run(local)
        with pytest.raises(TypeError, match=r"lambda.* cannot be sent .* top level"):
            await pool.run(lambda: 1)
        with pytest.raises(TypeError, match=r"an argument of builtins\.print cannot"):
            await pool.run(print, threading.Lock())
        with pytest.raises(TypeError, match="work is an async function"):
            await (await pool.run(work))
        with pytest.raises(TypeError, match="fn must be a function, not 5"):
            await pool.run(5)  # type: ignore[arg-type]  # the point
        assert len(pool) == 0

    run(main)


def test_a_partial_is_named_by_its_function(run: Run, pool: CpuPool) -> None:
    """As the reader of a message knows it."""

    async def main() -> None:
        with pytest.raises(WorkerDiedError, match=r"test_cpu\.leave died"):
            await pool.run(functools.partial(leave, 1))

    run(main)


@pytest.mark.parametrize(
    ("fn", "code"), [(functools.partial(leave, 7), 7), (kill_self, -signal.SIGKILL)]
)
def test_a_worker_that_dies_is_lost_to_its_caller_only(
    run: Run, fn: Callable[[], None], code: int
) -> None:
    """Others, running and waiting, are served; ProcessPoolExecutor fails them all."""

    async def main() -> list[object]:
        pool = CpuPool(2)
        tasks = [
            asyncio.create_task(pool.run(time.sleep, 0.05)),
            asyncio.create_task(pool.run(fn)),
            asyncio.create_task(pool.run(int, "1")),
            asyncio.create_task(pool.run(int, "2")),
        ]
        await asyncio.wait(tasks)
        error = tasks[1].exception()
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == code
        await pool.shutdown(LONG)
        return [task.result() for task in tasks if task is not tasks[1]]

    assert run(main) == [None, 1, 2]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd")
def test_a_death_is_seen_although_a_grandchild_holds_the_pipes(
    run: Run, pool: CpuPool, tmp_path: Path
) -> None:
    """The end of the process itself is waited for, not the end of its pipe."""
    release = tmp_path / "release"

    async def main() -> int | None:
        try:
            with pytest.raises(WorkerDiedError) as caught:
                await pool.run(fork_and_die, str(release))
        finally:
            release.touch()
        return caught.value.exit_code

    assert run(main) == 3


def test_a_worker_that_died_idle_costs_no_call(run: Run, pool: CpuPool) -> None:
    """It is replaced at the next call."""

    async def main() -> int:
        pid = await pool.run(os.getpid)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # is dead  # noqa: ASYNC222
        assert await pool.run(os.getpid) != pid
        return len(pool)

    assert run(main) == 1


def test_a_cancelled_call_is_killed_and_its_worker_replaced(
    run: Run, pool: CpuPool, tmp_path: Path
) -> None:
    """A process can be stopped, in the middle of whatever it does."""

    async def main() -> bool:
        path = tmp_path / "pid"
        task = asyncio.create_task(pool.run(mark_and_wait, str(path)))
        pid = await file_there(path)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await pool.run(os.getpid) != pid
        return until_gone(pid)

    assert run(main)


def test_a_call_cancelled_in_the_line_never_runs(
    run: Run, pool: CpuPool, tmp_path: Path
) -> None:
    """The others keep their order."""
    path, pids = tmp_path / "made", tmp_path / "pid"

    async def main() -> list[str]:
        first = asyncio.create_task(pool.run(mark_and_wait, str(pids)))
        await file_there(pids)
        tasks = [
            asyncio.create_task(pool.run(mark_and_return, str(path), n))
            for n in range(4)
        ]
        await until(lambda: pool.queued == 4)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert pool.queued == 3
        first.cancel()
        await asyncio.wait([first, *tasks])
        return path.read_text().split()

    assert run(main) == ["0", "2", "3"]


def test_cancelled_while_its_worker_starts(run: Run, pool: CpuPool) -> None:
    """The call is not made, and the worker serves the next."""

    async def main() -> int:
        task = asyncio.create_task(pool.run(time.sleep, LONG))
        await until(lambda: len(pool) == 1)
        task.cancel()
        await asyncio.wait([task])
        return await pool.run(int, "4")

    assert run(main) == 4


def test_arguments_are_taken_as_they_are_at_the_call(run: Run, pool: CpuPool) -> None:
    """A later change is not seen by the worker."""

    async def main() -> int:
        data = [1, 2, 3]
        task = asyncio.create_task(pool.run(sum, data))
        await asyncio.sleep(0)
        data.append(100)
        return await task

    assert run(main) == 6


def test_a_megabyte_goes_both_ways_without_stopping_the_loop(
    run: Run, pool: CpuPool
) -> None:
    """More than a pipe holds, in both directions at once."""

    async def main() -> tuple[int, bool]:
        await pool.run(int)
        task = asyncio.create_task(pool.run(bytes, b"x" * 8_000_000))
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return len(task.result()), turns > 1

    assert run(main) == (8_000_000, True)


def test_interrupts_do_not_reach_a_worker(run: Run, pool: CpuPool) -> None:
    """Ctrl-C is the parent's affair."""

    async def main() -> set[int]:
        return {await pool.run(interrupt_self), await pool.run(os.getpid)}

    assert len(run(main)) == 1


def test_shutdown_kills_what_is_stuck_and_tells(run: Run, tmp_path: Path) -> None:
    """Those in line are refused, the stuck one is named, and nothing is left."""

    async def main() -> None:
        pool, path = CpuPool(1), tmp_path / "pid"
        first = asyncio.create_task(pool.run(mark_and_wait, str(path)))
        pid = await file_there(path)
        second = asyncio.create_task(pool.run(int))
        await until(lambda: pool.queued == 1)
        stuck = await pool.shutdown(0)
        await asyncio.wait([first, second])
        assert isinstance(first.exception(), WorkerDiedError)
        assert isinstance(second.exception(), Closed)
        assert [worker.name for worker in stuck] == ["sumida-cpu-1"]
        assert stuck[0].function.endswith("test_cpu.mark_and_wait")
        assert stuck[0].stack == ""
        assert "has been running" in str(stuck[0])
        assert not is_running(pid)
        with pytest.raises(Closed, match="sumida-cpu"):
            await pool.run(int)
        assert repr(pool).startswith("<CpuPool 'sumida-cpu' closed, 0/1 processes")
        assert await pool.shutdown(0) == []

    run(main)


def test_blocking_shutdown_kills_after_the_loop(run: Run, tmp_path: Path) -> None:
    """The same, where no loop runs any more; refused where one does."""
    pool, path = CpuPool(1), tmp_path / "pid"
    pids: list[int] = []

    async def main() -> None:
        with pytest.raises(MisuseError, match="await shutdown there"):
            pool.blocking_shutdown(0)
        task = asyncio.create_task(pool.run(mark_and_wait, str(path)))
        pids.append(await file_there(path))
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait([task])

    run(main)
    pool.blocking_shutdown(LONG)

    assert until_gone(pids[0])
    assert len(pool) == 0


def test_drain_spares_the_calls_of_other_loops(run: Run, tmp_path: Path) -> None:
    """The hook of a loop that ends kills its own calls, and no others."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    pool = CpuPool(2)
    results: list[BaseException | None] = []

    async def other() -> None:
        task = asyncio.create_task(pool.run(mark_and_wait, str(theirs)))
        await asyncio.wait([task])
        results.append(task.exception())

    async def main() -> list[str]:
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        other_pid = await file_there(theirs)
        task = asyncio.create_task(pool.run(mark_and_wait, str(ours)))
        await file_there(ours)
        stuck = await pool.drain(0)
        await asyncio.wait([task])
        assert isinstance(task.exception(), WorkerDiedError)
        assert is_running(other_pid)
        assert len(pool) == 1
        assert await pool.run(int, "1") == 1
        await pool.shutdown(0)
        await asyncio.to_thread(thread.join, LONG)
        return [worker.function for worker in stuck]

    functions = run(main)

    assert len(functions) == 1
    assert isinstance(results[0], WorkerDiedError)


def test_no_descriptor_and_no_zombie_is_left(run: Run) -> None:
    """After many workers, killed and ended, the process is as before."""

    def children() -> int:
        found: set[str] = set()
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just ended
                found.update((thread / "children").read_text().split())
        return len(found)

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def main() -> tuple[int, int, int]:
        warm = CpuPool(1)  # starts the helper process of multiprocessing
        await warm.run(int)
        await warm.shutdown(LONG)
        before, family = descriptors(), children()
        for _ in range(3):
            pool = CpuPool(1)
            with pytest.raises(WorkerDiedError):
                await pool.run(kill_self)
            await pool.run(int)
            await pool.shutdown(LONG)
        after = descriptors()
        return before, after, children() - family

    before, after, more = run(main)

    assert (after - before, more) == (0, 0)


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (True, TypeError)])
def test_bad_limits_are_refused(count: int, error: type[Exception]) -> None:
    """As a pool of threads does."""
    with pytest.raises(error, match="must be"):
        CpuPool(count)


def test_the_default_limit_is_the_cores_that_may_be_used() -> None:
    """And not those of the whole machine."""
    assert CpuPool().max_workers == len(os.sched_getaffinity(0))
    assert CpuPool(3, name="mine").name == "mine"
    assert CpuPool(3).idle == 0


def test_shutdown_in_the_moment_of_a_start_leaves_no_process(run: Run) -> None:
    """A process that is being started when all are killed is killed as well."""

    async def main() -> tuple[float, int]:
        pool = CpuPool(1)
        task = asyncio.create_task(pool.run(time.sleep, LONG))
        await asyncio.sleep(0)
        start = time.monotonic()
        await pool.shutdown(0)
        await asyncio.wait([task])
        assert isinstance(task.exception(), WorkerDiedError | Closed)
        return time.monotonic() - start, len(pool)

    seconds, left = run(main)

    assert seconds < LONG / 2
    assert left == 0
