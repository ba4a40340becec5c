"""The guards of all locks: used again at little cost, and never by two."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sumida import select
from sumida.errors import BusyError, MisuseError, ReleasedError
from sumida.operation import UNSHARED
from sumida.sync import mutex, rwlock, semaphore
from tests.core.support import cancelled, started, turns
from tests.support import Run
from tests.sync.locks import (
    LOCKS,
    Enter,
    Guard,
    given,
    held_for_a_turn,
    inside,
    nothing,
)


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
def test_no_guard_is_used_again_where_no_count_can_be_trusted(
    run: Run, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Enter]
) -> None:
    """As without a global interpreter lock."""

    async def main() -> int:
        enter = make()
        ids = []
        for _ in range(2):
            async with enter() as guard:
                ids.append(id(guard))
            # It is alive where it is kept, until the next is made.
            del guard
        return len(set(ids))

    for module in (mutex, rwlock, semaphore):
        monkeypatch.setattr(module, "UNSHARED", -1)

    assert run(main) == 2


@pytest.mark.parametrize("make", LOCKS)
def test_threads_never_get_one_guard(make: Callable[[], Enter]) -> None:
    """Though it is not theirs to enter, each has its own."""
    enter = make()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(_guards, enter) for _ in range(4)]
    finally:
        sys.setswitchinterval(interval)
    guards = [guard for future in made for guard in future.result()]

    assert len({id(guard) for guard in guards}) == len(guards)


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
                await inside(guard)
            assert guard.is_held
            awaited = enter()
            first = asyncio.create_task(inside(awaited))
            await turns()
            with pytest.raises(BusyError):
                await inside(awaited)
        with await enter() as guard, pytest.raises(MisuseError, match="while held"):
            await inside(guard)
        return [await first, await inside(awaited), await inside(enter())]

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
        first = asyncio.create_task(inside(guard))
        await turns()
        held.release()
        with pytest.raises(BusyError):
            await guard
        with pytest.raises(BusyError):
            await inside(guard)
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
        first = await started(given(guard))
        with pytest.raises(BusyError):
            await inside(guard)
        held.release()
        (await first).release()
        return await inside(guard)

    assert run(main) == "inside"


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_outlives_its_cancels(run: Run, make: Callable[[], Enter]) -> None:
    """It waits again, entered or awaited, and no two ever wait in one place."""

    async def main() -> list[str]:
        enter = make()
        guard = enter()
        seen: list[str] = []
        for _ in range(3):
            held = await enter()
            entering = await started(inside(guard))
            assert await cancelled(entering)
            awaiting = await started(given(guard))
            held.release()
            (await awaiting).release()
            held = await enter()
            tasks = [
                await started(inside(guard)),
                await started(held_for_a_turn(enter())),
            ]
            held.release()
            seen += [await task for task in tasks]
        return seen

    assert run(main) == ["inside", "released"] * 3


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_waits_again_is_alone(run: Run, make: Callable[[], Enter]) -> None:
    """What it was given before is used up, and lets no second in beside it."""

    async def main() -> int:
        enter = make()
        guard = enter()
        together = most = 0

        async def work(guard: Guard) -> None:
            nonlocal together, most
            async with guard:
                together += 1
                most = max(most, together)
                await turns(2)
                together -= 1

        for _ in range(2):
            held = await enter()
            tasks = [await started(work(each)) for each in (guard, enter(), enter())]
            held.release()
            await asyncio.wait(tasks)
        return most

    assert run(main) == 1


@pytest.mark.parametrize("make", LOCKS)
def test_a_guard_that_is_collected_goes_back(
    run: Run, make: Callable[[], Enter]
) -> None:
    """With a warning, for it should have been released; also one given by a select."""

    async def main() -> str:
        enter = make()
        with pytest.warns(ResourceWarning, match="collected while held"):
            await enter()
        await inside(enter())
        with pytest.warns(ResourceWarning, match="collected while held"):
            await select(enter(), nothing(), biased=True)
        held = enter()
        await inside(held)
        with pytest.warns(ResourceWarning, match="collected while held"):
            await held
            del held
        return await inside(enter())

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
        waiting = await started(given(enter()))
        assert taken.is_held
        assert not waiting.done()
        taken.release()
        (await waiting).release()

    run(main)


def _guards(enter: Enter) -> list[Guard]:
    kept = []
    for turn in range(1000):
        guard = enter()
        if turn % 2:
            kept.append(guard)
    return kept


async def _twice(enter: Enter) -> list[int]:
    ids = []
    for _ in range(2):
        async with enter() as guard:
            ids.append(id(guard))
        del guard
    return ids
