"""What a task waits for that reads: a future that can be used again, and wakes at once.

An `asyncio.Future` is made for each wait, and runs its task a turn of the loop later.
A task asks little of what it waits for (what `asyncio.isfuture` calls a compatible
object), so one of these serves all waits of a stream, and runs the task where the
bytes arrive.
"""

from asyncio import AbstractEventLoop, CancelledError
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import repeat
from typing import Any, Final, NoReturn, TypeAlias

__all__ = ("NO_CONTEXT", "Racer", "Sleeper", "raise_cancelled")

NO_CONTEXT: Final = Context()
"""Stands where that of a task does while one waits."""

Wakeup: TypeAlias = Callable[["Sleeper"], object]


def raise_cancelled(slept_on: Any, message: object) -> NoReturn:  # noqa: ANN401  # pyright takes the `result` of a protocol for a method
    """Cancel the task that calls this as the `result` of what it slept on.

    Args:
        slept_on: A `Sleeper`, or another that has a `result`; it can be used again.
        message: Of the `CancelledError`; none when None.

    Raises:
        CancelledError: Always.
    """
    slept_on.result = bool
    raise CancelledError(*() if message is None else (message,))


class Sleeper:
    """One task's wait at a time.

    Args:
        loop: The loop of the task.

    Attributes:
        callback: What runs the task; None while none waits.
        context: The task's, to run it in.
        result: As a future's: returns, or raises the cancel.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_loop",
        "callback",
        "context",
        "result",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        # This name and the next are the task's.
        self._loop = loop
        self._asyncio_future_blocking = False
        self.callback: Wakeup | None = None
        self.context = NO_CONTEXT
        # The task calls it when it wakes, and drops what it returns: any function of
        # C will do, and saves a Python frame for each wait.
        self.result: Callable[[], object] = bool

    def __repr__(self) -> str:
        state = "idle" if self.callback is None else "waited for"
        return f"<{type(self).__name__} {state}>"

    # What the task calls.

    def add_done_callback(self, callback: Wakeup, *, context: Context) -> None:
        """Keep what runs the task; nobody else may be told."""
        self.callback = callback
        self.context = context

    def cancel(self, msg: object = None) -> bool:
        """Let the task be cancelled in the next turn.

        Args:
            msg: Of the `CancelledError`.

        Returns:
            Whether it still waited.
        """
        if self.callback is None:
            return False
        self.result = partial(raise_cancelled, self, msg)
        self.set_result(None)
        return True

    # What wakes it.

    def done(self) -> bool:
        """Tell whether the task was woken."""
        return self.callback is None

    def set_result(self, _result: object) -> None:
        """Let the task run in the next turn."""
        callback, self.callback = self.callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self.context)

    def run(self) -> None:
        """Run the task now: nothing is left to do in the transport's callback."""
        callback = self.callback
        if callback is None:
            return
        self.callback = None
        try:
            self.context.run(callback, self)
        except (RuntimeError, KeyboardInterrupt, SystemExit) as error:
            self.run_later(callback, error)

    def run_later(self, callback: Wakeup, error: BaseException) -> None:
        """Do what is to be done when running the task has raised.

        Args:
            callback: What was to run it.
            error: What it raised.
        """
        if isinstance(error, RuntimeError):
            # Within a task's step another cannot run, and this one has not begun.
            self._loop.call_soon(callback, self, context=self.context)
        else:
            # The transport of uvloop would take it for its own fault; the loop ends.
            self._loop.call_soon(_raise, error)


def _raise(error: BaseException) -> None:
    raise error


class Racer(Sleeper):
    """One `select`'s wait at a time: of what wakes it, it keeps which it was.

    It may be woken before its task waits, while other branches are still being armed.

    Args:
        loop: The loop of the task.

    Attributes:
        get_loop: As a future's; a function of C, which saves a frame.
        is_done: Whether it was woken, or nobody uses it; False to begin with it.
        token: Of the operation that has woken it.
    """

    __slots__ = ("get_loop", "is_done", "token")

    def __init__(self, loop: AbstractEventLoop) -> None:
        Sleeper.__init__(self, loop)
        self.get_loop = repeat(loop).__next__
        self.is_done = True
        self.token: object = None

    def done(self) -> bool:
        """Tell whether it was woken."""
        return self.is_done

    def set_result(self, result: object) -> None:
        """Let the task run in the next turn.

        Args:
            result: The token of the operation that wakes it.
        """
        if not self.is_done:
            self.is_done = True
            self.token = result
            Sleeper.set_result(self, result)

    def run_with(self, token: object) -> None:
        """Run the task now, as `run` does.

        Args:
            token: Of the operation that wakes it.
        """
        if not self.is_done:
            self.is_done = True
            self.token = token
            self.run()
