"""Programs that read what another writes."""

import pytest

from sumida import select, sleep
from sumida.errors import ExitError, MisuseError, OutputLimitError, SpawnError
from sumida.process import Command
from sumida.testing import turns
from tests.process.support import descriptors, is_dead, zombies
from tests.support import Run


def test_each_reads_what_the_one_before_it_writes(run: Run) -> None:
    """Any number of them."""
    pipeline = Command("cat") | Command("tr", "a-z", "A-Z") | Command("rev")
    output = run(pipeline.output, b"hello\n")

    assert output.check() == b"OLLEH\n"
    assert [status.code for status in output.statuses] == [0, 0, 0]


def test_one_that_is_read_no_more_is_no_failure(run: Run) -> None:
    """SIGPIPE is how it is told; any other failure is one."""

    async def main() -> None:
        output = await (Command("yes") | Command("head", "-n", "2")).output()
        assert output.check() == b"y\ny\n"
        output = await (Command("false") | Command("cat")).output()
        with pytest.raises(ExitError, match="false ended with exit code 1"):
            output.check()

    run(main)


def test_all_are_gone_when_the_block_is_left(run: Run) -> None:
    """Also what they have started, and what ignores SIGTERM."""
    stubborn = Command("sh", "-c", "trap '' TERM; sleep 1000 | cat; cat").grace(0.05)

    async def main() -> list[int]:
        before = descriptors()
        pipeline = Command("cat").stdin("pipe") | stubborn | Command("cat")
        async with pipeline.spawn() as running:
            pids = [child.pid for child in running.children]
            assert await select(running.wait(), sleep(0.05)) == (1, None)
        assert all(child.is_gone for child in running.children)
        assert descriptors() == before
        return pids

    assert all(map(is_dead, run(main)))
    assert zombies() == []


def test_it_talks_while_it_runs(run: Run) -> None:
    """Our pipe leads to the first, and the last one's to us."""

    async def main() -> bytes:
        command = Command("cat")
        pipeline = command.stdin("pipe") | command | command.stdout("pipe")
        async with pipeline.spawn() as running:
            assert running.stdin is not None
            assert running.stdout is not None
            await running.stdin.write_all(b"hello\n")
            line = await running.stdout.read_line()
            statuses = await running.wait()
        assert all(status.is_success for status in statuses)
        return line

    assert run(main) == b"hello\n"


def test_if_one_cannot_be_started_none_is(run: Run) -> None:
    """Those before it are killed and reaped."""

    async def main() -> None:
        before = descriptors()
        with pytest.raises(SpawnError):
            await (Command("yes") | Command("sumida-no-such")).spawn()
        # The loop reaps what was killed.
        while descriptors() != before:
            await sleep(0.001)

    run(main)
    assert zombies() == []


def test_those_before_it_are_reaped_without_the_loop(run: Run) -> None:
    """It may end with the error, before it hears of their end."""
    run(turns)  # the first uvloop keeps two descriptors for ever
    before = descriptors()
    for _ in range(5):
        with pytest.raises(SpawnError):
            run((Command("yes") | Command("sumida-no-such")).output)
    while zombies() or descriptors() != before:
        pass


def test_memory_is_bounded(run: Run) -> None:
    """All are killed when the last one writes too much."""

    async def main() -> None:
        pipeline = Command("yes") | Command("cat")
        with pytest.raises(OutputLimitError):
            await pipeline.output(limit=10)
        with pytest.raises(ValueError, match="-1"):
            await pipeline.output(limit=-1)

    run(main)


def test_what_is_connected_leads_nowhere_else(run: Run) -> None:
    """Else one of the two would be lied to."""

    async def main() -> None:
        with pytest.raises(MisuseError, match="leads elsewhere"):
            await (Command("true").stdout("null") | Command("true")).spawn()

    run(main)
