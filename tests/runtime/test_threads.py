"""The threads of a pool: how many, in which order, and when they end."""

import asyncio
import threading
import weakref
from contextvars import Context

from sumida.runtime._delivery import Job
from sumida.runtime._threads import Threads, Worker
from sumida.runtime.blocking import BlockingPool
from tests.runtime.support import LONG, Gate, until
from tests.support import Run


def test_at_most_max_threads_run_and_the_rest_begin_in_order(run: Run) -> None:
    """Two threads for five calls: three wait, first come, first served."""

    async def main() -> tuple[str, list[object], int]:
        gate, pool = Gate(), BlockingPool(2, name="two")
        begun: list[object] = []

        def work(n: int) -> None:
            begun.append(n)
            gate.hold()

        tasks = [asyncio.create_task(pool.run(work, n)) for n in range(5)]
        await gate.until_entered()
        await gate.until_entered()
        state = repr(pool)
        assert (len(pool), pool.idle, pool.queued) == (2, 0, 3)
        gate.opened.set()
        await asyncio.wait(tasks)
        await pool.shutdown(LONG)
        return state, begun, len(pool)

    state, begun, left = run(main)

    assert state == "<BlockingPool 'two' 2/2 threads, 0 idle, 3 queued>"
    # Two threads may note what they have begun in either order.
    assert set(begun[:2]) == {0, 1}
    assert set(begun[2:]) == {2, 3, 4}
    assert left == 0


def test_one_thread_serves_in_exact_order(run: Run) -> None:
    """With one thread, the order is the order of the calls."""

    async def main() -> list[int]:
        pool, begun = BlockingPool(1), list[int]()
        tasks = [asyncio.create_task(pool.run(begun.append, n)) for n in range(50)]
        await asyncio.wait(tasks)
        await pool.shutdown(LONG)
        return begun

    assert run(main) == list(range(50))


def test_calls_one_after_the_other_share_a_thread(run: Run) -> None:
    """A thread is free again before its caller goes on."""

    async def main() -> set[str]:
        pool = BlockingPool(8)
        names = {(await pool.run(threading.current_thread)).name for _ in range(50)}
        await pool.shutdown(LONG)
        return names

    assert run(main) == {"sumida-blocking-1"}


def test_threads_are_numbered_from_one(run: Run) -> None:
    """A number is given again when its thread has ended; a limit costs nothing."""

    async def main() -> list[list[str]]:
        pool = BlockingPool(10**30, keep_alive=0, name="pool")
        seen = []
        for count in (3, 2):
            gate = threading.Barrier(count + 1)

            def work(gate: threading.Barrier = gate) -> str:
                gate.wait(LONG)
                return threading.current_thread().name

            calls = [asyncio.create_task(pool.run(work)) for _ in range(count)]
            await asyncio.to_thread(gate.wait, LONG)
            seen.append(sorted([await call for call in calls]))
            await until(lambda: len(pool) == 0)
        await pool.shutdown(LONG)
        return seen

    assert run(main) == [["pool-1", "pool-2", "pool-3"], ["pool-1", "pool-2"]]


def test_a_thread_without_work_ends(run: Run) -> None:
    """After keep_alive seconds, and the pool can start another."""

    async def main() -> None:
        pool = BlockingPool(4, keep_alive=0)
        for _ in range(20):
            thread = await pool.run(threading.current_thread)
            thread.join(LONG)
            assert not thread.is_alive()
        await until(lambda: len(pool) == 0)
        await pool.shutdown(LONG)

    run(main)


def test_threads_that_end_lose_no_call(run: Run) -> None:
    """A call that comes while a thread is about to end is made all the same."""

    async def main() -> int:
        pool = BlockingPool(2, keep_alive=0.000_01)
        total = 0
        for _ in range(300):
            tasks = [asyncio.create_task(pool.run(int, 1)) for _ in range(3)]
            await asyncio.wait(tasks)
            total += sum(task.result() for task in tasks)
        await pool.shutdown(LONG)
        return total

    assert run(main) == 900


def test_an_idle_thread_holds_nothing_of_its_last_call(run: Run) -> None:
    """Arguments and result are freed while the thread lives on."""

    class Thing:
        """Something that can be watched."""

    async def main() -> int:
        pool = BlockingPool(1)
        gone = weakref.ref(await pool.run(lambda thing: thing, Thing()))
        await until(lambda: gone() is None)
        count = len(pool)
        await pool.shutdown(LONG)
        return count

    assert run(main) == 1


def test_a_thread_about_to_end_takes_a_job_that_just_came(run: Run) -> None:
    """Between its last look and its end a call may have got in line."""

    async def main() -> bool:
        threads = Threads(1, LONG, "x")
        loop = asyncio.get_running_loop()
        jobs = [
            Job[object](int, Context(), loop.create_future(), "int") for _ in range(2)
        ]
        worker = Worker(1, jobs[0])
        threads.workers.add(worker)
        threads.jobs[jobs[1]] = None
        worker.job = None
        assert not threads._leave(worker)  # noqa: RUF100, SLF001
        assert not threads.jobs
        return worker.job is jobs[1]

    assert run(main)
