"""Hooks: who listens, and what a real wait tells."""

import asyncio

import pytest

from sumida._core import hooks
from sumida.channels import broadcast, mpsc
from sumida.errors import BusyError
from tests.core.support import cancelled, started, turns
from tests.support import Run


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def created(self, thing: object) -> None:
        """Write it down."""
        self.told.append(("created", type(thing).__name__))

    def waiting(self, operation: object) -> None:
        """Write it down."""
        self.told.append(("waiting", type(operation).__name__))

    def resumed(self, operation: object) -> None:
        """Write it down."""
        self.told.append(("resumed", type(operation).__name__))

    def acquired(self, thing: object, guard: object) -> None:
        """Write it down."""
        self.told.append(("acquired", f"{type(thing).__name__} {type(guard).__name__}"))

    def released(self, thing: object, guard: object) -> None:
        """Write it down."""
        self.told.append(("released", f"{type(thing).__name__} {type(guard).__name__}"))


def test_observe_gives_the_listener_before() -> None:
    """So that a tool can put back what it found."""
    first, second = Listener(), Listener()
    before = hooks.observe(first)
    given = hooks.observe(second)
    last = hooks.observe(before)

    assert given is first
    assert last is second
    assert hooks.observer is before


def test_waits_are_told_in_pairs_however_they_end(run: Run) -> None:
    """A wait that ends well, by cancel or by an error is told to have ended."""
    listener = Listener()

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            receiving = await started(rx.recv())
            tx.try_send(1)
            await receiving
            tx.try_send(2)
            # One lingers, the other parks.
            sends = [asyncio.create_task(cancellable(tx, n)) for n in range(2)]
            await turns()
            for send in sends:
                assert await cancelled(send)
            waiting = await started(tx.closed())
            rx.close()
            await waiting
            await rx.recv()

    async def cancellable(tx: mpsc.Sender[int], n: int) -> None:
        await tx.send(n)

    before = hooks.observe(listener)
    try:
        run(main)
    finally:
        hooks.observe(before)

    waits = [who for what, who in listener.told if what == "waiting"]
    ends = [who for what, who in listener.told if what == "resumed"]
    assert sorted(waits) == sorted(ends)
    assert set(waits) == {"Receiver", "Send", "ReceiverClosed"}


def test_a_wait_that_is_refused_is_told_to_have_ended(run: Run) -> None:
    """A second task on one receiver: each channel that spells the wait out itself."""
    listener = Listener()

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx, broadcast.channel(1) as news:
            for receiver in (rx, news.subscribe()):
                first = await started(receiver.recv())
                second = await started(receiver.recv())
                with pytest.raises(BusyError):
                    await second
                assert await cancelled(first)

    before = hooks.observe(listener)
    try:
        run(main)
    finally:
        hooks.observe(before)

    waits = [who for what, who in listener.told if what == "waiting"]
    ends = [who for what, who in listener.told if what == "resumed"]
    assert len(waits) >= 2
    assert sorted(waits) == sorted(ends)


def test_what_need_not_wait_tells_nothing(run: Run) -> None:
    """The fast paths have no point."""
    listener = Listener()

    async def main() -> None:
        tx, rx = mpsc.channel(10)
        with tx:
            for n in range(5):
                await tx.send(n)
                await rx.recv()

    before = hooks.observe(listener)
    try:
        run(main)
    finally:
        hooks.observe(before)

    assert [told for told in listener.told if told[0] != "created"] == []
