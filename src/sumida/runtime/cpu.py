"""Python code that computes, in processes of their own, on all cores.

`await spawn_cpu(fn, *args)` for what keeps one core busy for more than some
milliseconds: a thread would take the interpreter from the loop. For what waits use
`spawn_blocking`, which costs a hundredth of it: arguments and results are pickled
here, and a process takes a tenth of a second to start.

The function must be importable: defined at the top level of a module. A script that
uses this needs `if __name__ == "__main__":` around what it starts, since each worker
imports it.
"""

import atexit
import functools
import inspect
import itertools
import os
import pickle
import threading
import time
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, cast, final
from weakref import WeakSet

from sumida._core.arguments import check_count
from sumida.errors import WorkerDiedError
from sumida.runtime._delivery import name_of
from sumida.runtime.blocking import BlockingPool, StuckWorker

if TYPE_CHECKING:
    # `multiprocessing` takes longer to import than all of this library: only the
    # first call does it.
    from sumida.runtime._process import WorkerProcess
    from sumida.runtime._worker import Reply

__all__ = ("CpuPool", "shutdown_cpu", "spawn_cpu")

P = ParamSpec("P")
T = TypeVar("T")

# A process that is being started escapes a kill: try again, after so many seconds.
_TRIES: Final = 10
_AFTER_KILL: Final = 0.5


def _count_cores() -> int:
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return count() or 1


@final
class _Call:
    """One call on its way through a worker process; called on a thread.

    Args:
        pool: Whose it is.
        name: The function's name.
        request: What is sent to the worker.
    """

    __slots__ = ("_lock", "is_abandoned", "loop", "name", "pool", "request", "worker")

    def __init__(self, pool: "CpuPool", name: str, request: bytes) -> None:
        self.pool = pool
        self.name = name
        self.request = request
        self.loop: AbstractEventLoop = get_running_loop()
        self.worker: WorkerProcess | None = None
        self.is_abandoned = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return self.name

    def __call__(self) -> object:
        return self.pool.execute(self)

    def begin(self, worker: "WorkerProcess") -> bool:
        """Note who makes the call; False when nobody waits for it any more."""
        with self._lock:
            if not self.is_abandoned:
                self.worker = worker
            return not self.is_abandoned

    def end(self) -> bool:
        """Note that the worker is done with it; False when it was killed."""
        with self._lock:
            self.worker = None
            return not self.is_abandoned

    def abandon(self) -> None:
        """Kill the worker that makes this call; it is replaced."""
        with self._lock:
            self.is_abandoned = True
            if self.worker is not None:
                self.worker.kill()


@final
class CpuPool:
    """A bounded number of worker processes, started when they are first needed.

    Calls begin in the order in which they were made. A worker that dies is lost to
    its own caller only, and replaced at the next call. May be used by several event
    loops at once, each on its thread.

    Each busy process has a thread that waits for its answer. A reader on the event
    loop would do without, but a pipe that is full blocks its writer, a process takes
    long to start and to reap, and a pool that several loops share can belong to none.

    Args:
        max_workers: How many processes at most; by default as many as there are
            cores that this process may use.
        name: The processes are called this and a number.

    Raises:
        TypeError: `max_workers` is no int.
        ValueError: `max_workers` is below 1.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_ender",
        "_ending",
        "_gate",
        "_idle",
        "_name",
        "_numbers",
        "_threads",
    )

    def __init__(
        self, max_workers: int | None = None, *, name: str = "sumida-cpu"
    ) -> None:
        self._name = name
        self._numbers = itertools.count(1)
        limit = _count_cores()
        if max_workers is not None:
            limit = check_count("max_workers", max_workers, least=1)
        self._threads = BlockingPool(limit, name=name)
        # Ends what has nothing to do, when the threads above are closed already.
        self._ender = BlockingPool(1, keep_alive=0, name=f"{name}-end")
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._gate = threading.Lock()
        self._ending = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._busy: dict[WorkerProcess, tuple[_Call, float]] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        closed = "closed, " if self.is_closed else ""
        state = f"{closed}{len(self)}/{self.max_workers} processes"
        return (
            f"<CpuPool {self._name!r} {state}, {self.idle} idle, {self.queued} queued>"
        )

    @property
    def name(self) -> str:
        """What its processes are called, without the number."""
        return self._name

    @property
    def max_workers(self) -> int:
        """How many processes it has at most."""
        return self._threads.max_threads

    @property
    def idle(self) -> int:
        """How many of its processes have nothing to do."""
        return len(self._idle)

    @property
    def queued(self) -> int:
        """How many calls wait for a process."""
        return self._threads.queued

    @property
    def is_closed(self) -> bool:
        """Whether it was shut down."""
        return self._threads.is_closed

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn(*args, **kwargs)` in a worker process and wait for what it returns.

        The arguments are pickled here, at once: later changes to them are not seen.
        (A thread could do that, and would stop the loop for as long: pickling holds
        the interpreter's lock.) Send a path, or shared memory, not a gigabyte.

        What `fn` raises is raised here, with the worker's traceback as a note; a
        `RuntimeError` stands for an exception that cannot be pickled.

        Args:
            fn: A function from the top level of a module.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Returns:
            A copy of what `fn` returned.

        Raises:
            Closed: The pool was shut down before the call began.
            MisuseError: This is a worker process itself.
            TypeError: `fn` is no function, is async, or cannot be pickled; or an
                argument or the result cannot.
            WorkerDiedError: The process ended in the middle of the call.

        Cancel safety:
            Not safe: a call that has not begun never begins; the process that makes
            one is killed, with whatever it was writing.
        """
        if not callable(fn):
            raise TypeError(f"fn must be a function, not {fn!r}")
        name = name_of(fn)
        if inspect.iscoroutinefunction(fn):
            raise TypeError(f"{name} is an async function: await it on the loop")
        call = _Call(self, name, _pack(name, (fn, args, kwargs)))
        try:
            return cast("T", await self._threads.run(call))
        except BaseException:
            # Cancelled; or it ended by itself, and there is nothing to kill.
            call.abandon()
            raise

    async def drain(self, deadline: float) -> list[StuckWorker]:
        """Wait for the calls of this event loop; the pool stays open for others.

        Calls of this loop that have not begun are refused with `Closed`; those that
        run when the deadline passes are killed. Processes without work end.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The processes that had to be killed.

        Raises:
            ValueError: `deadline` is negative.

        Cancel safety:
            Safe: call it again to wait on.
        """
        return await self._finish(get_running_loop(), deadline)

    async def shutdown(self, deadline: float) -> list[StuckWorker]:
        """End the pool: take no more calls, wait for those that run, then kill them.

        Calls that have not begun are refused with `Closed`. No process is left.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The processes that had to be killed; their callers get `WorkerDiedError`.

        Raises:
            ValueError: `deadline` is negative.

        Cancel safety:
            Safe: the pool is closed at once; call it again to wait on.
        """
        return await self._finish(None, deadline)

    def blocking_shutdown(self, deadline: float) -> list[StuckWorker]:
        """Do what `shutdown` does, after the event loop has ended.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The processes that had to be killed.

        Raises:
            MisuseError: Called on the thread of a running event loop.
            ValueError: `deadline` is negative.
        """
        stuck: list[StuckWorker] = []
        tries = _TRIES
        while tries and self._threads.blocking_shutdown(deadline):
            stuck += self._kill(None)
            deadline, tries = _AFTER_KILL, tries - 1
        self._end_idle()
        return stuck

    async def _finish(
        self, loop: AbstractEventLoop | None, deadline: float
    ) -> list[StuckWorker]:
        wait = self._threads.shutdown if loop is None else self._threads.drain
        stuck: list[StuckWorker] = []
        tries = _TRIES
        while tries and await wait(deadline):
            stuck += self._kill(loop)
            deadline, tries = _AFTER_KILL, tries - 1
        # Or if one that was cancelled has left it at that: behind it in the line.
        if self._idle or len(self._ender):
            await self._ender.run(self._end_idle)
        return stuck

    def execute(self, call: _Call) -> object:
        """Make `call` in a process; on a thread of the pool. Not for users.

        Args:
            call: What to do.

        Returns:
            Its result.

        Raises:
            BaseException: What the function raised.
            WorkerDiedError: The process ended in the middle of the call.
        """
        worker = self._take(call)
        if worker is None:
            return None
        reply = worker.ask(call.request)
        is_wanted = call.end()
        if reply is None or not is_wanted:
            self._put_away(worker)
            if not is_wanted:
                worker.kill()
            code = worker.reap()
            if is_wanted:
                raise WorkerDiedError(call.name, code)
            return None
        with self._gate:
            del self._busy[worker]
            self._idle.append(worker)
        answer: Reply = pickle.loads(reply)  # noqa: S301  # our own child's, by a pipe
        has_returned, value, trace = answer
        if has_returned:
            return value
        error = cast("BaseException", value)
        error.add_note(f"In {worker.name} (pid {worker.pid}):\n{trace.rstrip()}")
        raise error

    def _take(self, call: _Call) -> "WorkerProcess | None":
        """Find a process for `call`, or start one; None if nobody waits for it."""
        worker = None
        while worker is None:
            with self._gate:
                idle = self._idle.pop() if self._idle else None
                if idle is not None:
                    self._busy[idle] = (call, time.monotonic())
            if idle is None:
                worker = self._start(call)
            elif idle.is_alive():
                worker = idle
            else:
                # It died while it had nothing to do: no call is lost.
                self._put_away(idle)
                idle.reap()
        if call.begin(worker):
            return worker
        with self._gate:
            del self._busy[worker]
            self._idle.append(worker)
        return None

    def _start(self, call: _Call) -> "WorkerProcess":
        worker = _worker_class()(f"{self._name}-{next(self._numbers)}")
        with self._gate:
            self._busy[worker] = (call, time.monotonic())
        if worker.wait_ready():
            return worker
        self._put_away(worker)
        error = WorkerDiedError(call.name, worker.reap())
        error.add_note(
            "It died while it was starting, before the call. A script that uses "
            'spawn_cpu needs `if __name__ == "__main__":` around what it starts.'
        )
        raise error

    def _put_away(self, worker: "WorkerProcess") -> None:
        with self._gate:
            self._busy.pop(worker, None)

    def _kill(self, loop: AbstractEventLoop | None) -> list[StuckWorker]:
        now = time.monotonic()
        with self._gate:
            busy = list(self._busy.items())
        stuck = []
        for worker, (call, since) in busy:
            if loop is None or call.loop is loop:
                worker.kill()
                stuck.append(StuckWorker(worker.name, call.name, now - since, ""))
        return sorted(stuck, key=lambda worker: worker.name)

    def _end_idle(self) -> None:
        # Who comes second waits for the first.
        with self._ending:
            with self._gate:
                idle, self._idle = self._idle, []
            for worker in idle:
                worker.end()

    def kill_all(self) -> None:
        """Leave no process behind, at the interpreter's end. Not for users."""
        workers = [*self._idle, *self._busy]
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.reap()

    def forget_all(self) -> None:
        """Begin without processes, in a forked child. Not for users."""
        for worker in [*self._idle, *self._busy]:
            worker.forget()
        self._reset()


def _pack(name: str, request: tuple[object, object, object]) -> bytes:
    try:
        return pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        try:
            pickle.dumps(request[0], pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001  # pickle lets anything through
            raise TypeError(
                f"{name} cannot be sent to another process ({error}); define it at "
                "the top level of a module, or use spawn_blocking"
            ) from error
        raise TypeError(
            f"an argument of {name} cannot be sent to another process ({error}); "
            "send plain data, and open files and connections over there"
        ) from error


_pools: WeakSet[CpuPool] = WeakSet()


@functools.cache
def _worker_class() -> "type[WorkerProcess]":
    """Import what starts processes, once."""
    from sumida.runtime._process import WorkerProcess  # noqa: PLC0415  # see above

    # After that of multiprocessing, so that it is called before it.
    atexit.register(_kill_workers)
    return WorkerProcess


def _kill_workers() -> None:
    for pool in list(_pools):
        pool.kill_all()


def _forget_workers() -> None:
    for pool in list(_pools):
        pool.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)

_default: Final = CpuPool()


async def spawn_cpu(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `CpuPool.run` on the pool of the process.

    Args:
        fn: A function from the top level of a module.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        A copy of what `fn` returned.

    Cancel safety:
        Not safe: a call that has not begun never begins; the process that makes one
        is killed, and replaced.
    """
    return await _default.run(fn, *args, **kwargs)


async def shutdown_cpu(deadline: float) -> list[StuckWorker]:
    """End what this event loop has given to `spawn_cpu`, before it ends.

    Processes without work end too; the pool itself stays, for other loops.

    Args:
        deadline: How long to wait at most, in seconds, 0 or more.

    Returns:
        The processes that had to be killed.

    Cancel safety:
        Safe: call it again to wait on.
    """
    return await _default.drain(deadline)
