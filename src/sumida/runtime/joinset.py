"""Tasks that belong to a block: joined when it ends, aborted when it fails.

Spawn into a `JoinSet` whatever should not outlive the function that starts it, and
take the results in the order in which they come. To forget each result as it comes,
in a server that runs for months, use a `TaskTracker`.
"""

from asyncio import CancelledError, Task
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from inspect import iscoroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, final

from sumida._core.cancel import cancel_again
from sumida._core.coroutines import ended, start
from sumida._core.waiters import WaiterQueue
from sumida.errors import Aborted, MisuseError
from sumida.operation import PENDING, Operation, Pending, QueuedOperation, spend
from sumida.runtime._branches import TURN

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

P = ParamSpec("P")

__all__ = ("JoinSet",)

_MESSAGE = "tasks of a JoinSet failed"


@final
class JoinSet(Generic[T]):
    """A set of tasks owned by one block.

    Leaving the block normally joins every task; leaving it by an exception or a cancel
    aborts every task and waits for it, however often the wait is cancelled. Failures
    that were not *read* are raised then, in an `ExceptionGroup`, with the block's own
    error first. A failure is read when its task was taken from the set (`join_next`,
    `try_join_next`, `async for`), when `join_all` has raised it, or when it is the
    very exception by which the block is left. A task that was aborted has not failed.

    A task that fails does not end the others, as it does in a `TaskGroup`: take the
    tasks as they end to act on it. A block that waits for what a failed task should
    have done waits for ever.

    Source:
        `tokio::task::JoinSet`
    """

    __slots__ = ("_finished", "_is_closed", "_joiners", "_leavers", "_tasks")

    def __init__(self) -> None:
        # All that were not taken, in the order of spawning.
        self._tasks: dict[Task[T], None] = {}
        # Those of them that have ended, in the order of ending.
        self._finished: deque[Task[T]] = deque()
        # Who waits for one to end, and who for all.
        self._joiners = WaiterQueue()
        self._leavers = WaiterQueue()
        self._is_closed = False

    def __repr__(self) -> str:
        left = ", left" if self._is_closed else ""
        return f"<JoinSet {self.running} running, {len(self._finished)} ended{left}>"

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
    def running(self) -> int:
        """How many tasks run."""
        return len(self._tasks) - len(self._finished)

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
            MisuseError: The block has ended, or is ending by an error; no loop runs;
                or the coroutine was spawned or started before.
        """
        if self._is_closed:
            if iscoroutine(coroutine):
                coroutine.close()
            raise MisuseError(
                f"spawn into {self!r}, whose block has ended",
                "spawn inside the `async with`",
            )
        task = start(coroutine, name)
        self._tasks[task] = None
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: Task[T]) -> None:
        ended(task)
        tasks = self._tasks
        if task not in tasks:
            return  # it was let go of when it had just ended
        finished = self._finished
        finished.append(task)
        if self._joiners.head is not None:
            self._joiners.serve_first()
        if self._leavers.head is not None and len(finished) == len(tasks):
            self._leavers.wake_all()

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
        return _JoinNext(self, self._joiners)

    def try_join_next(self) -> Task[T] | None:
        """Take a task that has ended, if there is one.

        Returns:
            The task, or None.
        """
        if not self._finished:
            return None
        task = self._finished.popleft()
        del self._tasks[task]
        if not self._tasks:
            # Whoever waits for one more waits in vain.
            self._joiners.wake_all()
        return task

    def __aiter__(self) -> AsyncIterator[Task[T]]:
        return self

    async def __anext__(self) -> Task[T]:
        if spend():
            await TURN
        task = self.try_join_next()
        if task is None:
            task = await self.join_next()
        if task is None:
            raise StopAsyncIteration
        return task

    async def join_all(self) -> list[T]:
        """Wait for every task that was not taken, and take the results.

        Returns:
            The results in the order of spawning.

        Raises:
            ExceptionGroup: Tasks have no result; all have ended. The errors are in
                the order of spawning, with `Aborted` for a task that was cancelled.

        Cancel safety:
            Safe: nothing is taken before all have ended.
        """
        await self._all_ended()
        tasks = list(self._tasks)
        self._clear()
        failures = [error for task in tasks if (error := _why_none(task)) is not None]
        if failures:
            raise BaseExceptionGroup(_MESSAGE, failures)
        return [task.result() for task in tasks]

    def _all_ended(self) -> Operation[None]:
        return _AllEnded(self, self._leavers)

    def abort_all(self) -> None:
        """Cancel every task that runs; each stays in the set until it is taken."""
        # A list, because an eager task may be spawned by what this sets in motion.
        for task in list(self._tasks):
            task.cancel()

    def detach_all(self) -> None:
        """Let go of every task: they run on, and the set is empty.

        They are kept alive until they end; an error of one goes to the loop's
        exception handler.
        """
        for task in self._tasks:
            if task.remove_done_callback(self._on_done):
                task.add_done_callback(ended)
        self._clear()
        self._leavers.wake_all()

    def _clear(self) -> None:
        self._tasks.clear()
        self._finished.clear()
        self._joiners.wake_all()

    async def shutdown(self) -> None:
        """Abort every task and wait until all have ended; results are dropped.

        Failures are dropped too. The set can be used again.

        Raises:
            CancelledError: The caller was cancelled meanwhile; all have ended.

        Cancel safety:
            Safe: the cancel is kept, and raised when the last task has ended.
        """
        was_closed = self._is_closed
        cancelled = await self._abort_and_wait()
        self._is_closed = was_closed
        self._take_failures()
        if cancelled is not None:
            raise cancelled

    async def _abort_and_wait(self) -> CancelledError | None:
        """Abort and wait, whatever happens; the caller's cancel, if there was one."""
        # What is spawned from now on would never be aborted.
        self._is_closed = True
        self.abort_all()
        cancelled: CancelledError | None = None
        while self.running:
            try:
                await self._all_ended()
            except CancelledError as error:
                cancelled = error
        return cancelled

    async def __aenter__(self) -> Self:
        if self._is_closed:
            raise MisuseError(
                f"{self!r} is entered again", "make a JoinSet for each block"
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, GeneratorExit):
            # The coroutine is being closed, and cannot wait any more.
            self._is_closed = True
            self.abort_all()
            self.detach_all()
            return
        cancelled: CancelledError | None = None
        if exc is None:
            try:
                if self.running:
                    await self._all_ended()
            except CancelledError as error:
                cancelled = error
        if exc is not None or cancelled is not None:
            cancelled = await self._abort_and_wait() or cancelled
        self._is_closed = True
        failures = self._take_failures()
        try:
            if failures or cancelled is not None:
                _raise(failures, exc, cancelled)
        finally:
            # They lead to this frame.
            del failures, cancelled, exc

    def _take_failures(self) -> list[BaseException]:
        """Empty the set; the errors of those that nobody has taken."""
        failures = [
            error
            for task in self._finished
            if not task.cancelled() and (error := task.exception()) is not None
        ]
        self._clear()
        return failures


def _raise(
    failures: list[BaseException],
    exc: BaseException | None,
    cancelled: CancelledError | None,
) -> None:
    """End a block with what its tasks, its body and its canceller have to say.

    Args:
        failures: Errors of tasks that were not read.
        exc: By what the block is left; it goes on by itself if this returns.
        cancelled: The cancel that came while the block waited for its tasks.
    """
    failures = [failure for failure in failures if failure is not exc]
    fatal = [one for one in (exc, *failures) if _is_fatal(one)]
    is_cancel = isinstance(exc, CancelledError)
    try:
        if fatal:
            _report([failure for failure in failures if failure not in fatal])
            if fatal[0] is not exc:
                raise fatal[0]
        elif failures:
            if is_cancel or cancelled is not None:
                cancel_again()
            if exc is not None and not is_cancel:
                failures.insert(0, exc)
            raise BaseExceptionGroup(_MESSAGE, failures)
        elif cancelled is not None:
            if exc is None:
                raise cancelled
            if not is_cancel:
                cancel_again()
    finally:
        del failures, fatal, exc, cancelled


def _is_fatal(error: BaseException | None) -> bool:
    """Tell whether it ends the program, so that it is raised alone."""
    return isinstance(error, (SystemExit, KeyboardInterrupt))


def _report(failures: list[BaseException]) -> None:
    """Tell of errors that give way to the end of the program."""
    loop = running_loop()
    for failure in failures:
        if loop is not None:
            message = f"{_MESSAGE} while the program was ending"
            loop.call_exception_handler({"message": message, "exception": failure})


def _why_none(task: Task[Any]) -> BaseException | None:
    """Give the reason why a task that has ended has no result, if it has none."""
    return Aborted(task.get_name()) if task.cancelled() else task.exception()


@final
class _JoinNext(QueuedOperation[Task[T] | None], Generic[T]):
    """Take a task that has ended, waiting while there is none."""

    __slots__ = ("_set",)

    def __init__(self, join_set: JoinSet[T], waiters: WaiterQueue) -> None:
        self._waiters = waiters
        self._waiter = None
        self._set = join_set

    def __repr__(self) -> str:
        return f"<join_next() of {self._set!r}>"

    def poll(self) -> Task[T] | Literal[Pending.PENDING] | None:
        """Take one now, if one has ended; see `Operation.poll`."""
        task = self._set.try_join_next()
        waiter = self._waiter
        if task is None and not self._set.is_empty:
            if waiter is not None:
                # Somebody was quicker; the place in the queue is kept.
                waiter.granted = 0
            return PENDING
        if waiter is not None and not self.take_grant():
            self.forget_place()
        return task

    def is_ready(self) -> bool:
        """Tell whether there is one, or none will come; see `Operation.is_ready`."""
        return self._set.is_empty or self._set.running < len(self._set)

    def give_back(self, granted: int) -> None:
        """Wake the next for the task that this one leaves; see `QueuedOperation`."""
        if self._set.running < len(self._set):
            self._waiters.serve_first()


@final
class _AllEnded(QueuedOperation[None]):
    """Wait until no task of a set runs."""

    __slots__ = ("_set",)

    def __init__(self, join_set: JoinSet[Any], waiters: WaiterQueue) -> None:
        self._waiters = waiters
        self._waiter = None
        self._set = join_set

    def __repr__(self) -> str:
        return f"<join of {self._set!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether all have ended; see `Operation.poll`."""
        if self._set.running:
            return PENDING
        self.forget_place()
        return None
