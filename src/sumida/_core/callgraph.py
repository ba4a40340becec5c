"""Tell asyncio which tasks a task waits for, so that its own tools can show it.

`asyncio.capture_call_graph` and `python -m asyncio pstree PID`, of CPython 3.14 on,
know by themselves what a task awaits. What it waits for in another way, as for the
tasks of a set, they have to be told. Before 3.14 nothing here does anything.
"""

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, TypeAlias

__all__ = ("Linked", "link", "unlink")

_Tell: TypeAlias = Callable[[Future[Any], Future[Any]], object]

_add: Final[_Tell | None] = getattr(asyncio, "future_add_to_awaited_by", None)
_discard: Final[_Tell | None] = getattr(asyncio, "future_discard_from_awaited_by", None)

Linked: TypeAlias = tuple[Future[Any], list[Future[Any]]] | None
"""Who waits, and for whom; None where nothing was noted."""

_MOST: Final = 64
"""So many at most: to tell of one and take it back costs 60 ns, and a reader of the
graph does not look at ten thousand."""


def link(tasks: Iterable[Future[Any]]) -> Linked:
    """Note that the running task waits for `tasks`, or for the first of many.

    Args:
        tasks: What is waited for.

    Returns:
        What was noted, to be passed to `unlink`.
    """
    if _add is None:
        return None
    waiting = asyncio.current_task()
    if waiting is None:
        return None
    linked = [task for task in islice(tasks, _MOST) if task is not waiting]
    for task in linked:
        _add(task, waiting)
    return waiting, linked


def unlink(linked: Linked) -> None:
    """Note that it waits for them no longer.

    Args:
        linked: What `link` gave.
    """
    if linked is None or _discard is None:
        return
    waiting, tasks = linked
    for task in tasks:
        _discard(task, waiting)
