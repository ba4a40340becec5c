"""Start a coroutine as a task that somebody owns, or refuse clearly what is none.

asyncio keeps its tasks by weak references only: one that nobody holds may be collected
while it runs. Those that are started here are kept until they end.
"""

from asyncio import Task
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Coroutine
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from types import CoroutineType
from typing import Any, Final, TypeVar

from sumida.errors import MisuseError

__all__ = ("ended", "start")

T = TypeVar("T")

_running: Final[dict[object, Task[Any]]] = {}
"""The tasks that run, by their coroutines: so that none is started twice."""


def start(coroutine: Coroutine[object, object, T], name: str | None) -> Task[T]:
    """Make a task of a coroutine that was not started before.

    Args:
        coroutine: What the task runs.
        name: The task's name; asyncio's by default.

    Returns:
        The task. It is kept until it has ended; the caller adds a callback to it that
        calls `ended`.

    Raises:
        TypeError: It is no coroutine.
        MisuseError: It was started before, or no loop runs; then it is closed.
    """
    # The usual case is told by two attributes; `inspect` takes a microsecond.
    if (
        type(coroutine) is not CoroutineType
        or coroutine.cr_suspended
        or coroutine.cr_frame is None
        or coroutine in _running
    ):
        _refuse_unless_new(coroutine)
    loop = running_loop()
    if loop is None:
        coroutine.close()
        raise MisuseError(
            "spawn was called where no event loop runs", "call it inside `run`"
        )
    task = loop.create_task(coroutine, name=name)
    if not task.done():
        _running[coroutine] = task
    return task


def _refuse_unless_new(coroutine: object) -> None:
    if not isinstance(coroutine, Coroutine):
        raise TypeError(
            f"spawn takes a coroutine, not {coroutine!r}; call the async function, or "
            "write one that awaits it"
        )
    task = _running.get(coroutine)
    if task is not None:
        raise MisuseError(
            f"{coroutine!r} was spawned before, as {task.get_name()!r}",
            "call the async function again for each task",
        )
    if iscoroutine(coroutine) and getcoroutinestate(coroutine) != CORO_CREATED:
        raise MisuseError(
            f"{coroutine!r} was started before",
            "call the async function again for each task",
        )


def ended(task: Task[Any]) -> None:
    """Let go of a task that has ended.

    Args:
        task: What `start` gave.
    """
    # None for one that ended at its first step, and was never kept.
    _running.pop(task.get_coro(), None)
