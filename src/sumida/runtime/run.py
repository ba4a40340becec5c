"""Run an event loop for one main function, and leave nothing behind.

`sumida.run` is this with signals; use `LoopRun` where another program owns those.
"""

import asyncio
import logging
from asyncio import AbstractEventLoop, CancelledError, Runner, Task
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, Self, TypeVar, final

from sumida._core.arguments import is_at_least, refuse
from sumida._core.settle import cancel_and_wait
from sumida.errors import MisuseError
from sumida.runtime.blocking import StuckWorker, shutdown_blocking
from sumida.runtime.cpu import shutdown_cpu
from sumida.runtime.strict import strict_mode
from sumida.runtime.watchdog import LoopWatchdog

__all__ = ("POOLS_DEADLINE", "LoopRun", "make_loop")

T = TypeVar("T")

_logger: Final = logging.getLogger("sumida")

POOLS_DEADLINE: Final = 5.0
"""How long threads and processes may go on after main has ended, in seconds."""


def make_loop(*, uvloop: bool | None = None) -> AbstractEventLoop:
    """Make an event loop.

    Args:
        uvloop: True for uvloop's, False for asyncio's; None for uvloop's where it is
            installed.

    Returns:
        A loop that does not run yet.

    Raises:
        ModuleNotFoundError: uvloop is asked for and not installed.
    """
    if uvloop is None:
        uvloop = find_spec("uvloop") is not None
    if not uvloop:
        return asyncio.new_event_loop()
    import uvloop as installed  # noqa: PLC0415  # an optional dependency

    loop: AbstractEventLoop = installed.new_event_loop()
    return loop


@final
class LoopRun:
    """A loop of its own, from the first line of main to the last thread.

    Args:
        uvloop: Which loop; see `make_loop`.
        debug: asyncio's debug mode; None for its default.
        strict: Refuse blocking calls on the loop; see `strict_mode`.
        watch_blocking: Report what holds the loop for longer, in seconds; None for
            no watchdog.

    Raises:
        MisuseError: A loop runs on this thread already.
        TypeError: `watch_blocking` is no number.
        ValueError: It is not above 0.

    Source:
        `tokio::runtime::Runtime`
    """

    __slots__ = ("_runner", "_stack", "_strict", "_watch_blocking")

    def __init__(
        self,
        *,
        uvloop: bool | None,
        debug: bool | None,
        strict: bool,
        watch_blocking: float | None,
    ) -> None:
        if asyncio._get_running_loop() is not None:  # None, not an error
            raise MisuseError(
                "run was called where an event loop runs already",
                "await the function there",
            )
        if watch_blocking is not None and (
            not is_at_least(watch_blocking, 0) or watch_blocking == 0
        ):
            # Now, for there is no loop yet that would have to be closed.
            refuse("watch_blocking", watch_blocking, "above 0 seconds, or None")
        self._runner = Runner(
            debug=debug, loop_factory=lambda: make_loop(uvloop=uvloop)
        )
        self._strict = strict
        self._watch_blocking = watch_blocking
        self._stack = ExitStack()

    def __repr__(self) -> str:
        return f"<LoopRun strict={self._strict}>"

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop."""
        return self._runner.get_loop()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._runner)
        if self._watch_blocking is not None:
            watchdog = LoopWatchdog(self.loop, self._watch_blocking)
            self._stack.enter_context(watchdog)
        if self._strict:
            self._stack.enter_context(strict_mode(self.loop))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(exc_type, exc, traceback)

    def run(
        self,
        main: Coroutine[object, object, T],
        on_start: Callable[[Task[T]], object],
    ) -> T:
        """Run `main` to its end, then end what it left behind.

        Args:
            main: What to run.
            on_start: Called in the loop with the task that runs it.

        Returns:
            What `main` returns.
        """

        async def started() -> T:
            task: Task[Any] | None = asyncio.current_task()
            assert task is not None
            on_start(task)
            return await main

        try:
            return self._runner.run(started())
        finally:
            main.close()
            self._runner.run(_clean_up())


async def _clean_up() -> None:
    """End what main left behind, and say what it was."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        names = ", ".join(sorted(task.get_name() for task in left if task is not None))
        _logger.warning(
            "%d tasks outlived main and are cancelled: %s; spawn them in a JoinSet",
            len(left),
            names,
        )
        try:
            await cancel_and_wait(task for task in left if task is not None)
        except CancelledError:
            # A signal; the tasks have ended, and so does the loop.
            _logger.debug("cancelled while cleaning up")
    stuck: list[StuckWorker] = []
    stuck += await shutdown_blocking(POOLS_DEADLINE)
    stuck += await shutdown_cpu(POOLS_DEADLINE)
    for worker in stuck:
        _logger.warning("left behind: %s", worker)
