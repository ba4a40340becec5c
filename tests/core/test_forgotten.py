"""A send that is not awaited is told of, where it stands."""

import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType, FunctionType
from typing import TYPE_CHECKING

import pytest

from sumida import select, sleep
from sumida._core import forgotten
from sumida.channels import mpsc
from sumida.channels.mpsc import sender as sender_module
from sumida.operation import Operation
from tests.support import Run


def plain(tx: mpsc.Sender[int]) -> None:
    """The usual mistake."""
    tx.send(1)  # type: ignore[unused-awaitable, unused-ignore]  # the mistake


def unpacked(tx: mpsc.Sender[int]) -> None:
    """Another instruction calls it."""
    tx.send(*[1])  # type: ignore[unused-awaitable, unused-ignore]  # the mistake


def several(tx: mpsc.Sender[int]) -> None:
    """Several at once."""
    tx.send_many([1])  # type: ignore[unused-awaitable, unused-ignore]  # the mistake


if TYPE_CHECKING:
    from _typeshed import TraceFunction

SENDS = (plain, unpacked, several)
"""Each drops what it gets, as a statement of its own, in its second line."""


@pytest.fixture(params=["plain", "traced"])
def _maybe_traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """A debugger changes the instructions of what it looks at."""
    if request.param == "plain":
        yield
        return

    def trace(frame: FrameType, _event: str, _arg: object) -> "TraceFunction":
        frame.f_trace_opcodes = True
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    yield
    sys.settrace(before)


@pytest.mark.usefixtures("_maybe_traced")
@pytest.mark.parametrize("forget", SENDS)
def test_one_that_is_dropped_is_told_of(run: Run, forget: FunctionType) -> None:
    """Each time, at its line, and nothing was sent."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(3)
        told = []
        with tx, rx:
            for _ in range(2):
                with pytest.warns(RuntimeWarning, match="was not awaited") as caught:
                    forget(tx)
                told += [f"{each.filename}:{each.lineno}" for each in caught]
            assert rx.is_empty
        return told

    line = forget.__code__.co_firstlineno + 2

    assert run(main) == [f"{__file__}:{line}"] * 2


@pytest.mark.usefixtures("_maybe_traced")
def test_one_that_is_used_is_not(run: Run) -> None:
    """Awaited at once or later, handed on, kept, or lost in a select."""

    def hand_on(tx: mpsc.Sender[int]) -> Operation[None]:
        return tx.send(2)

    async def main() -> list[int]:
        tx, rx = mpsc.channel(9)
        with tx:
            await tx.send(1)
            await hand_on(tx)
            later = tx.send(3)
            await later
            for send in map(tx.send, [4]):
                await send
            several = [tx.send(n) for n in (5, 6)]
            for each in several:
                await each
            assert await select(sleep(0), tx.send(0), biased=True) == (1, None)
            await tx.send_many([7, 8])
        return [item async for item in rx]

    assert run(main) == [1, 2, 3, 4, 5, 6, 0, 7, 8]


def test_only_the_first_sends_look(run: Run) -> None:
    """So many of each sender; the rest cost nothing."""

    async def main() -> int:
        tx, rx = mpsc.channel(sender_module._LOOKS)
        with tx, rx, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _ in range(sender_module._LOOKS):
                await tx.send(1)
            plain(tx)
            assert told == []
            with tx.clone() as other:
                plain(other)
            await rx.recv_many(sender_module._LOOKS)
        return len(told)

    assert run(main) == 1


def test_places_are_forgotten_when_they_are_too_many(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes code as it goes does not fill the memory."""
    monkeypatch.setattr(forgotten, "_MOST", 3)
    monkeypatch.setattr(forgotten, "_fine", set())

    async def main() -> None:
        tx, rx = mpsc.channel(5)
        with tx, rx:
            for n in range(5):
                makes: dict[str, Callable[[mpsc.Sender[int]], Operation[None]]] = {}
                exec(f"def make(tx): return tx.send({n})", makes)  # noqa: S102  # as code that is made
                await makes["make"](tx)
                assert len(forgotten._fine) <= 3
            assert await rx.recv_many(9) == [*range(5)]

    run(main)
