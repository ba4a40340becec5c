"""Start a coroutine as a task, or refuse clearly what is none."""

from asyncio import Task, get_running_loop
from collections.abc import Coroutine
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from types import CoroutineType
from typing import TypeVar

from sumida.errors import MisuseError

__all__ = ("start",)

T = TypeVar("T")


def start(coroutine: Coroutine[object, object, T], name: str | None) -> Task[T]:
    """Make a task of a coroutine that was not started before.

    Args:
        coroutine: What the task runs.
        name: The task's name; asyncio's by default.

    Returns:
        The task, which the caller has to keep.

    Raises:
        TypeError: It is no coroutine.
        MisuseError: It was started before, or no loop runs; it is closed then.
    """
    # The usual case is told by two attributes; `inspect` takes a microsecond.
    if type(coroutine) is not CoroutineType or (
        coroutine.cr_suspended or coroutine.cr_frame is None
    ):
        if not iscoroutine(coroutine):
            raise TypeError(
                f"spawn takes a coroutine, not {coroutine!r}; call the async function"
            )
        if getcoroutinestate(coroutine) != CORO_CREATED:
            raise MisuseError(
                f"{coroutine!r} was started before", "call the async function again"
            )
    try:
        loop = get_running_loop()
    except RuntimeError:
        coroutine.close()
        raise MisuseError(
            "spawn was called where no event loop runs", "call it inside `run`"
        ) from None
    return loop.create_task(coroutine, name=name)
