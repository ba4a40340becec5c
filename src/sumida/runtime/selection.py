"""Wait for the first of several things, so that exactly one takes effect.

`select` asks operations in order and, if none is ready, waits for all of them at
once, without a task for each: the ones that lose have taken nothing. Use it wherever
`asyncio.wait` with `FIRST_COMPLETED` would race `get()` tasks, and lose messages. To
wait for all of several things use a `JoinSet`.
"""

from asyncio import Future
from collections.abc import Awaitable, Coroutine, Sequence
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    Self,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

from sumida.errors import Closed
from sumida.operation import Operation, Source
from sumida.runtime._branches import (
    Name,
    Watched,
    branches_of,
    close_coroutines,
    refuse_once,
)
from sumida.runtime._race import POSITIONS, race

__all__ = ("SelectLoop", "select")

T = TypeVar("T")
T0 = TypeVar("T0")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
Pair_co = TypeVar("Pair_co", covariant=True)

_Again: TypeAlias = Operation[T] | Source[T] | Future[T]
"""What can be waited for again and again. (What gives once is dropped then.)"""

_AnyAgain: TypeAlias = Operation[object] | Source[object] | Future[Any]


@final
class SelectLoop(Generic[Pair_co]):
    """The branches of a `select` that is repeated; made by `select.loop`.

    An asynchronous iterator of pairs `(name, value)`, whose type is its parameter.
    """

    __slots__ = ("_biased", "_names", "_operations", "_watches")

    def __init__(
        self, names: Sequence[Name], things: Sequence[object], *, biased: bool
    ) -> None:
        refuse_once(names, things)
        self._names = list(names)
        self._operations = branches_of(names, things)
        self._biased = biased
        # Whether there is any that gives its result once, and has to be looked at.
        self._watches = any(map(_gives_once, self._operations))

    def __repr__(self) -> str:
        names = ", ".join(map(str, self._names))
        return f"<SelectLoop {names}{', biased' if self._biased else ''}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Pair_co:
        while self._operations:
            try:
                return await race(self._names, self._operations, biased=self._biased)  # type: ignore[return-value]  # `select.loop` says what they are
            except Closed as error:
                if error.branch is None:
                    raise
                index = self._names.index(error.branch)
                # What a task failed with is its result, not the end of a source.
                if isinstance(self._operations[index], Watched):
                    raise
                self._drop(index)
            finally:
                if self._watches:
                    self._drop_terminated()
        raise StopAsyncIteration

    def _drop_terminated(self) -> None:
        """Drop the one that has given its result: it would be ready for ever."""
        for index, operation in enumerate(self._operations):
            if operation.is_terminated:
                self._drop(index)
                return

    def _drop(self, index: int) -> None:
        del self._names[index]
        del self._operations[index]


def _gives_once(operation: Operation[object]) -> bool:
    return type(operation).is_terminated is not Operation.is_terminated


@final
class _Select:
    """Wait for the first of several branches: `await select(a, b)`, or `x=a, y=b`.

    `select.loop(a, b)` does so again and again. Of the branches exactly one takes
    effect; a loser has taken nothing. See `__call__` and `loop`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<select>"

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
        The losers end before the winner takes effect. Should another task be quicker
        meanwhile and leave the winner nothing, `select` goes on with the branches that
        are left.

        A coroutine has done what it does when it ends: of one that ends in the same
        turn as the winner the result is lost. Where that matters pass an operation,
        which takes nothing before it wins, or a task of yours, which keeps its result.

        Selecting over a fresh operation each turn keeps no place in a fair queue (a
        lock, a semaphore, a full channel); one that is kept and passed again does.

        Args:
            *branches: By position; the result is `(index, value)`.
            biased: Ask in the order written, so that the first wins if several are
                ready: put what ends the loop first, and what is always busy last.
                Otherwise each is asked first in its turn, and no branch starves.
            **named: By name; the result is `(name, value)`. The type of `value`
                depends on the name, which Python's types cannot say: it is `Any`.

        Returns:
            A coroutine that gives the name or index of the branch, and its result.

        Raises:
            TypeError: There is no branch, both kinds are mixed, or, when awaited,
                one cannot be awaited.
            MisuseError: When awaited, one object is passed twice (not seen where all
                are operations and one is ready).
            Closed: When awaited, the source of a branch is closed; `error.branch`
                says which.
            WrongLoopError: When awaited, a future is of another event loop.

        Cancel safety:
            Safe: a cancelled `select` has taken nothing of any operation, or has
            given it back. A coroutine among the branches is cancelled with it.

        Source:
            `tokio::select!`
        """
        if not named:
            if not branches:
                raise TypeError("select needs at least one branch")
            count = len(branches)
            names = POSITIONS[count] if count < len(POSITIONS) else range(count)
            return race(names, branches, biased=biased)
        if branches:
            close_coroutines((*branches, *named.values()))
            raise TypeError(
                "select takes its branches by position or by name, not both; "
                f"got {len(branches)} by position and {', '.join(named)}"
            )
        return race(tuple(named), tuple(named.values()), biased=biased)

    @overload
    def loop(
        self, b0: _Again[T0], /, *, biased: bool = False
    ) -> SelectLoop[tuple[Literal[0], T0]]: ...

    @overload
    def loop(
        self,
        b0: _Again[T0],
        b1: _Again[T1],
        /,
        *,
        biased: bool = False,
    ) -> SelectLoop[tuple[Literal[0], T0] | tuple[Literal[1], T1]]: ...

    @overload
    def loop(
        self,
        b0: _Again[T0],
        b1: _Again[T1],
        b2: _Again[T2],
        /,
        *,
        biased: bool = False,
    ) -> SelectLoop[
        tuple[Literal[0], T0] | tuple[Literal[1], T1] | tuple[Literal[2], T2]
    ]: ...

    @overload
    def loop(
        self,
        b0: _Again[T0],
        b1: _Again[T1],
        b2: _Again[T2],
        b3: _Again[T3],
        /,
        *,
        biased: bool = False,
    ) -> SelectLoop[
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3]
    ]: ...

    @overload
    def loop(
        self,
        b0: _Again[T0],
        b1: _Again[T1],
        b2: _Again[T2],
        b3: _Again[T3],
        b4: _Again[T4],
        /,
        *,
        biased: bool = False,
    ) -> SelectLoop[
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3]
        | tuple[Literal[4], T4]
    ]: ...

    @overload
    def loop(
        self,
        b0: _Again[T0],
        b1: _Again[T1],
        b2: _Again[T2],
        b3: _Again[T3],
        b4: _Again[T4],
        b5: _Again[T5],
        /,
        *,
        biased: bool = False,
    ) -> SelectLoop[
        tuple[Literal[0], T0]
        | tuple[Literal[1], T1]
        | tuple[Literal[2], T2]
        | tuple[Literal[3], T3]
        | tuple[Literal[4], T4]
        | tuple[Literal[5], T5]
    ]: ...

    @overload
    def loop(
        self, *branches: _Again[T], biased: bool = False
    ) -> SelectLoop[tuple[int, T]]: ...

    @overload
    def loop(
        self, *, biased: bool = False, **named: _AnyAgain
    ) -> SelectLoop[tuple[str, Any]]: ...

    def loop(
        self,
        *branches: object,
        biased: bool = False,
        **named: object,
    ) -> SelectLoop[tuple[Any, Any]]:
        """Repeat a `select` over the same branches, built once.

        A branch whose source is closed is dropped, and so is one that has given all
        that it gives: a future, a task, a oneshot receiver. The loop ends with the
        last branch.

        Args:
            *branches: By position, as in `select`; no coroutines, which run once.
            biased: As in `select`.
            **named: By name; the type of `value` is `Any` then.

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
            close_coroutines((*branches, *named.values()))
            raise TypeError(
                "select.loop takes its branches by position or by name, one or more"
            )
        if named:
            return SelectLoop(tuple(named), tuple(named.values()), biased=biased)
        return SelectLoop(range(len(branches)), branches, biased=biased)


select: Final = _Select()
"""Wait for the first of several branches: see `_Select.__call__`."""
