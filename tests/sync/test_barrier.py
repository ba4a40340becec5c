"""The barrier opens for a whole group, and for nobody before."""

import asyncio

import pytest

from sumida.sync import Barrier
from sumida.testing import turns
from tests.support import Run


def test_groups_pass_with_one_leader_each(run: Run) -> None:
    """Again and again."""

    async def main() -> list[int]:
        barrier = Barrier(3)
        leaders = []
        for _ in range(4):
            tasks = [asyncio.ensure_future(barrier.wait()) for _ in range(3)]
            results = [await task for task in tasks]
            leaders.append(sum(result.is_leader for result in results))
        return leaders

    assert run(main) == [1, 1, 1, 1]


def test_who_leaves_does_not_count(run: Run) -> None:
    """A cancelled arrival is withdrawn."""

    async def main() -> list[str]:
        barrier = Barrier(2)
        gone = asyncio.ensure_future(barrier.wait())
        await turns()
        seen = [repr(barrier)]
        gone.cancel()
        await turns()
        seen.append(repr(barrier))
        one = asyncio.ensure_future(barrier.wait())
        await turns()
        assert not one.done()
        assert (await barrier.wait()).is_leader
        assert not (await one).is_leader
        return seen

    assert run(main) == ["<Barrier 1/2>", "<Barrier 0/2>"]


def test_small_sizes(run: Run) -> None:
    """None and one let everybody pass; less than none is refused."""

    async def main() -> list[bool]:
        return [(await Barrier(size).wait()).is_leader for size in (0, 1)]

    assert run(main) == [True, True]
    assert Barrier(0).size == 1
    with pytest.raises(ValueError, match="-1"):
        Barrier(-1)
