"""Cells that are set once."""

import asyncio

import pytest

from sumida.errors import AlreadyInitialized, Closed, WrongLoopError
from sumida.operation import budget
from sumida.sync import OnceCell, SetOnce
from sumida.testing import turns
from tests.core.support import started
from tests.support import Run


def test_one_initialiser_runs_for_all(run: Run) -> None:
    """The others wait for its value."""

    async def main() -> tuple[set[int], int]:
        cell = OnceCell[int]()
        made = 0

        async def make() -> int:
            nonlocal made
            made += 1
            await turns(3)
            return made

        tasks = [asyncio.create_task(cell.get_or_init(make)) for _ in range(5)]
        await turns(1)
        with pytest.raises(AlreadyInitialized, match="being initialized"):
            cell.set(9)
        return {await task for task in tasks}, made

    assert run(main) == ({1}, 1)


def test_the_next_one_tries_when_the_first_fails(run: Run) -> None:
    """By an error, or by a cancel."""

    async def main() -> int:
        cell = OnceCell[int]()

        async def fail() -> int:
            await turns(2)
            raise ValueError("no")

        async def give() -> int:
            return 3

        failing = asyncio.create_task(cell.get_or_init(fail))
        cancelled = asyncio.create_task(cell.get_or_init(give))
        waiting = asyncio.create_task(cell.get_or_init(give))
        await turns(1)
        cancelled.cancel()
        with pytest.raises(ValueError, match="no"):
            await failing
        return await waiting

    assert run(main) == 3


def test_all_who_wait_go_on_in_one_turn(run: Run) -> None:
    """However many they are; also if the value was taken away meanwhile."""

    async def main() -> tuple[set[int], list[int]]:
        cell = OnceCell[int]()
        gate = asyncio.Event()
        made: list[int] = []

        async def make() -> int:
            await gate.wait()
            made.append(len(made))
            return made[-1]

        tasks = [asyncio.create_task(cell.get_or_init(make)) for _ in range(50)]
        await turns()
        gate.set()
        await turns(4)
        assert all(task.done() for task in tasks)
        first = {await task for task in tasks}
        gate.clear()
        cell.take()
        tasks = [asyncio.create_task(cell.get_or_init(make)) for _ in range(3)]
        await turns()
        gate.set()
        tasks[0].add_done_callback(lambda _task: cell.take())
        return first, [await task for task in tasks]

    values, again = run(main)
    assert values == {0}
    assert again[0] == 1
    assert set(again) <= {1, 2}


def test_who_yields_finds_what_was_set_meanwhile(run: Run) -> None:
    """And does not make another."""

    async def main() -> tuple[int, int | None]:
        cell = OnceCell[int]()

        async def make() -> int:
            raise AssertionError("it was set")

        budget.left = 1
        task = asyncio.create_task(cell.get_or_init(make))
        if budget.left == 1:  # lazy
            await turns(1)
        cell.set(4)
        return await task, cell.get()

    assert run(main) == (4, 4)


def test_an_error_that_says_closed_is_the_initialisers(run: Run) -> None:
    """It is no reason to try again."""

    async def main() -> bool:
        cell = OnceCell[int]()

        async def make() -> int:
            raise Closed("database")

        with pytest.raises(Closed, match="database"):
            await cell.get_or_init(make)
        return cell.is_initialized

    assert not run(main)


def test_a_cell_is_set_and_taken() -> None:
    """A second value is given back."""
    cell = OnceCell[str]()

    assert cell.get() is None
    assert repr(cell) == "<OnceCell unset>"
    cell.set("x")
    with pytest.raises(AlreadyInitialized) as error:
        cell.set("y")
    assert error.value.value == "y"
    assert (cell.get(), cell.is_initialized, cell.take()) == ("x", True, "x")
    assert (cell.take(), cell.is_initialized) == (None, False)


def test_another_thread_sets_nothing(run: Run) -> None:
    """Where tasks wait; they wait on."""

    async def main() -> tuple[bool, int]:
        cell = SetOnce[int]()
        waiting = await started(cell.wait())
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(cell.set, 1)
        is_set = cell.is_initialized
        cell.set(2)
        return is_set, await waiting

    assert run(main) == (False, 2)


def test_all_wait_for_what_is_set_once(run: Run) -> None:
    """And see it at once afterwards."""

    async def main() -> list[object]:
        cell = SetOnce[int]()
        seen: list[object] = [cell.get(), repr(cell)]
        tasks = [asyncio.ensure_future(cell.wait()) for _ in range(3)]
        await turns()
        cell.set(5)
        with pytest.raises(AlreadyInitialized):
            cell.set(6)
        seen += [await task for task in tasks]
        return [*seen, await cell.wait(), cell.is_initialized, repr(cell)]

    assert run(main) == [
        None,
        "<SetOnce unset, 0 waiting>",
        5,
        5,
        5,
        5,
        True,
        "<SetOnce 5>",
    ]
