"""The last words of a process that is ended by force: what still runs, and where."""

import asyncio
import contextlib
import os
import sys
import threading
import traceback
from asyncio import AbstractEventLoop
from collections.abc import Iterator, Sequence

from sumida._core.exits import let_go
from sumida.process._handle import running
from sumida.runtime.dump import TaskState, task_dump

__all__ = ("last_words",)

_STDERR = 2
_OURS = ("sumida-signals", "sumida-force", "sumida-watchdog")


def last_words(head: str, lines: Sequence[str], loop: AbstractEventLoop | None) -> None:
    """Let go of what outlives the process, and say what was still running.

    It writes to the descriptor of stderr itself: a thread that is stuck in a `print`
    holds the lock of `sys.stderr`.

    Args:
        head: Why, in a sentence.
        lines: What is known of the shutdown.
        loop: The program's loop; None where there was none.
    """
    children = running()
    errors = let_go()
    text = [head, *lines]
    text += [f"while ending: {error!r}" for error in errors]
    text += [f"child {child!r} was killed" for child in children]
    text += _tasks(loop)
    text += _threads()
    data = ("\n".join(text) + "\n").encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(_STDERR, data) :]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _tasks(loop: AbstractEventLoop | None) -> Iterator[str]:
    if loop is None or loop.is_closed():
        return
    states: list[TaskState] = []
    # The loop goes on meanwhile, or not: what can be seen is told.
    with contextlib.suppress(Exception):
        states = task_dump(loop)
    running_task = asyncio.current_task(loop)
    name = None if running_task is None else running_task.get_name()
    for state in states:
        mark = " (it runs now)" if state.name == name else ""
        yield f"task {state}{mark}"


def _threads() -> Iterator[str]:
    frames = sys._current_frames()  # documented in spite of its name
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if thread.name in _OURS or frame is None:
            continue
        kind = "daemon thread" if thread.daemon else "thread"
        yield f"{kind} {thread.name}:"
        yield "".join(traceback.format_stack(frame)).rstrip()
