"""Count tasks, and wait until none is left, without keeping their results.

For a server that spawns a task for each connection and runs for months. A `JoinSet`
keeps each result until it is taken; use that where results matter.
"""

from asyncio import Future, Task
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar, final

from sumida._core.coroutines import start
from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Operation, Pending, QueuedOperation

__all__ = ("TaskTracker",)

T = TypeVar("T")


@final
class TaskTracker:
    """A set of running tasks; one that ends is forgotten.

    Nothing is aborted when the tracker goes: cancel a `CancellationToken` that the
    tasks watch, close the tracker, and wait. A task's error goes to whoever awaits
    the task, and if nobody does, to the loop's exception handler.

    Source:
        `tokio_util::task::TaskTracker`
    """

    __slots__ = ("_empties", "_is_closed", "_tasks", "_waiters")

    def __init__(self) -> None:
        self._tasks: set[Task[Any]] = set()
        self._is_closed = False
        self._waiters = WaiterQueue(in_order=False)
        # How often it became closed and empty: a wait that was made before sees it
        # even if the tracker was opened again meanwhile.
        self._empties = 0

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<TaskTracker {len(self._tasks)} running, {state}>"

    def __len__(self) -> int:
        """Count the tasks that run."""
        return len(self._tasks)

    def __bool__(self) -> bool:
        """Be true, tasks or not."""
        return True

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called, and not `reopen` since."""
        return self._is_closed

    @property
    def is_empty(self) -> bool:
        """Whether no task runs."""
        return not self._tasks

    def spawn(
        self, coroutine: Coroutine[object, object, T], *, name: str | None = None
    ) -> Task[T]:
        """Start a task and track it; a closed tracker takes tasks too.

        Args:
            coroutine: What it runs.
            name: The task's name; asyncio's by default.

        Returns:
            The task; it need not be kept.

        Raises:
            TypeError: `coroutine` is none.
            MisuseError: The coroutine was started before, or no loop runs.
        """
        return self._keep(start(coroutine, name))

    def track(self, task: Task[T]) -> Task[T]:
        """Track a task that somebody else has started.

        Args:
            task: The task.

        Returns:
            The same.

        Raises:
            TypeError: `task` is none.
        """
        if not isinstance(task, Future):
            raise TypeError(f"track takes a task, not {task!r}; spawn a coroutine")
        return self._keep(task)

    def _keep(self, task: Task[T]) -> Task[T]:
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: Task[Any]) -> None:
        self._tasks.discard(task)
        self._look()

    def _look(self) -> None:
        if self._is_closed and not self._tasks:
            self._empties += 1
            self._waiters.wake_all()

    @property
    def empties(self) -> int:
        """How often it became closed and empty."""
        return self._empties

    def close(self) -> bool:
        """Let `wait` end when no task is left.

        Returns:
            Whether it was open.
        """
        if self._is_closed:
            return False
        self._waiters.check_loop()
        self._is_closed = True
        self._look()
        return True

    def reopen(self) -> bool:
        """Let `wait` go on although no task is left.

        Returns:
            Whether it was closed.
        """
        was_closed = self._is_closed
        self._is_closed = False
        return was_closed

    def wait(self) -> Operation[None]:
        """Wait until the tracker is closed and no task is left.

        Returns:
            An operation. It is done if that was so at any time since the call.

        Cancel safety:
            Safe.
        """
        return _Wait(self, self._waiters)


@final
class _Wait(QueuedOperation[None]):
    """Wait until a tracker was closed and empty."""

    __slots__ = ("_since", "_tracker")

    def __init__(self, tracker: TaskTracker, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._tracker = tracker
        self._since = tracker.empties

    def __repr__(self) -> str:
        return f"<wait of {self._tracker!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it was; see `Operation.poll`."""
        tracker = self._tracker
        is_now = tracker.is_closed and tracker.is_empty
        if not is_now and tracker.empties == self._since:
            return PENDING
        self.forget_place()
        return None
