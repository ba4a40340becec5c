"""What `select` makes of the things that are passed to it."""

from asyncio import Future, Task, current_task, get_running_loop
from collections.abc import Awaitable, Coroutine, Generator, Iterable, Sequence
from inspect import isawaitable, iscoroutine
from typing import Any, Final, Generic, Literal, TypeVar, final

from sumida.errors import MisuseError, WrongLoopError
from sumida.operation import PENDING, Operation, Pending, Source

__all__ = (
    "TURN",
    "Name",
    "Run",
    "Watched",
    "branch_of",
    "branches_of",
    "close_coroutines",
    "refuse_once",
    "refuse_twice",
)

T = TypeVar("T")

Name = int | str
"""What a branch is called: its index, or its keyword."""


@final
class _Turn:
    """Awaited, lets the other tasks run once."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


TURN: Final = _Turn()


@final
class Watched(Operation[T], Generic[T]):
    """A future or task of somebody else, which is only looked at.

    Args:
        future: The one.
    """

    __slots__ = ("_armed", "_future", "_is_terminated")

    def __init__(self, future: Future[T]) -> None:
        self._future = future
        self._is_terminated = False
        self._armed: Future[object] | None = None

    def __repr__(self) -> str:
        return f"<Watched {self._future!r}>"

    @property
    def is_terminated(self) -> bool:
        """Whether its result, or its error, was given."""
        return self._is_terminated

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Give the future's result if it has one; see `Operation.poll`."""
        if not self._future.done():
            return PENDING
        self._is_terminated = True
        return self._future.result()

    def arm(self, future: Future[object]) -> object:
        """Be told when it is done; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The operation itself.

        Raises:
            MisuseError: It is the very task that waits.
            WrongLoopError: It is of another event loop.
        """
        if self._future.get_loop() is not future.get_loop():
            raise WrongLoopError(
                f"{self._future!r} is awaited outside of its own event loop",
                "await it there, and send what it gives through a channel",
            )
        if self._future is current_task():
            raise MisuseError(
                f"{self._future!r} would wait for itself", "wait for it in another task"
            )
        self._armed = future
        self._future.add_done_callback(self._wake)
        return self

    def _wake(self, _done: Future[T]) -> None:
        armed = self._armed
        if armed is not None and not armed.done():
            armed.set_result(self)

    def disarm(self) -> None:
        """Look no more; see `Operation.disarm`."""
        self._armed = None
        self._future.remove_done_callback(self._wake)


@final
class Run(Operation[T], Generic[T]):
    """A coroutine, to be run as a task of this `select` if nothing else is ready."""

    __slots__ = ("_coroutine", "_qualname", "_watched", "task")

    def __init__(self, coroutine: Coroutine[object, object, T]) -> None:
        self._coroutine = coroutine
        self.task: Task[T] | None = None
        self._watched: Watched[T] | None = None
        self._qualname = getattr(coroutine, "__qualname__", repr(coroutine))

    def __repr__(self) -> str:
        return f"<Run {self._qualname}>"

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Give the coroutine's result if it has ended; see `Operation.poll`."""
        return PENDING if self._watched is None else self._watched.poll()

    def arm(self, future: Future[object]) -> object:
        """Start it, and be told when it has ended; see `Operation.arm`."""
        if self._watched is None:
            name = f"select:{self._qualname}"
            self.task = get_running_loop().create_task(self._coroutine, name=name)
            self._watched = Watched(self.task)
        return self._watched.arm(future)

    def disarm(self) -> None:
        """Be told no more; see `Operation.disarm`."""
        if self._watched is not None:
            self._watched.disarm()

    def discard(self) -> None:
        """Close a coroutine that was never started, so that Python does not warn."""
        if self.task is None:
            self._coroutine.close()


def close_coroutines(things: Iterable[object]) -> None:
    """Close the coroutines among `things`, which will never be awaited.

    Args:
        things: What was passed to a call that is refused.
    """
    for thing in things:
        if iscoroutine(thing):
            thing.close()


def refuse_twice(things: Sequence[object]) -> None:
    """Refuse two branches that are one object: which of them would have won?

    Args:
        things: What was passed, or what was made of it.

    Raises:
        MisuseError: One is there twice.
    """
    if len({id(thing) for thing in things}) < len(things):
        raise MisuseError(
            "one object is passed to select for two of its branches",
            "make an operation or a coroutine for each branch",
        )


def refuse_once(names: Sequence[Name], things: Sequence[object]) -> None:
    """Refuse what can be awaited only once, where it would be awaited again.

    Args:
        names: The branches' names or indices.
        things: What was passed for each.

    Raises:
        TypeError: One is a coroutine, or another awaitable of that kind.
    """
    for name, thing in zip(names, things, strict=True):
        if isawaitable(thing) and not isinstance(thing, (Operation, Source, Future)):
            close_coroutines(things)
            raise TypeError(
                f"select.loop branch {name!r} is {thing!r}, which can be awaited only "
                "once; pass the receiver, interval or token itself, or spawn it in a "
                "JoinSet and pass the task"
            )


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def branch_of(name: Name, thing: object) -> Operation[Any]:
    """Make an operation of what the caller passed.

    Args:
        name: The branch's name or index, for the message of an error.
        thing: What was passed.

    Returns:
        An operation.

    Raises:
        TypeError: It cannot be awaited.
    """
    if isinstance(thing, Operation):
        return thing
    if isinstance(thing, Source):
        return thing.operation()
    if isinstance(thing, Future):
        return Watched(thing)
    if iscoroutine(thing):
        return Run(thing)
    if isawaitable(thing):
        return Run(_await(thing))
    raise TypeError(
        f"select branch {name!r} is {thing!r}, which cannot be awaited; pass an "
        "operation such as rx.recv(), a coroutine, or a future"
    )


def branches_of(
    names: Sequence[Name], things: Sequence[object]
) -> list[Operation[Any]]:
    """Make operations of all that the caller passed, or refuse it whole.

    Args:
        names: The branches' names or indices.
        things: What was passed for each.

    Returns:
        An operation for each.

    Raises:
        TypeError: One cannot be awaited.
        MisuseError: One is passed twice.
    """
    made: list[Operation[Any]] = []
    try:
        refuse_twice(things)
        for name, thing in zip(names, things, strict=True):
            made.append(branch_of(name, thing))  # known if one is refused
        refuse_twice(made)
    except BaseException:
        for operation in made:
            if isinstance(operation, Run):
                operation.discard()
        close_coroutines(things)
        raise
    return made
