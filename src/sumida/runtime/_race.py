"""How `select` asks its branches, waits for them, and ends the ones that lose."""

from asyncio import Future, get_running_loop
from collections.abc import Generator, Sequence
from types import coroutine
from typing import Any, Final, final

from sumida._core import hooks
from sumida._core.callgraph import Linked, link, unlink
from sumida._core.settle import cancel_and_wait
from sumida._core.sleeper import NO_CONTEXT, Racer
from sumida.errors import Closed
from sumida.operation import BUDGET, PENDING, Operation, budget, spend
from sumida.runtime._branches import TURN, Name, Run, branches_of, refuse_twice

__all__ = ("POSITIONS", "race")


_ROUND: Final = 1_048_573
_STEP: Final = 648_054
"""The golden section of a round, which is a prime number.

Each fair `select` of the process goes one step further. So the branches of one are
first in their turn, give or take a few; and also where it always comes as every second
or every third: steps of a whole branch would then ask the same one first, for ever.
"""


@final
class _Turns:
    """Where the next fair `select` begins to ask: so much of a round."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 0


turns = _Turns()

_PAIR: Final = 2

_SPARES: Final = 16
_spares: Final[list[Racer]] = []
"""Waits to be used again, of the loop that runs most: to make one costs 0.5 µs."""

POSITIONS: Final = tuple(tuple(range(count)) for count in range(9))
"""The names of so many branches that are known by their place: a range costs 70 ns."""


def _ask(
    names: Sequence[Name], operations: Sequence[Operation[Any]], first: int
) -> tuple[Name, Any] | None:
    """Ask each branch once, from `first` on; the result of the one that was ready."""
    index = first
    try:
        # Negative indices count from the end, and so go round by themselves.
        for index in range(first - len(operations), first):
            result = operations[index].poll()
            if result is not PENDING:
                return names[index], result
    except Closed as error:
        error.branch = names[index]
        raise
    return None


def _ask_one(name: Name, operation: Operation[Any]) -> tuple[Name, Any] | None:
    """As `_ask`, of a single branch."""
    try:
        result = operation.poll()
    except Closed as error:
        error.branch = name
        raise
    return None if result is PENDING else (name, result)


async def race(
    names: Sequence[Name], things: Sequence[object], *, biased: bool
) -> tuple[Name, Any]:
    """Wait for the first branch: the whole of `select`.

    Args:
        names: The branches' names or indices.
        things: What was passed for each.
        biased: Ask in the order written.

    Returns:
        The name of the branch that won, and its result.

    Cancel safety:
        Safe: nothing has taken effect, or it was given back.
    """
    for thing in things:
        if not isinstance(thing, Operation):
            return await _race_mixed(names, things, biased=biased)
    # A `cast` is a call: 40 ns.
    operations: Sequence[Operation[Any]] = things  # type: ignore[assignment]  # seen above
    first = 0
    count = len(operations)
    if not biased:
        part = turns.next = (turns.next + _STEP) % _ROUND
        first = part * count // _ROUND
    # `spend` and `_ask`, spelt out: two calls are a sixth of a select (CPython 3.11).
    left = budget.left - 1
    if left:
        budget.left = left
    else:
        budget.left = BUDGET
        await TURN
    index = first
    try:
        for index in range(first - count, first):
            result = operations[index].poll()
            if result is not PENDING:
                return names[index], result
    except Closed as error:
        error.branch = names[index]
        raise
    # The set that it makes is a tenth of a wait, and two are the usual number.
    if count != _PAIR or operations[0] is operations[1]:
        refuse_twice(operations)
    return await _wait(names, operations, first)


async def _race_mixed(
    names: Sequence[Name], things: Sequence[object], *, biased: bool
) -> tuple[Name, Any]:
    """Wait for the first branch where some are no operations.

    A coroutine has to run to be asked; so it is started when nothing else is ready.
    """
    operations = branches_of(names, things)
    runs = [operation for operation in operations if isinstance(operation, Run)]
    first = 0
    if not biased:
        part = turns.next = (turns.next + _STEP) % _ROUND
        first = part * len(operations) // _ROUND
    try:
        if spend():
            await TURN
        winner = _ask(names, operations, first)
        if winner is not None:
            return winner
        if not runs:
            return await _wait(names, operations, first)
        winner = await _wait_with_runs(names, operations, runs)
        if winner is not None:
            return winner
        # Somebody was quicker while the losers ended: go on with what is left.
        left = [n for n, branch in enumerate(operations) if not _was_ended(branch)]
        names = [names[n] for n in left]
        operations = [operations[n] for n in left]
        return _ask(names, operations, 0) or await _wait(names, operations, 0)
    finally:
        for run in runs:
            run.discard()


def _take_racer() -> Racer:
    loop = get_running_loop()
    try:
        # Not asked whether there is one: loops on other threads take them too.
        racer = _spares.pop()
    except IndexError:
        return Racer(loop)
    return racer if racer.get_loop() is loop else Racer(loop)


def _leave_racer(racer: Racer) -> None:
    racer.is_done = True
    # One that is still waited for belongs to a task that was thrown away.
    if racer.callback is None and len(_spares) < _SPARES:
        racer.token = None
        # Nor may what the task had set live on with it.
        racer.context = NO_CONTEXT
        _spares.append(racer)


@coroutine
def _wait(
    names: Sequence[Name], operations: Sequence[Operation[Any]], first: int
) -> Generator[object, None, tuple[Name, Any]]:
    """Wait until a branch is ready; none was when asked."""
    racer = _take_racer()
    observer = hooks.observer
    if observer is not None:
        observer.waiting(operations)
    try:
        while True:
            tokens: list[object] = []
            racer.is_done = False
            try:
                for operation in operations:
                    # One by one: what was armed is known when the next one refuses.
                    tokens.append(operation.arm(racer))  # type: ignore[arg-type]  # noqa: PERF401
                # One may have been made ready by arming another.
                if not racer.is_done:
                    racer._asyncio_future_blocking = True
                    yield racer
                index = tokens.index(racer.token)
                # The one that was woken; should somebody have been quicker, the
                # others. Then wait again: each keeps its place in its queue.
                winner = _ask_one(names[index], operations[index])
                if winner is None:
                    winner = _ask(names, operations, first)
            finally:
                for operation, _ in zip(operations, tokens, strict=False):
                    operation.disarm()
            if winner is not None:
                return winner
    finally:
        _leave_racer(racer)
        if observer is not None:
            observer.resumed(operations)


async def _wait_with_runs(
    names: Sequence[Name],
    operations: Sequence[Operation[Any]],
    runs: Sequence[Run[Any]],
) -> tuple[Name, Any] | None:
    """As `_wait`, with coroutines among the branches, which are started now.

    The losers end before the winner takes effect, so that a cancel that comes meanwhile
    finds nothing taken. So the winner is first asked whether it still is one. None if
    somebody was quicker while the losers ended.
    """
    loop = get_running_loop()
    # Coroutines last: one that runs at once, as an eager task does, finds all others
    # armed, and wakes the one that it makes ready.
    order = sorted(range(len(operations)), key=lambda n: isinstance(operations[n], Run))
    ordered = [operations[n] for n in order]
    observer = hooks.observer
    if observer is not None:
        observer.waiting(operations)
    try:
        while True:
            future: Future[object] = loop.create_future()
            tokens: list[object] = []
            linked: Linked = None
            try:
                for operation in ordered:
                    tokens.append(operation.arm(future))  # noqa: PERF401  # as above
                linked = link(run.task for run in runs if run.task is not None)
                index = order[tokens.index(await future)]
                if operations[index].is_ready():
                    losers, runs = runs, ()
                    await _end(losers, operations[index])
                    return _ask_one(names[index], operations[index])
            finally:
                unlink(linked)
                for operation, _ in zip(ordered, tokens, strict=False):
                    operation.disarm()
    finally:
        if observer is not None:
            observer.resumed(operations)
        await _end(runs, None)


def _was_ended(operation: Operation[Any]) -> bool:
    """Tell whether this is a coroutine that was cancelled for having lost."""
    return isinstance(operation, Run) and (
        operation.task is None or operation.task.cancelled()
    )


async def _end(runs: Sequence[Run[Any]], winner: Operation[Any] | None) -> None:
    """Cancel the coroutines that did not win, and wait until they have ended."""
    tasks = [run.task for run in runs if run is not winner and run.task is not None]
    if tasks:
        await cancel_and_wait(tasks)
