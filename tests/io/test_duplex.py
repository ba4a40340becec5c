"""A connection in memory behaves as a socket does."""

import asyncio

import pytest

from sumida.errors import Disconnected
from sumida.io import duplex
from sumida.testing import turns
from tests.support import Run


def test_limits_are_checked() -> None:
    """At the call."""

    async def main() -> None:
        with pytest.raises(ValueError, match="limit must be 1 byte or more, not 0"):
            duplex(0)
        with pytest.raises(ValueError, match="read_timeout"):
            duplex(read_timeout=-1)
        with pytest.raises(ValueError, match="write_timeout"):
            duplex(write_timeout=0)

    asyncio.run(main())


def test_it_needs_a_loop() -> None:
    """As asyncio's own calls do."""
    with pytest.raises(RuntimeError):
        duplex()


def test_each_end_can_be_ended_alone(run: Run) -> None:
    """The way back goes on."""

    async def main() -> tuple[bytes, bytes]:
        a, b = duplex()
        async with a, b:
            await a.write_all(b"question")
            await a.shutdown()
            question = await b.read_to_end()
            await b.write_all(b"answer")
            await b.shutdown()
            return question, await a.read_to_end()

    assert run(main) == (b"question", b"answer")


def test_who_writes_to_a_closed_end_is_told(run: Run) -> None:
    """By a reset, as a socket does."""

    async def main() -> None:
        a, b = duplex()
        b.close()
        assert await a.read() == b""
        await a.write_all(b"x")
        await turns()
        with pytest.raises(Disconnected, match="closed"):
            await a.write_all(b"y")

    run(main)


def test_a_close_sends_what_was_written(run: Run) -> None:
    """Before the end."""

    async def main() -> bytes:
        a, b = duplex(4)
        writing = asyncio.create_task(a.write_all(b"0123456789"))
        await turns()
        got = await b.read_exact(10)
        await writing
        await a.write_all(b"more")
        a.close()
        got += await b.read_to_end()
        b.close()
        await turns()
        return got

    assert run(main) == b"0123456789more"


def test_its_transport_tells_what_it_is(run: Run) -> None:
    """For who debugs."""

    async def main() -> str:
        a, b = duplex()
        transport = a._engine.transport
        assert transport.can_write_eof()
        text = repr(transport)
        a.abort()
        b.abort()
        await turns()
        return text

    assert run(main) == "<duplex transport open, 0 bytes unsent>"
