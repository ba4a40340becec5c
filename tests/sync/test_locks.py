"""What all locks do alike when they are entered: by one, once, and never lent twice."""

import asyncio
from collections.abc import Callable

import pytest

from sumida import select
from sumida._core import hooks
from sumida.errors import BusyError, Closed, MisuseError, ReleasedError, WrongLoopError
from sumida.operation import BUDGET, UNSHARED, budget
from sumida.sync import (
    Mutex,
    MutexGuard,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
    SemaphorePermit,
)
from tests.core.support import TurnCounter, cancelled, started, turns
from tests.support import Run

Guard = MutexGuard[int] | SemaphorePermit | RwLockReadGuard[int] | RwLockWriteGuard[int]
Enter = Callable[[], Guard]

LOCKS: list[Callable[[], Enter]] = [
    lambda: Mutex(0).lock,
    lambda: Semaphore(1).acquire,
    lambda: RwLock(0, max_readers=1).read,
    lambda: RwLock(0).write,
]
"""Each is for one at a time."""


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
        assert await cancelled(await _yielding(enter()))
        return await _enter(enter())

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
        yielding = await _yielding(guard)
        async with guard:
            with pytest.raises(MisuseError):
                await yielding
        return order

    assert run(main) == ["second in", "second out", "first in", "first out"]


@pytest.mark.skipif(UNSHARED < 0, reason="no count can be trusted on this build")
@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_nobody_kept_is_used_again(
    run: Run, make: Callable[[], Enter]
) -> None:
    """Also after a wait, and beside others that are held."""

    async def main() -> bool:
        enter = make()
        async with enter() as guard:
            first = id(guard)
        del guard
        # The first is alive where it is kept, so no other can have its place.
        async with enter() as guard:
            again = id(guard)
            waiting = asyncio.create_task(_twice(enter))
            await turns()
        del guard
        ids = await waiting
        return first == again and len(set(ids)) == 1

    assert run(main)


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_somebody_has_is_not_lent(
    run: Run, make: Callable[[], Enter]
) -> None:
    """Not one that waits to be awaited, nor one that is kept after its block."""

    async def main() -> None:
        enter = make()
        idle, other = enter(), enter()
        assert idle is not other
        async with enter() as kept:
            pass
        async with enter() as held:
            assert held not in (idle, other, kept)
            assert [guard.is_held for guard in (idle, other, kept)] == [False] * 3
        async with idle:
            assert not held.is_held
            assert idle.is_held

    run(main)


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_is_entered_by_one(run: Run, make: Callable[[], Enter]) -> None:
    """While it is held, or waits, the second is refused, and takes nothing."""

    async def main() -> list[str]:
        enter = make()
        async with enter() as guard:
            with pytest.raises(MisuseError, match="while held"):
                await _enter(guard)
            assert guard.is_held
            awaited = enter()
            first = asyncio.create_task(_enter(awaited))
            await turns()
            with pytest.raises(BusyError):
                await _enter(awaited)
        return [await first, await _enter(awaited), await _enter(enter())]

    assert run(main) == ["inside"] * 3


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_was_served_is_entered_by_one(
    run: Run, make: Callable[[], Enter]
) -> None:
    """Also between the wake-up of its task and that task's next step."""

    async def main() -> str:
        enter = make()
        held = await enter()
        guard = enter()
        first = asyncio.create_task(_enter(guard))
        await turns()
        held.release()
        with pytest.raises(BusyError):
            await guard
        with pytest.raises(BusyError):
            await _enter(guard)
        return await first

    assert run(main) == "inside"


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_is_awaited_is_not_entered(
    run: Run, make: Callable[[], Enter]
) -> None:
    """The task that awaits it has it in the end."""

    async def main() -> str:
        enter = make()
        held = await enter()
        guard = enter()
        first = await started(_wait(guard))
        with pytest.raises(BusyError):
            await _enter(guard)
        held.release()
        (await first).release()
        return await _enter(guard)

    assert run(main) == "inside"


@pytest.mark.parametrize("make", LOCKS)
def test_who_comes_again_is_the_last(run: Run, make: Callable[[], Enter]) -> None:
    """With a guard that has waited and was served, or was free when it came back."""

    async def main() -> list[str]:
        enter = make()
        order: list[str] = []

        async def take(name: str, guard: Guard) -> None:
            async with guard:
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

        lost = enter()
        held = await enter()
        won = await select(lost, _enter_nothing(), biased=True)
        assert won[0] == 1
        held.release()
        (await lost).release()
        await come_again(lost)
        return order

    assert run(main) == ["first", "other", "again", "other", "again"]


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_outlives_its_cancels(run: Run, make: Callable[[], Enter]) -> None:
    """It waits again, entered or awaited, and no two ever wait in one place."""

    async def main() -> list[str]:
        enter = make()
        guard = enter()
        seen: list[str] = []
        for _ in range(3):
            held = await enter()
            entering = await started(_enter(guard))
            assert await cancelled(entering)
            awaiting = await started(_wait(guard))
            held.release()
            (await awaiting).release()
            held = await enter()
            tasks = [await started(_enter(guard)), await started(_enter(enter()))]
            held.release()
            seen += [await task for task in tasks]
        return seen

    assert run(main) == ["inside"] * 6


@pytest.mark.parametrize("make", LOCKS)
def test_who_holds_is_told(run: Run, make: Callable[[], Enter]) -> None:
    """To one who observes: each guard that takes, and that it gives back, once."""

    async def main() -> None:
        enter = make()
        async with enter():
            waiting = await started(_enter(enter()))
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
def test_a_guard_that_is_collected_goes_back(
    run: Run, make: Callable[[], Enter]
) -> None:
    """With a warning, for it should have been released; also one given by a select."""

    async def main() -> str:
        enter = make()
        with pytest.warns(ResourceWarning, match="collected while held"):
            await enter()
        await _enter(enter())
        with pytest.warns(ResourceWarning, match="collected while held"):
            await select(enter(), _enter_nothing(), biased=True)
        held = enter()
        await _enter(held)
        with pytest.warns(ResourceWarning, match="collected while held"):
            await held
            del held
        return await _enter(enter())

    assert run(main) == "inside"


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_is_released_once(run: Run, make: Callable[[], Enter]) -> None:
    """Inside of its block, and not again where that ends."""

    async def main() -> None:
        enter = make()
        async with enter() as guard:
            guard.release()
            with pytest.raises(ReleasedError), guard:
                pass
            taken = await enter()
            assert not guard.is_held
        assert taken.is_held
        taken.release()

    run(main)


@pytest.mark.parametrize("make", LOCKS)
def test_a_line_of_another_loop_is_refused(make: Callable[[], Enter]) -> None:
    """Whoever would stand in it gets an error at once; the line is as it was."""
    enter = make()
    held: list[Guard] = []

    async def begin() -> asyncio.Task[str]:
        held.append(await enter())
        waiting = asyncio.create_task(_enter(enter()))
        await turns()
        return waiting

    async def end(waiting: asyncio.Task[str]) -> str:
        held[0].release()
        return await waiting

    async def take() -> str:
        return await _enter(enter())

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
            other = asyncio.create_task(_enter(mutex.lock()))
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

    waiting = resumed = created

    def acquired(self, _thing: object, guard: object) -> None:
        """Write it down."""
        assert "held" in repr(guard)
        self.told.append("taken")

    def released(self, _thing: object, guard: object) -> None:
        """Write it down."""
        assert "idle" in repr(guard)
        self.told.append("given back")


async def _enter_nothing() -> None:
    pass


async def _wait(guard: Guard) -> Guard:
    return await guard


async def _twice(enter: Enter) -> list[int]:
    ids = []
    for _ in range(2):
        async with enter() as guard:
            ids.append(id(guard))
        del guard
    return ids


async def _enter(guard: Guard) -> str:
    async with guard:
        return "inside"


async def _yielding(guard: Guard) -> asyncio.Task[str]:
    """Start a task that enters at the end of the budget, and let it come to there."""
    budget.left = 1
    task = asyncio.create_task(_enter(guard))
    if budget.left == 1:  # lazy
        await turns(1)
    assert not task.done()
    return task
