"""A file in pieces: all of it, in constant memory, and closed at once."""

import asyncio
import contextlib
import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest

from sumida.io import Chunks, read_chunks
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run


@pytest.mark.parametrize("size", [1, 7, 10, 11, 100])
def test_pieces_make_the_whole(run: Run, tmp_path: Path, size: int) -> None:
    """Each of the size that was asked for, but the last."""
    data = os.urandom(70)
    (tmp_path / "x").write_bytes(data)

    async def main() -> list[bytes]:
        return [chunk async for chunk in read_chunks(tmp_path / "x", size)]

    chunks = run(main)
    assert b"".join(chunks) == data
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(chunks)


def test_an_empty_file_has_none(run: Run, tmp_path: Path) -> None:
    """And one that is not there is an error at the first step."""
    (tmp_path / "x").write_bytes(b"")

    async def main() -> list[bytes]:
        chunks = read_chunks(tmp_path / "no")
        with pytest.raises(FileNotFoundError):
            await chunks.__anext__()
        with pytest.raises(IsADirectoryError):
            await read_chunks(tmp_path).__anext__()
        with pytest.raises(ValueError, match="size must be 1 byte or more, not 0"):
            read_chunks(tmp_path / "x", 0)
        return [chunk async for chunk in read_chunks(tmp_path / "x")]

    assert run(main) == []


def test_memory_is_constant(run: Run, tmp_path: Path) -> None:
    """However big the file is: two pieces, and the one that is worked on."""
    size = 256 * 1024 * 1024
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)

    async def main() -> tuple[int, int]:
        count = 0
        tracemalloc.start()
        try:
            async for chunk in read_chunks(tmp_path / "big"):
                count += len(chunk)
            return count, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    count, peak = run(main)
    assert count == size
    assert peak < 8 * 1024 * 1024


def test_a_loop_that_is_left_closes_the_file_at_once(run: Run, tmp_path: Path) -> None:
    """By `break` and by an error, with a read ahead under way."""
    (tmp_path / "x").write_bytes(bytes(100))

    async def main() -> None:
        before = descriptors()
        async for chunk in read_chunks(tmp_path / "x", 10):
            assert chunk == bytes(10)
            break
        await wait_for_descriptors(before)
        with contextlib.suppress(ZeroDivisionError):
            async for _ in read_chunks(tmp_path / "x", 10):
                raise ZeroDivisionError
        await wait_for_descriptors(before)
        async with read_chunks(tmp_path / "x", 10) as chunks:
            assert await chunks.__anext__() == bytes(10)
            assert "open" in repr(chunks)
        assert descriptors() == before
        assert [chunk async for chunk in chunks] == []
        await chunks.aclose()

    run(main)


def test_a_cancel_closes_the_file(run: Run, tmp_path: Path) -> None:
    """Wherever it strikes."""
    (tmp_path / "x").write_bytes(bytes(100))

    async def main() -> None:
        before = descriptors()

        async def read() -> None:
            async for _ in read_chunks(tmp_path / "x", 10):
                pass

        for steps in range(25):
            task = asyncio.create_task(read())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            del task
        await wait_for_descriptors(before)

    run(main)


def test_a_cancelled_step_loses_nothing(run: Run, tmp_path: Path) -> None:
    """Who keeps the iterator goes on with the same piece."""
    data = os.urandom(100)
    (tmp_path / "x").write_bytes(data)

    async def main() -> bytes:
        got = b""
        async with read_chunks(tmp_path / "x", 9) as chunks:
            steps = 0
            while True:
                steps = (steps + 1) % 7
                task = asyncio.ensure_future(chunks.__anext__())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    got += await task
                except asyncio.CancelledError:
                    continue
                except StopAsyncIteration:
                    return got
                if steps == 6:
                    await asyncio.sleep(0)

    assert run(main) == data


def test_two_tasks_share_the_pieces(run: Run, tmp_path: Path) -> None:
    """Each has what the other has not; who finds nothing waits, and ends nothing."""
    (tmp_path / "x").write_bytes(bytes(range(250)))

    async def main() -> list[bytes]:
        got: list[bytes] = []

        async def take(chunks: Chunks) -> None:
            async for chunk in chunks:
                got.append(chunk)

        async with read_chunks(tmp_path / "x", 1) as chunks:
            got.append(await chunks.__anext__())
            await asyncio.gather(take(chunks), take(chunks))
        return got

    assert sorted(run(main)) == [bytes([n]) for n in range(250)]


def test_it_hashes_as_the_plain_loop_does(run: Run, tmp_path: Path) -> None:
    """The program of the rule."""
    data = os.urandom(3 * 1024 * 1024 + 1)
    (tmp_path / "x").write_bytes(data)

    async def main() -> str:
        hasher = hashlib.sha256()
        async for chunk in read_chunks(tmp_path / "x"):
            hasher.update(chunk)
        return hasher.hexdigest()

    assert run(main) == hashlib.sha256(data).hexdigest()
