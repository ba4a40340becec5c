"""Tasks that belong to a block: joined when it ends, aborted when it fails.

Spawn into a `JoinSet` whatever should not outlive the function that starts it, and
take the results in the order in which they come. A set keeps each until it is taken:
where results do not matter, in a server that runs for months, use a `TaskTracker`.
"""

import asyncio
import logging
import sys
from asyncio import CancelledError, Task
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from inspect import iscoroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, Self, final

from sumida._core.callgraph import link, unlink
from sumida._core.coroutines import start
from sumida._core.waiters import WaiterQueue
from sumida.errors import MisuseError
from sumida.operation import PENDING, Operation, Pending, QueuedOperation
from sumida.runtime._untaken import FailureAlarm

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

P = ParamSpec("P")

__all__ = ("JoinSet",)

_logger: Final = logging.getLogger("sumida")

_MANY: Final = 100_000
"""So many results in a set that is spawned into are told of. They fill some 70 MB
(CPython 3.11); a program that means to keep its results seldom has more, and one that
forgot about them grows until it is killed."""


_LEFT: Final = "whose block has ended"

_TAKES_BACK: Final = sys.version_info >= (3, 13)
"""Whether `Task.uncancel` takes back a cancel that was asked for and not delivered."""

_ENDINGS: Final = (SystemExit, KeyboardInterrupt)
"""What ends a program, and goes before all that has failed."""


@final
class _JoinNext(QueuedOperation["Task[T] | None"], Generic[T]):
    """Take a task that has ended, waiting while there is none."""

    __slots__ = ("_set",)

    def __init__(self, join_set: "JoinSet[T]", waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._set = join_set

    def __repr__(self) -> str:
        return f"<JoinNext of {self._set!r}>"

    def poll(self) -> Task[T] | Literal[Pending.PENDING] | None:
        """Take one now, if one has ended; see `Operation.poll`."""
        if len(self._set) and not self._set.has_finished:
            return PENDING
        self.forget_place()
        return self._set.try_join_next()


@final
class JoinSet(Generic[T]):
    """A set of tasks owned by one block.

    Leaving the block normally joins every task; what failed and was not taken by
    `join_next`, `join_all` or `async for` is raised as an `ExceptionGroup`. Leaving
    it by an exception or a cancel aborts every task and waits for it; what a task
    tries to spawn meanwhile is refused. A task that fails does not end the others:
    take the results to act on it. `SystemExit` and `KeyboardInterrupt`, of the block
    or of a task, are raised as they are; what failed besides goes to the loop's
    exception handler.

    Each result is kept until it is taken, so a set that lives long has to be emptied:
    by `join_next`, or by `try_join_next` before each `spawn`. A set that is spawned
    into while it holds 100 000 results says so in the log, once.

    Source:
        `tokio::task::JoinSet`
    """

    __slots__ = (
        "_aborts",
        "_alarm",
        "_cancels",
        "_closed",
        "_finished",
        "_has_told",
        "_running",
        "_tasks",
        "_waiters",
    )

    def __init__(self) -> None:
        # Those of the task that leaves the block, when it entered.
        self._cancels = 0
        # All that were not taken, in the order of spawning; this is what keeps a
        # task alive while it runs.
        self._tasks: dict[Task[T], None] = {}
        # Those of them that have ended, in the order of ending.
        self._finished: deque[Task[T]] = deque()
        self._running = 0
        self._waiters = WaiterQueue()
        # Why nothing more may be spawned; empty while it may.
        self._closed = ""
        # How often all were aborted: an eager task can do that in its first step, in
        # which it does not stand in `_tasks` yet.
        self._aborts = 0
        self._has_told = False
        # Made when a task first fails.
        self._alarm: FailureAlarm | None = None

    def __repr__(self) -> str:
        left = ", left" if self._closed is _LEFT else ""
        return f"<JoinSet {self._running} running, {len(self._finished)} ended{left}>"

    def __len__(self) -> int:
        """Count the tasks that run or were not taken yet."""
        return len(self._tasks)

    def __bool__(self) -> bool:
        """Be true, tasks or not."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether no task runs and none waits to be taken."""
        return not self._tasks

    @property
    def has_finished(self) -> bool:
        """Whether a task has ended and was not taken yet."""
        return bool(self._finished)

    def spawn(
        self, coroutine: Coroutine[object, object, T], *, name: str | None = None
    ) -> Task[T]:
        """Start a task that belongs to this set.

        Args:
            coroutine: What it runs.
            name: The task's name, for dumps and messages; asyncio's by default.

        Returns:
            The task; it need not be kept.

        Raises:
            TypeError: `coroutine` is none.
            MisuseError: The set was left, or is being aborted; no loop runs, or the
                coroutine was started before. (If it has ended, and nobody else holds
                it, that may not be seen here: the task fails with a RuntimeError.)
        """
        if self._closed:
            if iscoroutine(coroutine):
                coroutine.close()
            raise MisuseError(
                f"spawn into {self!r}, {self._closed}", "spawn before, inside its block"
            )
        aborts = self._aborts
        task = start(coroutine, name)
        self._tasks[task] = None
        self._running += 1
        task.add_done_callback(self._on_done)
        if self._aborts != aborts:
            task.cancel()
        if len(self._finished) >= _MANY and not self._has_told:
            self._has_told = True
            _logger.warning(
                "%s keeps each result until it is taken: take them by join_next, or "
                "spawn into a TaskTracker where none matters",
                repr(self),  # as it is now, whenever the record is written
            )
        return task

    def _on_done(self, task: Task[T]) -> None:
        # Not there if it was detached meanwhile.
        if task in self._tasks:
            self._running -= 1
            self._finished.append(task)
            # `exception()` would say that somebody has seen it.
            if task._exception is not None:
                self._note_failure(task)
            if self._waiters.head is not None:
                # Who waits for one takes it; who waits for all looks again.
                self._waiters.wake_all()

    def _note_failure(self, task: Task[T]) -> None:
        if self._alarm is None:
            self._alarm = FailureAlarm(self, self._tasks, self._finished)
        self._alarm.note(task)

    def spawn_blocking(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Task[T]:
        """Start a task that runs a blocking function on a thread; see `spawn_blocking`.

        Args:
            function: What to call.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            The task. Aborting it does not stop a function that has begun.
        """
        from sumida.runtime.blocking import spawn_blocking  # noqa: PLC0415  # the threads are loaded when they are used

        name = getattr(function, "__qualname__", None)
        return self.spawn(spawn_blocking(function, *args, **kwargs), name=name)

    def join_next(self) -> Operation[Task[T] | None]:
        """Take a task that has ended, waiting while there is none.

        Returns:
            An operation that gives the task, in the order in which they end; None
            when the set is empty.

        Cancel safety:
            Safe: a task that was not returned stays in the set.
        """
        return _JoinNext(self, self._waiters)

    def try_join_next(self) -> Task[T] | None:
        """Take a task that has ended, if there is one.

        Returns:
            The task, or None.
        """
        if not self._finished:
            return None
        task = self._finished.popleft()
        del self._tasks[task]
        return task

    def __aiter__(self) -> AsyncIterator[Task[T]]:
        return self

    async def __anext__(self) -> Task[T]:
        task = self.try_join_next()
        if task is None:
            task = await self.join_next()
        if task is None:
            raise StopAsyncIteration
        return task

    async def join_all(self) -> list[T]:
        """Wait for every task, and take the results.

        Returns:
            The results in the order of spawning.

        Raises:
            BaseExceptionGroup: Tasks failed; all have ended. One that was aborted
                counts as a failure, for it has no result: `CancelledError` is in it.
            MisuseError: The caller is a task of this set, and would wait for itself.

        Cancel safety:
            Safe: nothing is taken before all have ended.
        """
        self._refuse_member("join_all")
        await self._all_ended()
        tasks = list(self._tasks)
        self._tasks.clear()
        self._finished.clear()
        errors = [
            CancelledError(f"{task.get_name()} was aborted")
            if task.cancelled()
            else task.exception()
            for task in tasks
        ]
        failures = [error for error in errors if error is not None]
        if failures:
            raise BaseExceptionGroup("tasks of a JoinSet failed", failures)
        return [task.result() for task in tasks]

    async def _all_ended(self) -> None:
        linked = link(self._tasks)
        try:
            await _AllEnded(self, self._waiters)
        finally:
            unlink(linked)

    def _refuse_member(self, call: str) -> None:
        if asyncio.current_task() in self._tasks:
            raise MisuseError(
                f"{call} of {self!r} is called by a task of the set, which would wait "
                "for itself",
                "call it outside; a task of the set may call abort_all",
            )

    def abort_all(self) -> None:
        """Cancel every task; each stays in the set until it is joined."""
        self._aborts += 1
        for task in self._tasks:
            task.cancel()

    def detach_all(self) -> None:
        """Let go of every task: they run on, and the set is empty.

        They are kept alive until they end; an error of one goes to the loop's
        exception handler.
        """
        self._waiters.check_loop()
        for task in self._tasks:
            if not task.done():
                _detached.add(task)
                task.add_done_callback(_detached.discard)
        self._tasks.clear()
        self._finished.clear()
        self._running = 0
        self._waiters.wake_all()

    async def shutdown(self) -> None:
        """Abort every task and wait until all have ended; results are dropped.

        Nothing can be spawned meanwhile; afterwards the set is as new.

        Raises:
            CancelledError: The caller was cancelled meanwhile; all have ended.
            MisuseError: The caller is a task of this set, and would wait for itself.

        Cancel safety:
            Safe: the cancel is kept, and raised when the last task has ended.
        """
        self._refuse_member("shutdown")
        cancelled = await self._abort_and_wait()
        for task in self._finished:
            if not task.cancelled():
                task.exception()  # seen, so that asyncio does not complain
        self._tasks.clear()
        self._finished.clear()
        if cancelled is not None:
            raise cancelled

    async def _abort_and_wait(self) -> CancelledError | None:
        """Abort and wait, whatever happens; the caller's cancel, if there was one."""
        before, self._closed = self._closed, "which is being aborted"
        self.abort_all()
        cancelled: CancelledError | None = None
        while self._running:
            try:
                await self._all_ended()
            except CancelledError as error:
                cancelled = error
        self._closed = before
        return cancelled

    async def __aenter__(self) -> Self:
        if self._closed:
            raise MisuseError(
                f"{self!r} is entered again", "make a JoinSet for each block"
            )
        task = asyncio.current_task()
        self._cancels = 0 if task is None else task.cancelling()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cancelled: CancelledError | None = None
        try:
            if exc is None and self._running:
                await self._all_ended()
        except CancelledError as error:
            cancelled = error
        if exc is not None or cancelled is not None:
            later = await self._abort_and_wait()
            cancelled = later or cancelled
        self._closed = _LEFT
        # The block may have been left by what a task of its own has raised.
        failures = [each for each in self._take_failures() if each is not exc]
        endings = [each for each in (exc, *failures) if isinstance(each, _ENDINGS)]
        if endings:
            # The program is to end: that must not hide in a group.
            _report(each for each in failures if each is not endings[0])
            if endings[0] is not exc:
                raise endings[0]
            return
        if not failures:
            if cancelled is not None:
                raise cancelled
            return
        if cancelled is not None or isinstance(exc, CancelledError):
            _cancel_again(self._cancels)
        if exc is not None and not isinstance(exc, (CancelledError, GeneratorExit)):
            failures.insert(0, exc)
        raise BaseExceptionGroup("tasks of a JoinSet failed", failures)

    def _take_failures(self) -> list[BaseException]:
        """Empty the set; the errors of those that nobody has taken."""
        failures: list[BaseException] = []
        for task in self._finished:
            if not task.cancelled():
                error = task.exception()
                if error is not None:
                    failures.append(error)
        self._tasks.clear()
        self._finished.clear()
        if self._alarm is not None:
            self._alarm.end()
        return failures


@final
class _AllEnded(QueuedOperation[None]):
    """Wait until no task of a set runs."""

    __slots__ = ("_set",)

    def __init__(self, join_set: JoinSet[Any], waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._set = join_set

    def __repr__(self) -> str:
        return f"<join of {self._set!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether all have ended; see `Operation.poll`."""
        # Its place need not be given up: it is awaited once, alone.
        return PENDING if self._set._running else None


_detached: set[Task[Any]] = set()
"""Tasks that a set let go of: the loop itself would let them be collected."""


def _cancel_again(before: int) -> None:
    """Deliver the cancel at the next wait: this time the failures are raised.

    A cancel and an error cannot be raised both. `TaskGroup` does the same from
    CPython 3.13 on; before, it lost the cancel of a nested group.

    Args:
        before: How many cancels there were when the block began. If there are no more,
            it was left by the cancel of something else, which it has awaited.
    """
    task = asyncio.current_task()
    if task is None:
        return
    if _TAKES_BACK:
        _repeat_cancel(task, before)
    else:
        # A deadline around the block may still answer for it.
        task.get_loop().call_soon(_repeat_cancel, task, before)


def _repeat_cancel(task: "Task[Any]", before: int) -> None:
    if task.cancelling() > before:
        task.uncancel()
        task.cancel()


def _report(failures: Iterable[BaseException]) -> None:
    """Tell the loop's exception handler of what cannot be raised."""
    loop = asyncio.get_running_loop()
    for failure in failures:
        loop.call_exception_handler(
            {
                "message": "a task of a JoinSet failed while the program was to end",
                "exception": failure,
            }
        )
