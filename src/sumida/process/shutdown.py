"""The phases of a shutdown: what a program does between "stop" and its end.

Each phase is a name and any number of functions. The functions of one phase run at
once, the phases one after the other: "stop accepting", "drain", "flush", and whatever
a program adds. Each function has a deadline, and a line in the report. `sumida.run`
runs them; see `sumida.shutdown_phase`.
"""

import asyncio
import inspect
import logging
import time
from asyncio import Task
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Self, final

from sumida._core.arguments import is_at_least, refuse
from sumida.errors import MisuseError

__all__ = ("DRAIN", "FLUSH", "STOP_ACCEPTING", "Phases", "ShutdownStep")

STOP_ACCEPTING: Final = "stop accepting"
"""The first phase: nothing new is taken in."""

DRAIN: Final = "drain"
"""The second phase: what was taken in is done."""

FLUSH: Final = "flush"
"""The third phase: what was done is put where it lasts."""

_logger: Final = logging.getLogger("sumida")

_SETTLE: Final = 0.1
"""How long a function may take to end after it was cancelled, in seconds, before the
next phase begins without it."""

_Function = Callable[[], Awaitable[object] | None]


@final
class ShutdownStep:
    """One function of one phase; made by `Phases.add`.

    Leave it by `with` where it should only count for a block, or call `remove`.

    Attributes:
        phase: The phase's name.
        name: The function's.
        deadline: How long it may take, in seconds.
    """

    __slots__ = (
        "_ended",
        "_fn",
        "_is_late",
        "_outcome",
        "_phases",
        "_started",
        "deadline",
        "name",
        "phase",
        "task",
    )

    def __init__(
        self, phases: "Phases", phase: str, fn: _Function, deadline: float
    ) -> None:
        self._phases = phases
        self._fn = fn
        self.phase = phase
        self.name: str = getattr(fn, "__qualname__", None) or repr(fn)
        self.deadline = deadline
        self.task: Task[object] | None = None
        self._started: float | None = None
        self._ended: float | None = None
        self._outcome = ""
        self._is_late = False

    def __repr__(self) -> str:
        return f"<ShutdownStep {self}>"

    def __str__(self) -> str:
        head = f"{self.phase}: {self.name}"
        if self._started is None:
            return f"{head} has not begun (deadline {self.deadline:g} s)"
        if self._ended is None:
            took = time.monotonic() - self._started
            return f"{head} has been running for {took:.1f} of {self.deadline:g} s"
        took = self._ended - self._started
        return f"{head} {self._outcome} after {took:.1f} of {self.deadline:g} s"

    @property
    def is_over(self) -> bool:
        """Whether it has run, or was given up."""
        return self._ended is not None

    def remove(self) -> None:
        """Take it out, if it has not begun; twice does no harm."""
        self._phases.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Begin; in the loop."""
        self._started = time.monotonic()
        self.task = asyncio.create_task(
            self._call(), name=f"shutdown: {self.phase}: {self.name}"
        )
        self.task.add_done_callback(self._on_end)

    async def _call(self) -> None:
        result = self._fn()
        if inspect.isawaitable(result):
            await result

    def _on_end(self, task: Task[object]) -> None:
        if task.cancelled():
            self._end("was cut off" if self._is_late else "was cancelled", None)
            return
        error = task.exception()
        self._end("is done" if error is None else f"failed with {error!r}", error)

    def cut_off(self) -> Task[object]:
        """Cancel it, because its deadline has passed.

        Returns:
            Its task.
        """
        assert self.task is not None
        self._is_late = True
        self.task.cancel()
        return self.task

    def give_up(self) -> None:
        """Go on without it, though it was cut off and runs all the same."""
        self._end("does not stop", None)

    def _end(self, outcome: str, error: BaseException | None) -> None:
        if self._ended is None:
            self._ended = time.monotonic()
            self._outcome = outcome
            level = logging.INFO if outcome == "is done" else logging.WARNING
            _logger.log(level, "shutdown: %s", self, exc_info=error)


@final
class Phases:
    """The steps of a program's shutdown, in order."""

    __slots__ = ("_names", "_runner", "_steps", "has_begun")

    def __init__(self) -> None:
        self._names = [STOP_ACCEPTING, DRAIN, FLUSH]
        self._steps: list[ShutdownStep] = []
        self._runner: Task[Any] | None = None
        self.has_begun = False

    def __repr__(self) -> str:
        return f"<Phases {', '.join(self._names)}; {len(self._steps)} steps>"

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[ShutdownStep]:
        order = {name: place for place, name in enumerate(self._names)}
        return iter(sorted(self._steps, key=lambda step: order[step.phase]))

    @property
    def lines(self) -> list[str]:
        """The report: a line for each step, in the order of the phases."""
        return [f"shutdown: {step}" for step in self]

    def add(
        self, phase: str, fn: _Function, *, deadline: float, before: str | None = None
    ) -> ShutdownStep:
        """Add a function to a phase.

        Args:
            phase: The phase's name; a new one comes last.
            fn: Called without arguments, in the loop; async or not.
            deadline: How long it may take, in seconds, above 0.
            before: Where a new phase goes: before the one of this name.

        Returns:
            The step, which can be removed.

        Raises:
            MisuseError: The phases have begun.
            TypeError: `fn` cannot be called, or `deadline` is no number.
            ValueError: `deadline` is not above 0, or there is no phase `before`.
        """
        if self.has_begun:
            raise MisuseError(
                f"{phase!r} was added to a shutdown that has begun",
                "add it when what it ends is made",
            )
        if not callable(fn):
            raise TypeError(f"fn must be a function, not {fn!r}; do not call it")
        if not is_at_least(deadline, 0) or deadline == 0:
            refuse("deadline", deadline, "above 0 seconds")
        if before is not None and before not in self._names:
            raise ValueError(f"there is no phase {before!r}, only {self._names}")
        if phase not in self._names:
            place = len(self._names) if before is None else self._names.index(before)
            self._names.insert(place, phase)
        step = ShutdownStep(self, phase, fn, deadline)
        self._steps.append(step)
        return step

    def discard(self, step: ShutdownStep) -> None:
        """Take a step out, if it has not begun.

        Args:
            step: One that `add` gave.
        """
        if step.task is None and step in self._steps:
            self._steps.remove(step)

    def begin(self, on_end: Callable[[], object]) -> None:
        """Run the phases, one after the other; in the loop, and once.

        Args:
            on_end: Called when the last is over.
        """
        if not self.has_begun:
            self.has_begun = True
            self._runner = asyncio.create_task(self._run(), name="shutdown")
            self._runner.add_done_callback(lambda _: on_end())

    async def wait(self) -> None:
        """Wait until all phases are over; they must have begun.

        Cancel safety:
            Safe: they go on.
        """
        assert self._runner is not None
        await asyncio.wait([self._runner])

    def hurry(self) -> None:
        """Cancel what runs now; what comes later has its full time."""
        for step in self._steps:
            if step.task is not None and not step.is_over:
                step.task.cancel()

    async def _run(self) -> None:
        # Asked anew each time: a step of a later phase may be taken out meanwhile.
        for name in tuple(self._names):
            steps = [step for step in self._steps if step.phase == name]
            if steps:
                await self._run_phase(steps)

    async def _run_phase(self, steps: list[ShutdownStep]) -> None:
        for step in steps:
            step.start()
        begun = time.monotonic()
        for step in sorted(steps, key=lambda step: step.deadline):
            task = step.task
            assert task is not None
            left = begun + step.deadline - time.monotonic()
            await asyncio.wait([task], timeout=max(left, 0))
            if not task.done():
                await asyncio.wait([step.cut_off()], timeout=_SETTLE)
                step.give_up()
