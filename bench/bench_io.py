"""Files in pieces and in lines, beside Python's own loop, anyio and trio.

python bench/bench_io.py            a file of 256 MiB to hash
BENCH_IO_MIB=2048 python bench/bench_io.py   one of 2 GiB
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Final

import anyio
import trio
from harness import Row, show

from sumida import io

MIB: Final = 1 << 20
BIG: Final = int(os.environ.get("BENCH_IO_MIB", "256"))
LINES: Final = 200_000
FEW: Final = 4_000
ROUNDS: Final = 9

# Each contender gives what it has found, so that none can be wrong and quick.
Contender = Callable[[Path], object]


def hash_plain(path: Path) -> str:
    """The loop that everybody writes."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(MIB):
            hasher.update(chunk)
    return hasher.hexdigest()


async def hash_chunks(path: Path) -> str:
    """Ours."""
    hasher = hashlib.sha256()
    async for chunk in io.read_chunks(path, MIB):
        hasher.update(chunk)
    return hasher.hexdigest()


async def hash_anyio(path: Path) -> str:
    """Anyio, as its documentation shows."""
    hasher = hashlib.sha256()
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(MIB):
            hasher.update(chunk)
    return hasher.hexdigest()


async def hash_trio(path: Path) -> str:
    """Trio, likewise."""
    hasher = hashlib.sha256()
    async with await trio.open_file(path, "rb") as file:
        while chunk := await file.read(MIB):
            hasher.update(chunk)
    return hasher.hexdigest()


def lines_plain(path: Path) -> int:
    """The loop that everybody writes; its lines keep their ends."""
    count = 0
    with path.open(encoding="utf-8") as file:
        for _ in file:
            count += 1
    return count


def lines_stripped(path: Path) -> int:
    """The same with the ends taken off, as ours are."""
    count = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            line.rstrip("\n")
            count += 1
    return count


async def lines_one_by_one(path: Path) -> int:
    """Ours."""
    count = 0
    async with await io.open(path) as file:
        async for _ in file.lines():
            count += 1
    return count


async def lines_in_batches(path: Path) -> int:
    """Ours, by the list."""
    count = 0
    async with await io.open(path) as file:
        async for batch in file.lines().batches():
            for _ in batch:
                count += 1
    return count


class Nothing:
    """An async iterator that does nothing but end: the interpreter's floor.

    An async generator is quicker in CPython 3.11, and slower from 3.12 on.
    """

    def __init__(self, count: int) -> None:
        self._left = [""] * count

    def __aiter__(self) -> "Nothing":
        return self

    async def __anext__(self) -> str:
        try:
            return self._left.pop()
        except IndexError:
            raise StopAsyncIteration from None


async def nothing(_path: Path) -> int:
    """Take as many empty lines from a list, without a file."""
    count = 0
    async for _ in Nothing(LINES):
        count += 1
    return count


async def _generated() -> AsyncIterator[str]:
    for line in [""] * LINES:
        yield line


async def nothing_generated(_path: Path) -> int:
    """Take as many from an async generator, which gives them from a list."""
    count = 0
    async for _ in _generated():
        count += 1
    return count


async def lines_anyio(path: Path) -> int:
    """Anyio: a thread for each line."""
    count = 0
    async with await anyio.open_file(path, encoding="utf-8") as file:
        async for _ in file:
            count += 1
    return count


async def lines_trio(path: Path) -> int:
    """Trio: likewise."""
    count = 0
    async with await trio.open_file(path, encoding="utf-8") as file:
        async for _ in file:
            count += 1
    return count


def _once(contender: Contender, path: Path) -> tuple[float, object]:
    is_trio = contender.__name__.endswith("_trio")

    async def inside() -> tuple[float, object]:
        start = time.perf_counter()
        found = contender(path)
        assert isinstance(found, Coroutine)
        result = await found
        return time.perf_counter() - start, result

    if not asyncio.iscoroutinefunction(contender):
        start = time.perf_counter()
        found = contender(path)
        return time.perf_counter() - start, found
    return trio.run(inside) if is_trio else asyncio.run(inside())


def in_turn(
    path: Path, count: float, rounds: int, *contenders: Contender
) -> list[float]:
    """Time the contenders in turn; the best round of each, in ns per unit.

    Args:
        path: The file.
        count: Units in it.
        rounds: How often.
        *contenders: Who does it; all must find the same.
    """
    best = [float("inf")] * len(contenders)
    results = set()
    for _ in range(rounds):
        for index, contender in enumerate(contenders):
            seconds, found = _once(contender, path)
            results.add(found)
            best[index] = min(best[index], seconds / count * 1e9)
    if len(results) != 1:
        raise AssertionError(results)
    return best


def peak_of_hashing(path: Path) -> float:
    """Hash the file in a process of its own; the memory that took, in MiB."""
    # What `getrusage` tells begins with the peak of the process that forked.
    peak = "print([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0])"
    begin = "import sys; sys.path.insert(0, sys.argv[2]); import asyncio, bench_io;"
    work = "asyncio.run(bench_io.hash_chunks(bench_io.Path(sys.argv[1])));"
    here = str(Path(__file__).parent)
    peaks = []
    for code in (begin + work + peak, begin + "asyncio.run(asyncio.sleep(0));" + peak):
        done = subprocess.run(  # noqa: S603  # ourselves
            [sys.executable, "-c", code, str(path), here],
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(done.stdout.split()[1]) / 1024)
    return peaks[0] - peaks[1]


def rows() -> list[Row]:
    """Measure.

    Returns:
        The rows of the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder) / "big"
        with big.open("wb") as file:
            file.truncate(BIG * MIB)
        text, short = Path(folder) / "log", Path(folder) / "short"
        line = "2026-01-01 12:00:00 request {:08d} from somewhere was answered\n"
        text.write_text("".join(line.format(n) for n in range(LINES)))
        short.write_text("".join(line.format(n) for n in range(FEW)))

        chunks, plain, by_anyio, by_trio = in_turn(
            big, BIG * 1000, 5, hash_chunks, hash_plain, hash_anyio, hash_trio
        )
        single, batches, kept, stripped, floor, generated = in_turn(
            text,
            LINES,
            ROUNDS,
            lines_one_by_one,
            lines_in_batches,
            lines_plain,
            lines_stripped,
            nothing,
            nothing_generated,
        )
        few, anyio_lines, trio_lines = in_turn(
            short, FEW, 3, lines_one_by_one, lines_anyio, lines_trio
        )
        peak = peak_of_hashing(big)
    hashing = f"read_chunks, sha256 of {BIG} MiB, per MiB"
    return [
        Row(hashing, chunks, "plain loop", plain, unit="us", floor=0.9),
        Row(hashing, chunks, "anyio.open_file", by_anyio, unit="us"),
        Row(hashing, chunks, "trio.open_file", by_trio, unit="us"),
        Row("read_chunks, memory it takes", peak, "bound", 64, unit="MiB", floor=1),
        Row("lines, by the list", batches, "for line in file", kept, floor=0.8),
        Row("lines, by the list", batches, "the same, rstrip", stripped),
        # An `async for` over nothing costs more than that: see the floors below.
        Row("lines, one by one", single, "for line in file", kept),
        Row("lines, one by one", single, "the same, rstrip", stripped),
        Row("lines, one by one", single, "async for over a list", floor),
        Row("lines, one by one", single, "the same, a generator", generated),
        Row("lines, one by one", few, "anyio.open_file", anyio_lines),
        Row("lines, one by one", few, "trio.open_file", trio_lines),
    ]


if __name__ == "__main__":
    show("files", rows())
