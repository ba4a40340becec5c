"""How much was copied is known while it runs, and however it ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from sumida.errors import Disconnected
from sumida.io import CopyCounts, Stream, copy_bidirectional, duplex
from sumida.net import UnixStream
from sumida.testing import turns
from tests.support import Run

Pair = tuple[Stream, Stream]


async def in_memory() -> Pair:
    """Make a pair that is handed from transport to transport."""
    return duplex(1 << 16)


async def in_kernel() -> Pair:
    """Make a pair that is spliced, where the system can."""
    return await UnixStream.pair()


@pytest.mark.parametrize("pair", [in_memory, in_kernel], ids=["relay", "splice"])
def test_counts_are_kept_when_it_breaks(
    run: Run, pair: Callable[[], Awaitable[Pair]]
) -> None:
    """What was carried before a reset is known, and while it runs."""

    async def main() -> tuple[CopyCounts, int]:
        counts = CopyCounts()
        client, a = await pair()
        b, server = await pair()
        carrying = asyncio.create_task(copy_bidirectional(a, b, counts=counts))
        await client.write_all(b"abc")
        assert await server.read_exact(3) == b"abc"
        await server.write_all(b"12345")
        assert await client.read_exact(5) == b"12345"
        early = counts.sent
        server.abort()
        with contextlib.suppress(Disconnected):
            while not carrying.done():
                await client.write_all(b"y" * 1000)
                await turns()
        with pytest.raises(Disconnected):
            await carrying
        client.abort()
        return counts, early

    counts, early = run(main)

    assert early == 3
    assert counts.sent >= 3
    assert counts.received == 5
    assert repr(CopyCounts()) == "<CopyCounts 0 there, 0 back>"
