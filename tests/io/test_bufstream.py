"""A question is sent before its answer is waited for."""

import asyncio

import pytest

from sumida.io import BufReader, BufStream, BufWriter, Stream, duplex
from sumida.testing import turns
from tests.support import Run


async def answer(stream: Stream) -> None:
    """Answer each line in capitals."""
    while line := await stream.read_line():
        await stream.write_all(line.upper())
    await stream.shutdown()


def test_reading_sends_what_was_written(run: Run) -> None:
    """Nobody has to flush."""

    async def main() -> list[bytes]:
        client, server = duplex()
        answering = asyncio.create_task(answer(server))
        got = []
        async with client, server, BufStream(client) as stream:
            for word in (b"one", b"two"):
                await stream.write_all(word)
                await stream.write_all(b"\n")
                assert stream.unsent == 4
                got.append(await stream.read_line())
            await stream.write_all(b"three\n")
            await stream.shutdown()
            got.append(await stream.read_to_end())
            await answering
        return got

    assert run(main) == [b"ONE\n", b"TWO\n", b"THREE\n"]


def test_what_is_written_while_a_reader_waits_goes_out(run: Run) -> None:
    """Another task asks, when the reader waits already."""

    async def main() -> bytes:
        client, server = duplex()
        answering = asyncio.create_task(answer(server))
        async with client, server, BufStream(client) as stream:
            reading = asyncio.create_task(stream.read_line())
            await turns()
            await stream.write_all(b"question\n")
            assert stream.unsent == 0
            got = await reading
            await stream.write_all(b"kept, since nobody waits")
            assert stream.unsent
            await stream.flush()
            await stream.shutdown()
            await answering
        return got

    assert run(main) == b"QUESTION\n"


def test_a_reader_and_a_writer_can_be_paired(run: Run) -> None:
    """Over two halves."""

    async def main() -> list[str]:
        client, server = duplex()
        answering = asyncio.create_task(answer(server))
        async with client, server:
            read_half, write_half = client.split()
            async with BufWriter(write_half) as writer:
                reader = BufReader(read_half, flush_first=writer)
                await writer.write_all(b"one\ntwo\n")
                lines = reader.lines()
                got = [await lines.__anext__(), await lines.__anext__()]
                await writer.shutdown()
                await answering
        return got

    assert run(main) == ["ONE", "TWO"]


def test_a_cancelled_read_keeps_what_is_under_way(run: Run) -> None:
    """The question goes out once, whenever the wait is cancelled."""

    async def main() -> set[bytes]:
        seen = set()
        for steps in range(10):
            client, server = duplex(4)
            async with client, server:
                stream = BufStream(client)
                await stream.write_all(b"a question of some length\n")
                task = asyncio.create_task(stream.read_line())
                await turns(steps)
                task.cancel()
                await asyncio.wait([task])
                flushing = asyncio.create_task(stream.flush())
                seen.add(await server.read_line())
                await flushing
                assert not server.buffered
        return seen

    assert run(main) == {b"a question of some length\n"}


def test_arguments_are_checked(run: Run) -> None:
    """At the call."""

    async def main() -> None:
        a, b = duplex()
        async with a, b:
            with pytest.raises(ValueError, match="capacity"):
                BufStream(a, 0)
            assert repr(BufStream(a)).startswith("<BufStream of <DuplexStream")

    run(main)
