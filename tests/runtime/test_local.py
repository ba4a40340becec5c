"""Task-locals: they follow the task, and are gone after the block."""

import asyncio

import pytest

from sumida import JoinSet, TaskLocal, spawn_blocking
from sumida.errors import AccessError, MisuseError
from sumida.testing import turns
from tests.support import Run

REQUEST: TaskLocal[str] = TaskLocal("REQUEST")


def test_each_task_sees_its_own(run: Run) -> None:
    """Tasks that take turns never see each other's value."""

    async def main() -> set[bool]:
        async def handle(name: str) -> bool:
            with REQUEST.scope(name):
                for _ in range(5):
                    await turns(1)
                    if REQUEST.get() != name:
                        return False
            return True

        async with JoinSet[bool]() as tasks:
            for n in range(20):
                tasks.spawn(handle(f"r-{n}"))
            return set(await tasks.join_all())

    assert run(main) == {True}


def test_what_is_spawned_inherits(run: Run) -> None:
    """Tasks and threads started inside the scope see the value."""

    async def main() -> list[str]:
        async def child() -> str:
            return REQUEST.get()

        with REQUEST.scope("r-1"):
            async with JoinSet[str]() as tasks:
                tasks.spawn(child())
                seen = await tasks.join_all()
            return [*seen, await spawn_blocking(REQUEST.get)]

    assert run(main) == ["r-1", "r-1"]


def test_scopes_nest_and_end() -> None:
    """The outer value is back after the inner block, and none after the outer."""
    with REQUEST.scope("outer") as value:
        with REQUEST.scope("inner"):
            inner = REQUEST.get()
        outer = REQUEST.get()

    assert (value, inner, outer) == ("outer", "inner", "outer")
    with pytest.raises(AccessError, match="REQUEST"):
        REQUEST.get()
    assert REQUEST.get(None) is None


def test_misuse_is_refused(run: Run) -> None:
    """A scope entered twice, or left in another task."""

    async def main() -> None:
        scope = REQUEST.scope("x")
        with scope, pytest.raises(MisuseError, match="second time"), scope:
            pass

        async def enter() -> None:
            again.__enter__()

        again = REQUEST.scope("y")
        await asyncio.create_task(enter())
        with pytest.raises(MisuseError, match="another task"):
            again.__exit__(None, None, None)

    run(main)


def test_repr_tells_the_value() -> None:
    """Set or not, and the scope's state."""
    scope = REQUEST.scope("z")

    assert repr(REQUEST) == "<TaskLocal REQUEST: unset>"
    assert repr(scope) == "<TaskLocalScope REQUEST='z' idle>"
    with scope:
        assert repr(REQUEST) == "<TaskLocal REQUEST: 'z'>"
        assert "entered" in repr(scope)
    assert REQUEST.name == "REQUEST"
