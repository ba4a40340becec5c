"""Behind the waits of watch and broadcast that have no world of their own yet."""

from collections.abc import Callable, Sequence

import pytest

from sumida.channels import broadcast, mpsc, watch
from sumida.testing import Order, Outcome, World, cancel_everywhere
from tests.support import Run


class WatchedFor:
    """`watch.Receiver.wait_for`, with a value between that is not as wanted."""

    def __init__(self) -> None:
        self.tx, self.rx = watch.channel(0)

    async def subject(self) -> int:
        """Wait for 2."""
        return await self.rx.wait_for(lambda value: value == 2)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Send one that is not wanted, then the one that is."""
        return [lambda: self.tx.send(1), lambda: self.tx.send(2)]

    async def check(self, outcome: Outcome) -> None:
        """What was looked at counts as seen, and the next who waits sees the last."""
        assert outcome.value == (2 if outcome.returned else None)
        in_one_turn = outcome.order in (Order.CANCEL_WAKE, Order.WAKE_CANCEL)
        assert self.rx.has_changed() == in_one_turn
        if self.rx.borrow() != 2:
            self.tx.send(2)
        assert await self.rx.wait_for(lambda value: value == 2) == 2
        self.rx.close()
        self.tx.close()


class WatchClosed:
    """`watch.Sender.closed`."""

    def __init__(self) -> None:
        self.tx, self.rx = watch.channel(0)

    async def subject(self) -> None:
        """Wait until nobody receives."""
        await self.tx.closed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Close the receiver."""
        return [self.rx.close]

    async def check(self, outcome: Outcome) -> None:
        """The next who waits sees it too."""
        assert outcome.error is None
        self.rx.close()
        await self.tx.closed()
        self.tx.close()


class BroadcastClosed:
    """`broadcast.Sender.closed`."""

    def __init__(self) -> None:
        self.tx: broadcast.Sender[int] = broadcast.channel(2)
        self.rx = self.tx.subscribe()

    async def subject(self) -> None:
        """Wait until nobody receives."""
        await self.tx.closed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Close the receiver."""
        return [self.rx.close]

    async def check(self, outcome: Outcome) -> None:
        """The next who waits sees it too."""
        assert outcome.error is None
        self.rx.close()
        await self.tx.closed()
        self.tx.close()


class UnboundedClosed:
    """`UnboundedSender.closed`."""

    def __init__(self) -> None:
        self.tx, self.rx = mpsc.unbounded_channel()

    async def subject(self) -> None:
        """Wait until nobody receives."""
        await self.tx.closed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Close the receiver."""
        return [self.rx.close]

    async def check(self, outcome: Outcome) -> None:
        """The next who waits sees it too."""
        assert outcome.error is None
        self.rx.close()
        await self.tx.closed()
        self.tx.close()


@pytest.mark.parametrize(
    ("world", "runs"),
    [(WatchedFor, 13), (WatchClosed, 8), (BroadcastClosed, 8), (UnboundedClosed, 8)],
)
def test_waits_are_cancel_safe(run: Run, world: Callable[[], World], runs: int) -> None:
    """Nothing is lost or doubled, wherever the cancel strikes."""
    assert run(cancel_everywhere, world) == runs
