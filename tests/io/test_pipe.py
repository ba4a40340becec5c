"""Pipes and FIFOs: bytes one way, ends, and what is refused."""

import asyncio
import contextlib
import errno
import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sumida import select
from sumida.errors import Closed, Disconnected, Elapsed, MisuseError
from sumida.io import PipeReceiver, PipeSender, copy, open_receiver, open_sender, pipe
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run


def test_what_is_written_is_read_to_its_end(run: Run) -> None:
    """And no descriptor is left."""

    async def main() -> bytes:
        before = descriptors()
        sender, receiver = pipe()
        async with receiver:
            async with sender:
                await sender.write_all(b"some ")
                await sender.write_all(b"bytes")
            data = await receiver.read_to_end()
            assert receiver.at_eof
        assert descriptors() == before
        return data

    assert run(main) == b"some bytes"


def test_a_writer_waits_for_a_slow_reader(run: Run) -> None:
    """Much goes through, and memory is bounded on both sides."""
    size = 4 * 1024 * 1024

    async def main() -> int:
        sender, receiver = pipe()
        async with sender, receiver:

            async def write() -> None:
                for _ in range(64):
                    await sender.write_all(bytes(size // 64))
                    assert sender.unsent <= 2 * 64 * 1024
                await sender.shutdown()
                await sender.shutdown()

            writing = asyncio.create_task(write())
            count = 0
            while data := await receiver.read(50_000):
                count += len(data)
                assert receiver.buffered <= 512 * 1024
            await writing
            with pytest.raises(Closed):
                await sender.write_all(b"x")
            return count

    assert run(main) == size


def test_a_reader_that_has_gone_is_told(run: Run) -> None:
    """By one typed error, whatever the writer does."""

    async def main() -> None:
        sender, receiver = pipe()
        receiver.close()
        await receiver.wait_closed()
        with pytest.raises(Disconnected, match="PipeSender"):
            for _ in range(3):
                await sender.write_all(b"x")
                await turns()
        assert sender.is_closed
        with pytest.raises(Disconnected):
            await sender.shutdown()
        with pytest.raises(Closed):
            await receiver.read()

        sender, receiver = pipe()
        filling = asyncio.create_task(sender.write_all(bytes(1 << 20)))
        await turns()
        receiver.abort()
        with pytest.raises(Disconnected):
            await filling
        sender.close()

    run(main)


def test_waits_have_deadlines_when_asked_for(run: Run) -> None:
    """None by default."""

    async def main() -> None:
        sender, receiver = pipe(read_timeout=0.01, write_timeout=0.01)
        async with sender, receiver:
            with pytest.raises(Elapsed):
                await receiver.read()
            with pytest.raises(Elapsed):
                await sender.write_all(bytes(1 << 20))
            sender.abort()
        with pytest.raises(ValueError, match="read_timeout"):
            pipe(read_timeout=0)
        with pytest.raises(ValueError, match="write_timeout"):
            pipe(write_timeout=-1)

    run(main)


class ReadWorld:
    """A task reads a line from a pipe."""

    def __init__(self) -> None:
        self.sender, self.receiver = pipe()

    async def subject(self) -> object:
        return await self.receiver.read_line()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.write]

    async def write(self) -> None:
        os.write(self.sender._transport.fileno(), b"line\n")
        while not self.receiver.buffered and self.receiver._engine.reader is not None:
            await asyncio.sleep(0)

    async def check(self, outcome: Outcome) -> None:
        if outcome.was_cancelled:
            self.sender.close()
            expected = b"line\n" if outcome.is_woken else b""
            assert await self.receiver.read_to_end() == expected
        self.sender.close()
        self.receiver.close()
        await self.receiver.wait_closed()


def test_a_cancelled_read_takes_nothing(run: Run) -> None:
    """Wherever it strikes."""
    assert run(cancel_everywhere, ReadWorld) == 8


def test_it_is_a_branch_of_select_and_can_be_copied(run: Run) -> None:
    """As every stream."""

    async def main() -> tuple[object, bytes]:
        sender, receiver = pipe()
        onward, end = pipe()
        async with sender, receiver, onward, end:
            await sender.write_all(b"a\nrest")
            sender.close()
            first = await select(line=receiver.read_line(), never=end.read())
            await copy(receiver, onward)
            onward.close()
            return first, await end.read_to_end()

    assert run(main) == (("line", b"a\n"), b"rest")


def test_a_fifo_is_opened_by_its_name(run: Run, tmp_path: Path) -> None:
    """The receiver first; a sender that has none is refused."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main() -> list[bytes]:
        before = descriptors()
        with pytest.raises(OSError, match="No such device") as caught:
            await open_sender(path)
        assert caught.value.errno == errno.ENXIO
        got = []
        async with await open_receiver(path) as receiver:
            async with await open_sender(path) as sender:
                await sender.write_all(b"one")
            got.append(await receiver.read_to_end())
        async with await open_receiver(path, read_write=True) as receiver:
            for word in (b"two", b"three"):
                async with await open_sender(path) as sender:
                    await sender.write_all(word)
                got.append(await receiver.read_exact(len(word)))
        async with await open_sender(path, read_write=True) as sender:
            await sender.write_all(b"four")
            async with await open_receiver(path) as receiver:
                got.append(await receiver.read())
        await wait_for_descriptors(before)
        return got

    assert run(main) == [b"one", b"two", b"three", b"four"]


def test_what_is_no_pipe_is_refused(run: Run, tmp_path: Path) -> None:
    """With what to use instead, and nothing leaked."""
    (tmp_path / "file").write_bytes(b"")

    async def main() -> None:
        before = descriptors()
        with pytest.raises(ValueError, match=r"is no pipe; for a file use open\(\)"):
            await open_receiver(tmp_path / "file")
        with pytest.raises(ValueError, match="is no pipe"):
            await open_sender(tmp_path / "file")
        with pytest.raises(FileNotFoundError):
            await open_receiver(tmp_path / "no")
        with pytest.raises(ValueError, match="read_timeout"):
            await open_receiver(tmp_path / "no", read_timeout=0)
        with pytest.raises(ValueError, match="write_timeout"):
            await open_sender(tmp_path / "no", write_timeout=0)
        null = os.open("/dev/null", os.O_RDONLY)
        with pytest.raises(ValueError, match="is no pipe"):
            PipeReceiver.from_fd(null)
        os.close(null)
        reading, writing = os.pipe()
        with pytest.raises(ValueError, match="not open for reading"):
            PipeReceiver.from_fd(writing)
        with pytest.raises(ValueError, match="not open for writing"):
            PipeSender.from_fd(reading)
        os.close(reading)
        os.close(writing)
        await wait_for_descriptors(before)

    run(main)


def test_descriptors_come_and_go(run: Run) -> None:
    """A pipe of somebody else is taken over, and can be given up again."""

    async def main() -> bytes:
        before = descriptors()
        reading, writing = os.pipe()
        receiver, sender = PipeReceiver.from_fd(reading), PipeSender.from_fd(writing)
        fd = sender.into_fd()
        assert fd == writing
        os.write(fd, b"raw")
        os.close(fd)
        assert receiver.into_fd() == reading
        data = os.read(reading, 10)
        os.close(reading)
        await turns()
        assert descriptors() == before
        sender, receiver = pipe()
        async with sender, receiver:
            await sender.write_all(b"xy")
            assert await receiver.read(1) == b"x"
            with pytest.raises(MisuseError, match="cannot be given away"):
                receiver.into_fd()
            await sender.write_all(bytes(60_000))
            await sender.write_all(bytes(60_000))
            assert sender.unsent
            with pytest.raises(MisuseError, match="flush it first"):
                sender.into_fd()
            sender.abort()
        return data

    assert run(main) == b"raw"


def test_a_cancelled_open_leaks_no_descriptor(run: Run, tmp_path: Path) -> None:
    """However far the thread had come."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main() -> None:
        before = descriptors()
        for steps in range(12):
            task = asyncio.create_task(open_receiver(path))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await task).close()
        await wait_for_descriptors(before)

    run(main)


def test_one_that_is_forgotten_is_closed(run: Run) -> None:
    """With a warning."""

    async def main() -> None:
        before = descriptors()
        ends = pipe()
        with pytest.warns(ResourceWarning, match="collected while open"):
            del ends
            gc.collect()
        await wait_for_descriptors(before)

    run(main)
