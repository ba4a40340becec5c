"""Say what every task waits for: the answer to a program that hangs.

Nothing is recorded while the program runs. The dump follows each task from its
coroutine down to the operation it is parked on, so it costs nothing until it is
asked for: from a signal handler on the loop, a debugger, or a test that timed out.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
)
from typing import Any, TypeVar

from sumida.operation import Operation

__all__ = ("TaskState", "format_dump", "task_dump", "waits_for")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where one task stands.

    Attributes:
        name: The task's name.
        waits_for: What it is parked on, as its `repr` tells; several for a `select`;
            empty while it is ready to run.
        stack: Where it waits: `function (file:line)`, the innermost last.

    Source:
        `tokio::runtime::dump::Task`
    """

    name: str
    waits_for: tuple[str, ...]
    stack: tuple[str, ...]

    def __str__(self) -> str:
        waits = " or ".join(self.waits_for) or "its turn"
        lines = [f"{self.name} waits for {waits}"]
        lines += [f"    in {place}" for place in self.stack]
        return "\n".join(lines)


def task_dump(loop: asyncio.AbstractEventLoop | None = None) -> list[TaskState]:
    """Look at every task of a loop.

    Args:
        loop: The loop to look at; the running one by default. To be called on its
            thread, or while it stands still.

    Returns:
        One state for each task that has not ended, by name.

    Raises:
        RuntimeError: No loop is given and none is running.

    Source:
        `tokio::runtime::Handle::dump`
    """
    if loop is None:
        loop = asyncio.get_running_loop()
    states = [_state(task) for task in asyncio.all_tasks(loop)]
    return sorted(states, key=lambda state: state.name)


def format_dump(loop: asyncio.AbstractEventLoop | None = None) -> str:
    """Write what `task_dump` gives as text, one paragraph a task.

    Args:
        loop: As `task_dump`.

    Returns:
        The text.
    """
    return "\n".join(map(str, task_dump(loop)))


def waits_for(task: asyncio.Task[T]) -> str:
    """Say in a line what a task waits for, and where.

    Args:
        task: Any task that does not run just now.

    Returns:
        The operation or future, and the innermost place of the caller's own code.

    Raises:
        TypeError: `task` is none.
    """
    if not isinstance(task, asyncio.Task):
        raise TypeError(f"task must be a task, not {task!r}")
    state = _state(task)
    what = " or ".join(state.waits_for) or "its turn"
    return f"{what} in {state.stack[-1]}" if state.stack else what


def _state(task: asyncio.Task[Any]) -> TaskState:
    stack: list[str] = []
    waits: tuple[str, ...] = ()
    for frame, line in _frames(task.get_coro()):
        code = frame.f_code
        operations = _operations(frame)
        if operations:
            waits = tuple(repr(operation) for operation in operations)
        if not _is_ours(code):
            stack.append(f"{code.co_qualname} ({code.co_filename}:{line})")
    if not waits:
        # A future of asyncio or of another library.
        waiter = getattr(task, "_fut_waiter", None)
        waits = () if waiter is None else (repr(waiter),)
    return TaskState(task.get_name(), waits, tuple(stack))


def _frames(awaitable: object) -> Iterator[tuple[FrameType, int]]:
    """Follow what is awaited from the outermost frame to the innermost."""
    while True:
        match awaitable:
            case CoroutineType():
                frame, inner = awaitable.cr_frame, awaitable.cr_await
            case GeneratorType():
                frame, inner = awaitable.gi_frame, awaitable.gi_yieldfrom
            case AsyncGeneratorType():
                frame, inner = awaitable.ag_frame, awaitable.ag_await
            case _:
                return
        if frame is None:
            return
        yield frame, frame.f_lineno
        awaitable = inner


def _operations(frame: FrameType) -> list[Operation[object]]:
    """Find the operations with which a frame of this library waits."""
    if not _is_ours(frame.f_code):
        return []
    names = frame.f_locals
    for name in ("operations", "operation", "self"):
        found = names.get(name)
        if isinstance(found, Operation):
            return [found]
        if isinstance(found, (list, tuple)):
            return [thing for thing in found if isinstance(thing, Operation)]
    return []


_HERE = __file__.removesuffix("runtime/dump.py")


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_HERE) and "/apps/" not in code.co_filename
