"""Start a coroutine as a task, or refuse clearly what is none."""

import sys
from asyncio import BaseEventLoop, Task, get_running_loop
from collections.abc import Callable, Coroutine
from inspect import CORO_CREATED, getcoroutinestate, isawaitable, iscoroutine
from sys import getrefcount
from types import CoroutineType
from typing import Final, TypeVar

from sumida.errors import MisuseError

__all__ = ("start",)

T = TypeVar("T")

_CREATE_TASK: Final = BaseEventLoop.create_task


def _count_of_own(thing: object) -> int:
    return getrefcount(thing)


def _count_of_passed(thing: object) -> int:
    # The shape of a method that hands its argument on to `start`.
    return _count_of_own(thing)


def _fresh_count() -> int:
    # Without a global interpreter lock a count can be stale: look closely there.
    gil: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    held = object()
    fresh = _count_of_passed(object())
    # From CPython 3.14 on a call only borrows what a variable of the caller holds, and
    # its count is that of a fresh one.
    return fresh if gil() and _count_of_passed(held) > fresh else 0


# The reference count, in `start`, of a coroutine that was made for this call; 0, which
# is less than any, where that is no sign.
_FRESH: Final = _fresh_count()


def start(coroutine: Coroutine[object, object, T], name: str | None) -> Task[T]:
    """Make a task of a coroutine that was not started before.

    One that has ended, and that nobody else holds, is not seen here before CPython
    3.14: its task fails, with Python's RuntimeError. To look would cost each spawn
    some 5 %, which is paid only where it cannot be told who is held.

    Args:
        coroutine: What the task runs.
        name: The task's name; asyncio's by default.

    Returns:
        The task, which the caller has to keep.

    Raises:
        TypeError: It is no coroutine.
        MisuseError: It was started before, or no loop runs; it is closed then.
    """
    # The usual case is told by its count, where there is one: nobody else can have
    # started it. (`cr_frame` tells more, and makes a frame object, which the task then
    # drags along.)
    if (
        type(coroutine) is not CoroutineType
        or coroutine.cr_suspended
        or (getrefcount(coroutine) > _FRESH and coroutine.cr_frame is None)
    ):
        if not iscoroutine(coroutine):
            way = "call the async function"
            if isawaitable(coroutine):
                way = "await it in an async function, and spawn that"
            raise TypeError(f"spawn takes a coroutine, not {coroutine!r}; {way}")
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
    if type(loop).create_task is _CREATE_TASK and loop._task_factory is None:  # type: ignore[attr-defined]  # private
        # What it does, without its Python frame: a twentieth of a short task.
        return Task(coroutine, loop=loop, name=name)
    if name is None:
        return loop.create_task(coroutine)
    return loop.create_task(coroutine, name=name)
