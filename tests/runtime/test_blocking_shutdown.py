"""How a pool of threads ends: with its loop, its process, and in a forked child."""

import asyncio
import os
import threading
import time

import pytest

from sumida.errors import Closed, MisuseError
from sumida.runtime.blocking import (
    BlockingPool,
    default_pool,
    shutdown_blocking,
    spawn_blocking,
)
from tests.runtime.support import LONG, Gate, script, until
from tests.support import Run


def test_shutdown_refuses_the_line_and_names_what_is_stuck(run: Run) -> None:
    """Name, function, time and stack of a worker that does not end."""

    async def main() -> None:
        gate, pool = Gate(), BlockingPool(1, name="mine")
        first = asyncio.create_task(pool.run(gate.hold, 1))
        await gate.until_entered()
        second = asyncio.create_task(pool.run(gate.hold, 2))
        await until(lambda: pool.queued == 1)
        stuck = await pool.shutdown(0)
        await asyncio.wait([second])
        with pytest.raises(Closed, match="blocking pool 'mine' is closed"):
            second.result()
        with pytest.raises(Closed, match="blocking pool 'mine' is closed"):
            await pool.run(int)
        assert (
            repr(pool) == "<BlockingPool 'mine' closed, 1/1 threads, 0 idle, 0 queued>"
        )
        assert [worker.name for worker in stuck] == ["mine-1"]
        assert stuck[0].function.endswith("Gate.hold")
        assert 0 <= stuck[0].seconds < LONG
        assert "self.opened.wait" in stuck[0].stack
        assert str(stuck[0]).startswith("mine-1 has been running")
        gate.opened.set()
        assert await first == 1
        assert await pool.shutdown(LONG) == []
        assert gate.passed == [1]
        assert (pool.is_closed, len(pool)) == (True, 0)

    run(main)


def test_shutdown_does_not_block_the_loop_and_ends_early(run: Run) -> None:
    """Other tasks run meanwhile, and it returns when the last thread has ended."""

    async def main() -> float:
        gate, pool = Gate(), BlockingPool(2)
        task = asyncio.create_task(pool.run(gate.hold))
        await gate.until_entered()
        start = time.monotonic()
        ending = asyncio.create_task(pool.shutdown(LONG))
        await asyncio.sleep(0)
        assert not ending.done()
        gate.opened.set()
        assert await ending == []
        await task
        return time.monotonic() - start

    assert run(main) < LONG / 2


def test_a_cancelled_shutdown_can_be_called_again(run: Run) -> None:
    """The pool is closed already; the second call waits on."""

    async def main() -> None:
        gate, pool = Gate(), BlockingPool(1)
        task = asyncio.create_task(pool.run(gate.hold))
        await gate.until_entered()
        ending = asyncio.create_task(pool.shutdown(LONG))
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])
        assert ending.cancelled()
        assert pool.is_closed
        gate.opened.set()
        assert await pool.shutdown(LONG) == []
        await task

    run(main)


def test_blocking_shutdown_waits_after_the_loop(run: Run) -> None:
    """It names what is stuck, and is refused on a running loop."""
    gate, pool = Gate(), BlockingPool(1)

    async def main() -> None:
        task = asyncio.create_task(pool.run(gate.hold))
        await gate.until_entered()
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(MisuseError, match="await shutdown there"):
            pool.blocking_shutdown(0)

    run(main)
    assert len(pool.blocking_shutdown(0.01)) == 1
    gate.opened.set()

    assert pool.blocking_shutdown(LONG) == []


def test_a_negative_deadline_is_refused_and_nothing_closed(run: Run) -> None:
    """The pool stays as it was."""

    async def main() -> int:
        pool = BlockingPool(1)
        for end in (pool.shutdown, pool.drain):
            with pytest.raises(ValueError, match="not -1"):
                await end(-1)
        result = await pool.run(int, "5")
        await pool.shutdown(LONG)
        return result

    assert run(main) == 5


def test_drain_ends_the_calls_of_its_own_loop_only(run: Run) -> None:
    """Another loop's running and queued calls are neither refused nor waited for."""
    ours, theirs, pool = Gate(), Gate(), BlockingPool(2)
    results: list[object] = []

    async def other() -> None:
        tasks = [asyncio.create_task(pool.run(theirs.hold, n)) for n in range(2)]
        await asyncio.wait(tasks)
        results.extend(task.result() for task in tasks)

    async def main() -> None:
        running = asyncio.create_task(pool.run(ours.hold, 0))
        await ours.until_entered()
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        await theirs.until_entered()
        await until(lambda: pool.queued == 1)
        waiting = asyncio.create_task(pool.run(ours.hold, 1))
        await until(lambda: pool.queued == 2)
        stuck = await pool.drain(0)
        await asyncio.wait([waiting])
        assert isinstance(waiting.exception(), Closed)
        assert len(stuck) == 1
        assert pool.queued == 1
        ours.opened.set()
        assert await pool.drain(LONG) == []
        await running
        theirs.opened.set()
        await asyncio.to_thread(thread.join, LONG)
        assert await pool.run(int, "3") == 3
        await pool.shutdown(LONG)

    run(main)

    assert results == [0, 1]


def test_the_default_pool_outlives_a_loop(run: Run) -> None:
    """shutdown_blocking ends what is idle; the next call starts a thread again."""

    async def main() -> int:
        await spawn_blocking(int)
        assert await shutdown_blocking(LONG) == []
        await until(lambda: len(default_pool()) == 0)
        return await spawn_blocking(int, "4")

    assert run(main) == 4


def test_peers_23_an_exhausted_pool_does_not_stop_name_lookups(run: Run) -> None:
    """All threads of a pool hang, and the loop still finds hosts and other pools."""

    async def main() -> int:
        gate, pool = Gate(), BlockingPool(2, name="user")
        tasks = [asyncio.create_task(pool.run(gate.hold)) for _ in range(10)]
        await gate.until_entered()
        await gate.until_entered()
        found = await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        assert await spawn_blocking(int, "6") == 6
        gate.opened.set()
        await asyncio.wait(tasks)
        await pool.shutdown(LONG)
        return len(found)

    assert run(main) > 0


def test_no_thread_left_in_the_system(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call fails with the system's error; later ones wait for a thread."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> tuple[str, object, int]:
        pool, gate = BlockingPool(4), Gate()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError) as caught:
                await pool.run(int)
        first = asyncio.create_task(pool.run(gate.hold))
        await gate.until_entered()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            second = asyncio.create_task(pool.run(int, "2"))
            await until(lambda: pool.queued == 1)
        gate.opened.set()
        await first
        result = await second
        await pool.shutdown(LONG)
        return str(caught.value), result, len(pool)

    assert run(main) == ("can't start new thread", 2, 0)


def test_peers_12_a_stuck_thread_does_not_keep_the_process() -> None:
    """The interpreter ends at once, with no word, while a call never returns."""
    start = time.monotonic()
    done = script(
        "import asyncio, threading\n"
        "from sumida.runtime.blocking import shutdown_blocking, spawn_blocking\n"
        "entered = threading.Event()\n"
        "def stick():\n"
        "    entered.set()\n"
        "    threading.Event().wait(100)\n"
        "async def main():\n"
        "    task = asyncio.create_task(spawn_blocking(stick))\n"
        "    while not entered.is_set(): await asyncio.sleep(0)\n"
        "    print([w.function for w in await shutdown_blocking(0.01)])\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['__main__.stick']\n"
    assert time.monotonic() - start < LONG


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_fresh_pool() -> None:
    """It starts threads of its own, and the parent's go on."""
    done = script(
        "import asyncio, os, warnings\n"
        "from sumida.runtime.blocking import BlockingPool, spawn_blocking\n"
        "warnings.simplefilter('ignore')\n"
        "pool = BlockingPool(1)\n"
        "async def main():\n"
        "    return await spawn_blocking(os.getpid), await pool.run(os.getpid)\n"
        "assert asyncio.run(main()) == (os.getpid(),) * 2\n"
        "child = os.fork()\n"
        "assert asyncio.run(main()) == (os.getpid(),) * 2\n"
        "if child:\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    print(os.waitstatus_to_exitcode(status), pool)\n"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("0 <BlockingPool 'sumida-blocking' 1/1 threads")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_inside_a_call_does_not_answer_twice() -> None:
    """The copy of the thread in the child ends without touching the parent's loop."""
    done = script(
        "import asyncio, os, warnings\n"
        "from sumida.runtime.blocking import spawn_blocking\n"
        "warnings.simplefilter('ignore')\n"
        "async def main():\n"
        "    child = await spawn_blocking(os.fork)\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    print(os.getpid() != child, await spawn_blocking(int, '8'))\n"
        "asyncio.run(main())\n"
    )

    assert (done.returncode, done.stdout) == (0, "True 8\n")
