"""Temporary files and folders are gone afterwards, whatever happened."""

import asyncio
import contextlib
import stat
from pathlib import Path

import pytest

from sumida import io
from sumida.io import temporary_file, temporary_folder
from tests.io.counting import descriptors, names_in, wait_for_descriptors
from tests.support import Run


def test_a_folder_is_there_and_then_it_is_gone(run: Run, tmp_path: Path) -> None:
    """With all that is in it; for this user only."""

    async def main() -> None:
        async with temporary_folder(tmp_path, "mine-") as folder:
            assert folder.name.startswith("mine-")
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            await io.create_dir_all(folder / "a" / "b")
            await io.write(folder / "a" / "file", b"x")
        assert names_in(tmp_path) == []
        with pytest.raises(ZeroDivisionError):
            async with temporary_folder(tmp_path):
                raise ZeroDivisionError
        async with temporary_folder(tmp_path) as folder:
            await io.remove_dir_all(folder)

    run(main)

    assert names_in(tmp_path) == []


def test_a_file_is_there_and_then_it_is_gone(run: Run, tmp_path: Path) -> None:
    """Unless it was renamed."""

    async def main() -> bytes:
        async with temporary_file(tmp_path, suffix=".draft") as file:
            assert file.name.endswith(".draft")
            assert stat.S_IMODE((await file.metadata()).st_mode) == 0o600
            await file.write_all(b"some")
            await file.seek(0)
            data = await file.read()
        assert names_in(tmp_path) == []
        async with temporary_file(tmp_path) as file:
            await io.rename(file.name, tmp_path / "kept")
        return data

    assert run(main) == b"some"
    assert names_in(tmp_path) == ["kept"]


@pytest.mark.parametrize("kind", [temporary_file, temporary_folder])
def test_a_cancel_leaves_nothing(run: Run, tmp_path: Path, kind: object) -> None:
    """Wherever it strikes, also during the removal."""

    async def main() -> None:
        before = descriptors()

        async def use() -> None:
            async with kind(tmp_path):  # type: ignore[operator]  # both take a folder
                await asyncio.sleep(0)

        for steps in range(30):
            task = asyncio.create_task(use())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        while names_in(tmp_path):
            await asyncio.sleep(0)
        await wait_for_descriptors(before)

    run(main)
