"""What a process writes reaches those who want it, to the last byte and no further."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from sumida import CancellationToken, JoinSet
from sumida.apps.supervise.output import Event, Output, StreamName
from sumida.apps.supervise.pump import Pump
from sumida.process import Command
from tests.support import Run


class Heard:
    """A form that keeps what it shows."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str]] = []

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Keep lines."""
        self.kept += [(process, stream, text) for text in texts]
        return "\n".join(texts)

    def event(self, event: Event) -> str:
        """Show an event."""
        return event.text


async def pump(script: str, is_gone: bool) -> tuple[Heard, list[str]]:
    """Carry what a script writes; with its end known from the start, if so."""
    heard = Heard()
    output = Output(lambda _: None, heard)
    told: list[str] = []
    gone = CancellationToken()
    async with JoinSet[None]() as tasks:
        tasks.spawn(output.run())
        command = Command(script).shell().stdout("pipe").grace(0)
        async with command.spawn() as child:
            assert child.stdout is not None
            carrier = Pump("x", "stdout", child.stdout, output)
            if is_gone:
                await child.wait()
                gone.cancel()
            await carrier.run(told.append, gone)
        output.close()
    return heard, told


def test_every_line_is_told_first_and_then_written(run: Run) -> None:
    """In order, also the last, which has no end."""
    heard, told = run(pump, "seq 3000; printf end", False)

    assert told == [*(str(number) for number in range(1, 3001)), "end"]
    assert heard.kept == [("x", "stdout", line) for line in told]


def test_what_is_in_the_pipe_at_the_end_is_read(run: Run) -> None:
    """A process that is gone has left it there."""
    _, told = run(pump, "seq 3000", True)

    assert told == [str(number) for number in range(1, 3001)]


@pytest.mark.parametrize(("program", "least"), [("sleep 1000", 0), ("yes", 1 << 16)])
def test_those_who_keep_the_output_open_are_not_waited_for(
    run: Run, tmp_path: Path, program: str, least: int
) -> None:
    """Whether they are silent, or write for ever."""
    # The process ends when the other has left its group and said who it is; not by
    # the output, which is full soon.
    note = tmp_path / "pid"
    leaves = (
        f"setsid sh -c 'echo $$ > {note}.new; mv {note}.new {note}; exec {program}'"
    )
    script = f"{leaves} & while ! test -e {note}; do sleep 0.01; done"

    _, told = run(pump, script, True)
    os.kill(int(note.read_text()), signal.SIGKILL)

    assert len(told) >= least
    assert set(told) <= {"y"}
