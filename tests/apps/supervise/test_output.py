"""How lines look, and that none is lost, whatever the terminal does."""

import json
import os
import threading
from collections.abc import Callable, Sequence

from sumida import JoinSet
from sumida.apps.supervise.output import (
    MAX_EVENTS,
    Event,
    JsonForm,
    Output,
    TextForm,
    write_to,
)
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import Run

PLAIN = TextForm(("db", "web-1"), is_colored=False)


def test_lines_have_a_prefix_of_one_width() -> None:
    """So that they stand below each other; events have the name of the program."""
    assert PLAIN.lines("db", "stdout", ["up"]) == "db     | up"
    assert PLAIN.lines("web-1", "stderr", ["up"]) == "web-1  | up"
    assert PLAIN.event(Event("started", "started", "db")) == "sumida | db started"
    assert PLAIN.event(Event("end", "all is over")) == "sumida | all is over"


def test_each_process_has_a_colour_of_its_own() -> None:
    """One that comes later has the next; the text itself has none."""
    form = TextForm(("db", "web"), is_colored=True)

    assert form.lines("db", "stdout", ["up"]) == "\x1b[36mdb     | \x1b[0mup"
    assert form.lines("web", "stdout", ["up"]) == "\x1b[33mweb    | \x1b[0mup"
    assert form.lines("new", "stdout", ["up"]) == "\x1b[32mnew    | \x1b[0mup"
    assert form.event(Event("end", "bye")) == "\x1b[1msumida | bye\x1b[0m"


def test_a_colour_that_a_process_leaves_on_ends_with_its_line() -> None:
    """It does not run on into the line of another."""
    form = TextForm(("db",), is_colored=True)

    assert form.lines("db", "stdout", ["\x1b[31mred"]).endswith("\x1b[31mred\x1b[0m")


def test_json_has_one_object_a_line() -> None:
    """With the facts, and with whatever the text is made of."""
    line = json.loads(JsonForm().lines("db", "stderr", ['a "b"\n\x1b[0m ü \\xff']))
    event = json.loads(
        JsonForm().event(Event("exited", "exited with 3", "db", {"code": 3}))
    )

    assert line["event"] == "line"
    assert (line["process"], line["stream"]) == ("db", "stderr")
    assert line["text"] == 'a "b"\n\x1b[0m ü \\xff'
    assert (event["event"], event["process"], event["code"]) == ("exited", "db", 3)
    assert line["time"] <= event["time"]


def test_everything_is_written_in_order(run: Run) -> None:
    """Lines and events, and those that wait when it is closed."""
    written: list[bytes] = []

    async def main() -> None:
        output = Output(written.append, PLAIN)
        async with JoinSet[None]() as tasks:
            tasks.spawn(output.run())
            for number in range(1000):
                await output.lines("db", "stdout", [f"{number}"])
                if number % 100 == 0:
                    output.tell(Event("mark", f"{number}"))
            output.close()

    run(main)
    lines = b"".join(written).decode().splitlines()

    assert [line for line in lines if "sumida" not in line] == [
        f"db     | {number}" for number in range(1000)
    ]
    assert lines.index("sumida | 900") == lines.index("db     | 900") + 1


def test_a_terminal_that_stands_still_stops_the_lines_and_nothing_else(
    run: Run,
) -> None:
    """Lines wait, the loop runs on, events are taken; then all is written."""
    written: list[bytes] = []
    goes_on = threading.Event()

    def write(data: bytes) -> None:
        assert goes_on.wait(60)
        written.append(data)

    async def lines(output: Output) -> None:
        for _ in range(100):
            await output.lines("db", "stdout", ["x" * 100])

    async def main() -> tuple[bool, int]:
        output = Output(write, PLAIN, max_waiting=1000)
        async with JoinSet[None]() as tasks:
            tasks.spawn(output.run())
            writer = tasks.spawn(lines(output))
            await turns(50)
            is_waiting = not writer.done()
            for _ in range(MAX_EVENTS + 7):
                output.tell(Event("tick", "tick"))
            in_hand = len(written)
            goes_on.set()
            await tasks.join_next()
            output.close()
        return is_waiting, in_hand

    is_waiting, in_hand = run(main)
    out = b"".join(written)

    assert is_waiting
    assert in_hand == 0
    assert out.count(b"x" * 100) == 100
    assert out.count(b"tick") == MAX_EVENTS
    assert b"could not show 7 events" in out


def test_a_reader_that_is_gone_ends_the_writing_not_the_loop(run: Run) -> None:
    """Who asks is told; lines are thrown away, and nobody waits for ever."""

    async def main() -> str | None:
        reader, writer = os.pipe()
        os.close(reader)
        output = Output(write_to(writer), PLAIN, max_waiting=200)
        async with JoinSet[None]() as tasks:
            tasks.spawn(output.run())
            for _ in range(100):
                await output.lines("db", "stdout", ["x" * 100])
            await output.broken.cancelled()
            output.close()
        os.close(writer)
        return output.broken.reason

    reason = run(main)

    assert reason is not None
    assert "Broken pipe" in reason


def test_after_the_end_nothing_is_taken(run: Run) -> None:
    """And nobody is held up."""

    async def main() -> list[bytes]:
        written: list[bytes] = []
        output = Output(written.append, PLAIN, max_waiting=50)
        output.close()
        await output.run()
        for _ in range(10):
            await output.lines("db", "stdout", ["late"])
        output.tell(Event("late", "late"))
        return written

    assert run(main) == []


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    """A terminal is shared, and whoever shares it may have made it so."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = b"0123456789" * 50_000
    got = bytearray()

    def read() -> None:
        while chunk := os.read(reader, 65_536):
            got.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    write_to(writer)(data)
    os.close(writer)
    thread.join()
    os.close(reader)

    assert got == data


class LineWorld:
    """A line has to wait for room, which another line has."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.output = Output(self.written.append, PLAIN, max_waiting=100)
        self.is_written = False

    async def subject(self) -> None:
        """Fill the room, then write the line that has to wait."""
        await self.output.lines("db", "stdout", ["x" * 90])
        await self.output.lines("db", "stdout", ["second"])

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Give room, as if the first line had been written."""
        return [self.give_room]

    def give_room(self) -> None:
        """Stand in for the writer."""
        self.is_written = True
        self.output._room.add_permits(100)

    async def check(self, outcome: Outcome) -> None:
        """A line is written if the call returned, and no room is lost."""
        self.output.close()
        await self.output.run()

        text = b"".join(self.written)
        assert (b"second" in text) is outcome.returned
        extra = 100 if self.is_written else 0
        assert self.output._room.available_permits == 100 + extra


def test_a_cancelled_line_is_not_written_and_takes_no_room(run: Run) -> None:
    """Wherever the cancel strikes."""
    runs = run(cancel_everywhere, LineWorld)

    assert runs == 8
