"""The threads of a blocking pool: who does what, who is free, who waits in line.

Everything under one plain lock, held for a few instructions; nothing here knows
asyncio beyond the delivery of what has ended. Jobs wait in line only while no thread
is free, so whoever takes the first of the line keeps the order.
"""

import heapq
import os
import threading
import time
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from typing import Final, final
from weakref import WeakSet

from sumida.errors import Closed
from sumida.runtime._delivery import Job, deliver

__all__ = ("Threads", "Worker", "current")


class _Current(threading.local):
    """What the calling thread is doing for a pool."""

    job: Job[object] | None = None


current: Final = _Current()


@final
class Worker:
    """One thread of a pool.

    Args:
        number: The lowest that was free; part of its name.
        job: What it does first.

    Attributes:
        number: As above.
        job: What it has been given to do next.
        running: What it does now, until that is delivered.
        thread: The thread; None before it starts.
        wake: Released by whoever gives it a job, or wants it to end.
    """

    __slots__ = ("job", "number", "running", "thread", "wake")

    def __init__(self, number: int, job: Job[object]) -> None:
        self.number = number
        self.job: Job[object] | None = job
        self.running: Job[object] | None = None
        self.thread: threading.Thread | None = None
        # A bare lock wakes a thread faster than anything that is built on one.
        self.wake = threading.Lock()
        self.wake.acquire()

    def __repr__(self) -> str:
        return f"<Worker {self.number} running {self.running and self.running.name}>"


@final
class Threads:
    """A bounded number of threads and the line before them.

    Args:
        max_threads: How many at most.
        keep_alive: How long one without work stays, in seconds.
        name: They are called this and a number.

    Attributes:
        max_threads: As above.
        keep_alive: As above.
        name: As above.
        is_closed: Whether no more jobs are taken.
        workers: All threads that have not ended.
        idle: Those that have nothing to do, the latest last.
        jobs: Those that wait for a thread, in order.
        watchers: Called on any thread when a job was delivered or a thread has ended.
    """

    __slots__ = (
        "__weakref__",
        "_free_numbers",
        "_gate",
        "idle",
        "is_closed",
        "jobs",
        "keep_alive",
        "max_threads",
        "name",
        "watchers",
        "workers",
    )

    def __init__(self, max_threads: int, keep_alive: float, name: str) -> None:
        self.max_threads = max_threads
        self.keep_alive = keep_alive
        self.name = name
        self.is_closed = False
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Begin without threads: at first, and in a forked child, which has none."""
        self._gate = threading.Lock()
        # Of threads that have ended, below those of the others.
        self._free_numbers: list[int] = []
        self.workers: set[Worker] = set()
        self.idle: list[Worker] = []
        self.jobs: OrderedDict[Job[object], None] = OrderedDict()
        self.watchers: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<Threads {self.name!r} {len(self.workers)}/{self.max_threads}>"

    def submit(self, job: Job[object]) -> None:
        """Give `job` to a thread, or put it in line.

        Args:
            job: A new one.

        Raises:
            Closed: No more jobs are taken.
        """
        with self._gate:
            if self.is_closed:
                raise Closed(f"blocking pool {self.name!r}")
            if self.idle:
                # The one that ended last, so that those not needed can end for good.
                worker = self.idle.pop()
                worker.job = job
                worker.wake.release()
                return
            if len(self.workers) >= self.max_threads:
                self.jobs[job] = None
                return
            free = self._free_numbers
            number = heapq.heappop(free) if free else len(self.workers) + 1
            worker = Worker(number, job)
            self.workers.add(worker)
        self._start(worker, job)

    def _start(self, worker: Worker, job: Job[object]) -> None:
        thread = threading.Thread(
            target=self._work,
            args=(worker,),
            name=f"{self.name}-{worker.number}",
            daemon=True,
        )
        worker.thread = thread
        try:
            # In an empty context: where threads inherit the one that starts them
            # (free-threaded builds), the first caller's would stay for all others.
            Context().run(thread.start)
        except RuntimeError:
            # The system has no thread left. The others of the pool will do, unless
            # there are none.
            with self._gate:
                self._forget(worker)
                if not self.workers:
                    raise
                self.jobs[job] = None
                if self.idle:
                    spare = self.idle.pop()
                    spare.job, _ = self.jobs.popitem(last=False)
                    spare.wake.release()

    def abandon(self, job: Job[object]) -> None:
        """Forget a job whose caller has gone: it leaves the line, or runs unheard.

        Args:
            job: One that was submitted.
        """
        with self._gate:
            self.jobs.pop(job, None)
        job.abandon()

    def stop(self, loop: AbstractEventLoop | None) -> None:
        """Refuse what waits in line, and end the threads that have nothing to do.

        Args:
            loop: Refuse its jobs only; None to refuse all, and all later ones.
        """
        with self._gate:
            if loop is None:
                self.is_closed = True
            refused = [job for job in self.jobs if loop is None or job.loop is loop]
            for job in refused:
                del self.jobs[job]
            for worker in self.idle:
                worker.wake.release()
            self.idle.clear()
        for job in refused:
            job.error = Closed(f"blocking pool {self.name!r}")
            deliver(job)

    def busy(self, loop: AbstractEventLoop | None) -> list[tuple[Worker, Job[object]]]:
        """List the threads that work.

        Args:
            loop: For the jobs of this loop only; None for all.

        Returns:
            Each thread with what it does.
        """
        with self._gate:
            pairs = [(worker, worker.running or worker.job) for worker in self.workers]
        return [
            (worker, job)
            for worker, job in pairs
            if job is not None and (loop is None or job.loop is loop)
        ]

    def _work(self, worker: Worker) -> None:
        while True:
            job = worker.job
            if job is None:
                if self._leave(worker):
                    break
                continue
            job.started = time.monotonic()
            worker.running = current.job = job
            worker.job = None
            job.run()
            current.job = None
            is_idle = self._take(worker)
            if worker.thread is None:
                return  # this is a forked child, and the caller is in the parent
            deliver(job)
            # Nothing of the call may live on while the thread sleeps.
            worker.running = None
            del job
            self._tell_watchers()
            if is_idle:
                self._sleep(worker)
        self._tell_watchers()

    def _take(self, worker: Worker) -> bool:
        """Give `worker` its next job, or make it idle; before it delivers the last.

        So a caller that goes on at once with another call finds this thread free,
        and does not start a second.
        """
        with self._gate:
            if worker not in self.workers:
                worker.thread = None
            elif self.jobs:
                worker.job, _ = self.jobs.popitem(last=False)
            elif not self.is_closed:
                self.idle.append(worker)
                return True
        return False

    def _sleep(self, worker: Worker) -> None:
        """Wait for a job; there is none when the thread has to end."""
        if worker.wake.acquire(timeout=self.keep_alive):
            return
        with self._gate:
            if worker in self.idle:
                self.idle.remove(worker)
                return
        # A job is being handed over at this moment.
        worker.wake.acquire()

    def _leave(self, worker: Worker) -> bool:
        """End `worker`, unless a job came while it was about to."""
        with self._gate:
            if self.jobs:
                worker.job, _ = self.jobs.popitem(last=False)
                return False
            self._forget(worker)
            return True

    def _forget(self, worker: Worker) -> None:
        self.workers.discard(worker)
        heapq.heappush(self._free_numbers, worker.number)

    def _tell_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()


_all: WeakSet[Threads] = WeakSet()


def _forget_threads() -> None:
    for threads in _all:
        threads.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
