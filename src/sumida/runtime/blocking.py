"""Calls that block, on threads of their own, so that the event loop goes on.

`await spawn_blocking(fn, *args)` for what waits outside of Python: files, a database
driver, `requests`. Make a `BlockingPool` of your own for calls that must not stand in
one line with those. For Python code that computes use `spawn_cpu`: a thread would
compete with the loop for the interpreter.

No thread can be stopped from outside. When the caller is cancelled, a call that has
not begun never begins, and one that runs goes on unheard: let it ask
`blocking_cancelled` now and then, and return.
"""

import asyncio
import sys
import threading
import time
import traceback
from asyncio import AbstractEventLoop, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Final, ParamSpec, TypeVar, cast, final

from sumida._core.arguments import check_count, is_at_least, refuse
from sumida._core.clock import hold
from sumida.errors import MisuseError
from sumida.runtime._delivery import Job, name_of
from sumida.runtime._threads import Threads, current

__all__ = (
    "DEFAULT_THREADS",
    "KEEP_ALIVE",
    "BlockingPool",
    "StuckWorker",
    "blocking_cancelled",
    "default_pool",
    "shutdown_blocking",
    "spawn_blocking",
)

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_THREADS: Final = 64
"""How many threads a pool has at most, unless told otherwise.

Tokio allows 512, whose threads run truly at once. Here each thread that comes back
from its wait needs the interpreter's lock, and up to 5 ms pass at each change of
hands, so beyond some dozens more threads add delay to the loop and no throughput;
64 answer 6,400 calls of 10 ms in a second. asyncio's own `min(32, cores + 4)` is 6 on
a small server, and a few slow calls there stop all the others.
"""

KEEP_ALIVE: Final = 10.0
"""How long a thread without work stays, in seconds; Tokio's number."""


@final
@dataclass(frozen=True, slots=True)
class StuckWorker:
    """A worker that had not ended when its deadline passed.

    Attributes:
        name: The thread's or process's name.
        function: What it is running.
        seconds: For how long.
        stack: Where it stands, as a traceback shows it; empty for a process.
    """

    name: str
    function: str
    seconds: float
    stack: str

    def __str__(self) -> str:
        head = f"{self.name} has been running {self.function} for {self.seconds:.1f} s"
        return f"{head}\n{self.stack}" if self.stack else head


def blocking_cancelled() -> bool:
    """Tell a function that runs in a pool whether anybody still waits for it.

    Outside of a pool's thread it is False, not an error: a function that asks can
    then be called directly as well, by a test or by another thread.

    Returns:
        Whether the caller was cancelled, or has gone in another way.
    """
    job = current.job
    return job is not None and job.is_abandoned


@final
class BlockingPool:
    """A bounded number of threads for calls that block.

    Calls begin in the order in which they were made. A thread is started when no
    other is free, and ends when it had nothing to do for a while. May be used by
    several event loops at once, each on its thread. The threads are daemons: one
    that is stuck does not keep the process from ending.

    Args:
        max_threads: How many threads at most, 1 or more; more calls wait in line.
        keep_alive: How long a thread without work stays, in seconds, 0 or more.
        name: The threads are called this and a number.

    Raises:
        TypeError: `max_threads` is no int.
        ValueError: `max_threads` is below 1, or `keep_alive` below 0.

    Source:
        `tokio::runtime::Builder::max_blocking_threads`, `thread_keep_alive`
    """

    __slots__ = ("_threads",)

    def __init__(
        self,
        max_threads: int = DEFAULT_THREADS,
        *,
        keep_alive: float = KEEP_ALIVE,
        name: str = "sumida-blocking",
    ) -> None:
        check_count("max_threads", max_threads, least=1)
        if not is_at_least(keep_alive, 0):
            refuse("keep_alive", keep_alive, "0 seconds or more")
        self._threads = Threads(
            max_threads, min(keep_alive, threading.TIMEOUT_MAX), name
        )

    def __len__(self) -> int:
        return len(self._threads.workers)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = f"{len(self)}/{self._threads.max_threads} threads"
        closed = "closed, " if self._threads.is_closed else ""
        return (
            f"<BlockingPool {self._threads.name!r} {closed}{state}, "
            f"{self.idle} idle, {self.queued} queued>"
        )

    @property
    def name(self) -> str:
        """What its threads are called, without the number."""
        return self._threads.name

    @property
    def max_threads(self) -> int:
        """How many threads it has at most."""
        return self._threads.max_threads

    @property
    def idle(self) -> int:
        """How many of its threads have nothing to do."""
        return len(self._threads.idle)

    @property
    def queued(self) -> int:
        """How many calls wait for a thread."""
        return len(self._threads.jobs)

    @property
    def is_closed(self) -> bool:
        """Whether it was shut down."""
        return self._threads.is_closed

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn(*args, **kwargs)` on a thread and wait for what it returns.

        It sees the caller's context variables, in a copy. What it raises is raised
        here; a `StopIteration` or `CancelledError` inside a `RuntimeError`, because a
        coroutine cannot raise the one and was not cancelled by the other.

        Args:
            fn: An ordinary function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Returns:
            What `fn` returned.

        Raises:
            Closed: The pool was shut down before the call began.
            RuntimeError: `fn` raised `StopIteration` or `CancelledError`.
            TypeError: `fn` cannot be called, or is an async function.

        Cancel safety:
            Not safe: a call that has not begun never begins, but one that runs goes
            on to its end, and its result is lost. Should it fail then, the loop's
            exception handler is told.
        """
        if not callable(fn):
            raise TypeError(f"fn must be a function, not {fn!r}")
        loop = get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        call = partial(fn, *args, **kwargs) if args or kwargs else fn
        job = Job(cast("Callable[[], T]", call), copy_context(), future, name_of(fn))
        self._threads.submit(cast("Job[object]", job))
        let_go = hold(loop)
        try:
            await future
        except BaseException:
            self._threads.abandon(cast("Job[object]", job))
            raise
        finally:
            let_go()
        error, job.error = job.error, None
        if error is None:
            return cast("T", job.result)
        try:
            if isinstance(error, StopIteration | asyncio.CancelledError):
                message = f"{job.name} raised {error!r}"
                raise RuntimeError(message) from error  # noqa: TRY004  # no type is wrong
            raise error
        finally:
            del error  # it leads to this frame, which would lead to it

    async def drain(self, deadline: float) -> list[StuckWorker]:
        """Wait for the calls of this event loop; the pool stays open for others.

        Calls of this loop that have not begun are refused with `Closed`. Threads
        without work end.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The threads that still run a call of this loop.

        Raises:
            ValueError: `deadline` is negative.

        Cancel safety:
            Safe: call it again to wait on.
        """
        loop = get_running_loop()
        _check(deadline)
        self._threads.stop(loop)
        return await self._wait(loop, deadline)

    async def shutdown(self, deadline: float) -> list[StuckWorker]:
        """End the pool: take no more calls, and wait for those that run.

        Calls that have not begun are refused with `Closed`, as Tokio does. A thread
        that is still busy when the deadline passes is left to itself.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The threads that still run, with what they run and where they stand.

        Raises:
            ValueError: `deadline` is negative.

        Cancel safety:
            Safe: the pool is closed at once; call it again to wait on.
        """
        _check(deadline)
        self._threads.stop(None)
        return await self._wait(None, deadline)

    def blocking_shutdown(self, deadline: float) -> list[StuckWorker]:
        """Do what `shutdown` does, after the event loop has ended.

        Args:
            deadline: How long to wait at most, in seconds, 0 or more.

        Returns:
            The threads that still run, with what they run and where they stand.

        Raises:
            MisuseError: Called on the thread of a running event loop.
            ValueError: `deadline` is negative.
        """
        if running_loop() is not None:
            raise MisuseError(
                "blocking_shutdown was called on the thread of an event loop",
                "await shutdown there",
            )
        _check(deadline)
        end = time.monotonic() + deadline
        self._threads.stop(None)
        changed = threading.Event()
        self._threads.watchers.append(changed.set)
        try:
            while self._threads.workers and (left := end - time.monotonic()) > 0:
                changed.wait(left)
                changed.clear()
        finally:
            self._threads.watchers.remove(changed.set)
        return self._stuck(None)

    async def _wait(
        self, owner: AbstractEventLoop | None, deadline: float
    ) -> list[StuckWorker]:
        loop = get_running_loop()
        changed = asyncio.Event()

        def look() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

        end = loop.time() + deadline
        timer = loop.call_at(end, changed.set)
        self._threads.watchers.append(look)
        try:
            while self._is_waited_for(owner) and loop.time() < end:
                await changed.wait()
                changed.clear()
        finally:
            self._threads.watchers.remove(look)
            timer.cancel()
        return self._stuck(owner)

    def _is_waited_for(self, owner: AbstractEventLoop | None) -> bool:
        if owner is None:
            return bool(self._threads.workers)
        return bool(self._threads.busy(owner))

    def _stuck(self, owner: AbstractEventLoop | None) -> list[StuckWorker]:
        now = time.monotonic()
        frames = sys._current_frames()  # documented in spite of its name
        stuck = []
        for worker, job in self._threads.busy(owner):
            thread = worker.thread
            if thread is None or thread.ident is None:
                continue
            frame = frames.get(thread.ident)
            stack = "" if frame is None else "".join(traceback.format_stack(frame))
            seconds = now - job.started if job.started else 0.0
            stuck.append(StuckWorker(thread.name, job.name, seconds, stack))
        return sorted(stuck, key=lambda worker: worker.name)


def _check(deadline: float) -> None:
    if not is_at_least(deadline, 0):
        refuse("deadline", deadline, "0 seconds or more")


_default: Final = BlockingPool()


def default_pool() -> BlockingPool:
    """Give the pool that `spawn_blocking` uses: one for the whole process.

    Returns:
        The pool; to be looked at, and not to be shut down.
    """
    return _default


async def spawn_blocking(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that blocks on a thread and wait for what it returns.

    See `BlockingPool.run`, which it calls on the pool of the process.

    Args:
        fn: An ordinary function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        What `fn` returned.

    Cancel safety:
        Not safe: a call that has not begun never begins, but one that runs goes on
        to its end, and its result is lost. See `blocking_cancelled`.

    Source:
        `tokio::task::spawn_blocking`
    """
    return await _default.run(fn, *args, **kwargs)


async def shutdown_blocking(deadline: float) -> list[StuckWorker]:
    """Wait for what this event loop has given to `spawn_blocking`, before it ends.

    The pool itself stays: other loops of the process use it too.

    Args:
        deadline: How long to wait at most, in seconds, 0 or more.

    Returns:
        The threads that still run a call of this loop.

    Cancel safety:
        Safe: call it again to wait on.
    """
    return await _default.drain(deadline)
