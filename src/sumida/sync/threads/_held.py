"""Who holds a thread lock on an event loop, and whether the loop has moved on.

A guard that is taken inside a running loop remembers the loop's turn. The first one
of a turn asks the loop for one callback, which ends the turn; a task that suspends is
resumed by a callback that was asked for later, so it always finds its turn ended, and
all guards of one turn share the cost. Outside a loop nothing is remembered.
"""

import asyncio
import sys
import threading
from asyncio import AbstractEventLoop, Task
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Iterable
from threading import get_ident
from types import CodeType
from typing import final

from sumida.errors import HeldAcrossAwaitError, MisuseError

__all__ = ("Hold", "hold", "refuse_late_release", "refuse_waiting")


@final
class _Turn:
    """One turn of one loop.

    Attributes:
        loop: The loop; None once the turn has ended.
    """

    __slots__ = ("loop",)

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop: AbstractEventLoop | None = loop

    def end(self) -> None:
        self.loop = None


class _Local(threading.local):
    """The last turn of this thread's loop in which a guard was taken."""

    turn: _Turn | None = None


_local = _Local()


@final
class Hold:
    """One guard taken on a loop: by whom, where, and in which turn.

    Args:
        turn: The turn in which it was taken.
        task: The task that took it; None in a callback.
        code: The code that took it.
        instruction: The offset of the instruction in `code` that took it.
    """

    __slots__ = ("code", "instruction", "task", "thread", "turn")

    def __init__(
        self,
        turn: _Turn,
        task: Task[object] | None,
        code: CodeType,
        instruction: int,
    ) -> None:
        self.turn = turn
        self.task = task
        self.code = code
        self.instruction = instruction
        self.thread = get_ident()

    @property
    def is_late(self) -> bool:
        """Whether the loop's turn has ended since."""
        return self.turn.loop is None

    @property
    def is_suspended(self) -> bool:
        """Whether the holder waits for something else, on this thread, now."""
        task = self.task
        if task is None:
            return self.is_late
        # Not the current task alone: one that has just started another eagerly
        # stands on the stack below it, and is not suspended.
        coro = task.get_coro()
        return not getattr(coro, "cr_running", False)

    @property
    def owner(self) -> str:
        """The holder, for a message."""
        return _name(self.task)

    @property
    def place(self) -> str:
        """File and line where the guard was taken."""
        code = self.code
        lines = (
            line
            for start, end, line in code.co_lines()
            if start <= self.instruction < end
        )
        return f"{code.co_filename}:{next(lines, code.co_firstlineno)}"


def _name(task: Task[object] | None) -> str:
    return "a callback" if task is None else f"task {task.get_name()!r}"


def hold(loop: AbstractEventLoop) -> Hold:
    """Remember that the caller's caller takes a guard now.

    Args:
        loop: The running loop.

    Returns:
        What is remembered, to be kept with the guard.
    """
    turn = _local.turn
    if turn is None or turn.loop is not loop:
        turn = _local.turn = _Turn(loop)
        loop.call_soon(turn.end)
    # The code and the offset, not the frame: it would keep every local alive.
    frame = sys._getframe(2)
    return Hold(turn, asyncio.current_task(loop), frame.f_code, frame.f_lasti)


def refuse_waiting(what: str, holds: Iterable[Hold | None]) -> None:
    """Refuse to wait for a lock that the same thread holds: it would never end.

    Args:
        what: The lock, and what is wanted of it.
        holds: What is known of those who hold it.

    Raises:
        HeldAcrossAwaitError: A suspended task holds it.
        MisuseError: The running code holds it itself.
    """
    loop = running_loop()
    for held in holds:
        if loop is None or held is None or held.thread != get_ident():
            continue
        task = asyncio.current_task(loop)
        if held.is_suspended and (task is None or held.task is not task):
            raise HeldAcrossAwaitError(
                f"{_name(task)} would wait for ever for {what}: {held.owner} took it "
                f"at {held.place}, and holds it across an await",
                "release it before the await, or use the lock of sumida.sync",
            )
    raise MisuseError(
        f"this thread would wait for ever for {what}: it holds a guard of it already",
        "release that guard first, or pass it on",
    )


def refuse_late_release(what: str, held: Hold, raising: BaseException | None) -> None:
    """Refuse, after the fact, a guard that was held while its task was suspended.

    Args:
        what: The lock.
        held: What is known of its guard, which has been given back.
        raising: The exception that ends the block, if one does: it is not hidden
            by a second, but gets a note.

    Raises:
        HeldAcrossAwaitError: Nothing else is being raised.
    """
    error = HeldAcrossAwaitError(
        f"{held.owner} took {what} at {held.place}, and held it across an await",
        "release it before the await, or use the lock of sumida.sync",
    )
    if raising is None:
        raise error
    raising.add_note(f"{type(error).__name__}: {error}")
