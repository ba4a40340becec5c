"""A child that runs: its end, its group, its reaping."""

import asyncio
import gc
import os
import signal
import warnings
from collections.abc import Callable, Sequence

import pytest

from sumida import JoinSet, select, sleep, timeout
from sumida.errors import Elapsed, MisuseError
from sumida.process import Child, Command, ExitStatus, _handle
from sumida.process._handle import ProcessHandle, running
from sumida.runtime.strict import strict_mode
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.process.support import descriptors, is_dead, living_members, zombies
from tests.support import Run

SLEEP = Command("sleep", "1000")
STUBBORN = Command("sh", "-c", "trap '' TERM; echo; while :; do sleep 1000; done")
GRANDCHILD = Command("sh", "-c", "sleep 1000 & echo $!; exec sleep 1000")
ORPHAN = Command("sh", "-c", "sleep 1000 & echo $!; exit 3")


async def first_line(child: Child) -> bytes:
    """Wait until it says something."""
    assert child.stdout is not None
    return await child.stdout.read_line()


def test_wait_tells_how_it_ended(run: Run) -> None:
    """Any number of times; by a code or a signal."""

    async def main() -> list[ExitStatus]:
        child = await Command("sh", "-c", "exit 3").spawn()
        first = await child.wait()
        killed = await Command("sh", "-c", "kill -9 $$").spawn()
        return [first, await child.wait(), await killed.wait()]

    once, again, killed = run(main)
    assert once == again == ExitStatus(3)
    assert killed == ExitStatus(None, signal.SIGKILL)


def test_wait_is_an_operation(run: Run) -> None:
    """It loses a select, and can be asked again."""

    async def main() -> None:
        async with SLEEP.spawn() as child:
            assert await select(child.wait(), sleep(0.01)) == (1, None)
            assert child.try_wait() is None
            assert child.is_running
            child.signal(signal.SIGUSR1)
            index, status = await select(child.wait(), sleep(30))
            assert (index, status) == (0, ExitStatus(None, signal.SIGUSR1))
            assert child.try_wait() == child.status == status

    run(main)


class WaitingWorld:
    """One task waits for a child, which is ended as the wake-up."""

    def __init__(self) -> None:
        self.child: Child | None = None

    async def subject(self) -> ExitStatus:
        """Wait for the end."""
        self.child = await SLEEP.spawn()
        return await self.child.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Kill it, and let the loop see that."""
        return [self.kill]

    def kill(self) -> None:
        """Kill it, and wait here until it is dead."""
        child = self.child
        assert child is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        child.try_wait()

    async def check(self, outcome: Outcome) -> None:
        """Whoever asks later hears the same."""
        if self.child is None:
            return
        await turns()
        if not outcome.is_woken:
            self.child.kill()
        assert await self.child.wait() == ExitStatus(None, signal.SIGKILL)


def test_wait_is_cancel_safe_at_every_suspension(run: Run) -> None:
    """A cancelled wait() loses nothing, and reaps all the same."""
    runs = run(cancel_everywhere, WaitingWorld)

    assert runs >= 7
    assert zombies() == []


def test_wait_does_not_wait_for_who_inherited_the_pipes(run: Run) -> None:
    """The child has ended, its grandchild holds stdout."""

    async def main() -> ExitStatus:
        async with ORPHAN.stdout("pipe").spawn() as child:
            return await child.wait()

    assert run(main).code == 3


def test_wait_closes_a_stdin_that_nobody_took(run: Run) -> None:
    """A child that reads to the end would not end before."""

    async def main() -> None:
        child = await Command("cat").stdin("pipe").spawn()
        assert (await child.wait()).is_success
        assert child.stdin is not None
        assert child.stdin.is_closed

    run(main)


def test_a_stdin_that_was_taken_stays_open(run: Run) -> None:
    """It belongs to who took it, and can be taken once."""

    async def main() -> None:
        command = Command("cat").stdin("pipe").stdout("pipe")
        async with command.spawn() as child, JoinSet[ExitStatus]() as tasks:
            stdin = child.take_stdin()
            with pytest.raises(MisuseError, match="take it once"):
                child.take_stdin()
            waiting = child.wait()
            tasks.spawn(select_first(waiting))
            await turns()
            await stdin.write_all(b"x\n")
            assert await first_line(child) == b"x\n"
            stdin.close()
        async with SLEEP.spawn() as other:
            with pytest.raises(MisuseError, match="no stdin"):
                other.take_stdin()

    async def select_first(waiting: object) -> ExitStatus:
        _, status = await select(waiting)  # type: ignore[call-overload]  # one branch
        assert isinstance(status, ExitStatus)
        return status

    run(main)


def test_leaving_the_block_ends_the_whole_group(run: Run) -> None:
    """In order, by an error, or cancelled."""

    async def main() -> None:
        for error in (None, KeyError("mine"), Elapsed(0, "x")):
            child = await GRANDCHILD.stdout("pipe").spawn()
            pids = [child.pid, int(await first_line(child))]
            try:
                async with child:
                    if error is not None:
                        raise error
            except (KeyError, Elapsed) as caught:
                assert caught is error  # noqa: PT017  # of three ways one
            assert child.status == ExitStatus(None, signal.SIGTERM)
            assert child.is_gone
            assert all(map(is_dead, pids))

    run(main)


def test_signals_to_the_group_reach_the_grandchildren(run: Run) -> None:
    """They are asked too, and have their time to answer."""
    answer = "trap 'echo asked; exit' TERM; echo; while :; do sleep 0.01; done"
    command = Command("sh", "-c", f"({answer}) & trap '' TERM; wait; sleep 1000")

    async def main() -> bytes:
        async with command.stdout("pipe").grace(0).spawn() as child:
            await first_line(child)
            assert child.terminate()
            return await first_line(child)

    assert run(main) == b"asked\n"


def test_what_ignores_sigterm_is_killed(run: Run) -> None:
    """After the grace."""

    async def main() -> ExitStatus:
        async with STUBBORN.stdout("pipe").grace(0.05).spawn() as child:
            await first_line(child)
        assert child.is_gone
        return await child.wait()

    assert run(main) == ExitStatus(None, signal.SIGKILL)


def test_what_a_child_leaves_behind_is_ended_too(run: Run) -> None:
    """Its leader has gone, the group has not."""

    async def main() -> int:
        async with ORPHAN.stdout("pipe").spawn() as child:
            left = int(await first_line(child))
            await child.wait()
            assert not child.is_gone
            assert living_members(child.pid, None) == [left]
        assert child.is_gone
        return left

    assert is_dead(run(main))


def test_a_child_that_is_stopped_is_ended(run: Run) -> None:
    """It is woken to hear the SIGTERM."""

    async def main() -> ExitStatus:
        async with SLEEP.grace(30).spawn() as child:
            child.signal(signal.SIGSTOP)
        return await child.wait()

    assert run(main) == ExitStatus(None, signal.SIGTERM)


def test_stop_asks_as_it_is_told_to(run: Run) -> None:
    """With another signal; at once with no grace."""

    async def main() -> list[ExitStatus]:
        asked = await SLEEP.spawn()
        killed = await STUBBORN.stdout("pipe").spawn()
        await first_line(killed)
        with pytest.raises(ValueError, match="-1"):
            await killed.stop(-1)
        return [
            await asked.stop(first=signal.SIGINT),
            await killed.stop(0),
            await killed.stop(),
        ]

    interrupted = ExitStatus(None, signal.SIGINT)
    killed = ExitStatus(None, signal.SIGKILL)
    assert run(main) == [interrupted, killed, killed]


def test_it_tells_whether_it_had_to_kill(run: Run) -> None:
    """Also where the status is that of a success: it was what the child has started."""
    stays = "(trap '' TERM; echo; exec sleep 1000)"
    leader = Command("sh", "-c", f"trap 'exit 0' TERM; {stays} & wait").stdout("pipe")

    async def main() -> list[tuple[ExitStatus | None, bool]]:
        asked = await SLEEP.spawn()
        await asked.stop()
        async with leader.grace(0.05).spawn() as left:
            await first_line(left)
        other = await SLEEP.spawn()
        other.signal(signal.SIGKILL)
        await other.stop()
        ended = await Command("true").spawn()
        await ended.wait()
        assert not ended.kill()
        return [(it.status, it.was_killed) for it in (asked, left, other, ended)]

    assert run(main) == [
        (ExitStatus(None, signal.SIGTERM), False),
        (ExitStatus(0), True),
        (ExitStatus(None, signal.SIGKILL), False),
        (ExitStatus(0), False),
    ]


@pytest.mark.parametrize("after", [0, 0.02])
def test_a_cancelled_stop_has_killed(run: Run, after: float) -> None:
    """At once, instead of after the grace."""

    async def main() -> None:
        child = await STUBBORN.stdout("pipe").spawn()
        await first_line(child)
        task = asyncio.create_task(child.stop(1000))
        await (turns() if not after else sleep(after))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert child.is_gone
        assert child.was_killed
        assert child.status == ExitStatus(None, signal.SIGKILL)

    run(main)


def test_signals_to_one_that_has_ended_reach_nobody(run: Run) -> None:
    """Its number may be another's by then."""

    async def main() -> None:
        child = await Command("true").spawn()
        await child.wait()
        assert not child.signal(signal.SIGTERM)
        assert not child.signal_group(signal.SIGTERM)
        assert not child.terminate()
        assert not child.kill()
        assert await child.stop() == ExitStatus(0)

    run(main)


def test_a_shared_group_is_not_ours_to_end(run: Run) -> None:
    """Only the child itself is."""

    async def main() -> ExitStatus:
        async with SLEEP.group("shared").spawn() as child:
            pass
        assert child.is_gone
        return await child.wait()

    assert run(main) == ExitStatus(None, signal.SIGTERM)


def test_many_in_flight_leave_nothing(run: Run) -> None:
    """500 short ones: no zombie, no descriptor."""

    async def one(n: int) -> int | None:
        child = await Command("sh", "-c", f"exit {n % 200}").spawn()
        return (await child.wait()).code

    async def main() -> list[int | None]:
        before = descriptors()
        async with JoinSet[int | None]() as tasks:
            for n in range(500):
                tasks.spawn(one(n))
            codes = await tasks.join_all()
        assert descriptors() == before
        return codes

    assert run(main) == [n % 200 for n in range(500)]
    assert zombies() == []


def test_a_cancel_anywhere_leaves_no_process(run: Run) -> None:
    """Between the start and the end of a child there is no moment without an owner."""

    async def one(started: list[int]) -> None:
        async with SLEEP.stdin("pipe").stdout("pipe").spawn() as child:
            started.append(child.pid)
            await child.wait()

    async def main() -> list[int]:
        started: list[int] = []
        before = descriptors()
        for count in range(6):
            task = asyncio.create_task(one(started))
            await turns(count)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert descriptors() == before
        return started

    started = run(main)
    assert started
    assert all(map(is_dead, started))
    assert zombies() == []


def test_one_that_is_collected_is_killed(run: Run) -> None:
    """With a warning, and reaped by its loop."""

    async def main() -> None:
        before = descriptors()
        child = await SLEEP.stdin("pipe").stdout("pipe").spawn()
        pid = child.pid
        with pytest.warns(ResourceWarning, match="collected while it ran"):
            del child
            gc.collect()
        while not is_dead(pid) or zombies() or descriptors() != before:
            await sleep(0.001)

    run(main)


def test_one_whose_loop_has_gone_is_killed_too(run: Run) -> None:
    """Then a thread reaps it."""

    async def main() -> Child:
        return await SLEEP.spawn()

    child = run(main)
    pid = child.pid
    with pytest.warns(ResourceWarning, match="collected while it ran"):
        del child
    while not is_dead(pid) or zombies():
        pass


def test_someone_else_may_have_reaped_it(run: Run) -> None:
    """Then nobody knows how it ended."""

    async def main() -> ExitStatus:
        child = await Command("sh", "-c", "exit 3").spawn()
        os.waitpid(child.pid, 0)  # noqa: ASYNC222  # a few milliseconds
        return await child.wait()

    assert run(main) == ExitStatus(None)


def test_one_that_cannot_be_watched_is_killed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is neither a descriptor nor a thread left for it."""

    def refuse(_: ProcessHandle) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_handle, "_open_pidfd", lambda _: None)
    monkeypatch.setattr(ProcessHandle, "_start_thread", refuse)

    async def main() -> None:
        before = descriptors()
        with pytest.raises(RuntimeError, match="new thread"):
            await SLEEP.stdin("pipe").stdout("pipe").spawn()
        assert descriptors() == before

    run(main)
    assert zombies() == []
    assert running() == []


def test_a_forked_child_of_ours_leaves_it_alone(run: Run) -> None:
    """It is our child, and not that one's."""

    async def main() -> None:
        async with SLEEP.spawn() as child:
            with warnings.catch_warnings():
                # Since CPython 3.12: that a process with threads forks.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if not pid:
                is_left_alone = not child.kill() and child.try_wait() is not None
                child.__del__()
                os._exit(0 if is_left_alone else 1)
            assert os.waitpid(pid, 0)[1] == 0  # noqa: ASYNC222  # it ends at once
            assert child.is_running

    run(main)


def test_strict_mode_lets_it_pass(run: Run) -> None:
    """Starting and ending a child are no calls that block."""

    async def main() -> None:
        with strict_mode():
            async with ORPHAN.stdout("pipe").spawn() as child:
                await first_line(child)
                await child.wait()
            await Command("true").pty().cwd("/").status()
            await Command("true").die_with_parent().status()

    run(main)


def test_a_terminal_is_only_there_when_asked_for(run: Run) -> None:
    """Else there is no size to change."""

    async def main() -> None:
        async with SLEEP.stdout("pipe").spawn() as child:
            with pytest.raises(MisuseError, match="no terminal"):
                child.resize(10, 10)

    run(main)


def test_it_shows_what_it_is(run: Run) -> None:
    """Its program, its number, its state."""

    async def main() -> None:
        async with SLEEP.spawn() as child:
            assert repr(child) == f"<Child sleep[{child.pid}] running>"
            assert child.name == "sleep"
            async with timeout(30):
                await child.stop()
        assert repr(child) == f"<Child sleep[{child.pid}] SIGTERM>"

    run(main)
