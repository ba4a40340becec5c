"""Messages that are written, and a change of codec: nothing is lost or piles up."""

import asyncio
from collections.abc import Sequence

import pytest

from sumida.errors import Closed, FrameTooLargeError, ReleasedError
from sumida.io import DuplexStream, duplex
from sumida.net import (
    BytesCodec,
    Framed,
    FramedRead,
    FramedWrite,
    LengthDelimitedCodec,
    LinesCodec,
)
from sumida.testing import turns
from tests.support import Run


def lines(stream: DuplexStream, limit: int = 100) -> Framed[str, str]:
    """Make lines of a stream."""
    return Framed(stream, LinesCodec(limit))


def test_what_is_fed_goes_out_with_the_next_message(run: Run) -> None:
    """Or by a flush, or a shutdown."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(a)
            await framed.feed("1")
            await framed.feed("2")
            await turns()
            assert (b.buffered, framed.write_buffer) == (0, b"1\n2\n")
            await framed.send("3")
            await turns()
            assert (b.buffered, framed.write_buffer) == (6, b"")
            await framed.feed("4")
            await framed.flush()
            await turns()
            assert b.buffered == 8
            await framed.feed("5")
            await framed.shutdown()
            await framed.shutdown()
            assert await b.read_to_end() == b"1\n2\n3\n4\n5\n"
            with pytest.raises(Closed):
                await framed.feed("6")

    run(main)


@pytest.mark.parametrize("call", ["feed", "send"])
def test_writing_waits_for_a_peer_that_does_not_read(run: Run, call: str) -> None:
    """What is gathered is bounded; all of it arrives."""

    async def main() -> int:
        a, b = duplex()
        async with a, b:
            framed = Framed(a, LengthDelimitedCodec())
            frame = b"x" * 1020
            done = 0

            async def write() -> None:
                nonlocal done
                for _ in range(1024):
                    await getattr(framed, call)(frame)
                    done += 1
                await framed.shutdown()

            writing = asyncio.create_task(write())
            await turns(50)
            waiting = done
            assert a.unsent + len(framed.write_buffer) < 90_000
            assert len(await b.read_to_end()) == 1 << 20
            await writing
            return waiting

    assert run(main) < 600


def test_a_message_that_cannot_be_written_leaves_nothing(run: Run) -> None:
    """Not of itself, and not of those with it."""

    async def main() -> bytes:
        a, b = duplex()
        async with a, b:
            framed = Framed(a, LengthDelimitedCodec(3))
            with pytest.raises(FrameTooLargeError):
                framed.send(b"long")
            with pytest.raises(FrameTooLargeError):
                framed.send_many([b"a", b"long"])
            with pytest.raises(FrameTooLargeError):
                framed.feed(b"long")
            sending = framed.send(b"ok")
            await sending
            with pytest.raises(Closed, match="is done"):
                await sending
            await framed.shutdown()
            return await b.read_to_end()

    assert run(main) == b"\0\0\0\x02ok"


def test_a_slow_reader_keeps_little(run: Run) -> None:
    """Of a megabyte of tiny messages only a few are made before they are asked for."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            writing = asyncio.create_task(a.write_all(b"ab\n" * 350_000))
            assert await framed.recv() == "ab"
            await turns(50)
            assert len(framed._frames) + len(framed._later) <= 64 * 1024 // 3
            assert len(framed.read_buffer) + b.buffered <= 768 * 1024
            assert not writing.done()
            writing.cancel()
            await asyncio.wait([writing])
            a.abort()

    run(main)


@pytest.mark.parametrize("taken", range(1, 6))
def test_a_change_of_codec_loses_no_byte(run: Run, taken: int) -> None:
    """What was found ahead with the first is read again with the second."""

    async def main() -> list[object]:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            await framed.feed("fed")
            await a.write_all(b"1\r\n22\n\n4\n5\r\n" + b"6\r\nrest")
            await a.shutdown()
            got: list[object] = [await framed.recv() for _ in range(taken)]
            parts = framed.into_parts()
            assert parts.stream is b
            assert parts.codec is framed.codec
            after = Framed(
                parts.stream,
                BytesCodec(),
                read_buffer=parts.read_buffer,
                write_buffer=parts.write_buffer,
            )
            await after.send(b"done")
            assert await a.read() == b"fed\ndone"
            assert after.read_buffer == parts.read_buffer
            rest = b"".join([data async for data in after])
            with pytest.raises(ReleasedError, match="was given up"):
                await framed.recv()
            with pytest.raises(ReleasedError):
                framed.send("x")
            return [*got, rest]

    whole = [b"1\r\n", b"22\n", b"\n", b"4\n", b"5\r\n", b"6\r\n", b"rest"]
    words = ["1", "22", "", "4", "5"]
    assert run(main) == [*words[:taken], b"".join(whole[taken:])]


def test_looking_at_the_bytes_changes_nothing(run: Run) -> None:
    """They are found again as messages."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            framed = lines(b)
            await a.write_all(b"1\n2\n3\n4")
            await a.shutdown()
            assert await framed.recv() == "1"
            assert framed.read_buffer == framed.read_buffer == b"2\n3\n4"
            assert await framed.recv() == "2"
            assert framed.read_buffer == b"3\n4"
            return [line async for line in framed]

    assert run(main) == ["3", "4"]


def test_bytes_from_before_are_messages_first(run: Run) -> None:
    """Those in `read_buffer` need no stream to become messages."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            framed = FramedRead(b, LinesCodec(), read_buffer=b"1\n2\nha")
            first = [await framed.recv(), await framed.recv()]
            await a.write_all(b"lf\n")
            return [*first, await framed.recv()]

    assert run(main) == ["1", "2", "half"]


def test_each_shows_what_it_is(run: Run) -> None:
    """The codec and the stream; and a send whether it is done."""

    async def main() -> list[str]:
        a, b = duplex()
        async with a, b:
            reader, writer = a.split()
            sending = FramedWrite(writer, LinesCodec(9)).send("x")
            shown = [
                repr(FramedRead(reader, LinesCodec(9))),
                repr(FramedWrite(writer, LinesCodec(9))),
                repr(lines(a, 9)),
                repr(sending),
            ]
            await sending
            return [*shown, repr(sending)]

    shown = run(main)
    starts: Sequence[str] = (
        "<FramedRead LinesCodec(max_length=9) over <ReadHalf",
        "<FramedWrite LinesCodec(max_length=9) over <WriteHalf",
        "<Framed LinesCodec(max_length=9) over <",
        "<send waiting on",
        "<send done on",
    )
    assert all(map(str.startswith, shown, starts)), shown
