"""The mutex: one at a time, in order, no value without the lock."""

import asyncio

import pytest

from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.sync import Mutex, MutexGuard
from sumida.testing import cancel_everywhere, turns
from tests.support import Run
from tests.sync.worlds import TwoWaiters


def test_updates_are_not_lost(run: Run) -> None:
    """Across an await between reading and writing."""

    async def main() -> int:
        state = Mutex(0)

        async def add() -> None:
            for _ in range(10):
                async with state.lock() as guard:
                    before = guard.value
                    await turns(1)
                    guard.value = before + 1

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(add())
        async with state.lock() as guard:
            return guard.value

    assert run(main) == 100


def test_waiters_are_served_in_order_and_nobody_barges(run: Run) -> None:
    """Also not between the hand-over and the next one's step."""

    async def main() -> list[int]:
        state = Mutex(None)
        order: list[int] = []

        async def take(n: int) -> None:
            async with state.lock():
                order.append(n)

        guard = await state.lock()
        tasks = [asyncio.create_task(take(n)) for n in range(5)]
        await turns()
        guard.release()
        with pytest.raises(WouldBlock):
            state.try_lock()
        await asyncio.wait(tasks)
        assert not state.is_locked
        return order

    assert run(main) == [0, 1, 2, 3, 4]


def test_the_value_needs_the_lock(run: Run) -> None:
    """Before and after, it is refused."""

    async def main() -> None:
        state = Mutex("x")
        guard = state.lock()
        with pytest.raises(ReleasedError):
            _ = guard.value
        async with guard:
            assert guard.value == "x"
        with pytest.raises(ReleasedError):
            guard.value = "y"
        with pytest.raises(ReleasedError), guard:
            pass

    run(main)


def test_a_guard_can_be_awaited_and_used_again(run: Run) -> None:
    """Not while it is held; releasing twice does no harm."""

    async def main() -> list[bool]:
        state = Mutex(0)
        guard = await state.lock()
        with pytest.raises(MisuseError, match="while held"):
            await guard
        guard.release()
        guard.release()
        seen = [state.is_locked]
        with await guard:
            seen.append(state.is_locked)
        return [*seen, state.is_locked]

    assert run(main) == [False, True, False]


def test_an_error_gives_the_lock_back(run: Run) -> None:
    """There is no poisoning."""

    async def main() -> str:
        state = Mutex(1)
        with pytest.raises(KeyError):
            async with state.lock():
                raise KeyError("x")
        locked = repr(state)
        async with state.lock():
            return f"{locked} {state!r}"

    assert run(main) == "<Mutex 1> <Mutex locked, 0 waiting>"


def world() -> TwoWaiters:
    """Two tasks wait for a lock that a third holds."""
    state = Mutex(None)
    held: list[MutexGuard[None]] = [state.try_lock()]

    def grant() -> None:
        if held:
            held.pop().release()

    def give_back(guard: object) -> None:
        assert isinstance(guard, MutexGuard)
        guard.release()

    return TwoWaiters(state.lock, grant, give_back)


def test_a_cancelled_lock_is_passed_on(run: Run) -> None:
    """Wherever it strikes, the next in line has it."""
    assert run(cancel_everywhere, world) == 8
