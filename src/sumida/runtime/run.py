"""Run an event loop for one main function, and leave nothing behind.

`sumida.run` is this with signals; use `LoopRun` where another program owns those.
"""

import asyncio
import inspect
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

_TRIES: Final = 3
"""So often the end of a program goes on when a task of it, or Ctrl-C, ends the loop."""


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

        A task that raises `SystemExit` or `KeyboardInterrupt` ends the loop at once.
        Then `main` is cancelled like all others, and cleans up as ever.

        Args:
            main: What to run.
            on_start: Called in the loop with the task that runs it.

        Returns:
            What `main` returns.
        """
        task: Task[Any] | None = None

        async def started() -> T:
            nonlocal task
            task = asyncio.current_task()
            assert task is not None
            on_start(task)
            return await main

        try:
            return self._runner.run(started())
        finally:
            if inspect.getcoroutinestate(main) == inspect.CORO_CREATED:
                main.close()  # so that Python does not warn
            self._end(task)

    def _end(self, main: Task[Any] | None) -> None:
        """End what is left; who ends the program meanwhile has to wait for it."""
        end = _End(main)
        ending: BaseException | None = None
        for _ in range(_TRIES):
            try:
                self._runner.run(end.come())
            except (SystemExit, KeyboardInterrupt) as error:
                ending = error
            else:
                break
        if main is not None and main.done() and not main.cancelled():
            main.exception()  # seen: it is raised, here or where the loop was ended
        if ending is not None:
            raise ending


@final
class _End:
    """The end of what runs in a loop, which goes on when the loop is ended by it.

    Args:
        main: The task of main; None if it never began.
    """

    __slots__ = ("_helpers", "_main", "_task")

    def __init__(self, main: Task[Any] | None) -> None:
        self._main = main
        self._task: Task[None] | None = None
        # Those who wait for the end, also in vain.
        self._helpers: set[Task[Any] | None] = set()

    def __repr__(self) -> str:
        return f"<_End of {self._main!r}>"

    async def come(self) -> None:
        """Wait until all has ended."""
        self._helpers.add(asyncio.current_task())
        if self._task is None:
            self._task = asyncio.create_task(self._clean_up())
            self._helpers.add(self._task)
        await asyncio.wait([self._task])
        self._task.result()

    async def _clean_up(self) -> None:
        """End main, if it still runs, and what it left behind; say what that was."""
        await self._end_main()
        left = [task for task in asyncio.all_tasks() if task not in self._helpers]
        if left:
            _logger.warning(
                "tasks that outlived main are cancelled (%d): %s; "
                "spawn them in a JoinSet",
                len(left),
                ", ".join(sorted(task.get_name() for task in left)),
            )
            try:
                await cancel_and_wait(left)
            except CancelledError:
                # A signal; the tasks have ended, and so does the loop.
                _logger.debug("cancelled while cleaning up")
        stuck: list[StuckWorker] = []
        stuck += await shutdown_blocking(POOLS_DEADLINE)
        stuck += await shutdown_cpu(POOLS_DEADLINE)
        for worker in stuck:
            _logger.warning("left behind: %s", worker)

    async def _end_main(self) -> None:
        """Let main end what belongs to it, where a task of it has ended the loop."""
        main = self._main
        if main is None or main.done():
            return
        main.cancel()
        await asyncio.wait([main])
        error = None if main.cancelled() else main.exception()
        if error is not None and not isinstance(error, (SystemExit, KeyboardInterrupt)):
            message = "main failed while it was cancelled, for a task ends the program"
            about = {"message": message, "exception": error, "task": main}
            asyncio.get_running_loop().call_exception_handler(about)
