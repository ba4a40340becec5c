"""Opening a file: modes, refusals, and nothing leaked."""

import asyncio
import contextlib
import os
import stat
import threading
from pathlib import Path

import pytest

from sumida.io import open as open_file
from sumida.io._offload import acquire
from sumida.testing import turns
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run


def test_modes_are_those_of_the_builtin(run: Run, tmp_path: Path) -> None:
    """Each makes, empties and refuses as it does."""
    path = tmp_path / "x"

    async def main() -> bytes:
        with pytest.raises(FileNotFoundError):
            await open_file(path)
        async with await open_file(path, "x") as file:
            await file.write_all(b"1")
            with pytest.raises(OSError, match="not open for reading"):
                await file.read()
        with pytest.raises(FileExistsError):
            await open_file(path, "x")
        async with await open_file(path, "a") as file:
            await file.write_all(b"2")
        async with await open_file(path, "a+") as file:
            await file.seek(0)
            assert await file.read(1) == b"1"
            await file.write_all(b"3")
        async with await open_file(path) as file:
            with pytest.raises(OSError, match="not open for writing"):
                await file.write_all(b"x")
            data = await file.read_to_end()
        async with await open_file(path, "w+"):
            assert not path.read_bytes()
        return data

    assert run(main) == b"123"


def test_a_mode_of_text_is_refused(run: Run, tmp_path: Path) -> None:
    """With a hint at what reads text."""

    async def main() -> None:
        for mode in ("rt", "rb", "", "rw"):
            with pytest.raises(ValueError, match=r"lines\(\) reads text"):
                await open_file(tmp_path / "x", mode)  # type: ignore[arg-type]  # is tested

    run(main)


def test_permissions_are_those_that_were_asked_for(run: Run, tmp_path: Path) -> None:
    """Of a file that is made."""

    async def main() -> None:
        async with await open_file(tmp_path / "x", "w", permissions=0o600):
            pass

    run(main)

    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def test_what_is_no_file_is_refused(run: Run, tmp_path: Path) -> None:
    """A FIFO does not hang for ever, a folder is told as such; nothing leaks."""
    os.mkfifo(tmp_path / "fifo")

    async def main() -> None:
        before = descriptors()
        async with asyncio.timeout(10):
            with pytest.raises(ValueError, match="is a FIFO; use open_receiver"):
                await open_file(tmp_path / "fifo")
            with pytest.raises(OSError, match="No such device"):
                await open_file(tmp_path / "fifo", "w")
            with pytest.raises(IsADirectoryError):
                await open_file(tmp_path)
        assert descriptors() == before

    run(main)


def test_a_cancelled_open_leaks_no_descriptor(run: Run, tmp_path: Path) -> None:
    """Also when the thread has opened the file already."""
    path = tmp_path / "x"
    path.write_bytes(b"x")

    async def main() -> int:
        before = descriptors()
        cancelled = 0
        for steps in range(12):
            task = asyncio.create_task(open_file(path))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (await task).close()
            cancelled += task.cancelled()
        await wait_for_descriptors(before)
        return cancelled

    assert run(main)


def test_what_is_opened_when_its_loop_has_gone_is_closed() -> None:
    """By the thread that has opened it: nobody else could."""
    release, dropped = threading.Event(), threading.Event()

    def make() -> int:
        release.wait(30)
        return 1

    async def main() -> None:
        task = asyncio.create_task(acquire(make, lambda _: dropped.set()))
        await turns()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    release.set()

    assert dropped.wait(30)


def test_an_open_file_lets_the_loop_run(run: Run) -> None:
    """Its description is our own, and blocks on its thread only."""

    async def main() -> bool:
        async with await open_file("/dev/zero") as file:
            return os.get_blocking(file.fileno())

    assert run(main)
