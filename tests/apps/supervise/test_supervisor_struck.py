"""What strikes a supervisor at any moment: cancels, reloads, kills."""

import asyncio
import os
import random
import signal
from dataclasses import replace

import pytest

from sumida import JoinSet
from sumida.apps.supervise.lifecycle import Phase
from sumida.apps.supervise.settings import LineReady, Settings
from sumida.apps.supervise.supervisor import Supervisor
from sumida.testing import turns
from tests.apps.supervise.stage import QUICK, Stage, shell_of, zombies
from tests.support import Run

FOREVER = "exec sleep 1000"
UP = LineReady("^up$")
KILLS = 100


@pytest.mark.slow
def test_a_cancel_at_any_moment_leaves_nobody(run: Run) -> None:
    """While it starts, waits for readiness, runs, starts again."""

    async def main(turns_before: int) -> Stage:
        stage = Stage()
        file = stage.file(
            shell_of("x", "echo up; exec sleep 1000", ready=UP),
            shell_of("y", "exit 1", restart="on-failure", back_off=QUICK),
            shell_of("z", FOREVER, depends_on=("x",)),
        )
        async with JoinSet[None]() as tasks:
            tasks.spawn(stage.output.run())
            task = asyncio.create_task(Supervisor(file, stage.output).run(stage.stop))
            if turns_before < 20:
                await turns(turns_before)
            else:
                while len(stage.log) < turns_before - 20:
                    await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            stage.close()
        return stage

    for turns_before in range(0, 32, 2):
        stage = run(main, turns_before)

        assert stage.left() == []
    assert zombies(os.getpid()) == []


@pytest.mark.slow
def test_any_reloads_lead_to_the_last_file(run: Run) -> None:
    """Wherever they strike; of each name there is one process at a time."""
    dice = random.Random(7)  # noqa: S311  # no secret

    def processes() -> list[Settings]:
        names = dice.sample("abcd", dice.randint(1, 4))
        return [
            shell_of(
                name,
                "echo up; exec sleep 1000",
                ready=UP,
                stop_grace=dice.choice([5.0, 6.0]),
                depends_on=tuple(
                    before for before in names[:place] if dice.random() < 0.5
                ),
            )
            for place, name in enumerate(names)
        ]

    async def main() -> tuple[Stage, set[str | None]]:
        stage = Stage()
        last = processes()
        async with stage.runs(*last):
            for _ in range(12):
                for _ in range(dice.choice([0, 1, 5, 20])):
                    await asyncio.sleep(dice.choice([0, 0.001]))
                last = processes()
                stage.reload(*last)
            assert stage.supervisor is not None
            for process in last:
                while stage.supervisor.current(process.name).phase is not Phase.READY:
                    await asyncio.sleep(0.001)
            while len(stage.left()) != len(last):
                await asyncio.sleep(0.001)
            stage.stop.cancel()
        return stage, {process.name for process in last}

    stage, expected = run(main)
    running: set[str | None] = set()
    for seen in stage.log:
        if seen.kind == "started":
            assert seen.process not in running
            running.add(seen.process)
        elif seen.kind == "stopped":
            running.discard(seen.process)
        elif seen.kind == "stop":
            assert running == expected

    assert running == set()
    assert stage.left() == []


@pytest.mark.slow
def test_a_hundred_kills_and_the_set_is_whole_again_each_time(run: Run) -> None:
    """Of any process of five, or of what it has started; nothing is left behind."""

    async def main() -> Stage:
        stage = Stage("first-failure")
        dice = random.Random(20_250_101)  # noqa: S311  # no secret
        # Each has a child of its own, so that there is a group to be cleared.
        line = "sleep 1000 & echo up; wait $!"
        needs = {"a": "", "b": "a", "c": "a", "d": "bc", "e": "d"}
        processes = [
            shell_of(
                name,
                line,
                ready=UP,
                depends_on=tuple(before),
                restart="on-failure",
                back_off=replace(QUICK, first=0.0),
            )
            for name, before in needs.items()
        ]
        async with stage.runs(*processes):
            for name in needs:
                await stage.until("ready", name)
            for _ in range(KILLS):
                # The leader and its child are there of each, and nobody else.
                pids = stage.members()
                assert len(pids) == 2 * len(needs)
                mark = len(stage.log)
                victim = dice.choice(pids)
                os.kill(victim, signal.SIGKILL)
                exited = await stage.until("exited", since=mark)
                await stage.until("ready", exited.process, since=mark)
            stage.stop.cancel()
        return stage

    stage = run(main)

    assert len(stage.order("started")) == 5 + KILLS
    assert len(stage.order("exited")) == KILLS
    assert stage.code == 0
    assert stage.left() == []
    assert zombies(os.getpid()) == []
