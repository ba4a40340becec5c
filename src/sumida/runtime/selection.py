"""Wait for the first of several things, so that exactly one takes effect.

`select` asks operations in order and, if none is ready, waits for all of them at
once, without a task for each: the ones that lose have taken nothing. Use it wherever
`asyncio.wait` with `FIRST_COMPLETED` would race `get()` tasks, and lose messages. To
wait for all of several things use a `JoinSet`.
"""

from asyncio import Future, get_running_loop
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from inspect import isawaitable, iscoroutine
from typing import Any, Final, Generic, Literal, TypeVar, cast, final, overload

from sumida._core import hooks
from sumida._core.settle import cancel_and_wait
from sumida.errors import Closed
from sumida.operation import PENDING, Operation, Source, spend
from sumida.runtime._branches import TURN, Name, Run, Watched, branches_of

__all__ = ("SelectLoop", "select")

T = TypeVar("T")
T0 = TypeVar("T0")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


@final
class _Turns:
    """Where the next fair `select` begins to ask."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 0


_turns = _Turns()


def _ask(
    names: Sequence[Name], operations: Sequence[Operation[Any]], first: int
) -> tuple[Name, Any] | None:
    """Ask each branch once, from `first` on; the result of the one that was ready."""
    index = first
    count = len(operations)
    try:
        for _ in operations:
            result = operations[index].poll()
            if result is not PENDING:
                return names[index], result
            index += 1
            if index == count:
                index = 0
    except Closed as error:
        error.branch = names[index]
        raise
    return None


async def _race(
    names: Sequence[Name], things: Sequence[object], *, biased: bool
) -> tuple[Name, Any]:
    """Wait for the first branch: the whole of `select`."""
    first = 0
    if not biased:
        first = _turns.next = (_turns.next + 1) % len(things)
    if spend():
        await TURN
    for thing in things:
        if not isinstance(thing, Operation):
            return await _race_mixed(names, branches_of(names, things), first)
    operations = cast("Sequence[Operation[Any]]", things)
    winner = _ask(names, operations, first)
    if winner is not None:
        return winner
    return await _wait(names, operations, first)


async def _race_mixed(
    names: Sequence[Name], operations: Sequence[Operation[Any]], first: int
) -> tuple[Name, Any]:
    """Wait for the first branch where some are coroutines or futures.

    A coroutine has to run to be asked; so it is started when nothing else is ready.
    """
    runs = [operation for operation in operations if isinstance(operation, Run)]
    try:
        winner = _ask(names, operations, first)
        if winner is not None:
            return winner
        return await _wait(names, operations, first, runs)
    finally:
        for run in runs:
            run.discard()


async def _wait(  # noqa: C901  # arm, wait, end the losers, disarm: one path
    names: Sequence[Name],
    operations: Sequence[Operation[Any]],
    first: int,
    runs: Sequence[Run[Any]] = (),
) -> tuple[Name, Any]:
    """Wait until a branch is ready; none was when asked."""
    loop = get_running_loop()
    observer = hooks.observer
    if observer is not None:
        observer.waiting(operations)
    tokens: list[object] = []
    try:
        while True:
            # What `loop.create_future` does, without its Python frame.
            future: Future[object] = Future(loop=loop)
            tokens = []
            for operation in operations:
                # One by one: should one refuse, the others must be disarmed.
                tokens.append(operation.arm(future))
            index = tokens.index(await future)
            if runs:
                # The losers end before the winner takes effect, so that a cancel
                # that comes meanwhile finds nothing taken.
                losers, runs = runs, ()
                await _end(losers, operations[index])
            # The one that was woken; should somebody have been quicker, the others.
            # Then wait again: each keeps its place in its queue.
            winner = _ask(names[index : index + 1], operations[index : index + 1], 0)
            if winner is None:
                winner = _ask(names, operations, first)
            if winner is not None:
                return winner
            for operation in operations:
                operation.disarm()
    finally:
        for operation, _ in zip(operations, tokens, strict=False):
            operation.disarm()
        if observer is not None:
            observer.resumed(operations)
        if runs:
            await _end(runs, None)


async def _end(runs: Sequence[Run[Any]], winner: Operation[Any] | None) -> None:
    """Cancel the coroutines that did not win, and wait until they have ended."""
    tasks = [run.task for run in runs if run is not winner and run.task is not None]
    if tasks:
        await cancel_and_wait(tasks)


@final
class SelectLoop(Generic[T]):
    """The branches of a `select` that is repeated; made by `select.loop`.

    An asynchronous iterator of `(name, value)`.
    """

    __slots__ = ("_biased", "_names", "_operations")

    def __init__(
        self, names: Sequence[Name], things: Sequence[object], *, biased: bool
    ) -> None:
        for name, thing in zip(names, things, strict=True):
            if isawaitable(thing) and not isinstance(thing, (Operation, Future)):
                for other in things:
                    if iscoroutine(other):
                        other.close()
                raise TypeError(
                    f"select.loop branch {name!r} is {thing!r}, which can be awaited "
                    "only once; pass the receiver, interval or token itself, or spawn "
                    "it in a JoinSet and pass the task"
                )
        self._names = list(names)
        self._operations = branches_of(names, things)
        self._biased = biased

    def __repr__(self) -> str:
        names = ", ".join(map(str, self._names))
        return f"<SelectLoop {names}{', biased' if self._biased else ''}>"

    def __aiter__(self) -> AsyncIterator[tuple[Any, T]]:
        return self

    async def __anext__(self) -> tuple[Any, T]:
        while self._operations:
            try:
                name, value = await _race(
                    self._names, self._operations, biased=self._biased
                )
            except Closed as error:
                if error.branch is None or error.branch not in self._names:
                    raise
                self._drop(error.branch)
                continue
            index = self._names.index(name)
            if isinstance(self._operations[index], Watched):
                # A future is done once; it would be ready for ever.
                self._drop(name)
            return name, value
        raise StopAsyncIteration

    def _drop(self, name: Name) -> None:
        index = self._names.index(name)
        del self._names[index]
        del self._operations[index]


@final
class _Select:
    """The type of `select`."""

    __slots__ = ()

    @overload
    def __call__(
        self, b0: Awaitable[T0] | Source[T0], /, *, biased: bool = False
    ) -> Coroutine[object, object, tuple[Literal[0], T0]]: ...

    @overload
    def __call__(
        self,
        b0: Awaitable[T0] | Source[T0],
        b1: Awaitable[T1] | Source[T1],
        /,
        *,
        biased: bool = False,
    ) -> Coroutine[object, object, tuple[Literal[0], T0] | tuple[Literal[1], T1]]: ...

    @overload
    def __call__(
        self,
        b0: Awaitable[T0] | Source[T0],
        b1: Awaitable[T1] | Source[T1],
        b2: Awaitable[T2] | Source[T2],
        /,
        *,
        biased: bool = False,
    ) -> Coroutine[
        object,
        object,
        tuple[Literal[0], T0] | tuple[Literal[1], T1] | tuple[Literal[2], T2],
    ]: ...

    @overload
    def __call__(
        self,
        b0: Awaitable[T0] | Source[T0],
        b1: Awaitable[T1] | Source[T1],
        b2: Awaitable[T2] | Source[T2],
        b3: Awaitable[T3] | Source[T3],
        /,
        *,
        biased: bool = False,
    ) -> Coroutine[
        object,
        object,
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3],
    ]: ...

    @overload
    def __call__(
        self,
        b0: Awaitable[T0] | Source[T0],
        b1: Awaitable[T1] | Source[T1],
        b2: Awaitable[T2] | Source[T2],
        b3: Awaitable[T3] | Source[T3],
        b4: Awaitable[T4] | Source[T4],
        /,
        *,
        biased: bool = False,
    ) -> Coroutine[
        object,
        object,
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3]
        | tuple[Literal[4], T4],
    ]: ...

    @overload
    def __call__(
        self,
        b0: Awaitable[T0] | Source[T0],
        b1: Awaitable[T1] | Source[T1],
        b2: Awaitable[T2] | Source[T2],
        b3: Awaitable[T3] | Source[T3],
        b4: Awaitable[T4] | Source[T4],
        b5: Awaitable[T5] | Source[T5],
        /,
        *,
        biased: bool = False,
    ) -> Coroutine[
        object,
        object,
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3]
        | tuple[Literal[4], T4]
        | tuple[Literal[5], T5],
    ]: ...

    @overload
    def __call__(
        self, *branches: Awaitable[T] | Source[T], biased: bool = False
    ) -> Coroutine[object, object, tuple[int, T]]: ...

    @overload
    def __call__(
        self, *, biased: bool = False, **named: Awaitable[object] | Source[object]
    ) -> Coroutine[object, object, tuple[str, Any]]: ...

    def __call__(
        self,
        *branches: object,
        biased: bool = False,
        **named: object,
    ) -> Coroutine[object, object, tuple[Any, Any]]:
        """Wait for the first of several branches; exactly one takes effect.

        Each branch is an operation (`rx.recv()`, `token.cancelled()`, ...), a source
        (a receiver, an interval, a token), a future or task of yours, which is only
        watched, or a coroutine. A coroutine is started, as a task, when no other
        branch is ready; if it loses it is cancelled and awaited before `select`
        returns, and an error it then raises goes to the loop's exception handler.

        Selecting over a fresh operation each turn keeps no place in a fair queue (a
        lock, a semaphore, a full channel); one that is kept and passed again does.

        Args:
            *branches: By position; the result is `(index, value)`.
            biased: Ask in the order written, so that the first wins if several are
                ready: put what ends the loop first, and what is always busy last.
                Otherwise the order is rotated, and no branch starves.
            **named: By name; the result is `(name, value)`. The type of `value`
                depends on the name, which Python's types cannot say: it is `Any`.

        Returns:
            A coroutine that gives the name or index of the branch, and its result.

        Raises:
            TypeError: There is no branch, both kinds are mixed, or, when awaited,
                one cannot be awaited.
            MisuseError: When awaited, one object is passed twice.
            Closed: When awaited, the source of a branch is closed; `error.branch`
                says which.

        Cancel safety:
            Safe: a cancelled `select` has taken nothing of any operation, or has
            given it back. A coroutine among the branches is cancelled with it.

        Source:
            `tokio::select!`
        """
        if not named:
            if not branches:
                raise TypeError("select needs at least one branch")
            return _race(range(len(branches)), branches, biased=biased)
        if branches:
            for thing in (*branches, *named.values()):
                if iscoroutine(thing):
                    thing.close()
            raise TypeError(
                "select takes its branches by position or by name, not both; "
                f"got {len(branches)} by position and {', '.join(named)}"
            )
        return _race(tuple(named), tuple(named.values()), biased=biased)

    def loop(
        self,
        *branches: Awaitable[object] | Source[object],
        biased: bool = False,
        **named: Awaitable[object] | Source[object],
    ) -> SelectLoop[Any]:
        """Repeat a `select` over the same branches, built once.

        A branch whose source is closed is dropped, and so is a future or task that
        was delivered; the loop ends with the last branch.

        Args:
            *branches: By position, as in `select`; no coroutines, which run once.
            biased: As in `select`.
            **named: By name.

        Returns:
            An asynchronous iterator of `(name, value)`; to be used by one task.

        Raises:
            TypeError: A branch cannot be awaited, or only once; or both kinds are
                mixed, or there is none.
            MisuseError: One object is passed twice.

        Cancel safety:
            Safe: each turn is a `select` over operations.
        """
        if bool(branches) == bool(named):
            raise TypeError(
                "select.loop takes its branches by position or by name, one or more"
            )
        if named:
            return SelectLoop(tuple(named), tuple(named.values()), biased=biased)
        return SelectLoop(range(len(branches)), branches, biased=biased)


select: Final = _Select()
"""Wait for the first of several branches: see `_Select.__call__`."""
