"""What the tests share: how an async function is run, and on which loops."""

import asyncio
import gc
import importlib.util
import sys
import traceback
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, final

from sumida.operation import BUDGET, budget

__all__ = ("LOOP_KINDS", "LoopKind", "Run", "Runs", "T")

T = TypeVar("T")


class Run(Protocol):
    """Run an async function on a fresh loop; see the fixture `run`."""

    def __call__(
        self, main: Callable[..., Coroutine[object, object, T]], *args: object
    ) -> T:
        """Run `main(*args)` and return what it returns."""
        ...


@final
@dataclass(frozen=True, slots=True)
class LoopKind:
    """A way to run tasks: which loop, and whether its tasks start eagerly."""

    name: str
    uvloop: bool = False
    eager: bool = False

    @property
    def why_not(self) -> str | None:
        """The reason why it cannot be used here, if there is one."""
        if self.uvloop and importlib.util.find_spec("uvloop") is None:
            return "uvloop is not installed"
        if self.eager and sys.version_info < (3, 12):
            return "eager tasks came with CPython 3.12"
        if self.uvloop and self.eager:
            return _why_not_both(self)
        return None

    def make(self) -> asyncio.AbstractEventLoop:
        """Make the loop."""
        if self.uvloop:
            import uvloop  # noqa: PLC0415  # an optional dependency

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        else:
            loop = asyncio.new_event_loop()
        if self.eager:
            loop.set_task_factory(_start_at_once)
        return loop


def _start_at_once(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
    **options: Any,  # noqa: ANN401  # as asyncio has it
) -> asyncio.Task[T]:
    """Make an eager task, on uvloop too.

    uvloop 0.23 passes `eager_start=None` where its caller has said nothing: asyncio's
    factory of 3.13.0 has no such argument, and that of 3.14 takes it for a no.
    """
    options.pop("eager_start", None)
    if sys.version_info >= (3, 12):
        return asyncio.eager_task_factory(loop, coroutine, **options)
    raise NotImplementedError("eager tasks came with CPython 3.12")


@cache
def _why_not_both(kind: LoopKind) -> str | None:
    """Try eager tasks on uvloop; the reason why that does not work, if it does not."""
    loop = kind.make()
    probe = asyncio.sleep(0)
    try:
        loop.run_until_complete(loop.create_task(probe))
    except TypeError as error:
        probe.close()
        return f"this uvloop refuses eager tasks on this CPython: {error}"
    finally:
        loop.close()
    return None


LOOP_KINDS = (
    LoopKind("asyncio"),
    LoopKind("asyncio-eager", eager=True),
    LoopKind("uvloop", uvloop=True),
    LoopKind("uvloop-eager", uvloop=True, eager=True),
)


@final
class Runs:
    """The `Run` behind the fixture: it keeps what the runs of a test left behind.

    Args:
        kind: The loop to run on.
    """

    def __init__(self, kind: LoopKind) -> None:
        self._kind = kind
        self._complaints: list[str] = []

    def __call__(
        self, main: Callable[..., Coroutine[object, object, T]], *args: object
    ) -> T:
        """Run `main(*args)` and return what it returns.

        Raises:
            AssertionError: It left tasks behind, or the exception handler of its
                loop was told of something.
        """
        budget.left = BUDGET  # what an earlier test left of it decides who yields
        with asyncio.Runner(loop_factory=self._kind.make) as runner:
            result = runner.run(self._watched(main, *args))
        self.check()
        return result

    async def _watched(
        self, main: Callable[..., Coroutine[object, object, T]], *args: object
    ) -> T:
        asyncio.get_running_loop().set_exception_handler(self._report)
        try:
            return await main(*args)
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            names = sorted(task.get_name() for task in left if task is not None)
            if names:
                self._complaints.append(f"tasks outlive main: {', '.join(names)}")

    def _report(
        self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]
    ) -> None:
        # Text at once: an exception that is kept keeps its frames, and those keep
        # alive what the collector is to find.
        error = context.get("exception")
        trace = (
            "".join(traceback.format_exception(error)).rstrip()
            if isinstance(error, BaseException)
            else "no exception"
        )
        about = {
            key: value
            for key, value in context.items()
            if key not in {"message", "exception"}
        }
        self._complaints.append(
            f"the loop's exception handler was told: {context.get('message')}\n"
            f"{about}\n{trace}"
        )

    def check(self) -> None:
        """Collect garbage, so that its finalisers complain, and tell of what was left.

        Raises:
            AssertionError: There are complaints.
        """
        gc.collect()
        complaints = "\n".join(self._complaints)
        self._complaints.clear()
        if complaints:
            raise AssertionError(complaints)
