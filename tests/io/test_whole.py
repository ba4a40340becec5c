"""Whole files by one call."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from sumida import io
from sumida.errors import StorageFullError
from sumida.io._offload import FILES
from sumida.runtime.strict import strict_mode
from tests.io.counting import descriptors, names_in
from tests.support import Run


def test_what_is_written_is_read(run: Run, tmp_path: Path) -> None:
    """As bytes and as text."""
    path = tmp_path / "x"

    async def main() -> list[object]:
        await io.write(path, b"a much longer text")
        await io.write(path, "zażółć\r\n")
        return [
            await io.read(path),
            await io.read_text(path),
            await io.read_text(path, "ascii", "ignore"),
        ]

    assert run(main) == ["zażółć\r\n".encode(), "zażółć\r\n", "za\r\n"]


def test_a_vanished_file_is_told(run: Run, tmp_path: Path) -> None:
    """By its own type."""

    async def main() -> None:
        for call in (io.read, io.read_text):
            with pytest.raises(FileNotFoundError):
                await call(tmp_path / "no")
        for write in (io.write, io.write_atomic):
            with pytest.raises(FileNotFoundError):
                await write(tmp_path / "no" / "x", b"")
            with pytest.raises(TypeError, match="must be bytes, not int"):
                await write(tmp_path / "x", 1)  # type: ignore[arg-type]  # is tested

    run(main)


def test_a_full_disk_is_told(run: Run) -> None:
    """By its own type."""

    async def main() -> None:
        before = descriptors()
        with pytest.raises(StorageFullError, match="/dev/full"):
            await io.write("/dev/full", b"x")
        assert descriptors() == before

    run(main)


def test_an_atomic_write_replaces_the_whole(run: Run, tmp_path: Path) -> None:
    """A reader that has the old file open goes on with the old content."""
    path = tmp_path / "x"

    async def main() -> bytes:
        await io.write_atomic(path, b"old")
        path.chmod(0o640)
        with path.open("rb") as reader:
            await io.write_atomic(path, "new")
            return reader.read()

    assert run(main) == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names_in(tmp_path) == ["x"]


def test_a_new_file_has_the_usual_permissions(run: Run, tmp_path: Path) -> None:
    """Those that the process gives to any."""
    (tmp_path / "usual").write_bytes(b"")

    run(io.write_atomic, tmp_path / "x", b"x")

    assert (tmp_path / "x").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_a_link(run: Run, tmp_path: Path) -> None:
    """What it leads to is replaced, where that is."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("conf/real")

    run(io.write_atomic, tmp_path / "link", b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "conf" / "real").read_bytes() == b"new"


def test_an_atomic_write_that_fails_changes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is as it was, and no draft is left."""
    (tmp_path / "x").write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    async def main() -> None:
        with pytest.raises(StorageFullError):
            await io.write_atomic(tmp_path / "x", b"new")

    run(main)

    assert (tmp_path / "x").read_bytes() == b"old"
    assert names_in(tmp_path) == ["x"]


def test_a_cancelled_atomic_write_leaves_a_whole_file(run: Run, tmp_path: Path) -> None:
    """The old or the new one, and no draft."""
    path = tmp_path / "x"
    contents = {b"old", b"new" * 1000}

    async def main() -> set[bytes]:
        seen = set()
        for steps in range(20):
            await io.write(path, b"old")
            task = asyncio.create_task(io.write_atomic(path, b"new" * 1000))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            while len(names_in(tmp_path)) != 1 or FILES._threads.busy(None):
                await asyncio.sleep(0)
            seen.add(path.read_bytes())
        return seen

    assert run(main) <= contents


def test_nothing_of_it_blocks_the_loop(run: Run, tmp_path: Path) -> None:
    """Strict mode sees no call that waits, whatever is done with files."""

    async def main() -> int:
        with strict_mode():
            await io.create_dir_all(tmp_path / "a" / "b")
            await io.write(tmp_path / "a" / "x", b"one\ntwo\n")
            await io.write_atomic(tmp_path / "a" / "x", b"one\ntwo\n")
            await io.copy_file(tmp_path / "a" / "x", tmp_path / "a" / "y")
            count = len(await io.read(tmp_path / "a" / "x"))
            async with await io.open(tmp_path / "a" / "x", "r+") as file:
                count += len([line async for line in file.lines()])
                await file.truncate(0)
            async for chunk in io.read_chunks(tmp_path / "a" / "y"):
                count += len(chunk)
            count += len([entry async for entry in io.walk(tmp_path)])
            async with (
                io.temporary_folder(tmp_path),
                io.temporary_file(tmp_path),
                await io.watch(tmp_path),
                await io.watch(tmp_path, poll=0.01),
            ):
                await io.rename(tmp_path / "a" / "x", tmp_path / "z")
            await io.remove_dir_all(tmp_path / "a")
            async with await io.stderr():
                return count

    assert run(main) == 8 + 2 + 8 + 4
