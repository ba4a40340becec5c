"""What all locks do alike: they yield, serve in order, know their loop, and tell."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from sumida import select
from sumida._core import hooks
from sumida.errors import Closed, MisuseError, WrongLoopError
from sumida.operation import BUDGET, budget
from sumida.sync import Mutex, RwLock, Semaphore
from tests.core.support import TurnCounter, cancelled, started, turns
from tests.support import Run
from tests.sync.locks import (
    LOCKS,
    Enter,
    Guard,
    given,
    held_for_a_turn,
    inside,
    nothing,
    yielding,
)


def _blocking(lock: object, name: str) -> tuple[object, Enter]:
    return lock, getattr(lock, name)


BLOCKING: list[Callable[[], tuple[object, Enter]]] = [
    lambda: _blocking(Mutex(0), "blocking_lock"),
    lambda: _blocking(Semaphore(1), "blocking_acquire"),
    lambda: _blocking(RwLock(0, max_readers=1), "blocking_read"),
    lambda: _blocking(RwLock(0), "blocking_write"),
]


@pytest.mark.parametrize("make", LOCKS)
def test_others_run_once_in_a_budget(run: Run, make: Callable[[], Enter]) -> None:
    """Where a lock is entered again and again, and never waited for."""

    async def main() -> int:
        enter = make()
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        for _ in range(BUDGET * 4):
            async with enter():
                pass
        seen = turned.count
        await cancelled(counting)
        return seen

    assert run(main) in {4, 5}


@pytest.mark.parametrize("make", LOCKS)
def test_a_cancel_at_the_end_of_the_budget_takes_nothing(
    run: Run, make: Callable[[], Enter]
) -> None:
    """The lock is as free as before."""

    async def main() -> str:
        enter = make()
        assert await cancelled(await yielding(enter()))
        return await inside(enter())

    assert run(main) == "inside"


def test_who_yields_waits_for_one_who_came_meanwhile(run: Run) -> None:
    """And a guard with which another has come is refused."""

    async def main() -> list[str]:
        mutex = Mutex(0)
        order: list[str] = []

        async def take(name: str) -> None:
            async with mutex.lock():
                order.append(f"{name} in")
                await turns(2)
                order.append(f"{name} out")

        budget.left = 1
        tasks = [asyncio.create_task(take(name)) for name in ("first", "second")]
        await asyncio.wait(tasks)

        guard = mutex.lock()
        waiting = await yielding(guard)
        async with guard:
            with pytest.raises(MisuseError):
                await waiting
        return order

    assert run(main) == ["second in", "second out", "first in", "first out"]


@pytest.mark.parametrize("again", [inside, held_for_a_turn])
@pytest.mark.parametrize("make", LOCKS)
def test_who_comes_again_is_the_last(
    run: Run,
    make: Callable[[], Enter],
    again: Callable[[Guard], Coroutine[object, object, str]],
) -> None:
    """With a guard that has waited and was served, or was free when it came back."""

    async def main() -> list[str]:
        enter = make()
        order: list[str] = []

        async def take(name: str, guard: Guard) -> None:
            await again(guard)
            order.append(name)

        async def come_again(guard: Guard) -> None:
            held = await enter()
            tasks = [
                await started(take("other", enter())),
                await started(take("again", guard)),
            ]
            held.release()
            await asyncio.wait(tasks)

        served = enter()
        held = await enter()
        first = await started(take("first", served))
        held.release()
        await first
        await come_again(served)

        for take_it in (inside, given):
            lost = enter()
            held = await enter()
            won = await select(lost, nothing(), biased=True)
            assert won[0] == 1
            held.release()
            await take_it(lost)
            lost.release()
            await come_again(lost)
        return order

    assert run(main) == ["first", *["other", "again"] * 3]


@pytest.mark.parametrize("make", LOCKS)
def test_a_cancelled_wait_lends_its_place_to_nobody(
    run: Run, make: Callable[[], Enter]
) -> None:
    """Not with the guard that it leaves behind, either."""

    async def main() -> list[str]:
        enter = make()
        order: list[str] = []

        async def take(name: str, guard: Guard) -> None:
            async with guard:
                order.append(name)

        held, early = await enter(), enter()
        gone = await started(take("gone", enter()))
        await cancelled(gone)
        del gone
        tasks = [
            await started(take("first", early)),
            await started(take("second", enter())),
        ]
        held.release()
        await asyncio.wait(tasks)
        return order

    assert run(main) == ["first", "second"]


@pytest.mark.parametrize("make", LOCKS)
def test_who_holds_is_told(run: Run, make: Callable[[], Enter]) -> None:
    """To one who observes: each guard that takes, and that it gives back, once."""

    async def main() -> None:
        enter = make()
        async with enter():
            waiting = await started(inside(enter()))
        await waiting
        (await enter()).release()
        guard = enter()
        async with guard:
            guard.release()

    listener = _Listener()
    before = hooks.observe(listener)
    try:
        run(main)
    finally:
        hooks.observe(before)
    assert listener.told == ["taken", "given back"] * 4


@pytest.mark.parametrize("make", LOCKS)
def test_a_line_of_another_loop_is_refused(make: Callable[[], Enter]) -> None:
    """Whoever would stand in it gets an error at once; the line is as it was."""
    enter = make()
    held: list[Guard] = []

    async def begin() -> asyncio.Task[str]:
        held.append(await enter())
        waiting = asyncio.create_task(inside(enter()))
        await turns()
        return waiting

    async def end(waiting: asyncio.Task[str]) -> str:
        held[0].release()
        return await waiting

    async def take() -> str:
        return await inside(enter())

    with asyncio.Runner() as first, asyncio.Runner() as second:
        waiting = first.run(begin())
        with pytest.raises(WrongLoopError):
            second.run(take())
        with pytest.raises(WrongLoopError):
            second.run(end(waiting))
        assert held[0].is_held
        assert first.run(end(waiting)) == "inside"
        assert second.run(take()) == "inside"


@pytest.mark.parametrize("make", BLOCKING)
def test_a_thread_stands_in_the_same_line(
    run: Run, make: Callable[[], tuple[object, Enter]]
) -> None:
    """Also where nobody has waited yet: on the loop on which the lock was made."""

    async def main() -> None:
        lock, enter = make()
        guard = await asyncio.to_thread(enter)
        assert guard.is_held
        waiting = asyncio.create_task(asyncio.to_thread(enter))
        while "1 waiting" not in repr(lock):
            await asyncio.sleep(0)
        guard.release()
        with await waiting as second:
            assert second.is_held

    run(main)


@pytest.mark.parametrize("make", BLOCKING)
def test_a_thread_needs_a_loop_that_runs(
    make: Callable[[], tuple[object, Enter]],
) -> None:
    """A lock made outside of one has none, and a closed one will never answer."""

    async def made() -> Enter:
        return make()[1]

    with pytest.raises(MisuseError, match="does not know"):
        make()[1]()
    with pytest.raises(Closed):
        asyncio.run(made())()


@pytest.mark.parametrize("make", BLOCKING)
def test_a_loop_is_not_blocked(
    run: Run, make: Callable[[], tuple[object, Enter]]
) -> None:
    """The way of the threads is refused on it."""

    async def main() -> None:
        _, enter = make()
        with pytest.raises(MisuseError, match="would block"):
            enter()

    run(main)


def test_a_lock_that_went_to_another_loop_is_found_there() -> None:
    """By threads, too."""

    async def main() -> None:
        (await asyncio.to_thread(mutex.blocking_lock)).release()

    async def wait_for_it() -> None:
        async with mutex.lock():
            other = asyncio.create_task(inside(mutex.lock()))
            await turns()
        await other

    mutex = Mutex(0)
    for _ in range(2):
        with asyncio.Runner() as runner:
            runner.run(wait_for_it())
            runner.run(main())


class _Listener:
    """Writes down who takes and who gives back."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def created(self, thing: object) -> None:
        """Be told of no matter here."""

    def waiting(self, operation: object) -> None:
        """Be told of no matter here."""

    def resumed(self, operation: object) -> None:
        """Be told of no matter here."""

    def acquired(self, thing: object, guard: object) -> None:
        """Write it down."""
        assert "held" in f"{guard!r} {thing}"
        self.told.append("taken")

    def released(self, thing: object, guard: object) -> None:
        """Write it down."""
        assert "idle" in f"{guard!r} {thing}"
        self.told.append("given back")
