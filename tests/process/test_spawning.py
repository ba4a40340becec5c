"""A start that is about to be made, of one command or of several."""

from typing import assert_type

import pytest

from sumida.errors import MisuseError
from sumida.process import Child, Command, Pipeline, RunningPipeline
from sumida.process.spawning import Spawning
from tests.support import Run

TRUE = Command("true")


def test_nothing_runs_before_it_is_awaited(run: Run) -> None:
    """A `spawn()` that is thrown away may name what is not there."""

    async def main() -> list[str]:
        missing = Command("sumida-no-such")
        return [repr(missing.spawn()), repr((TRUE | missing).spawn())]

    assert run(main) == [
        "<Spawning sumida-no-such>",
        "<Spawning true | sumida-no-such>",
    ]


def test_it_is_awaited_or_begins_a_block(run: Run) -> None:
    """Both give what runs, and type checkers know what that is."""

    async def main() -> list[bool]:
        assert_type(TRUE.spawn(), Spawning[Child])
        assert_type((TRUE | TRUE).spawn(), Spawning[RunningPipeline])
        async with TRUE.spawn() as child, (TRUE | TRUE).spawn() as both:
            first = await child.wait(), *await both.wait()
        child = await TRUE.spawn()
        both = await (TRUE | TRUE).spawn()
        second = await child.wait(), *await both.wait()
        return [status.is_success for status in (*first, *second)]

    assert run(main) == [True] * 6


@pytest.mark.parametrize("what", [TRUE, TRUE | TRUE])
def test_each_start_has_a_spawn_of_its_own(run: Run, what: Command | Pipeline) -> None:
    """Two starts by one are refused, and nothing is started for the second."""

    async def main() -> None:
        spawning = what.spawn()
        async with spawning:
            with pytest.raises(MisuseError, match="for each start"):
                await spawning
            with pytest.raises(MisuseError, match="for each start"):
                async with spawning:
                    pass

    run(main)
