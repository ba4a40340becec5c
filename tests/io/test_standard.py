"""The standard streams: read and written, and their flags left alone."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sumida.errors import Closed, Disconnected
from sumida.io import StandardInput, StandardOutput, stdout
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import LOOP_KINDS, LoopKind, Run

PROGRAM = r"""
import asyncio, fcntl, json, os, sys
from sumida import io

def flags():
    return [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (0, 1, 2)]

async def main(job, report):
    seen = [flags()]
    stdin, out, err = await io.stdin(), await io.stdout(), await io.stderr()
    ways = [stdin.is_threaded, out.is_threaded, err.is_threaded]
    async with stdin, out, err:
        seen.append(flags())
        if job == "echo":
            line = await stdin.read_line()
            await out.write_all(b"out " + line)
            await err.write_all(b"err " + line)
            await out.flush()
            await err.flush()
            seen.append(flags())
        else:
            reading = asyncio.create_task(read(stdin))
            await asyncio.sleep(0.05)
            seen.append(flags())
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
    seen.append(flags())
    with open(report, "w") as file:
        json.dump({"flags": seen, "ways": ways}, file)

async def read(stdin):
    return await stdin.read_line()

loop_name, job, report = sys.argv[1:]
if loop_name == "uvloop":
    import uvloop
    uvloop.run(main(job, report))
else:
    asyncio.run(main(job, report))
"""

Ends = tuple[int, int, Callable[[], bytes]]


@contextmanager
def terminal(_folder: Path) -> Iterator[Ends]:
    """Give a terminal: input, output, and what was written to it."""
    master, slave = pty.openpty()
    os.write(master, b"hello\n")
    try:
        yield slave, slave, lambda: os.read(master, 1000)
    finally:
        os.close(master)
        os.close(slave)


@contextmanager
def pipes(_folder: Path) -> Iterator[Ends]:
    """Give two pipes."""
    reading, feeding = os.pipe()
    output, writing = os.pipe()
    os.write(feeding, b"hello\n")
    try:
        yield reading, writing, lambda: os.read(output, 1000)
    finally:
        for fd in (reading, feeding, output, writing):
            os.close(fd)


@contextmanager
def files(folder: Path) -> Iterator[Ends]:
    """Give two files; the output has something already."""
    (folder / "in").write_bytes(b"hello\n")
    (folder / "out").write_bytes(b"kept\n")
    source = os.open(folder / "in", os.O_RDONLY)
    target = os.open(folder / "out", os.O_WRONLY)
    os.lseek(target, 0, os.SEEK_END)
    try:
        yield source, target, (folder / "out").read_bytes
    finally:
        os.close(source)
        os.close(target)


@contextmanager
def sockets(_folder: Path) -> Iterator[Ends]:
    """Give a socket, as a server of the old kind starts its children."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"hello\n")
    with ours, theirs:
        yield theirs.fileno(), theirs.fileno(), lambda: ours.recv(1000)


Kind = Callable[[Path], AbstractContextManager[Ends]]

KINDS: list[Kind] = [terminal, pipes, files, sockets]


def start(
    loop: LoopKind, job: str, report: Path, source: int, target: int
) -> "subprocess.Popen[bytes]":
    """Start the program."""
    return subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", PROGRAM, loop.name, job, str(report)],
        stdin=source,
        stdout=target,
        stderr=target,
    )


@pytest.fixture(
    params=[kind for kind in LOOP_KINDS if not kind.eager], ids=lambda kind: kind.name
)
def loop(request: pytest.FixtureRequest) -> LoopKind:
    """Give each kind of loop on which a program of its own can run."""
    kind: LoopKind = request.param
    if kind.why_not is not None:
        pytest.skip(kind.why_not)
    return kind


@pytest.mark.parametrize("kind", KINDS, ids=["terminal", "pipes", "files", "sockets"])
def test_a_program_reads_and_writes_and_changes_no_flags(
    loop: LoopKind, tmp_path: Path, kind: Kind
) -> None:
    """On a terminal, pipes, files and sockets; before, meanwhile and after."""
    report = tmp_path / "report"
    with kind(tmp_path) as (source, target, written):
        before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (source, target)]
        with start(loop, "echo", report, source, target) as child:
            assert child.wait(30) == 0, written()
        after = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (source, target)]
        text = written()

    told = json.loads(report.read_text())
    assert before == after
    assert len({tuple(flags) for flags in told["flags"]}) == 1
    assert not any(flags & os.O_NONBLOCK for flags in told["flags"][0])
    assert told["ways"] == [kind in (files, sockets)] * 3
    assert b"out hello" in text
    assert b"err hello" in text
    assert text.startswith(b"kept\n") is (kind is files)


@pytest.mark.parametrize(
    "kind", [terminal, pipes, sockets], ids=["terminal", "pipes", "sockets"]
)
def test_a_read_that_waits_keeps_no_program_from_ending(
    loop: LoopKind, tmp_path: Path, kind: Kind
) -> None:
    """It is cancelled, and nobody has to press a key."""
    report = tmp_path / "report"
    with kind(tmp_path) as (source, target, written):
        # What stands there already is read by somebody else.
        assert os.read(source, 100) == b"hello\n"
        with start(loop, "wait", report, source, target) as child:
            assert child.wait(30) == 0, written()
        flags = fcntl.fcntl(source, fcntl.F_GETFL)

    assert not flags & os.O_NONBLOCK
    assert len({tuple(each) for each in json.loads(report.read_text())["flags"]}) == 1


def test_nothing_is_at_its_end_at_once(loop: LoopKind, tmp_path: Path) -> None:
    """/dev/null as input and output."""
    report = tmp_path / "report"
    null = os.open(os.devnull, os.O_RDWR)
    try:
        with start(loop, "echo", report, null, null) as child:
            assert child.wait(30) == 0
    finally:
        os.close(null)

    assert json.loads(report.read_text())["ways"] == [True] * 3


@pytest.fixture
def shared() -> Iterator[tuple[int, int]]:
    """Give a pipe whose ends are treated as shared ones: a thread waits."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_thread_carries_much_both_ways(run: Run, shared: tuple[int, int]) -> None:
    """With back-pressure, and descriptors left alone."""
    size = 1 << 20

    async def main() -> int:
        reading, writing = shared
        before = descriptors()
        source = StandardInput(reading, -1, "stdin")
        target = StandardOutput(writing, -1, "stdout")
        assert source.is_threaded
        assert target.is_threaded
        async with source, target:

            async def write() -> None:
                for _ in range(16):
                    await target.write_all(bytes(size // 16))
                    assert target.unsent <= 3 * 64 * 1024
                await target.flush()
                assert target.unsent == 0

            task = asyncio.create_task(write())
            count = 0
            while count < size:
                count += len(await source.read())
            await task
        await wait_for_descriptors(before)
        assert os.get_blocking(reading)
        assert os.get_blocking(writing)
        return count

    assert run(main) == size


class ThreadedWorld:
    """A task waits for input that comes by a thread."""

    def __init__(self) -> None:
        self.pipe = os.pipe()
        self.stdin = StandardInput(self.pipe[0], -1, "stdin")

    async def subject(self) -> object:
        return await self.stdin.read(5)

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.write]

    async def write(self) -> None:
        os.write(self.pipe[1], b"input")
        while not self.stdin.buffered and self.stdin._engine.reader is not None:
            await asyncio.sleep(0)

    async def check(self, outcome: Outcome) -> None:
        if outcome.was_cancelled and outcome.is_woken:
            assert await self.stdin.read_exact(5) == b"input"
        self.stdin.close()
        await self.stdin.wait_closed()
        for fd in self.pipe:
            os.close(fd)


def test_a_cancelled_read_takes_nothing(run: Run) -> None:
    """Also when a thread waits for it."""

    async def main() -> None:
        before = descriptors()
        assert await cancel_everywhere(ThreadedWorld) == 8
        await wait_for_descriptors(before)

    run(main)


def test_closing_takes_nothing_from_who_reads_next(
    run: Run, shared: tuple[int, int]
) -> None:
    """The thread leaves without having read."""

    async def main() -> bytes:
        reading, writing = shared
        before = descriptors()
        first = StandardInput(reading, -1, "stdin")
        task = asyncio.create_task(read(first))
        await turns()
        first.close()
        with pytest.raises(Closed):
            await task
        await wait_for_descriptors(before)
        os.write(writing, b"for the next")
        async with StandardInput(reading, -1, "stdin") as second:
            return await second.read()

    async def read(stream: StandardInput) -> bytes:
        return await stream.read()

    assert run(main) == b"for the next"


def test_nobody_reads_is_told(run: Run) -> None:
    """By a typed error, at the next write and at the end."""

    async def main() -> None:
        before = descriptors()
        reading, writing = os.pipe()
        target = StandardOutput(writing, -1, "stdout")
        os.close(reading)
        await target.write_all(b"x")
        with pytest.raises(Disconnected, match="stdout"):
            await target.flush()
        with pytest.raises(Disconnected):
            await target.write_all(b"y")
        with pytest.raises(Disconnected):
            await target.shutdown()
        os.close(writing)
        assert descriptors() == before

    run(main)


def test_a_stuck_write_is_given_up(run: Run, shared: tuple[int, int]) -> None:
    """By `abort`; the thread is a daemon, and ends when it can."""

    async def main() -> None:
        reading, writing = shared
        before = descriptors()
        target = StandardOutput(writing, -1, "stdout")
        task = asyncio.create_task(target.write_all(bytes(1 << 20)))
        await turns()
        assert not task.done()
        target.abort()
        with pytest.raises(Disconnected):
            await task
        await target.wait_closed()
        os.set_blocking(reading, False)
        async with asyncio.timeout(10):
            while descriptors() != before:
                with contextlib.suppress(BlockingIOError):
                    os.read(reading, 1 << 16)
                await asyncio.sleep(0)

    run(main)


def test_what_was_printed_goes_out_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Opening the output flushes Python's own."""

    async def main() -> None:
        with (tmp_path / "out").open("w") as text:
            monkeypatch.setattr(sys, "stdout", text)
            text.write("printed")
            async with await stdout():
                assert (tmp_path / "out").read_text() == "printed"

    run(main)
