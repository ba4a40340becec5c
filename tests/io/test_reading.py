"""The reading side of streams: no byte is lost, however it comes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sumida
from sumida import select
from sumida.errors import IncompleteReadError
from sumida.io import DuplexStream, duplex
from sumida.testing import turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.support import Run


class Reading:
    """A world in which one task reads, and what it did not take is there."""

    def __init__(self, call: Callable[[DuplexStream], Awaitable[object]]) -> None:
        self.a, self.b = duplex()
        self.call = call
        self.sent = 0

    async def subject(self) -> object:
        """Read."""
        return await self.call(self.b)

    def wakes(self) -> list[Callable[[], object]]:
        """Send a line."""

        def send() -> None:
            self.sent += 8
            self.a._engine.write(b"a line;\n")

        return [send]

    async def check(self, outcome: Outcome) -> None:
        """Find all of it taken, or none."""
        await turns()
        taken = 8 if outcome.returned else 0
        assert self.b.buffered == self.sent - taken, outcome
        self.a.abort()
        self.b.abort()
        await turns()


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read_exact(8),
        lambda stream: stream.read_until(b"\n"),
        lambda stream: stream.read_line(),
        lambda stream: stream.read_u64(),
        lambda stream: select(stream.read_line(), sumida.sleep(1e6)),
    ],
)
def test_reads_are_cancel_safe(
    run: Run, call: Callable[[DuplexStream], Awaitable[object]]
) -> None:
    """Wherever a cancel strikes, all was taken and returned, or nothing."""

    async def main() -> int:
        return await cancel_everywhere(lambda: Reading(call))

    assert run(main) > 5


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    calls=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(1, 50)),
            st.tuples(st.just("exact"), st.integers(0, 50)),
            st.tuples(st.just("line"), st.just(0)),
        ),
        max_size=20,
    ),
)
def test_no_byte_is_lost_or_doubled(
    pieces: list[bytes], calls: list[tuple[str, int]]
) -> None:
    """Whatever the pieces in which it comes, and the calls by which it is taken."""

    async def main() -> bytes:
        a, b = duplex(64)
        async with a, b:

            async def write() -> None:
                for piece in pieces:
                    await a.write_all(piece)
                await a.shutdown()

            writing = asyncio.create_task(write())
            taken = []
            for kind, count in calls:
                try:
                    if kind == "read":
                        taken.append(await b.read(count))
                    elif kind == "exact":
                        taken.append(await b.read_exact(count))
                    else:
                        taken.append(await b.read_line())
                except IncompleteReadError as error:
                    taken.append(error.partial)
            taken.append(await b.read_to_end())
            await writing
            return b"".join(taken)

    assert asyncio.run(main()) == b"".join(pieces)
