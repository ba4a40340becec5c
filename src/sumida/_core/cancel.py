"""Deliver a cancel that could not be raised, because an error had to be."""

import asyncio
import sys
from asyncio import Task
from typing import Any

__all__ = ("cancel_again",)


def cancel_again() -> None:
    """Have the running task's cancel delivered at its next wait.

    A block can raise either its cancel or its error; it raises the error, and calls
    this. How often the task was cancelled stays as it was, so that whoever cancelled
    it, a deadline around the block for one, still knows its own cancel and takes it
    back. Nothing happens to a task that nobody has asked to cancel: its
    `CancelledError` came from something it awaited.
    """
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return
    if sys.version_info >= (3, 13):
        _ask_again(task)
    else:
        # There `uncancel` does not take back what was not delivered yet, and a
        # deadline that has done with its cancel would leave one behind. So ask when
        # the task has left the blocks that it is about to leave.
        task.get_loop().call_soon(_ask_again, task)


def _ask_again(task: Task[Any]) -> None:
    if task.cancelling() and not task.done():
        task.uncancel()
        task.cancel()
