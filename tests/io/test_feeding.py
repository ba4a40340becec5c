"""Reading on: what is read before it is asked for, and what is not."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import TypeVar

import pytest

from sumida.errors import BusyError, Closed
from sumida.io import File, files, read_chunks
from sumida.io import open as open_file
from sumida.io._feeding import Feed
from sumida.io._handle import Handle
from sumida.io._offload import FILES
from sumida.testing import turns
from tests.support import Run

T = TypeVar("T")


class Watched(FileIO):
    """The reading end of a pipe, that counts how often it was begun to read."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.begun = 0
        self.error: OSError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, or fail as was wished."""
        self.begun += 1
        if self.error is not None:
            raise self.error
        return super().read(-1 if size is None else size)


@asynccontextmanager
async def fed() -> AsyncIterator[tuple[Feed, Watched, FileIO]]:
    """Give a feed of a pipe, blocks of 4 bytes, and the end to write to."""
    receiver, sender = os.pipe()
    raw = Watched(receiver)
    handle = Handle(raw, "the pipe", "/pipe")
    with FileIO(sender, "wb") as writer:
        yield Feed(handle, 4), raw, writer
    await handle.close()


async def begun(raw: Watched, count: int) -> None:
    """Wait until so many reads were begun."""
    async with asyncio.timeout(10):
        while raw.begun < count:
            await asyncio.sleep(0)


async def ended() -> None:
    """Wait until no thread does anything, and the loop knows."""
    async with asyncio.timeout(10):
        while FILES._threads.busy(None):
            await asyncio.sleep(0)
    await turns()


def test_it_reads_on_while_somebody_waits(run: Run) -> None:
    """The next block is being read as soon as the first is there."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            waiting = asyncio.create_task(feed.more())
            await begun(raw, 1)
            sender.write(b"abcd")
            assert await waiting
            ahead = feed.handle.ahead
            assert ahead.take(9) == b"abcd"
            await begun(raw, 2)
            assert repr(feed) == "<Feed of the pipe running>"
            sender.write(b"efghijkl")
            await ended()
            # Nobody waited for the second, so a third was not read.
            assert raw.begun == 2
            assert repr(feed) == "<Feed of the pipe idle>"
            assert ahead.take(9) == b"efgh"
            feed.begin()
            await ended()
            assert ahead.take(9) == b"ijkl"

    run(main)


def test_two_blocks_are_read_before_the_loop_has_looked(run: Run) -> None:
    """And no more, however long it takes to look."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            waiting = asyncio.create_task(feed.more())
            await begun(raw, 1)
            sender.write(bytes(40))
            # The loop stands still until the threads have nothing to do.
            while FILES._threads.busy(None):
                os.sched_yield()
            assert raw.begun == 2
            assert await waiting
            assert len(feed.handle.ahead) == 8

    run(main)


def test_the_end_is_what_was_there_when_it_was_asked(run: Run, tmp_path: Path) -> None:
    """Not what an earlier read ahead has found."""
    path = tmp_path / "x"
    path.write_bytes(b"ab")

    async def main() -> None:
        handle = Handle(FileIO(path), "the file", str(path))
        feed = Feed(handle, 4)
        assert await feed.more()
        feed.begin()
        # It found the end, and the loop does not know that.
        while FILES._threads.busy(None):
            os.sched_yield()
        with path.open("ab") as writer:
            writer.write(b"cd")
        assert await feed.more()
        assert handle.ahead.total == 4
        assert not await feed.more()
        reads = handle.ahead.total
        feed.begin()
        await ended()
        assert handle.ahead.total == reads
        await handle.close()

    run(main)


def test_who_wants_the_turn_gets_it(run: Run) -> None:
    """Reading on stops for another operation."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            waiting = asyncio.create_task(feed.more())
            await begun(raw, 1)
            turn = asyncio.create_task(feed.handle.wait_for_turn())
            await turns()
            sender.write(bytes(40))
            await turn
            assert await waiting
            assert raw.begun == 1
            # Two wait for the turn, and one finds what the other has read.
            both = [asyncio.create_task(feed.more()) for _ in range(2)]
            await turns()
            feed.handle.let_go()
            assert await asyncio.wait_for(asyncio.gather(*both), 10) == [True, True]

    run(main)


def test_an_error_is_told_to_who_waits(run: Run) -> None:
    """Each gets one of its own; where nobody waits there is none."""

    async def main() -> None:
        async with fed() as (feed, raw, _):
            raw.error = OSError(errno.EIO, "broken")
            feed.begin()
            await ended()
            assert feed.error is None
            both = [asyncio.create_task(feed.more()) for _ in range(2)]
            for task in both:
                with pytest.raises(OSError, match="broken"):
                    await task
            assert raw.begun == 3
            assert feed.handle.try_turn()
            feed.handle.let_go()

    run(main)


def test_closing_wakes_who_waits(run: Run) -> None:
    """Before the read has ended, whose bytes are nobody's then."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            waiting = asyncio.create_task(feed.more())
            await begun(raw, 1)
            feed.handle.begin_close()
            with pytest.raises(Closed, match="the pipe"):
                await waiting
            sender.write(b"abcd")
            await feed.handle.close()
            assert raw.closed
            assert not feed.handle.ahead
            with pytest.raises(Closed):
                await feed.more()

    run(main)


def test_a_cancelled_wait_loses_nothing(run: Run) -> None:
    """What it would have been told of is there for the next."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            waiting = asyncio.create_task(feed.more())
            await begun(raw, 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            sender.write(b"abcdefgh")
            assert await feed.more()
            assert feed.handle.ahead.take(9) == b"abcd"
            assert feed.handle.arrivals.head is None

    run(main)


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    """The thread ends with what it has read."""
    receiver, sender = os.pipe()
    raw = Watched(receiver)

    async def main() -> None:
        feed = Feed(Handle(raw, "the pipe", "/pipe"), 4)
        waiting = asyncio.ensure_future(feed.more())
        await begun(raw, 1)
        # As a loop that is stopped leaves it: armed, and never to run again.
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]  # undocumented
        left.append(waiting)

    left: list[asyncio.Future[bool]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    os.write(sender, bytes(40))
    while FILES._threads.busy(None):
        os.sched_yield()
    os.close(sender)
    raw.close()

    assert raw.begun == 1


def test_cancelled_lines_and_pieces_lose_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the cancel strikes, while blocks are read on."""
    monkeypatch.setattr(files, "_BLOCK", 7)
    data = b"".join(b"%d\n" % (n * n) for n in range(60))
    (tmp_path / "x").write_bytes(data)

    async def main() -> tuple[bytes, bytes]:
        async with await open_file(tmp_path / "x") as file:
            lines = await _in_steps(file.lines().__aiter__())
        async with read_chunks(tmp_path / "x", 7) as chunks:
            pieces = await _in_steps(chunks.__aiter__())
        return (
            "".join(f"{line}\n" for line in lines).encode(),
            b"".join(pieces),
        )

    assert run(main) == (data, data)


async def _in_steps(source: AsyncIterator[T]) -> list[T]:
    """Take all, each by several attempts of which all but the last are cancelled."""
    got: list[T] = []
    steps = 0
    while True:
        steps = (steps + 1) % 7
        task: asyncio.Future[T] = asyncio.ensure_future(source.__anext__())
        await turns(steps)
        task.cancel()
        try:
            got.append(await task)
        except asyncio.CancelledError:
            continue
        except StopAsyncIteration:
            return got


def test_lines_of_one_loop_are_for_one_task(run: Run) -> None:
    """Two would be handed the same lines; who waits for them goes on."""

    async def main() -> None:
        async with fed() as (feed, raw, sender):
            file = File(feed.handle)
            lines = file.lines()
            first = asyncio.ensure_future(lines.__anext__())
            await begun(raw, 1)
            with pytest.raises(BusyError, match="two tasks at once"):
                await lines.__anext__()
            sender.write(b"one\ntwo\n")
            assert await first == "one"
            assert await lines.__anext__() == "two"
            sender.close()
            await file.close()

    run(main)
