"""All that a child wrote."""

import random

import pytest

from sumida import timeout
from sumida.errors import Elapsed, ExitError, OutputLimitError
from sumida.process import Command, Output
from tests.process.support import descriptors, zombies
from tests.support import Run


def test_it_writes_and_reads_at_once(run: Run) -> None:
    """A child that fills stderr while we write its stdin stops nobody."""
    data = random.Random(1).randbytes(1 << 20)  # noqa: S311  # no secret

    async def main() -> Output:
        script = "yes e | head -c 1000000 >&2; exec cat"
        return await Command("sh", "-c", script).output(data)

    output = run(main)
    assert output.check() == data
    assert len(output.stderr) == 1_000_000


def test_a_child_that_does_not_read_is_no_error(run: Run) -> None:
    """It had enough."""
    output = run(Command("head", "-c", "3").output, bytes(1 << 20))

    assert output.check() == bytes(3)


def test_memory_is_bounded(run: Run) -> None:
    """Whoever writes more is killed, on either stream."""

    async def main() -> None:
        with pytest.raises(OutputLimitError) as caught:
            await Command("yes").output(limit=1000)
        assert caught.value.partial == b"y\n" * 500
        with pytest.raises(OutputLimitError, match="to its stderr"):
            await Command("yes >&2").shell().output(limit=1000)
        output = await Command("printf", "%01000d", "0").output(limit=1000)
        assert len(output.stdout) == 1000

    run(main)


def test_what_leads_elsewhere_is_not_kept(run: Run) -> None:
    """Where stdout or stderr were told to lead, they do."""
    command = Command("sh", "-c", "echo a; echo b >&2")

    assert run(command.stderr("stdout").output).stdout == b"a\nb\n"
    assert run(command.stdout("null").output).stderr == b"b\n"
    assert run(command.stdout("null").output).stdout == b""


def test_a_failure_tells_what_it_complained_of(run: Run) -> None:
    """The end of stderr is in the message."""
    output = run(Command("sh", "-c", "echo 'no disk' >&2; exit 3").output)

    with pytest.raises(ExitError, match="sh ended with exit code 3: no disk"):
        output.check()


def test_a_cancelled_output_leaves_nothing(run: Run) -> None:
    """The child is ended, with all that it started."""

    async def main() -> None:
        before = descriptors()
        with pytest.raises(Elapsed):
            async with timeout(0.05):
                await Command("sh", "-c", "sleep 1000 | sleep 1000").output()
        assert descriptors() == before

    run(main)
    assert zombies() == []


def test_the_status_alone_can_be_had(run: Run) -> None:
    """Its streams are ours."""
    assert run(Command("sh", "-c", "exit 3").status).code == 3
