"""Lines of the log, and who waits for them: nobody."""

import io
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida import JoinSet
from sumida.apps.proxy.journal import Journal, Value, format_line
from tests.support import Run

WHEN = 1_700_000_000.25


def test_a_text_line_is_key_and_value() -> None:
    """What needs quotes has them; what is not known is left out."""
    line = format_line(
        "text",
        WHEN,
        "connection",
        {"id": 7, "upstream": None, "seconds": 0.1234567, "ok": True, "error": 'a "b"'},
    )

    assert line == (
        "2023-11-14T22:13:20.250Z event=connection id=7 seconds=0.123457 ok=true "
        r'error="a \"b\""'
    )


def test_a_json_line_is_an_object() -> None:
    """With the same fields."""
    line = format_line("json", WHEN, "x", {"id": 7, "upstream": None, "name": "é"})

    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "event": "x",
        "id": 7,
        "name": "é",
    }


@given(st.text(), st.sampled_from(["text", "json"]))
@settings(deadline=None)
def test_a_line_is_one_line(text: str, style: str) -> None:
    """Nobody forges a second one by a name or an error text."""
    line = format_line(style, WHEN, "x", {"field": text})

    assert line.isprintable()
    assert line.isascii()


@given(st.text() | st.just("\x7f"))
@settings(deadline=None)
def test_a_value_can_be_read_back(text: str) -> None:
    """It is as it is, or a JSON string."""
    line = format_line("text", WHEN, "x", {"field": text})

    value = line.split(" event=x field=", 1)[1]
    assert text == (json.loads(value) if value.startswith('"') else value)
    assert line.isprintable()


def told(run: Run, style: str, *lines: dict[str, Value]) -> str:
    """Give what a journal writes."""
    target = io.StringIO()

    async def main() -> None:
        journal = Journal(style, target, lambda: WHEN)
        async with JoinSet[None]() as tasks:
            tasks.spawn(journal.write())
            for line in lines:
                journal.tell("x", **line)
            journal.close()
            journal.close()
            journal.tell("late")

    run(main)
    return target.getvalue()


def test_what_was_told_is_written_before_it_ends(run: Run) -> None:
    """In order, and nothing after the close."""
    text = told(run, "text", {"n": 1}, {"n": 2})

    assert [line[-3:] for line in text.splitlines()] == ["n=1", "n=2"]


def test_a_journal_that_is_off_writes_nothing(run: Run) -> None:
    """And costs next to nothing."""
    assert told(run, "off", {"n": 1}) == ""


class _Stuck(io.StringIO):
    """A target that takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(10)
        return super().write(text)


def test_lines_are_lost_and_counted_when_the_target_is_slow(run: Run) -> None:
    """The proxy goes on; how many were lost is told later."""
    target = _Stuck()

    async def main() -> int:
        journal = Journal("text", target)
        async with JoinSet[None]() as tasks:
            tasks.spawn(journal.write())
            for number in range(6000):
                journal.tell("x", n=number)
            target.go.set()
            journal.close()
        return journal.dropped

    dropped = run(main)
    lines = target.getvalue().splitlines()

    assert dropped == 6000 - 4096
    assert len([line for line in lines if "event=x" in line]) == 4096
    assert any(f"event=dropped lines={dropped}" in line for line in lines)


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_a_target_that_is_gone_switches_it_off(
    run: Run, error: type[Exception]
) -> None:
    """A closed terminal ends no connection."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error(text)

    async def main() -> str:
        journal = Journal("text", Gone())
        async with JoinSet[None]() as tasks:
            tasks.spawn(journal.write())
            journal.tell("x")
            journal.close()
        return journal.style

    assert run(main) == "off"
