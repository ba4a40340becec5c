"""All processes together: order, reload, stop, and whole again after each kill."""

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sumida import CancellationToken, JoinSet
from sumida.apps.supervise import supervisor as module
from sumida.apps.supervise.lifecycle import FAULT
from sumida.apps.supervise.output import Output, StreamName, TextForm
from sumida.apps.supervise.settings import (
    ExitPolicy,
    LineReady,
    ProcessFile,
)
from sumida.apps.supervise.supervisor import Supervisor
from tests.apps.supervise.stage import Stage, shell_of, zombies
from tests.support import Run

FOREVER = "exec sleep 1000"
TICKS = "while :; do sleep 0.05 & wait $!; done"
# It stops when it is told to, and says so. (One long sleep would not do: a signal that
# comes between the fork and the exec of a shell is lost to the new process.)
POLITE = f"exec 2>/dev/null; trap 'echo bye; exit 0' TERM; echo up; {TICKS}"
# It does not, and neither does its child.
DEAF = (
    "trap '' TERM; (while :; do sleep 0.1; done) & echo up; while :; do sleep 0.1; done"
)
UP = LineReady("^up$")


def test_start_and_stop_keep_the_order_of_dependencies(run: Run) -> None:
    """Each starts when what it needs is ready, and stops before that is stopped."""

    async def main() -> Stage:
        stage = Stage()
        async with stage.runs(
            shell_of("web", POLITE, ready=UP, depends_on=("api", "cache")),
            shell_of("api", POLITE, ready=UP, depends_on=("db",)),
            shell_of("cache", POLITE, ready=UP),
            shell_of("db", POLITE, ready=UP),
        ):
            await stage.until("ready", "web")
            stage.stop.cancel("enough")
        return stage

    stage = run(main)
    log = stage.order("started", "ready", "stopping", "stopped")

    assert stage.code == 0
    for before, after in [
        ("ready db", "started api"),
        ("ready api", "started web"),
        ("ready cache", "started web"),
        ("stopped web", "stopping api"),
        ("stopped web", "stopping cache"),
        ("stopped api", "stopping db"),
    ]:
        assert log.index(before) < log.index(after), log
    assert all(stage.texts(name) == ["up", "bye"] for name in ("web", "api", "db"))
    assert stage.left() == []
    assert zombies(os.getpid()) == []


def test_each_process_has_its_own_signal_and_grace(run: Run) -> None:
    """One that ignores its signal is killed when its grace is over, with its group."""

    async def main() -> Stage:
        stage = Stage()
        async with stage.runs(
            shell_of(
                "usr1",
                f"exec 2>/dev/null; trap 'echo told; exit 0' USR1; echo up; {TICKS}",
                ready=UP,
                stop_signal=signal.SIGUSR1,
            ),
            shell_of("deaf", DEAF, ready=UP, stop_grace=0.2),
            shell_of("at-once", DEAF, ready=UP, stop_grace=0.0),
        ):
            for name in ("usr1", "deaf", "at-once"):
                await stage.until("ready", name)
            stage.stop.cancel()
        return stage

    stage = run(main)
    killed = {
        seen.process: seen.facts["killed"]
        for seen in stage.log
        if seen.kind == "stopped"
    }

    assert killed == {"usr1": False, "deaf": True, "at-once": True}
    assert stage.texts("usr1") == ["up", "told"]
    assert stage.code == 0
    assert stage.left() == []


@pytest.mark.parametrize(
    ("policy", "code", "is_stopped"), [("first-failure", 7, True), ("all", 7, False)]
)
def test_the_exit_policy_decides_what_a_failure_means(
    run: Run, policy: ExitPolicy, code: int, is_stopped: bool
) -> None:
    """The others are stopped, or go on to their end; a success ends nothing."""

    async def main() -> Stage:
        stage = Stage(policy)
        async with stage.runs(
            shell_of("good", "exit 0"),
            shell_of("bad", "sleep 0.1; exit 7", depends_on=("good",)),
            shell_of("slow", "trap 'exit 0' TERM; sleep 0.6 & wait; exit 8"),
        ):
            pass
        return stage

    stage = run(main)

    assert stage.code == code
    assert ("stopped slow" in stage.order("stopped")) is is_stopped
    assert ("finished slow" in stage.order("finished")) is not is_stopped


def test_what_depends_on_a_failure_is_blocked_until_a_reload_mends_it(run: Run) -> None:
    """It is never started without what it needs, and is as soon as that is there."""

    async def main() -> Stage:
        stage = Stage()
        bad = shell_of("db", "sleep 0.1; exit 5", ready=UP)
        web = shell_of("web", POLITE, ready=UP, depends_on=("db",))
        other = shell_of("other", FOREVER)
        async with stage.runs(bad, web, other):
            await stage.until("blocked", "web")
            stage.reload(shell_of("db", POLITE, ready=UP), web, other)
            await stage.until("ready", "web")
            stage.stop.cancel()
        return stage

    stage = run(main)

    assert stage.order("blocked", "started", "ready", "finished") == [
        *("started db", "started other", "ready other", "finished db", "blocked web"),
        *("started db", "ready db", "started web", "ready web"),
    ]
    assert stage.code == 5


def test_a_reload_touches_only_what_differs(run: Run) -> None:
    """In order: dependents stop first, dependencies start first; the rest runs on."""

    async def main() -> tuple[Stage, list[str]]:
        stage = Stage()
        db = shell_of("db", POLITE, ready=UP)
        api = shell_of("api", POLITE, ready=UP, depends_on=("db",))
        web = shell_of("web", POLITE, ready=UP, depends_on=("api",))
        old = shell_of("old", POLITE, ready=UP)
        async with stage.runs(db, api, web, old):
            await stage.until("ready", "web")
            await stage.until("ready", "old")
            mark = len(stage.log)
            new = shell_of("new", POLITE, ready=UP, depends_on=("web",))
            stage.reload(
                db, replace(api, stop_grace=5.0), replace(web, stop_grace=5.0), new
            )
            await stage.until("ready", "new")
            await stage.until("stopped", "old", since=mark)
            log = [
                f"{seen.kind} {seen.process}"
                for seen in stage.log[mark:]
                if seen.kind in {"stopping", "stopped", "started", "ready"}
            ]
            stage.stop.cancel()
        return stage, log

    stage, log = run(main)
    log = [entry for entry in log if not entry.endswith("old")]

    assert log == [
        *("stopping web", "stopped web", "stopping api", "stopped api"),
        *("started api", "ready api", "started web", "ready web"),
        *("started new", "ready new"),
    ]
    assert stage.order("started").count("started db") == 1
    assert stage.left() == []


def test_a_reload_in_the_middle_of_another_ends_well(run: Run) -> None:
    """Of each name there is one process at a time, and the last file counts."""

    async def main() -> Stage:
        stage = Stage()
        slow = f"trap 'sleep 0.2; exit 0' TERM; echo up; {TICKS}"
        x = shell_of("x", slow, ready=UP)
        async with stage.runs(x):
            await stage.until("ready", "x")
            for grace in (3.0, 4.0, 5.0):
                stage.reload(replace(x, stop_grace=grace))
                await asyncio.sleep(0)
            await stage.until("started", "x", since=len(stage.log))
            stage.stop.cancel()
        return stage

    stage = run(main)
    running = 0
    for seen in stage.log:
        running += {"started": 1}.get(seen.kind, 0)
        if seen.kind == "stopped" and "not running" not in seen.text:
            running -= 1
        assert running in {0, 1}

    assert stage.order("started") == ["started x", "started x"]
    assert stage.left() == []


@pytest.mark.parametrize("is_in_the_same_turn", [True, False])
def test_a_stop_in_the_middle_of_a_reload_ends_all(
    run: Run, is_in_the_same_turn: bool
) -> None:
    """Also when the new file turns a dependency round: nobody waits in a circle."""

    async def main() -> Stage:
        stage = Stage()
        slow = f"trap 'sleep 0.1; exit 0' TERM; echo up; {TICKS}"
        a = shell_of("a", slow, ready=UP)
        b = shell_of("b", slow, ready=UP, depends_on=("a",))
        async with stage.runs(a, b):
            await stage.until("ready", "b")
            stage.reload(replace(a, depends_on=("b",)), replace(b, depends_on=()))
            if is_in_the_same_turn:
                assert stage.supervisor is not None
                stage.supervisor.stop("enough")
            else:
                await asyncio.sleep(0)
                stage.stop.cancel()
        return stage

    stage = run(main)

    assert stage.order("started") == ["started a", "started b"]
    assert stage.code == 0
    assert stage.left() == []


def test_a_file_that_is_the_same_changes_nothing(run: Run) -> None:
    """And after the wish to stop no reload starts anything."""

    async def main() -> Stage:
        stage = Stage()
        x = shell_of("x", POLITE, ready=UP)
        async with stage.runs(x):
            await stage.until("ready", "x")
            stage.reload(x)
            stage.stop.cancel()
            await stage.until("stopping", "x")
            stage.reload(x, shell_of("late", FOREVER))
        return stage

    stage = run(main)

    assert stage.order("started", "stopped") == ["started x", "stopped x"]
    assert "nothing has changed" in next(
        seen.text for seen in stage.log if seen.kind == "reload"
    )
    assert stage.order("reload") == ["reload None"]


def test_a_cancel_kills_every_group_at_once(run: Run, tmp_path: Path) -> None:
    """As the second Ctrl-C does: who was not asked to stop is not asked any more."""
    asked = tmp_path / "asked"

    async def main() -> Stage:
        stage = Stage()
        tells = f"trap ': > {asked}' TERM; echo up; {TICKS}"
        file = stage.file(
            shell_of("x", tells, ready=UP, stop_grace=1000.0),
            shell_of("y", DEAF, ready=UP, depends_on=("x",), stop_grace=1000.0),
        )
        async with JoinSet[None]() as tasks:
            tasks.spawn(stage.output.run())
            task = asyncio.create_task(Supervisor(file, stage.output).run(stage.stop))
            await stage.until("ready", "y")
            stage.stop.cancel()
            await stage.until("stopping", "y")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            stage.close()
        return stage

    stage = run(main)

    assert stage.left() == []
    assert zombies(os.getpid()) == []
    assert not asked.exists()


def test_a_fault_of_the_program_itself_is_told_and_raised(run: Run) -> None:
    """It costs its process, and does not pass for an exit of that."""

    async def main() -> Stage:
        stage = FaultyStage("first-failure")
        with pytest.raises(ExceptionGroup) as raised:
            async with stage.runs(shell_of("x", "echo up; exec sleep 1000")):
                pass
        assert raised.group_contains(ZeroDivisionError)
        return stage

    stage = run(main)
    failed = next(seen for seen in stage.log if seen.kind == "failed")

    assert "ZeroDivisionError" in failed.text
    assert failed.facts["code"] == FAULT
    assert stage.left() == []


class FaultyStage(Stage):
    """One whose form has a fault."""

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Fail."""
        return f"{1 // 0}"


def test_a_terminal_that_stands_still_does_not_hold_up_the_stop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes are gone; what was not written is given up after a while."""
    monkeypatch.setattr(module, "FLUSH", 0.1)
    goes_on = threading.Event()

    async def main() -> tuple[int, list[int], bool]:
        goes_on.clear()
        stage = Stage()
        output = Output(
            lambda _: goes_on.wait(60),
            TextForm(("x",), is_colored=False),
            max_waiting=1000,
        )
        file = stage.file(shell_of("x", "yes"), shell_of("y", "yes", depends_on=("x",)))
        stage.close()
        stop = CancellationToken()
        async with JoinSet[int | None]() as tasks:
            tasks.spawn(output.run())
            supervisor = Supervisor(file, output)
            run = tasks.spawn(supervisor.run(stop))
            while output._room.available_permits > 100 or len(stage.left()) < 2:
                await asyncio.sleep(0.01)
            stop.cancel()
            code = await run
            left = stage.left()
            goes_on.set()
            output.close()
        assert code is not None
        return code, left, supervisor.is_cut

    code, left, is_cut = run(main)

    assert code == 0
    assert left == []
    assert is_cut


def test_nobody_who_reads_is_a_reason_to_stop(run: Run) -> None:
    """As with `| head`; and it is no success."""

    async def main() -> int:
        reader, writer = os.pipe()
        os.close(reader)
        output = Output(
            lambda data: os.write(writer, data), TextForm(("x",), is_colored=False)
        )
        file = ProcessFile((shell_of("x", "yes"), shell_of("y", "sleep 1000")))
        async with JoinSet[None]() as tasks:
            tasks.spawn(output.run())
            code = await Supervisor(file, output).run(CancellationToken())
            output.close()
        os.close(writer)
        return code

    assert run(main) == 1
