"""What is read ahead comes in order, and nothing is lost."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import (
    BusyError,
    IncompleteReadError,
    LimitExceededError,
    MisuseError,
)
from sumida.io import BufReader, duplex, pipe
from sumida.io import open as open_file
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import Run


class Parts:
    """Gives parts of bytes, one a read, and remembers what it was asked for."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.asked: list[int] = []

    async def read(self, limit: int) -> bytes:
        """Give a part, or the beginning of it."""
        self.asked.append(limit)
        await asyncio.sleep(0)
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if len(part) > limit:
            self.parts.insert(0, part[limit:])
        return part[:limit]


def test_a_big_read_goes_past_the_buffer(run: Run) -> None:
    """And short reads below are short reads here."""

    async def main() -> tuple[list[bytes], list[int]]:
        parts = Parts(b"0123", b"456789", b"abcdefgh")
        reader = BufReader(parts, 6)
        got = [
            await reader.read(2),
            await reader.read(100),
            await reader.read(100),
            await reader.read(6),
            await reader.read(1),
            await reader.read(6),
            await reader.read(6),
        ]
        return got, parts.asked

    got, asked = run(main)
    assert got == [b"01", b"23", b"456789", b"abcdef", b"g", b"h", b""]
    assert asked == [6, 100, 6, 6, 6]


def test_it_finds_lines_and_separators(run: Run) -> None:
    """Across parts; with what there was at the end."""

    async def main() -> None:
        reader = BufReader(
            Parts(b"one\nt", b"wo\r", b"\nthr", b"ee--fo", b"ur-", b"-x")
        )
        assert await reader.read_line() == b"one\n"
        assert await reader.read_until(b"\r\n") == b"two\r\n"
        assert await reader.peek() == b"thr"
        assert await reader.read_until(b"--") == b"three--"
        assert await reader.read_exact(3) == b"fou"
        assert await reader.read_until(b"--") == b"r--"
        assert reader.buffered == 1
        with pytest.raises(IncompleteReadError) as caught:
            await reader.read_until(b"--")
        assert caught.value.partial == b"x"
        assert await reader.read_line() == b""
        assert await reader.peek() == b""

    run(main)


def test_limits_take_nothing(run: Run) -> None:
    """What is too long stays, and can be read otherwise."""

    async def main() -> None:
        reader = BufReader(Parts(b"123456", b"789\nrest"))
        with pytest.raises(LimitExceededError):
            await reader.read_line(5)
        with pytest.raises(LimitExceededError):
            await reader.read_until(b"\n", 9)
        with pytest.raises(LimitExceededError):
            await reader.read_to_end(13)
        assert await reader.read_line(10) == b"123456789\n"
        assert await reader.read_to_end(4) == b"rest"
        with pytest.raises(IncompleteReadError):
            await reader.read_exact(1)
        assert await reader.read_exact(0) == b""

    run(main)


def begin(reader: BufReader[Parts], call: str, count: int) -> Awaitable[object]:
    """Begin one of the ways of reading."""
    match call:
        case "r":
            return reader.read(count)
        case "e":
            return reader.read_exact(count)
        case "l":
            return reader.read_line(count)
        case "u":
            return reader.read_until(b"\n", count)
        case "t":
            return reader.lines(errors="ignore").__anext__()
        case _:
            return reader.peek()


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=6) | st.just(b"\n"), max_size=12),
    st.lists(st.tuples(st.sampled_from("relutp"), st.integers(1, 9)), max_size=20),
    st.integers(1, 8),
    st.integers(0, 5),
)
def test_any_calls_with_any_cancels_give_all_in_order(
    parts: list[bytes], calls: list[tuple[str, int]], capacity: int, patience: int
) -> None:
    """Joined, they are what was there."""
    data = b"".join(parts)

    async def main() -> None:
        reader = BufReader(Parts(*parts), capacity)
        got = b""
        for call, count in calls:
            before = len(got) + reader.buffered
            task: asyncio.Task[object] = asyncio.ensure_future(
                begin(reader, call, count)
            )
            for _ in range((count + patience) % 7):
                await asyncio.sleep(0)
            task.cancel()
            taken = b""
            with contextlib.suppress(asyncio.CancelledError, LimitExceededError):
                try:
                    result = await task
                except IncompleteReadError as error:
                    taken = error.partial
                except StopAsyncIteration:
                    pass
                else:
                    if call == "t":
                        # Its length in bytes is known by what is left.
                        end = len(got) + len(data[len(got) :].split(b"\n", 1)[0]) + 1
                        taken = data[len(got) : end]
                    elif call != "p":
                        assert isinstance(result, bytes)
                        taken = result
                    else:
                        assert data.startswith(got + bytes(result or b""))  # type: ignore[call-overload]  # bytes
            got += taken
            assert data.startswith(got)
            assert before <= len(got) + reader.buffered
        assert got + await reader.read_to_end() == data

    asyncio.run(main())


class LineWorld:
    """A task reads a line that comes in two parts."""

    def __init__(self) -> None:
        self.a, self.b = duplex()
        self.reader = BufReader(self.b)

    async def subject(self) -> object:
        return await self.reader.read_line()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.a.write_all(b"li"), lambda: self.a.write_all(b"ne\n")]

    async def check(self, outcome: Outcome) -> None:
        if outcome.was_cancelled:
            parts = outcome.at - (not outcome.is_woken) if outcome.at else 0
            await self.a.shutdown()
            rest = await self.reader.read_to_end()
            assert rest == b"line\n"[: (0, 2, 5)[parts]]
        self.a.abort()
        self.b.abort()
        await turns()


def test_a_cancelled_line_takes_nothing(run: Run) -> None:
    """Wherever it strikes."""
    assert run(cancel_everywhere, LineWorld) > 8


def test_lines_are_text(run: Run) -> None:
    """And a loop that is left gives back the rest."""

    async def main() -> tuple[list[str], bytes, list[str]]:
        reader = BufReader(Parts(b"on", b"e\r\ntwo\nth", b"ree\nfour"))
        got = []
        async for line in reader.lines():
            got.append(line)
            if line == "two":
                break
        return got, await reader.read_exact(3), [x async for x in reader.lines()]

    assert run(main) == (["one", "two"], b"thr", ["ee", "four"])


def test_a_file_is_sought_from_where_the_reader_stands(
    run: Run, tmp_path: Path
) -> None:
    """What was read ahead is forgotten."""
    (tmp_path / "x").write_bytes(b"0123456789")

    async def main() -> None:
        async with await open_file(tmp_path / "x") as file:
            reader = BufReader(file, 4)
            assert await reader.read_exact(2) == b"01"
            assert await reader.seek(1, 1) == 3
            assert await reader.read_exact(1) == b"3"
            assert await reader.seek(0) == 0
            assert await reader.read_exact(1) == b"0"
            inner, rest = reader.into_inner()
            assert inner is file
            assert rest == b"123"
            assert reader.inner is file

    run(main)


def test_misuse_is_refused(run: Run) -> None:
    """Two readers at once, no places, wrong numbers."""

    async def main() -> None:
        sender, receiver = pipe()
        async with sender, receiver:
            reader = BufReader(receiver)
            first = asyncio.create_task(reader.read_line())
            await turns()
            with pytest.raises(BusyError, match="two tasks read"):
                await reader.read()
            await sender.write_all(b"x\n")
            assert await first == b"x\n"
            with pytest.raises(MisuseError, match="cannot seek"):
                await reader.seek(0)
            with pytest.raises(ValueError, match="limit must be 1 byte or more"):
                await reader.read(0)
            with pytest.raises(ValueError, match="count must be 0 bytes or more"):
                await reader.read_exact(-1)
            with pytest.raises(ValueError, match="separator must have 1 to 5 bytes"):
                await reader.read_until(b"", 5)
            with pytest.raises(ValueError, match="limit must be 1 byte or more"):
                await reader.read_line(0)
            with pytest.raises(ValueError, match="limit must be 0 bytes or more"):
                await reader.read_to_end(-1)
            with pytest.raises(ValueError, match="capacity must be 1 byte or more"):
                BufReader(receiver, 0)
            assert "0 bytes ahead" in repr(reader)

    run(main)
