"""Lines: what they are, and where the reader stands after them."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import Closed, LimitExceededError
from sumida.io import File, Lines, files, lines
from sumida.io import open as open_file
from sumida.io._ahead import Ahead
from sumida.io._cutting import Cutter
from tests.support import Run


async def all_lines(file: File, **options: object) -> list[str]:
    """Read all lines."""
    return [line async for line in file.lines(**options)]  # type: ignore[arg-type]  # what lines() takes


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\rb\n", ["a\rb"]),
        (b"last\r", ["last\r"]),
        (b"\x0b\x0c\x1c\xc2\x85\n", ["\x0b\x0c\x1c\x85"]),
        ("zażółć\n蟻\n".encode(), ["zażółć", "蟻"]),
    ],
)
def test_a_line_ends_at_the_byte_10(
    run: Run, tmp_path: Path, data: bytes, lines: list[str]
) -> None:
    """And one return before it is taken off, as Tokio does."""
    (tmp_path / "x").write_bytes(data)

    async def main() -> tuple[list[str], list[list[str]]]:
        async with await open_file(tmp_path / "x") as file:
            single = await all_lines(file)
            await file.seek(0)
            return single, [batch async for batch in file.lines().batches()]

    single, batches = run(main)
    assert single == lines
    assert [line for batch in batches for line in batch] == lines
    assert all(batches)


def test_lines_cross_blocks(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their lengths are."""
    wanted = [("x" * (n * 37 % 200_000)) + str(n) for n in range(100)]
    (tmp_path / "x").write_text("\n".join(wanted))

    async def main() -> list[str]:
        async with await open_file(tmp_path / "x") as file:
            return await all_lines(file)

    for size in (1 << 16, 1 << 17, 1 << 20):
        monkeypatch.setattr(files, "_BLOCK", size)
        assert run(main) == wanted
    monkeypatch.setattr(lines, "_PIECE", 7)
    assert run(main) == wanted


async def _lines_of(blocks: list[bytes], limit: int = 1 << 20) -> list[str]:
    ahead = Ahead()
    rest = list(blocks)

    async def fill() -> bool:
        before = len(ahead)
        while rest and len(ahead) == before:
            ahead.keep(rest.pop(0))
        return len(ahead) > before

    lines = Lines(
        ahead, "x", Cutter("utf-8", "replace"), limit, fill=fill, prefetch=int
    )
    return [line async for line in lines]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b"\r\n"])))
def test_any_split_gives_the_same_lines(blocks: list[bytes]) -> None:
    """As if all had come at once."""
    data = b"".join(blocks)
    wanted = data.split(b"\n")
    last = wanted.pop()
    texts = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in wanted]
    texts += [last.decode("utf-8", "replace")] if last else []

    assert asyncio.run(_lines_of(blocks)) == texts


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="ab\n", min_size=1, max_size=6), max_size=12),
    st.lists(st.sampled_from(["line", "batch", "take", "join", "count"]), max_size=12),
)
def test_blocks_and_lines_are_taken_in_turn(
    blocks: list[str], steps: list[str]
) -> None:
    """Whatever was put together for a line that crosses blocks is there once."""
    rest = "".join(blocks)

    async def main() -> None:
        nonlocal rest
        ahead = Ahead()
        for block in blocks:
            ahead.keep(block.encode())

        async def fill() -> bool:
            return False

        cutter = Cutter("utf-8", "strict")
        lines = Lines(ahead, "x", cutter, 100, fill=fill, prefetch=int)
        for step in steps:
            taken: list[str] = []
            if step == "line":
                async for line in lines:
                    taken.append(line)
                    break
            elif step == "batch":
                taken = await lines.next_batch()
            else:
                ahead.settle()
            if step == "take":
                data = ahead.take(3)
                assert rest.encode().startswith(data)
                rest = rest[len(data) :]
            elif step == "join":
                ahead.join()
                assert ahead.data == rest.encode()
            for line in taken:
                found, _, rest = rest.partition("\n")
                assert found == line
            if step == "count":
                assert len(ahead) == len(rest)
        ahead.settle()
        assert ahead.forget() == len(rest)
        assert not ahead

    asyncio.run(main())


@settings(deadline=None)
@given(st.text(alphabet="ab\n", max_size=60), st.integers(1, 8))
def test_a_limit_holds_for_each_line(text: str, limit: int) -> None:
    """Those before one that is too long are given, and then it is told."""
    wanted: list[str] = []
    is_long = False
    for line in text.splitlines(keepends=True):
        if len(line) > limit or (not line.endswith("\n") and len(line) >= limit):
            is_long = True
            break
        wanted.append(line.removesuffix("\n"))
    got: list[str] = []

    async def main() -> None:
        ahead = Ahead()
        ahead.keep(text.encode())

        async def fill() -> bool:
            return False

        cutter = Cutter("utf-8", "strict")
        lines = Lines(ahead, "x", cutter, limit, fill=fill, prefetch=int)
        try:
            async for line in lines:
                got.append(line)
        except LimitExceededError:
            assert is_long
            left = text[sum(len(line) + 1 for line in got) :]
            ahead.settle()
            assert len(ahead) == len(left)
        else:
            assert not is_long

    asyncio.run(main())

    assert got == wanted


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="aé\r", max_size=5), max_size=12),
    st.lists(st.integers(0, 4), max_size=12),
)
def test_a_loop_that_is_left_gives_back_the_rest(
    texts: list[str], steps: list[int]
) -> None:
    """Wherever it is left, what is read next begins behind the last line."""
    data = "".join(f"{text}\n" for text in texts).encode()

    async def main(folder: str) -> None:
        path = Path(folder) / "x"
        path.write_bytes(data)
        taken = 0
        async with await open_file(path, "r+") as file:
            kept = file.lines()
            for step in steps:
                lines = kept if step % 2 else file.lines()
                for _ in range(step):
                    async for line in lines:
                        assert line == texts[taken].removesuffix("\r")
                        taken += 1
                        break
                expected = sum(len(text.encode()) + 1 for text in texts[:taken])
                assert await file.tell() == expected
                if step == 3 and taken < len(texts):
                    byte = await file.read_exact(len(texts[taken].encode()) + 1)
                    assert byte == f"{texts[taken]}\n".encode()
                    taken += 1
            assert (
                await file.read_to_end()
                == "".join(f"{text}\n" for text in texts[taken:]).encode()
            )

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))


def test_a_line_that_is_no_text_is_told_and_passed(run: Run, tmp_path: Path) -> None:
    """Those before it are given, and one can go on behind it."""
    (tmp_path / "x").write_bytes(b"good\nb\xffd\nafter\n\xfe")

    async def main() -> list[str]:
        got: list[str] = []
        async with await open_file(tmp_path / "x") as file:
            with pytest.raises(UnicodeDecodeError):
                async for line in file.lines():
                    got.append(line)
            assert await file.tell() == 9
            with pytest.raises(UnicodeDecodeError):
                async for line in file.lines():
                    got.append(line)
            await file.seek(0)
            return got + await all_lines(file, errors="ignore")

    assert run(main) == ["good", "after", "good", "bd", "after", ""]


def test_encodings_in_which_lines_end_otherwise_are_refused(
    run: Run, tmp_path: Path
) -> None:
    """And names that there are not."""
    (tmp_path / "x").write_bytes("née\n".encode("latin-1"))

    async def main() -> list[str]:
        async with await open_file(tmp_path / "x") as file:
            for encoding in ("utf-16", "utf-16-le", "utf-8-sig", "cp037"):
                with pytest.raises(ValueError, match="does not end lines"):
                    file.lines(encoding)
            with pytest.raises(LookupError):
                file.lines("no such")
            with pytest.raises(LookupError):
                file.lines(errors="no such")
            with pytest.raises(ValueError, match="limit must be 1 byte or more"):
                file.lines(limit=0)
            return await all_lines(file, encoding="latin-1")

    assert run(main) == ["née"]


def test_lines_let_others_run(run: Run, tmp_path: Path) -> None:
    """A loop that never has to wait is no reason for others to stand still."""
    (tmp_path / "x").write_bytes(b"\n" * 100_000)

    async def main() -> int:
        others = 0
        longest = 0

        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async with await open_file(tmp_path / "x") as file:
            seen, at_once = 0, 0
            async for _ in file.lines():
                at_once = at_once + 1 if others == seen else 1
                seen = others
                longest = max(longest, at_once)
        task.cancel()
        await asyncio.wait([task])
        return longest

    assert run(main) <= 2 * 2048


def test_lines_go_on_with_what_was_written_since(run: Run, tmp_path: Path) -> None:
    """Begun again after the end; as a log is followed."""
    path = tmp_path / "x"
    path.write_bytes(b"one\n")

    async def main() -> list[str]:
        async with await open_file(path) as file:
            lines = file.lines()
            got = [line async for line in lines]
            with path.open("ab") as writer:
                writer.write(b"two\nthree\n")
            async for line in lines:
                got.append(line)
                break
            batch = await lines.next_batch()
            assert repr(lines) == f"<Lines of File {str(path)!r}>"
        with pytest.raises(Closed):
            await lines.__anext__()
        return got + batch

    assert run(main) == ["one", "two", "three"]


def test_a_closed_file_hands_out_no_more(run: Run, tmp_path: Path) -> None:
    """Also of what was read ahead."""
    path = tmp_path / "x"
    path.write_bytes(b"one\ntwo\n")

    async def main() -> None:
        file = await open_file(path)
        lines = file.lines()
        assert await lines.__anext__() == "one"
        await file.close()
        with pytest.raises(Closed):
            await lines.__anext__()

    run(main)
