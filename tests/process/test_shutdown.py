"""The phases of a shutdown by themselves; see also test_program_shutdown."""

import asyncio
from collections.abc import Callable

import pytest

from sumida.errors import MisuseError
from sumida.process.shutdown import Phases
from tests.support import Run


async def run_all(phases: Phases) -> None:
    """Run the phases to their end."""
    phases.begin(lambda: None)
    await phases.wait()


def test_phases_have_an_order_of_their_own(run: Run) -> None:
    """Whatever the order in which they are added; a new one says where it goes."""
    said: list[str] = []

    def add(phases: Phases, name: str, before: str | None = None) -> None:
        def step() -> None:
            said.append(name)

        phases.add(name, step, deadline=1, before=before)

    async def main() -> list[str]:
        phases = Phases()
        for name in ("after", "flush", "drain", "stop accepting"):
            add(phases, name)
        add(phases, "ack", before="flush")
        await run_all(phases)
        return phases.lines

    lines = run(main)
    assert said == ["stop accepting", "drain", "ack", "flush", "after"]
    assert [line.split(": ")[1] for line in lines] == said
    assert all(" is done after 0.0 of 1 s" in line for line in lines)
    said.clear()


def test_functions_of_one_phase_run_at_once(run: Run) -> None:
    """Two that wait for each other both end."""

    async def main() -> None:
        phases = Phases()
        meeting = asyncio.Barrier(2)
        phases.add("drain", meeting.wait, deadline=30)
        phases.add("drain", meeting.wait, deadline=30)
        await run_all(phases)

    run(main)


def test_a_step_can_be_taken_out(run: Run) -> None:
    """By hand, or at the end of a block; twice does no harm."""
    said: list[str] = []

    async def main() -> None:
        phases = Phases()
        step = phases.add("drain", lambda: said.append("a"), deadline=1)
        with phases.add("drain", lambda: said.append("b"), deadline=1):
            pass
        step.remove()
        step.remove()
        await run_all(phases)

    run(main)
    assert said == []


def test_nothing_is_added_to_a_shutdown_that_has_begun(run: Run) -> None:
    """It might never run."""

    async def main() -> None:
        phases = Phases()
        await run_all(phases)
        with pytest.raises(MisuseError, match="has begun"):
            phases.add("drain", lambda: None, deadline=1)

    run(main)


def test_phases_refuse_what_makes_no_sense() -> None:
    """A deadline of 0, what is no function, a place that is none."""
    phases = Phases()
    nothing: Callable[[], None] = lambda: None  # noqa: E731  # said once

    with pytest.raises(ValueError, match="above 0"):
        phases.add("drain", nothing, deadline=0)
    with pytest.raises(TypeError, match="do not call it"):
        phases.add("drain", None, deadline=1)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="no phase 'x'"):
        phases.add("y", nothing, deadline=1, before="x")
