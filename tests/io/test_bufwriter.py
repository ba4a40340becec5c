"""Small writes are gathered, and none is lost or doubled."""

import asyncio
import contextlib
import gc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import BusyError, Disconnected
from sumida.io import BufWriter, duplex, temporary_file
from sumida.testing import turns
from tests.support import Run


class Sink:
    """Takes what is written, a turn later, and remembers the pieces."""

    def __init__(self, error: Exception | None = None) -> None:
        self.pieces: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.flushes = 0
        self.error = error

    async def write_all(self, data: bytes) -> None:
        """Take a piece."""
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.pieces.append(data)

    async def flush(self) -> None:
        """Count."""
        self.flushes += 1


def test_small_pieces_become_a_big_one(run: Run) -> None:
    """And one as big as the buffer goes past it, in order."""

    async def main() -> list[bytes]:
        sink = Sink()
        async with BufWriter(sink, 10) as writer:
            for piece in (b"1234", b"5678", b"90", b"abc", b"0123456789", b"x"):
                await writer.write_all(piece)
            assert writer.unsent == 1
            await writer.flush()
            assert writer.unsent == 0
            await writer.write_all(bytearray(b"y"))
        assert sink.flushes == 2
        return sink.pieces

    assert run(main) == [b"1234567890", b"abc", b"0123456789", b"x", b"y"]


def test_leaving_by_an_error_drops_what_was_gathered(run: Run) -> None:
    """Nobody knows what half a message is worth."""

    async def main() -> list[bytes]:
        sink = Sink()
        with pytest.raises(ZeroDivisionError):
            async with BufWriter(sink, 10) as writer:
                await writer.write_all(b"half")
                raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            async with BufWriter(sink, 2) as writer:
                sink.gate.clear()
                task = asyncio.create_task(writer.write_all(b"on its way"))
                await turns()
                task.cancel()
                await asyncio.wait([task])
                raise ZeroDivisionError
        return sink.pieces

    assert run(main) == []


def test_a_cancelled_write_is_neither_lost_nor_doubled(run: Run) -> None:
    """It goes on, and the next call waits for it."""

    async def main() -> list[bytes]:
        sink = Sink()
        async with BufWriter(sink, 4) as writer:
            await writer.write_all(b"one")
            sink.gate.clear()
            task = asyncio.create_task(writer.write_all(b"never"))
            await turns()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with pytest.raises(BusyError, match="given up while it writes"):
                writer.into_inner()
            asyncio.get_running_loop().call_later(0, sink.gate.set)
            await writer.write_all(b"two")
        return sink.pieces

    assert run(main) == [b"one", b"two"]


def test_an_error_is_raised_where_it_is_seen(run: Run) -> None:
    """By the flush, and not twice."""

    async def main() -> None:
        sink = Sink(Disconnected("sink", "write", "gone"))
        writer = BufWriter(sink, 10)
        await writer.write_all(b"x")
        with pytest.raises(Disconnected):
            await writer.flush()
        await writer.flush()
        with pytest.raises(Disconnected):
            async with BufWriter(sink, 10) as writer:
                await writer.write_all(b"x")

    run(main)


def test_one_task_writes_at_a_time(run: Run) -> None:
    """A second is refused."""

    async def main() -> None:
        sink = Sink()
        sink.gate.clear()
        async with BufWriter(sink, 1) as writer:
            task = asyncio.create_task(writer.write_all(b"xx"))
            await turns()
            with pytest.raises(BusyError, match="two tasks write"):
                await writer.write_all(b"y")
            sink.gate.set()
            await task

    run(main)


def test_one_that_is_collected_with_bytes_says_so(run: Run) -> None:
    """They are lost."""

    async def main() -> None:
        writer = BufWriter(Sink())
        await writer.write_all(b"lost")
        with pytest.warns(ResourceWarning, match="4 bytes gathered> was collected"):
            del writer
            gc.collect()
        writer = BufWriter(Sink())
        await writer.write_all(b"rest")
        inner, rest = writer.into_inner()
        assert isinstance(inner, Sink)
        assert rest == b"rest"
        assert writer.inner is inner

    run(main)


def test_arguments_are_checked(run: Run) -> None:
    """At the call."""

    async def main() -> None:
        with pytest.raises(ValueError, match="capacity must be 1 byte or more, not 0"):
            BufWriter(Sink(), 0)
        with pytest.raises(TypeError, match="must be bytes, not str"):
            await BufWriter(Sink()).write_all("x")  # type: ignore[arg-type]  # is tested

    run(main)


def test_it_works_over_files_and_streams(run: Run, tmp_path: Path) -> None:
    """Whatever has `write_all`."""

    async def main() -> tuple[bytes, bytes]:
        a, b = duplex()
        async with a, b, temporary_file(tmp_path) as file:
            for inner in (a, file):
                async with BufWriter(inner) as writer:
                    for _ in range(1000):
                        await writer.write_all(b"piece\n")
            writer_of_a = BufWriter(a)
            await writer_of_a.write_all(b"last")
            await writer_of_a.shutdown()
            await file.seek(0)
            return await b.read_to_end(), await file.read_to_end()

    assert run(main) == (b"piece\n" * 1000 + b"last", b"piece\n" * 1000)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=9), st.integers(0, 4)), max_size=20),
    st.integers(1, 12),
)
def test_any_cancels_keep_order_and_whole_pieces(
    steps: list[tuple[bytes, int]], capacity: int
) -> None:
    """What went out is the pieces, whole, in order, each at most once."""

    async def main() -> None:
        sink = Sink()
        certain: list[tuple[bytes, bool]] = []
        async with BufWriter(sink, capacity) as writer:
            for data, patience in steps:
                task = asyncio.create_task(writer.write_all(data))
                for _ in range(patience):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                certain.append((data, not task.cancelled()))
        # Each piece that was taken for certain, and some of the others.
        rest = {b"".join(sink.pieces)}
        for data, is_sure in certain:
            after = {out[len(data) :] for out in rest if out.startswith(data)}
            rest = after if is_sure else after | rest
        assert b"" in rest

    asyncio.run(main())
