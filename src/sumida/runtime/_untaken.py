"""Tell of the failures in a set of tasks that nobody takes."""

import logging
from asyncio import Task, TimerHandle
from collections.abc import Collection, Iterable
from itertools import dropwhile, islice
from typing import Any, Final, final

__all__ = ("PATIENCE", "FailureAlarm")

_logger: Final = logging.getLogger("sumida")

PATIENCE: Final = 10.0
"""A failure that nobody has taken for so long is told of, in seconds."""


@final
class FailureAlarm:
    """One timer for all failures of a set, which would keep them to its end.

    Args:
        owner: The set, to be shown.
        tasks: All that were not taken.
        finished: Those of them that have ended, in the order of ending.
    """

    __slots__ = ("_finished", "_owner", "_tasks", "_timer")

    def __init__(
        self,
        owner: object,
        tasks: Collection[Task[Any]],
        finished: Iterable[Task[Any]],
    ) -> None:
        self._owner = owner
        self._tasks = tasks
        self._finished = finished
        self._timer: TimerHandle | None = None

    def note(self, task: Task[Any]) -> None:
        """Give a failure its time, if none has it now.

        Args:
            task: One that has just failed.
        """
        if self._timer is None:
            self._timer = task.get_loop().call_later(PATIENCE, self._tell, task)

    def end(self) -> None:
        """Tell of nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, task: Task[Any]) -> None:
        """Log a failure that is still there; give its time to one that came later."""
        self._timer = None
        later = iter(self._finished)
        if task in self._tasks:
            _logger.warning(
                "task %r failed %g s ago or more, and %s goes on: its error is raised "
                "at the end of the block; to hear of it before, use join_next",
                task.get_name(),
                PATIENCE,
                repr(self._owner),  # as it is now, whenever the record is written
                exc_info=task._exception,
            )
            later = islice(dropwhile(lambda each: each is not task, later), 1, None)
        # Only looked at: it is for who takes it to say that it was retrieved.
        failed = next((each for each in later if each._exception is not None), None)
        if failed is not None:
            self.note(failed)
