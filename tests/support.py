"""What the tests share: how an async function is run, and on which loops."""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Run an async function on a fresh loop; see the fixture `run`."""

    def __call__(
        self, main: Callable[..., Coroutine[object, object, T]], *args: object
    ) -> T:
        """Run `main(*args)` and return what it returns."""
        ...


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
        return None

    def make(self) -> asyncio.AbstractEventLoop:
        """Make the loop."""
        if self.uvloop:
            import uvloop  # noqa: PLC0415  # an optional dependency

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        else:
            loop = asyncio.new_event_loop()
        if self.eager and sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
        return loop


LOOP_KINDS = (
    LoopKind("asyncio"),
    LoopKind("asyncio-eager", eager=True),
    LoopKind("uvloop", uvloop=True),
)
