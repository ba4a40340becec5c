"""Cancel a coroutine at each of its suspensions, in each order with its wake-up.

A waiting call is cancel-safe when a cancel, wherever it strikes, leaves no effect at
all; or comes too late, when the call has returned with the whole of it. A call that was
cancelled before it ended and returns all the same has swallowed the cancel, which is
a fault, however good its result: who cancelled it would wait for ever.
`cancel_everywhere` tries every place and every order, each in a fresh world, and the
world says whether anything was lost. Put it behind each "Cancel safety: Safe" of your
own:

    >>> class Receiving:
    ...     def __init__(self):
    ...         self.queue = asyncio.Queue()
    ...     async def subject(self):
    ...         return await self.queue.get()
    ...     def wakes(self):
    ...         return [lambda: self.queue.put_nowait("x")]
    ...     def check(self, outcome):
    ...         if outcome.was_cancelled:
    ...             assert self.queue.qsize() == outcome.is_woken
    >>> asyncio.run(cancel_everywhere(Receiving))
    8
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import isawaitable
from typing import Protocol, TypeVar

from sumida.testing.drive import turns

__all__ = ("Order", "Outcome", "World", "cancel_everywhere")

T = TypeVar("T")

# After so many turns a coroutine that was cancelled and has not ended ignores it.
_PATIENCE = 100
# What a wake-up needs to reach the subject through a task or two.
_SETTLE = 12


class Order(Enum):
    """When the cancel strikes, relative to the wake-up."""

    BEFORE_START = "before the first step"
    PARKED = "while parked"
    CANCEL_WAKE = "just before the wake-up, in one turn"
    WAKE_CANCEL = "just after the wake-up, in one turn"
    WAKE_TURN_CANCEL = "one turn after the wake-up"
    TWICE = "twice, while parked"
    TIMEOUT = "by a deadline, while parked"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Attributes:
        at: Which suspension was cancelled, from 1; 0 for none, or before the start.
        order: When the cancel struck; None in the run without one.
        returned: Whether the subject returned.
        value: What it returned.
        error: What it raised, unless it was cancelled.
    """

    at: int
    order: Order | None
    returned: bool
    value: object = None
    error: BaseException | None = None

    @property
    def is_woken(self) -> bool:
        """Whether the wake-up of that suspension was issued."""
        return self.order in (
            Order.CANCEL_WAKE,
            Order.WAKE_CANCEL,
            Order.WAKE_TURN_CANCEL,
        )

    @property
    def was_cancelled(self) -> bool:
        """Whether the subject ended as cancelled."""
        return not self.returned and self.error is None

    def __str__(self) -> str:
        if self.order is None:
            return "the run without a cancel"
        return f"cancel at suspension {self.at}, {self.order.value}"


class World(Protocol):
    """What one run needs; made anew for each."""

    async def subject(self) -> object:
        """Do what is to be cancelled.

        Cancel safety:
            Safe or not safe: that is to be found out.
        """

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Give what lets the subject go on, one for each time it is suspended.

        Returns:
            Functions; what one returns is awaited if it can be.
        """
        ...

    def check(self, outcome: Outcome) -> Awaitable[None] | None:
        """Assert that nothing was lost or doubled.

        Args:
            outcome: How the run ended.
        """


async def _suspensions(factory: Callable[[], World]) -> int:
    """Run once without a cancel, and count how often the subject is suspended."""
    world = factory()
    task = asyncio.ensure_future(world.subject())
    await turns(_SETTLE)
    count = 0
    wakes = list(world.wakes())
    while not task.done():
        if count == len(wakes):
            task.cancel()
            await asyncio.wait([task])
            raise AssertionError(
                f"the subject is suspended for the {count + 1}. time, and wakes() has "
                f"{len(wakes)} actions"
            )
        await _do(wakes[count])
        count += 1
        await turns(_SETTLE)
    await _check(world, _outcome(task, 0, None))
    return count


async def _do(action: Callable[[], object]) -> None:
    result = action()
    if isawaitable(result):
        await result


async def _check(world: World, outcome: Outcome) -> None:
    try:
        result = world.check(outcome)
        if isawaitable(result):
            await result
    except BaseException as error:
        error.add_note(f"cancel_everywhere: {outcome}")
        raise


def _outcome(task: "asyncio.Future[object]", at: int, order: Order | None) -> Outcome:
    if task.cancelled():
        return Outcome(at, order, returned=False)
    error = task.exception()
    if error is not None:
        return Outcome(at, order, returned=False, error=error)
    return Outcome(at, order, returned=True, value=task.result())


async def _one(factory: Callable[[], World], at: int, order: Order) -> None:
    """Make one run, with one cancel."""
    world = factory()
    subject = world.subject()
    if order is Order.TIMEOUT:
        subject = _with_deadline(subject)
    task = asyncio.ensure_future(subject)
    if order is Order.BEFORE_START:
        was_asked = task.cancel()
    else:
        wakes = list(world.wakes())
        await turns(_SETTLE)
        for action in wakes[: at - 1]:
            await _do(action)
            await turns(_SETTLE)
        was_asked = await _strike(task, wakes[at - 1], order)
    await turns(_PATIENCE)
    where = f"cancel_everywhere: cancel at suspension {at}, {order.value}"
    if not task.done():
        for _ in range(_PATIENCE):
            # It must not outlive the test, if there is a way.
            task.cancel()
            await turns(1)
        raise AssertionError(f"{where}: the subject ignores it")
    outcome = _outcome(task, at, order)
    if outcome.returned and was_asked:
        raise AssertionError(f"{where}: the cancel was swallowed")
    await _check(world, outcome)


async def _with_deadline(subject: Coroutine[object, object, T]) -> T:
    """End the subject as a deadline does that passes in the middle."""
    try:
        async with asyncio.timeout(None) as deadline:
            loop = asyncio.get_running_loop()
            loop.call_soon(_pass_after, deadline, _SETTLE * 2)
            return await subject
    except TimeoutError:
        raise asyncio.CancelledError from None


def _pass_after(deadline: asyncio.Timeout, turns_left: int) -> None:
    loop = asyncio.get_running_loop()
    if turns_left:
        loop.call_soon(_pass_after, deadline, turns_left - 1)
    else:
        deadline.reschedule(loop.time())


async def _strike(
    task: "asyncio.Future[object]", wake: Callable[[], object], order: Order
) -> bool:
    """Cancel a parked subject, and wake it, in the given order.

    Returns:
        Whether it has been asked to end: not if it had ended before the cancel.
    """
    match order:
        case Order.CANCEL_WAKE:
            was_asked = task.cancel()
            await _do(wake)
            return was_asked
        case Order.WAKE_CANCEL:
            await _do(wake)
        case Order.WAKE_TURN_CANCEL:
            await _do(wake)
            await turns(1)
        case Order.TWICE:
            task.cancel()
        case Order.TIMEOUT:
            return True  # the deadline passes by itself
        case _:
            pass
    return task.cancel()


async def cancel_everywhere(factory: Callable[[], World]) -> int:
    """Cancel a subject at each suspension, in each order; check each world.

    Args:
        factory: Makes a fresh world for each run.

    Returns:
        How many runs were made: one without a cancel, one before the first step, and
        five or six for each suspension.

    Raises:
        TypeError: `factory` cannot be called.
        AssertionError: A world's check failed, and a note says in which run; or the
            subject swallowed a cancel, ignored one, or is suspended more often than
            it has wake-ups.

    Cancel safety:
        Not safe: the run under way is left as it stands.
    """
    if not callable(factory):
        raise TypeError(f"factory must make a world when called, not be {factory!r}")
    suspensions = await _suspensions(factory)
    await _one(factory, 0, Order.BEFORE_START)
    runs = 2
    for at in range(1, suspensions + 1):
        for order in Order:
            # The deadline is set up for the first suspension.
            if order is Order.BEFORE_START or (order is Order.TIMEOUT and at > 1):
                continue
            await _one(factory, at, order)
            runs += 1
    return runs
