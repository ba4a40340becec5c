"""A clock that stands still while anything runs, and jumps while nothing does.

`run_paused(main)` runs a program that sleeps for hours in milliseconds, and in the
same order each time. It is asyncio's own loop with another clock, so everything that
asks the loop for the time follows: this library, asyncio, and what is built on it.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeVar, final

from sumida._core.arguments import is_at_least, refuse
from sumida.errors import MisuseError
from sumida.operation import BUDGET, budget
from sumida.runtime._race import turns
from sumida.runtime.dump import format_dump

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ("PausedLoop", "advance", "run_paused")

T = TypeVar("T")

# How long a program with nothing to do but wait for others (a socket, a thread) is
# waited for in real time, in seconds, before it counts as stuck.
_PATIENCE = 30.0


@final
class _JumpingSelector(selectors.BaseSelector):
    """Lets the clock jump where another selector would wait."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.loop: PausedLoop | None = None

    def register(
        self, fileobj: "FileDescriptorLike", events: int, data: object = None
    ) -> selectors.SelectorKey:
        """Register a file; see `selectors`."""
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """Unregister a file; see `selectors`."""
        return self._inner.unregister(fileobj)

    def modify(
        self, fileobj: "FileDescriptorLike", events: int, data: object = None
    ) -> selectors.SelectorKey:
        """Change what a file is watched for; see `selectors`."""
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> "Mapping[FileDescriptorLike, selectors.SelectorKey]":
        """Give what is registered; see `selectors`."""
        return self._inner.get_map()

    def close(self) -> None:
        """Close it; see `selectors`."""
        self._inner.close()

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Look at the files; if none is ready, jump to the next timer.

        Args:
            timeout: How long the loop could wait, in seconds; None for ever.

        Returns:
            What is ready.

        Raises:
            MisuseError: Nothing is ready, nothing is planned, and nobody comes.
        """
        events = self._inner.select(0)
        if events or timeout == 0:
            return events
        loop = self.loop
        if loop is not None and timeout is not None and not loop.is_held:
            loop.jump(timeout)
            return events
        # Only somebody outside can go on: a thread, or the peer of a socket.
        events = self._inner.select(_PATIENCE)
        if not events:
            raise MisuseError(
                "nothing is ready, no timer is set, and nobody came:\n"
                + format_dump(loop),
                "see what each task waits for",
            )
        return events


@final
class PausedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with a clock of its own, which begins at 0."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        # Before the base class, which asks for the time.
        self._now = 0.0
        self._holds = 0
        super().__init__(selector)
        selector.loop = self
        # Timers are due exactly when the clock shows their time.
        self._clock_resolution = math.ulp(1e6)

    def time(self) -> float:
        """Read the clock.

        Returns:
            Seconds since the loop was made, by its own clock.
        """
        return self._now

    @property
    def is_held(self) -> bool:
        """Whether a thread works for the loop, so that the clock must not jump."""
        return self._holds > 0

    def hold(self) -> None:
        """Stop the clock from jumping: a thread works for the loop."""
        self._holds += 1

    def let_go(self) -> None:
        """Let the clock jump again."""
        self._holds -= 1

    def jump(self, seconds: float) -> None:
        """Let the clock go on.

        Args:
            seconds: By how much, 0 or more.
        """
        self._now += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., T], *args: object
    ) -> "asyncio.Future[T]":
        """Run a function on a thread; the clock stands still meanwhile.

        Args:
            executor: As asyncio's.
            func: As asyncio's.
            *args: As asyncio's.

        Returns:
            As asyncio's.
        """
        future = super().run_in_executor(executor, func, *args)
        self._holds += 1
        future.add_done_callback(self._let_go)
        return future

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # asyncio's signature
    ) -> None:
        """Wait for the threads of the executor; the clock stands still meanwhile.

        Args:
            timeout: As asyncio's; by the paused clock it never passes.

        Cancel safety:
            Safe: as asyncio's.
        """
        self._holds += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._holds -= 1

    def _let_go(self, _future: object) -> None:
        self._holds -= 1


async def advance(seconds: float) -> None:
    """Let the paused clock go on, and all that is due meanwhile run, in order.

    Args:
        seconds: By how much, 0 or more.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: It is negative, or "not a number".
        MisuseError: The loop's clock is not paused.

    Cancel safety:
        Safe: the clock stands where the cancel found it.

    Source:
        `tokio::time::advance`
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, PausedLoop):
        raise MisuseError("advance() on a loop with a real clock", "use run_paused()")
    if not is_at_least(seconds, 0):
        refuse("seconds", seconds, "0 or more")
    await asyncio.sleep(seconds)
    # Once more round, for those whose timer was due in the same moment.
    await asyncio.sleep(0)


def run_paused(main: Callable[..., Coroutine[object, object, T]], *args: object) -> T:
    """Run `main` on a loop whose clock jumps to the next timer when nothing runs.

    What is counted for the whole process (the budget of operations, the branch that
    an unbiased `select` asks first) begins anew, so that two runs are equal.

    Args:
        main: An async function.
        *args: Its arguments.

    Returns:
        What it returns.

    Raises:
        TypeError: `main` cannot be called.
        MisuseError: Every task waits, no timer is set, and nobody outside comes
            within 30 seconds: a deadlock, with a line on each task.

    Source:
        `#[tokio::test(start_paused = true)]`
    """
    if not callable(main):
        raise TypeError(f"main must be an async function, not {main!r}; do not call it")
    budget.left = BUDGET
    turns.next = 0
    with asyncio.Runner(loop_factory=PausedLoop) as runner:
        return runner.run(main(*args))
