"""Files: what is read, written and told, one operation after the other."""

import asyncio
import contextlib
import errno
import gc
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sumida.errors import (
    Closed,
    IncompleteReadError,
    LimitExceededError,
    StorageFullError,
)
from sumida.io import File
from sumida.io import open as open_file
from sumida.testing import turns
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run


def test_it_reads_what_is_there(run: Run, tmp_path: Path) -> None:
    """In parts, exactly, and to the end."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")

    async def main() -> list[bytes]:
        async with await open_file(path) as file:
            return [
                await file.read(3),
                await file.read_exact(2),
                await file.read_exact(0),
                await file.read_to_end(),
                await file.read(),
                await file.read_to_end(),
            ]

    assert run(main) == [b"012", b"34", b"", b"56789", b"", b""]


def test_a_short_file_is_told(run: Run, tmp_path: Path) -> None:
    """With what there was; and one that is too long takes nothing."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")

    async def main() -> bytes:
        async with await open_file(path) as file:
            with pytest.raises(LimitExceededError, match="limit of 9"):
                await file.read_to_end(9)
            assert await file.tell() == 0
            with pytest.raises(IncompleteReadError) as caught:
                await file.read_exact(11)
            return caught.value.partial

    assert run(main) == b"0123456789"


def test_a_write_is_complete_when_it_returns(run: Run, tmp_path: Path) -> None:
    """Nothing waits in a buffer."""
    path = tmp_path / "x"

    async def main() -> list[bytes]:
        seen = []
        async with await open_file(path, "w") as file:
            await file.write_all(b"one")
            seen.append(path.read_bytes())
            assert await file.write(bytearray(b"two")) == 3
            seen.append(path.read_bytes())
            await file.flush()
            await file.sync_data()
            await file.sync_all()
        return seen

    assert run(main) == [b"one", b"onetwo"]


def test_places_count_from_the_reader(run: Run, tmp_path: Path) -> None:
    """A write goes where the reader stands, though more was read ahead."""
    path = tmp_path / "x"
    path.write_bytes(b"one\ntwo\nthree\n")

    async def main() -> None:
        async with await open_file(path, "r+") as file:
            async for line in file.lines():
                assert line == "one"
                break
            assert await file.tell() == 4
            await file.write_all(b"TWO")
            assert await file.tell() == 7
            assert await file.read() == b"\nthree\n"
            assert await file.seek(-6, os.SEEK_END) == 8
            assert await file.read(3) == b"thr"
            assert await file.seek(-1, os.SEEK_CUR) == 10
            assert await file.read(1) == b"r"
            assert await file.truncate() == 11
            assert await file.truncate(5) == 5
            assert (await file.metadata()).st_size == 5

    run(main)

    assert path.read_bytes() == b"one\nT"


def test_a_full_disk_is_a_typed_error(run: Run) -> None:
    """From a write, and once more from none."""

    async def main() -> StorageFullError:
        async with await open_file("/dev/full", "w") as file:
            with pytest.raises(StorageFullError, match="disk is full") as caught:
                await file.write_all(b"x")
            await file.flush()
            return caught.value

    error = run(main)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (error.errno, error.path) == (errno.ENOSPC, "/dev/full")
    assert isinstance(error.__cause__, OSError)
    assert (again.errno, again.path, str(again)) == (
        error.errno,
        error.path,
        str(error),
    )


def test_a_failure_that_nobody_saw_is_told_later(run: Run) -> None:
    """By the next write, by `flush`, or at the end."""

    async def failed_unseen() -> File:
        file = await open_file("/dev/full", "w")
        task = asyncio.create_task(file.write_all(b"x"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return file

    async def main() -> None:
        for action in (File.flush, File.sync_all, write_again):
            async with await failed_unseen() as file:
                with pytest.raises(StorageFullError):
                    await action(file)
                await file.flush()
        file = await failed_unseen()
        with pytest.raises(StorageFullError):
            await file.close()
        await file.close()
        with pytest.raises(ValueError, match="block") as caught:
            async with await failed_unseen():
                raise ValueError("of the block")
        assert "a write to File '/dev/full' failed" in caught.value.__notes__[0]

    async def write_again(file: File) -> None:
        await file.write_all(b"y")

    run(main)


def test_closing_waits_for_what_is_done(run: Run, tmp_path: Path) -> None:
    """And refuses what waits behind it, and what comes after."""
    path = tmp_path / "x"
    release = threading.Event()

    async def main() -> None:
        file = await open_file(path, "w")
        slow = asyncio.create_task(file._change(lambda _: release.wait(30)))
        late = asyncio.create_task(file.write_all(b"late"))
        await turns()
        closing = asyncio.create_task(file.close())
        await turns()
        assert not closing.done()
        assert file.is_closed
        assert "closing" in repr(file)
        with pytest.raises(Closed, match="File"):
            await late
        release.set()
        assert await slow
        await closing
        await file.close()
        assert repr(file) == f"<File {str(path)!r} closed>"
        for refused in (file.read(), file.write(b"x"), file.tell(), file.flush()):
            with pytest.raises(Closed):
                await refused
        with pytest.raises(ValueError, match="closed"):
            file.fileno()

    run(main)


def test_never_two_operations_at_once(run: Run, tmp_path: Path) -> None:
    """Whatever tasks do and whoever is cancelled, also where one is just served."""
    path = tmp_path / "x"
    inside = 0
    done = 0

    def work(_: object) -> None:
        nonlocal inside, done
        inside += 1
        for _ in range(20):
            # Let another thread be inside, if there is one.
            os.sched_yield()
        assert inside == 1
        inside -= 1
        done += 1

    async def main() -> None:
        async with await open_file(path, "w") as file:

            async def use() -> None:
                for _ in range(10):
                    await file._change(work)

            tasks = [asyncio.create_task(use()) for _ in range(8)]
            while not all(task.done() for task in tasks):
                for task in tasks[1::2]:
                    await asyncio.sleep(0)
                    if done % 7 == 3:
                        task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        assert not file._handle.turns.head

    run(main)

    assert done >= 40


def test_operations_come_in_order(run: Run, tmp_path: Path) -> None:
    """First come, first served; who is cancelled in the line does nothing."""
    order: list[int] = []

    async def main() -> None:
        async with await open_file(tmp_path / "x", "w") as file:

            async def append(number: int) -> None:
                await file._change(lambda _: order.append(number))

            tasks = [asyncio.create_task(append(number)) for number in range(40)]
            await asyncio.sleep(0)
            for task in tasks[1::3]:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    run(main)

    assert order == [n for n in range(40) if n % 3 != 1]


def test_what_a_cancelled_read_has_read_is_read_again(run: Run, tmp_path: Path) -> None:
    """At each step of the way, and by each way of reading."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    ways: list[Callable[[File], object]] = [
        lambda file: file.read(4),
        lambda file: file.read_exact(4),
        lambda file: file.read_to_end(),
        lambda file: file.lines().__anext__(),
    ]

    async def main() -> set[bytes]:
        seen = set()
        for way in ways:
            for steps in range(6):
                async with await open_file(path) as file:
                    task = asyncio.ensure_future(way(file))  # type: ignore[call-overload]  # each is a coroutine
                    await turns(steps)
                    if not task.done():
                        task.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await task
                        assert task.cancelled()
                        assert await file.tell() == 0
                        seen.add(await file.read_to_end())
        return seen

    assert run(main) == {b"0123456789"}


def test_a_cancelled_operation_gives_its_turn_on(run: Run) -> None:
    """Wherever it strikes: in the opening, in the line, or on the thread."""

    async def attempt(steps: int) -> None:
        release = threading.Event()
        files: list[File] = []
        others: list[asyncio.Task[bool]] = []

        async def subject() -> bytes:
            files.append(await open_file("/dev/zero"))
            slow = files[0]._change(lambda _: release.wait(30))
            others.append(asyncio.create_task(slow))
            await asyncio.sleep(0)
            return await files[0].read(1)

        task = asyncio.create_task(subject())
        await turns(steps // 2)
        if steps % 2:
            release.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        release.set()
        for file in files:
            assert await file.read(1) == b"\0"
            await file.close()
            assert not file._handle.turns.head
        for other in others:
            assert await other

    async def main() -> None:
        before = descriptors()
        for steps in range(40):
            await attempt(steps)
        await wait_for_descriptors(before)

    run(main)


def test_one_that_is_forgotten_is_closed(run: Run, tmp_path: Path) -> None:
    """With a warning, and its descriptor given back."""
    path = tmp_path / "x"

    async def main() -> None:
        before = descriptors()
        file = await open_file(path, "w")
        with pytest.warns(ResourceWarning, match="collected while open"):
            del file
            gc.collect()
        await wait_for_descriptors(before)

    run(main)


def test_one_that_outlives_its_loop_is_closed(tmp_path: Path) -> None:
    """There is nobody to do it but the finaliser."""

    async def main() -> File:
        return await open_file(tmp_path / "x", "w")

    before = descriptors()
    file = asyncio.run(main())
    with pytest.warns(ResourceWarning, match="collected while open"):
        del file
        gc.collect()

    assert descriptors() == before


def test_bad_arguments_are_refused(run: Run, tmp_path: Path) -> None:
    """At the call, with the value."""

    async def main() -> None:
        async with await open_file(tmp_path / "x", "w+") as file:
            with pytest.raises(ValueError, match="limit must be 1 byte or more, not 0"):
                await file.read(0)
            with pytest.raises(ValueError, match="count must be 0 bytes or more"):
                await file.read_exact(-1)
            with pytest.raises(ValueError, match="limit must be 0 bytes or more"):
                await file.read_to_end(-1)
            with pytest.raises(ValueError, match="size must be 0 bytes or more"):
                await file.truncate(-1)
            with pytest.raises(TypeError, match="must be bytes, not str"):
                await file.write_all("text")  # type: ignore[arg-type]  # what is tested
            with pytest.raises(OSError, match="Invalid argument"):
                await file.seek(-1)
            assert file.name == str(tmp_path / "x")
            assert file.fileno() > 2

    run(main)
