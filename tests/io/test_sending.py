"""Files that are sent down a stream: by the kernel, and by hand."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import Closed, Disconnected, Elapsed
from sumida.io import Stream, duplex, sendfile
from sumida.net import TcpListener, TcpStream, UnixStream
from sumida.testing import turns
from tests.net.certificates import client_context, server_context
from tests.net.support import descriptors, until
from tests.support import Run

Pair = tuple[Stream, Stream]


async def in_memory() -> Pair:
    """Make a pair that the kernel knows nothing of."""
    return duplex()


async def over_unix() -> Pair:
    """Make a pair for `sendfile`."""
    return await UnixStream.pair()


async def over_tcp() -> Pair:
    """Make another."""
    async with await TcpListener.bind("127.0.0.1", 0) as listener:
        client = await TcpStream.connect("127.0.0.1", listener.port)
        return client, await listener.accept()


async def over_tls() -> Pair:
    """Make a pair whose bytes have to be encrypted."""
    async with await TcpListener.bind("localhost", 0, tls=server_context()) as listener:
        accepting = asyncio.create_task(_accept(listener))
        client = await TcpStream.connect(
            "localhost", listener.port, tls=client_context()
        )
        return client, await accepting


async def _accept(listener: TcpListener) -> TcpStream:
    return await listener.accept()


MakePair = Callable[[], Awaitable[Pair]]
WAYS = [over_tcp, over_unix, over_tls, in_memory]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def pair(request: pytest.FixtureRequest) -> MakePair:
    """Give each kind of stream."""
    made: MakePair = request.param
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file of three million bytes."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    return path


async def _send(
    stream: Stream, source: Path | int, offset: int, count: int | None
) -> int:
    await stream.write_all(b"head")
    sent = await sendfile(source, stream, offset=offset, count=count)
    await stream.write_all(b"tail")
    await stream.shutdown()
    return sent


@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, None), (1_000_001, None), (5, 70_000), (0, 0), (3_000_000, None), (9, 10**9)],
)
def test_it_arrives_between_what_was_written(
    run: Run, pair: MakePair, file: Path, offset: int, count: int | None
) -> None:
    """All of it, or the part that was asked for, on every way."""

    async def main() -> tuple[int, bytes]:
        a, b = await pair()
        async with a, b:
            sending = asyncio.create_task(_send(a, file, offset, count))
            data = await b.read_to_end()
            return await sending, data

    sent, data = run(main)
    expected = file.read_bytes()[offset : None if count is None else offset + count]
    assert sent == len(expected)
    assert data == b"head" + expected + b"tail"


def test_a_descriptor_keeps_its_place(run: Run, pair: MakePair, file: Path) -> None:
    """And stays open."""

    async def main(number: int) -> tuple[int, int]:
        a, b = await pair()
        async with a, b:
            sending = asyncio.create_task(_send(a, number, 0, None))
            data = await b.read_to_end()
            return await sending, len(data)

    with file.open("rb") as opened:
        opened.seek(7)
        assert run(main, opened.fileno()) == (3_000_000, 3_000_008)
        assert os.lseek(opened.fileno(), 0, os.SEEK_CUR) == 7


def test_a_file_without_a_size_is_sent_by_hand(run: Run) -> None:
    """The kernel gives such files to readers only."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system has no /proc")

    async def main() -> bytes:
        a, b = await over_unix()
        async with a, b:
            await sendfile("/proc/self/status", a)
            await a.shutdown()
            return await b.read_to_end()

    assert run(main).startswith(b"Name:")


def test_what_cannot_be_is_refused(run: Run, file: Path) -> None:
    """Bad numbers, a missing file, a stream that was closed."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            with pytest.raises(ValueError, match="offset"):
                await sendfile(file, a, offset=-1)
            with pytest.raises(ValueError, match="count"):
                await sendfile(file, a, count=-1)
            with pytest.raises(FileNotFoundError):
                await sendfile(file.with_name("missing"), a)
            await a.shutdown()
            with pytest.raises(Closed):
                await sendfile(file, a)

    run(main)


def test_a_peer_that_does_not_read_is_late(run: Run, file: Path) -> None:
    """The write timeout holds here, too."""

    async def main() -> None:
        a, b = await over_unix()
        a.write_timeout = 0.02
        async with a, b:
            with pytest.raises(Elapsed, match="room on UnixStream"):
                await sendfile(file, a)
            a.abort()

    run(main)


@pytest.mark.parametrize("way", [over_tcp, over_unix])
def test_a_peer_that_goes_is_told(run: Run, way: MakePair, file: Path) -> None:
    """As for every write."""
    with file.open("r+b") as opened:
        opened.truncate(1 << 30)

    async def main() -> None:
        a, b = await way()
        sending = asyncio.create_task(sendfile(file, a))
        await turns(20)
        b.abort()
        with pytest.raises(Disconnected):
            await sending
        a.abort()
        await a.wait_closed()

    run(main)


def test_a_cancel_leaves_no_descriptor(run: Run, pair: MakePair, file: Path) -> None:
    """Wherever it strikes."""

    async def main() -> int:
        await send_away()
        before = descriptors()
        for steps in (1, 2, 3, 5, 8, 13, 40):
            a, b = await pair()
            sending = asyncio.create_task(sendfile(file, a))
            await turns(steps)
            sending.cancel()
            await asyncio.wait([sending])
            assert sending.cancelled() or steps > 1
            a.abort()
            b.abort()
            await a.wait_closed()
            await b.wait_closed()
        # A thread may be in the middle of a read, and closes then.
        await until(lambda: descriptors() <= before)
        return descriptors() - before

    async def send_away() -> None:
        a, b = await pair()
        await sendfile(os.devnull, a)
        for end in (a, b):
            end.abort()
            await end.wait_closed()

    assert run(main) == 0


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(0, 300_000),
    offset=st.integers(0, 300_000),
    count=st.none() | st.integers(0, 300_000),
    way=st.sampled_from(WAYS),
)
def test_all_ways_give_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    offset: int,
    count: int | None,
    way: MakePair,
) -> None:
    """For any size of the file and of the part."""
    path = tmp_path_factory.getbasetemp() / "any"
    content = bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(content[:size])

    async def main() -> tuple[int, bytes]:
        a, b = await way()
        async with a, b:
            sending = asyncio.create_task(_send(a, path, offset, count))
            data = await b.read_to_end()
            return await sending, data

    sent, data = asyncio.run(main())
    end = size if count is None else min(size, offset + count)
    part = content[min(offset, size) : max(end, 0)] if offset < end else b""
    assert (sent, data) == (len(part), b"head" + part + b"tail")
