"""The lines of both streams as one."""

import pytest

from sumida import select
from sumida.errors import Closed
from sumida.process import Command
from tests.support import Run

TALK = Command("sh", "-c", "echo a; echo b >&2; echo c; echo d >&2; printf e")
PIPED = TALK.stdout("pipe").stderr("pipe")


def test_each_line_comes_with_the_name_of_its_stream(run: Run) -> None:
    """Those of one stream in order, the last without an end too."""

    async def main() -> list[tuple[str, str]]:
        async with PIPED.spawn() as child:
            return [line async for line in child.lines()]

    lines = run(main)
    assert [text for name, text in lines if name == "stdout"] == ["a", "c", "e"]
    assert [text for name, text in lines if name == "stderr"] == ["b", "d"]


def test_streams_take_turns(run: Run) -> None:
    """One that writes without end does not hide the other."""

    async def main() -> int:
        command = Command("sh", "-c", "echo no >&2; exec yes")
        async with command.stdout("pipe").stderr("pipe").spawn() as child:
            count = 0
            async for name, _ in child.lines():
                if name == "stderr":
                    return count
                count += 1
        return -1

    assert 0 <= run(main) < 100_000


def test_lines_can_be_selected(run: Run) -> None:
    """Beside the end of the child; nothing is lost by a branch that loses."""

    async def main() -> list[object]:
        async with PIPED.spawn() as child:
            lines = child.lines()
            got: list[object] = []
            async for _, value in select.loop(line=lines, biased=True):
                got.append(value)
            with pytest.raises(Closed):
                await lines.recv()
            name, status = await select(line=child.wait(), biased=True)
            assert (name, status.code) == ("line", 0)
        return got

    assert len(run(main)) == 5


def test_a_long_line_comes_in_pieces(run: Run) -> None:
    """And what is no text is shown as such."""

    async def main() -> list[str]:
        command = Command("printf", r"aaaaabbbbbcc\n\377\n").stdout("pipe")
        async with command.spawn() as child:
            return [text async for _, text in child.lines(limit=5)]

    assert run(main) == ["aaaaa", "bbbbb", "cc", "\ufffd"]


def test_without_streams_there_are_no_lines(run: Run) -> None:
    """And a limit is 1 or more."""

    async def main() -> list[object]:
        async with Command("true").spawn() as child:
            with pytest.raises(ValueError, match="0"):
                child.lines(limit=0)
            return [line async for line in child.lines()]

    assert run(main) == []
