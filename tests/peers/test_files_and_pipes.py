"""What users of other libraries suffer from in files, pipes and standard streams.

Each test first does it the usual way and sees the fault, where the interpreter has it,
then does it with sumida.
"""

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sumida import io, spawn_blocking
from sumida.errors import Disconnected, StorageFullError
from sumida.io._offload import FILES
from tests.support import Run

USUAL = """
import asyncio, sys

async def main():
    loop = asyncio.get_running_loop()
    await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)
    print("x" * 1_000_000, flush=True)

asyncio.run(main())
"""

OURS = """
import asyncio
from sumida import io

async def main():
    async with await io.stdout() as out:
        print("x" * 1_000_000, flush=True)
        await out.write_all(b"and ours")

asyncio.run(main())
"""


@pytest.mark.parametrize("ours", [False, True], ids=["usual", "ours"])
def test_row_25_printing_goes_on_beside_an_async_stdout(ours: bool) -> None:
    """Asyncio makes the shared pipe non-blocking, and a long print loses its rest."""
    reading, writing = os.pipe()
    before = fcntl.fcntl(writing, fcntl.F_GETFL)
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", OURS if ours else USUAL],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        if not ours:
            # Nobody reads for a while: what is printed does not fit the pipe.
            child.wait(30)
        flags = fcntl.fcntl(writing, fcntl.F_GETFL)
        os.close(writing)
        count = 0
        while data := os.read(reading, 1 << 20):
            count += len(data)
        child.wait(30)
    os.close(reading)

    if ours:
        assert flags == before
        assert count == 1_000_001 + len("and ours")
        assert child.returncode == 0
    else:
        assert flags & os.O_NONBLOCK
        assert count < 1_000_000


HANGS = """
import asyncio, sys

async def main():
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, sys.stdin.readline)
    await asyncio.wait([reading], timeout=0.05)
    print("main is over", flush=True)

asyncio.run(main())
"""

ENDS = """
import asyncio
from sumida import io

async def main():
    async with await io.stdin() as stdin:
        reading = asyncio.ensure_future(read(stdin))
        await asyncio.wait([reading], timeout=0.05)
        reading.cancel()
        await asyncio.wait([reading])
    print("main is over", flush=True)

async def read(stdin):
    return await stdin.read_line()

asyncio.run(main())
"""


@pytest.mark.parametrize("ours", [False, True], ids=["usual", "ours"])
def test_row_25_a_read_of_stdin_keeps_no_program_from_ending(ours: bool) -> None:
    """In an executor it waits for a key that nobody presses."""
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", ENDS if ours else HANGS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "main is over\n"
        if not ours:
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.5)
            child.stdin.write("\n")
            child.stdin.close()
        assert child.wait(30) == 0


def test_row_20_a_write_waits_for_its_reader(run: Run) -> None:
    """Asyncio's `write` without `drain` keeps all of it in memory; ours has a bound."""
    size = 64 * 1024

    async def usual() -> int:
        reading, writing = os.pipe()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(
            asyncio.Protocol, os.fdopen(writing, "wb", 0)
        )
        for _ in range(100):
            transport.write(bytes(size))
        kept = transport.get_write_buffer_size()
        transport.abort()
        os.close(reading)
        await asyncio.sleep(0)
        return kept

    async def ours() -> int:
        sender, receiver = io.pipe()
        async with receiver, sender:

            async def write() -> None:
                for _ in range(100):
                    await sender.write_all(bytes(size))

            writing = asyncio.create_task(write())
            for _ in range(50):
                await asyncio.sleep(0)
            kept = sender.unsent
            writing.cancel()
            await asyncio.wait([writing])
            sender.abort()
        return kept

    assert run(usual) > 90 * size
    assert run(ours) <= 2 * size


def test_row_20_who_has_gone_is_told_by_one_typed_error(run: Run) -> None:
    """Asyncio's `write` says nothing at all, and logs after five."""

    async def usual() -> str | None:
        reading, writing = os.pipe()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(
            asyncio.Protocol, os.fdopen(writing, "wb", 0)
        )
        os.close(reading)
        for _ in range(3):
            transport.write(b"x")
        await asyncio.sleep(0)
        if not transport.is_closing():
            transport.abort()
        await asyncio.sleep(0)
        return None

    async def ours() -> str | None:
        sender, receiver = io.pipe()
        receiver.close()
        try:
            for _ in range(3):
                await sender.write_all(b"x")
                await asyncio.sleep(0)
        except Disconnected as error:
            return error.direction
        finally:
            sender.close()
        return None

    assert run(usual) is None
    assert run(ours) == "write"


def test_row_23_files_wait_for_nobody_elses_threads(run: Run, tmp_path: Path) -> None:
    """One pool for all lets a slow driver stop every file; ours is of files only."""
    (tmp_path / "x").write_bytes(b"read")
    release = threading.Event()

    async def main() -> bytes:
        busy = [
            asyncio.create_task(spawn_blocking(release.wait, 30)) for _ in range(80)
        ]
        try:
            async with asyncio.timeout(10):
                data = await io.read(tmp_path / "x")
        finally:
            release.set()
            for task in busy:
                await task
        return data

    assert run(main) == b"read"
    assert FILES.max_threads < 64


def test_tokio_15_no_written_byte_waits_for_a_flush(run: Run, tmp_path: Path) -> None:
    """Python's buffered file keeps it, and tells of a full disk when it is too late."""

    def usual() -> tuple[bytes, str]:
        with (tmp_path / "x").open("wb") as file:
            file.write(b"data")
            seen = (tmp_path / "x").read_bytes()
        file = Path("/dev/full").open("wb")  # noqa: SIM115  # closed below, which fails
        file.write(b"data")
        with pytest.raises(OSError, match="No space") as caught:
            file.close()
        return seen, type(caught.value).__name__

    async def ours() -> tuple[bytes, str]:
        async with await io.open(tmp_path / "x", "w") as file:
            await file.write_all(b"data")
            seen = (tmp_path / "x").read_bytes()
        async with await io.open("/dev/full", "w") as file:
            with pytest.raises(StorageFullError) as caught:
                await file.write_all(b"data")
        return seen, type(caught.value).__name__

    assert usual() == (b"", "OSError")
    assert run(ours) == (b"data", "StorageFullError")


def test_io_flush_before_read_a_question_is_sent_before_its_answer(run: Run) -> None:
    """Without a flush both sides wait for ever; ours needs none."""

    async def ask(ours: bool) -> str:
        client, server = io.duplex()

        async def answer() -> None:
            while line := await server.read_line():
                await server.write_all(line.upper())

        answering = asyncio.create_task(answer())
        writer = io.BufWriter(client)
        stream = io.BufStream(client)
        try:
            async with asyncio.timeout(10 if ours else 0.05):
                if ours:
                    await stream.write_all(b"question\n")
                    return (await stream.read_line()).decode()
                await writer.write_all(b"question\n")
                return (await client.read_line()).decode()
        except TimeoutError:
            return "both wait"
        finally:
            writer.into_inner()
            client.abort()
            await asyncio.wait([answering])
            answering.exception()
            server.abort()
            await asyncio.sleep(0)

    assert run(ask, False) == "both wait"
    assert run(ask, True) == "QUESTION\n"
