"""A start that is about to be made: what `spawn` gives, of a command or a pipeline."""

from collections.abc import Callable, Generator
from types import TracebackType
from typing import Generic, Protocol, TypeVar, final

from sumida.errors import MisuseError

__all__ = ("Spawning",)


class _Block(Protocol):
    """What runs, and ends with its block."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


R = TypeVar("R", bound=_Block)


@final
class Spawning(Generic[R]):
    """A start that is about to be made: await it, or begin an `async with` with it.

    Neither waits, so there is never a process that nobody has.

    Args:
        start: Starts it, and gives what runs.
        name: What is started, for messages.
    """

    __slots__ = ("_name", "_running", "_start")

    def __init__(self, start: Callable[[], R], name: str) -> None:
        self._start = start
        self._name = name
        self._running: R | None = None

    def __repr__(self) -> str:
        return f"<Spawning {self._name}>"

    def _run(self) -> R:
        if self._running is not None:
            raise MisuseError(
                f"{self!r} was started already", "call spawn() for each start"
            )
        self._running = self._start()
        return self._running

    def __await__(self) -> Generator[object, None, R]:
        return self._run()
        yield None  # type: ignore[unreachable]  # makes it a generator

    async def __aenter__(self) -> R:
        return self._run()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running = self._running
        assert running is not None
        await running.__aexit__(exc_type, exc, traceback)
