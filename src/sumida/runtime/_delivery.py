"""How what ended on a thread comes back to the loop of its caller.

A loop is woken once for all that has ended since it last looked: a wake-up writes to
a pipe and costs more than the delivery itself.
"""

import logging
import os
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextvars import Context
from types import CoroutineType
from typing import Final, Generic, TypeVar, cast, final
from weakref import WeakKeyDictionary

__all__ = ("Job", "deliver", "name_of")

T = TypeVar("T")

_logger: Final = logging.getLogger("sumida")


def name_of(fn: object) -> str:
    """Name a callable as a reader of the program knows it.

    Args:
        fn: Any callable.

    Returns:
        `module.qualname`; the `repr` of an object that has none.
    """
    inner = getattr(fn, "func", fn)
    name = getattr(inner, "__qualname__", None)
    if not isinstance(name, str):
        return repr(inner)
    module = getattr(inner, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else name


def _spent() -> None:
    """Stand where a call was, so that nothing of it lives on."""


def _without_first_frame(error: BaseException) -> BaseException:
    """Take out of a traceback the frame that caught it.

    That frame leads to the job and so back to the error, in a circle that only the
    collector could undo; and so would a variable in it that holds the traceback.
    """
    trace = error.__traceback__
    return error.with_traceback(None if trace is None else trace.tb_next)


@final
class Job(Generic[T]):
    """One call on its way through a thread.

    Args:
        call: What to do, without arguments.
        context: The context variables of the caller.
        future: Set when the call has ended; its value does not travel in it.
        name: The function's name.

    Attributes:
        context: As above.
        future: As above.
        loop: The caller's loop.
        name: As above.
        is_abandoned: Whether the caller has gone.
        started: When it began to run, in seconds of `time.monotonic`.
    """

    __slots__ = (
        "call",
        "context",
        "error",
        "future",
        "is_abandoned",
        "loop",
        "name",
        "result",
        "started",
    )

    def __init__(
        self,
        call: Callable[[], T],
        context: Context,
        future: Future[None],
        name: str,
    ) -> None:
        self.call: Callable[[], object] = call
        self.context = context
        self.future = future
        self.loop: AbstractEventLoop = future.get_loop()
        self.name = name
        self.is_abandoned = False
        self.started = 0.0
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call and keep what came of it; on the thread."""
        call, self.call = self.call, _spent
        try:
            result = self.context.run(call)
        except BaseException as error:  # noqa: BLE001  # raised again in the caller
            self.error = _without_first_frame(error)
            return
        if isinstance(result, CoroutineType):
            result.close()
            self.error = TypeError(
                f"{self.name} is an async function: await it on the loop, "
                "a thread is for functions that block"
            )
            return
        self.result = cast("T", result)

    def finish(self) -> None:
        """Wake the caller; on its loop."""
        if not self.future.done():
            self.future.set_result(None)
        else:
            self.report()

    def abandon(self) -> None:
        """Note that the caller has gone; on its loop."""
        self.is_abandoned = True
        if self.future.done() and not self.future.cancelled():
            # It had ended, and the caller was cancelled before it could look.
            self.report()
        elif not self.loop.is_closed():
            self.future.cancel()

    def report(self) -> None:
        """Tell the loop of an exception that no caller will see."""
        error, self.error = self.error, None
        if error is not None:
            self.loop.call_exception_handler(
                {
                    "message": f"{self.name} failed after its caller had gone",
                    "exception": error,
                }
            )

    def lose(self) -> None:
        """Drop what came of it: its loop was closed; on the thread."""
        error, self.error = self.error, None
        if error is not None:
            _logger.error(
                "%s failed after its event loop was closed", self.name, exc_info=error
            )


@final
class _Inbox:
    """What has ended and one loop has not looked at."""

    __slots__ = ("__weakref__", "ended", "is_woken", "lock")

    def __init__(self) -> None:
        self.ended: list[Job[object]] = []
        self.is_woken = False
        self.lock = threading.Lock()

    def put(self, job: Job[object]) -> None:
        """Hand `job` over, and wake the loop unless that is on its way."""
        with self.lock:
            self.ended.append(job)
            if self.is_woken:
                return
            self.is_woken = True
        try:
            job.loop.call_soon_threadsafe(self.drain)
        except RuntimeError:
            if not job.loop.is_closed():
                raise
            for lost in self._take():
                lost.lose()

    def drain(self) -> None:
        """Wake the callers; on the loop."""
        for job in self._take():
            job.finish()

    def _take(self) -> list[Job[object]]:
        with self.lock:
            self.is_woken = False
            ended, self.ended = self.ended, []
        return ended


_inboxes: WeakKeyDictionary[AbstractEventLoop, _Inbox] = WeakKeyDictionary()
_inboxes_lock = threading.Lock()


def deliver(job: Job[object]) -> None:
    """Bring an ended job back to the loop of its caller.

    Args:
        job: One that has run, or that never will and has its error.
    """
    inbox = _inboxes.get(job.loop)
    if inbox is None:
        with _inboxes_lock:
            inbox = _inboxes.setdefault(job.loop, _Inbox())
    inbox.put(job)


def _forget_inboxes() -> None:
    # In a forked child: the threads that held these locks are not there.
    global _inboxes_lock  # noqa: PLW0603
    _inboxes_lock = threading.Lock()
    _inboxes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inboxes)
