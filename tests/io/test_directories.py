"""What is in folders: each entry once, whoever is cancelled."""

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from sumida.io import Entry, directories, read_dir, walk
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make some folders, files and links."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep").write_bytes(b"")
    (tmp_path / "a" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "loop").symlink_to(".")
    return tmp_path


def test_a_folder_gives_its_entries_with_their_kinds(run: Run, tree: Path) -> None:
    """Links are links, wherever they lead."""

    async def main() -> set[tuple[str, str]]:
        return {(entry.name, entry.kind) async for entry in read_dir(tree)}

    assert run(main) == {("a", "folder"), ("link", "link"), ("loop", "link")}


def test_a_walk_goes_through_all_folders(run: Run, tree: Path) -> None:
    """Not through links; a folder before what is in it."""

    async def main() -> list[str]:
        return [str(each.path.relative_to(tree)) async for each in walk(tree)]

    found = run(main)
    assert sorted(found) == ["a", "a/b", "a/b/deep", "a/file", "link", "loop"]
    assert found.index("a") < found.index("a/b") < found.index("a/b/deep")


def test_what_cannot_be_read_is_told_or_passed(run: Run, tree: Path) -> None:
    """A folder that went meanwhile is no error; one at the top is."""

    async def main() -> list[str]:
        with pytest.raises(FileNotFoundError):
            await read_dir(tree / "no").__anext__()
        with pytest.raises(NotADirectoryError):
            await walk(tree / "a" / "file").__anext__()
        told: list[OSError] = []
        passed = [each async for each in walk(tree / "a/file", on_error=told.append)]
        assert not passed
        assert isinstance(told[0], NotADirectoryError)
        found = []
        async for entry in walk(tree):
            found.append(entry.name)
            if entry.name == "a":
                shutil.rmtree(tree / "a")
        return found

    assert sorted(run(main)) == ["a", "link", "loop"]


def test_a_big_folder_is_read_in_batches(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry once, though steps are cancelled."""
    monkeypatch.setattr(directories, "_BATCH", 7)
    names = {f"{n:03}" for n in range(70)}
    for name in names:
        (tmp_path / name).write_bytes(b"")

    async def main() -> list[Entry]:
        before = descriptors()
        found = []
        entries = read_dir(tmp_path)
        steps = 0
        while True:
            steps = (steps + 1) % 6
            task = asyncio.ensure_future(entries.__anext__())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            try:
                found.append(await task)
            except asyncio.CancelledError:
                continue
            except StopAsyncIteration:
                break
        await wait_for_descriptors(before)
        return found

    found = run(main)
    assert len(found) == len(names)
    assert {entry.name for entry in found} == names
    assert all(entry.is_file and not entry.is_folder for entry in found)


def test_one_that_is_left_closes_its_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, or by `async with`."""
    monkeypatch.setattr(directories, "_BATCH", 2)
    for n in range(10):
        (tmp_path / str(n)).write_bytes(b"")

    async def main() -> None:
        before = descriptors()
        async for _ in read_dir(tmp_path):
            break
        await wait_for_descriptors(before)
        async with read_dir(tmp_path) as entries:
            await entries.__anext__()
            assert descriptors() == before + 1
        assert descriptors() == before
        await entries.aclose()
        with contextlib.suppress(StopAsyncIteration):
            await entries.__anext__()
        assert repr(entries) == f"<Entries of {str(tmp_path)!r}>"

    run(main)
