"""Behind each "Cancel safety: Safe" of mpsc and select: a cancel at every place."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from sumida import errors, select
from sumida.channels import mpsc
from sumida.testing import Outcome, World, cancel_everywhere
from tests.core.support import of, started
from tests.support import Run


class Full:
    """A full channel of two places.

    Args:
        crowded: Whether one more sender waits behind the subject.
    """

    places = 1

    def __init__(self, *, crowded: bool = True) -> None:
        self.crowded = crowded
        self.tx, self.rx = mpsc.channel(2)
        self.tx.try_send("a")
        self.tx.try_send("b")
        self.received: list[str] = []
        self.behind: asyncio.Task[None] | None = None

    def take(self) -> None:
        """Make as many places as the subject needs."""
        self.received += [self.rx.try_recv() for _ in range(self.places)]

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let one more sender come, and make place for the subject."""
        if self.crowded:
            self.behind = asyncio.create_task(of(self.tx.send("behind")))
        return [self.take]

    async def finish(self, outcome: Outcome) -> list[str]:
        """Close all; what the subject sent, before the one that came after it."""
        behind = self.behind
        if behind is not None:
            # It has the place of one that was cancelled, and of no other.
            assert behind.done() == (outcome.was_cancelled and outcome.is_woken)
        while not self.rx.is_empty or (behind is not None and not behind.done()):
            self.received.append(await self.rx.recv())
        # No place is lost: what is not queued is free.
        assert self.tx.capacity == 2
        self.tx.close()
        self.rx.close()
        assert self.received[:2] == ["a", "b"]
        if behind is not None:
            assert self.received.pop() == "behind"
        return self.received[2:]


class Sending(Full):
    """`Sender.send`."""

    async def subject(self) -> object:
        """Send."""
        return await self.tx.send("sent")

    async def check(self, outcome: Outcome) -> None:
        """See that it was sent if it returned, and only then."""
        assert await self.finish(outcome) == ["sent"] * outcome.returned


class SendingMany(Full):
    """`Sender.send_many`."""

    places = 2

    async def subject(self) -> object:
        """Send two."""
        return await self.tx.send_many(["sent", "sent"])

    async def check(self, outcome: Outcome) -> None:
        """See that both were sent if it returned, and none else."""
        assert await self.finish(outcome) == ["sent", "sent"] * outcome.returned


class Reserving(Full):
    """`Sender.reserve`."""

    async def subject(self) -> object:
        """Reserve."""
        return await self.tx.reserve()

    async def check(self, outcome: Outcome) -> None:
        """See that a place is held if it returned, and only then."""
        if isinstance(outcome.value, mpsc.Permit):
            outcome.value.send("sent")
        assert await self.finish(outcome) == ["sent"] * outcome.returned


class ReservingMany(Full):
    """`Sender.reserve_many`."""

    places = 2

    async def subject(self) -> object:
        """Reserve both."""
        return await self.tx.reserve_many(2)

    async def check(self, outcome: Outcome) -> None:
        """See that both are held if it returned, and none else."""
        if isinstance(outcome.value, mpsc.Permits):
            outcome.value.send_many(["sent", "sent"])
        assert await self.finish(outcome) == ["sent", "sent"] * outcome.returned


class WaitingForTheEnd(Full):
    """`Sender.closed`."""

    async def subject(self) -> object:
        """Wait until the receiver closes."""
        return await self.tx.closed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Close."""
        return [self.rx.close]

    async def check(self, outcome: Outcome) -> None:
        """See that it returned only when it was closed, and that the next one does."""
        assert outcome.error is None
        assert self.rx.is_closed or not outcome.returned
        self.rx.close()
        await self.tx.closed()
        self.tx.close()
        assert await self.rx.recv_many(3) == ["a", "b"]


class Empty:
    """An empty channel."""

    def __init__(self) -> None:
        self.tx, self.rx = mpsc.channel(2)

    def put(self) -> None:
        """Send a message."""
        self.tx.try_send("m")

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Send a message."""
        return [self.put]

    async def subject(self) -> object:
        """Receive, in one way or another."""
        raise NotImplementedError

    def finish(self) -> None:
        """Close all."""
        assert self.tx.capacity == 2
        self.tx.close()
        self.rx.close()

    async def check(self, outcome: Outcome) -> None:
        """See that the message was returned or is there still, and the next, too."""
        was_sent = outcome.returned or outcome.is_woken
        left = "".join([self.rx.try_recv() for _ in range(len(self.rx))])
        assert "".join(flat(outcome.value)) + left == "m" * was_sent
        # Nothing is left of the wait, so that another can begin.
        waiting = await started(self.subject())
        self.put()
        assert flat(await waiting) == ["m"]
        self.finish()


def flat(value: object) -> list[str]:
    """Give the strings in `value`."""
    if isinstance(value, str):
        return [value]
    return (
        [s for v in value for s in flat(v)] if isinstance(value, (list, tuple)) else []
    )


class Receiving(Empty):
    """`Receiver.recv`."""

    async def subject(self) -> object:
        """Receive."""
        return await self.rx.recv()


class ReceivingMany(Empty):
    """`Receiver.recv_many`."""

    async def subject(self) -> object:
        """Receive two, if there are."""
        return await self.rx.recv_many(2)


class Iterating(Empty):
    """`async for` over a receiver."""

    async def subject(self) -> object:
        """Receive one."""
        async for message in self.rx:
            return message
        return None


class Selecting(Empty):
    """`select` over a receiver and one more."""

    def __init__(self) -> None:
        super().__init__()
        self.other_tx, self.other_rx = mpsc.channel(1)

    async def subject(self) -> object:
        """Receive from either."""
        return await select(self.other_rx, self.rx)

    def finish(self) -> None:
        """Close all."""
        self.other_tx.close()
        super().finish()


class Looping(Selecting):
    """`select.loop` over them."""

    async def subject(self) -> object:
        """Receive from either."""
        async for pair in select.loop(self.other_rx, self.rx):
            return pair
        return None


class SelectingWithCoroutine(Selecting):
    """`select` with a coroutine, which takes a while to end."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0

    async def idle(self) -> None:
        """Wait for ever."""
        self.running += 1
        try:
            await self.other_rx.recv()
        finally:
            self.running -= 1

    async def subject(self) -> object:
        """Receive, or end with the coroutine."""
        return await select(self.idle(), self.rx)

    def finish(self) -> None:
        """See that the coroutine has ended, and close all."""
        assert self.running == 0
        super().finish()


class SelectingToSend(Full):
    """`select` over a send and a receiver."""

    def __init__(self, *, crowded: bool = True) -> None:
        super().__init__(crowded=crowded)
        self.other_tx, self.other_rx = mpsc.channel(1)

    async def subject(self) -> object:
        """Send, or receive."""
        return await select(self.other_rx, self.tx.send("sent"))

    async def check(self, outcome: Outcome) -> None:
        """See that it was sent if it returned, and only then."""
        self.other_tx.close()
        assert await self.finish(outcome) == ["sent"] * outcome.returned


class Lingering:
    """A sender that cannot park before it has lingered, with its place or without.

    Args:
        kind: How it sends.
        is_served: Whether it is given a place while it lingers.
    """

    def __init__(self, kind: str, *, is_served: bool) -> None:
        self.tx, self.rx = mpsc.channel(1)
        self.tx.try_send("a")
        self.kind = kind
        self.is_served = is_served
        self.received: list[str] = []

    async def put(self, item: str) -> None:
        """Send, in that way."""
        if self.kind == "send":
            await self.tx.send(item)
        elif self.kind == "send_many":
            await self.tx.send_many([item])
        else:
            (await self.tx.reserve()).send(item)

    async def subject(self) -> object:
        """Send two, waiting for each."""
        await self.put("b")
        await self.put("c")
        return None

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Make a place for each."""
        return [self.take, self.take]

    def take(self) -> None:
        """Make a place; the next that waits begins by lingering."""
        if not self.rx.is_empty:
            self.received.append(self.rx.try_recv())
        self.tx._chan.sender_rest = 0
        if self.is_served:
            asyncio.get_running_loop().call_soon(self.serve)

    def serve(self) -> None:
        """Make one more while it lingers, and see that it is not for others."""
        if not self.rx.is_empty:
            self.received.append(self.rx.try_recv())
            with suppress(errors.Full):
                self.tx.try_send("x")

    async def check(self, outcome: Outcome) -> None:
        """See that it sent in order, and that the place is free for the next."""
        self.received += [self.rx.try_recv() for _ in range(len(self.rx))]
        sent = [item for item in self.received if item != "x"]
        assert sent == list("abc")[: len(sent)]
        assert len(sent) == 3 or not outcome.returned
        assert self.tx.capacity == 1
        await self.tx.send("y")
        waiting = await started(self.tx.send("z"))
        assert await self.rx.recv() == "y"
        await waiting
        assert await self.rx.recv() == "z"
        self.tx.close()


WORLDS: tuple[Callable[[], World], ...] = (
    Sending,
    SendingMany,
    Reserving,
    ReservingMany,
    partial(Sending, crowded=False),
    partial(SendingMany, crowded=False),
    partial(Reserving, crowded=False),
    partial(ReservingMany, crowded=False),
    partial(SelectingToSend, crowded=False),
    *(
        partial(Lingering, kind, is_served=is_served)
        for kind in ("send", "send_many", "reserve")
        for is_served in (False, True)
    ),
    WaitingForTheEnd,
    Receiving,
    ReceivingMany,
    Iterating,
    Selecting,
    Looping,
    SelectingWithCoroutine,
    SelectingToSend,
)


@pytest.mark.parametrize("world", WORLDS)
def test_a_cancel_loses_nothing_wherever_it_strikes(
    run: Run, world: Callable[[], World]
) -> None:
    """Each call has its whole effect or none, at each suspension, in each order."""

    async def main() -> int:
        return await cancel_everywhere(world)

    assert run(main) >= 7
