"""A broadcast channel against a simple model, with random operations."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sumida import select
from sumida.channels import broadcast
from sumida.errors import Closed, Empty, Lagged
from tests.core.machine import SETTINGS, Machine


@dataclass(eq=False)
class Listener:
    """A receiver, the number of its next message, and the task that waits."""

    rx: broadcast.Receiver[int]
    next: int
    task: asyncio.Task[object] | None = None


class BroadcastMachine(Machine):
    """The message is its own number, so that order and loss are plain to see."""

    CAPACITY = 3

    def make(self) -> None:
        """Make the channel."""
        tx: broadcast.Sender[int] = broadcast.channel(self.CAPACITY)
        self.senders = [tx]
        self.sent = 0
        self.listeners: list[Listener] = []
        self.closing: asyncio.Task[object] | None = None

    def outcome(self, listener: Listener) -> tuple[str, int] | None:
        """Say what the next receive gives; None if it has to wait."""
        oldest = max(0, self.sent - self.CAPACITY)
        if listener.next < oldest:
            return "lagged", oldest - listener.next
        if listener.next < self.sent:
            return "item", listener.next
        return None if self.senders else ("closed", 0)

    def check(self, listener: Listener, receive: Callable[[], object]) -> None:
        """Receive, and compare."""
        match self.outcome(listener):
            case ("item", number):
                assert receive() == number
                listener.next = number + 1
            case ("lagged", missed):
                with pytest.raises(Lagged) as lagged:
                    receive()
                assert lagged.value.missed == missed
                listener.next += missed
            case outcome:
                with pytest.raises(Closed if outcome else Empty):
                    receive()

    def advance(self) -> None:
        """Check that those who need not wait have gone on."""
        for listener in self.listeners:
            if listener.task is not None and self.outcome(listener) is not None:
                task, listener.task = listener.task, None
                assert task.done()
                self.check(listener, task.result)
        if self.closing is not None and not self.listeners:
            assert self.closing.result() is None
            self.closing = None

    def note_send(self) -> None:
        """Send one message; without receivers it is dropped, and has no number."""
        reached = self.senders[-1].send(self.sent)
        assert reached == len(self.listeners)
        if reached:
            self.sent += 1

    @precondition(lambda self: self.senders)
    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        """Send one message, with a turn after each, so that each is heard."""
        for _ in range(count):
            self.now(self.note_send)
            self.advance()

    @precondition(lambda self: self.senders)
    @rule(count=st.integers(1, 5))
    def send_in_one_turn(self, count: int) -> None:
        """Send some before anybody hears them: too many are lost, and told."""
        self.now(*[self.note_send] * count)
        self.advance()

    @precondition(lambda self: self.listeners)
    @rule(which=st.integers(0, 9))
    def receive(self, which: int) -> None:
        """Wait for a message."""
        listener = self.listeners[which % len(self.listeners)]
        if listener.task is None:
            listener.task = self.act(listener.rx.recv())
            self.advance()

    @precondition(lambda self: self.listeners)
    @rule(which=st.integers(0, 9))
    def try_receive(self, which: int) -> None:
        """Take a message if there is one."""
        listener = self.listeners[which % len(self.listeners)]
        if listener.task is None:
            self.check(listener, listener.rx.try_recv)

    @precondition(lambda self: len(self.listeners) > 1)
    @rule(biased=st.booleans())
    def select_between_two(self, *, biased: bool) -> None:
        """Receive from one of two; the other has lost nothing."""
        first, second = self.listeners[:2]
        outcomes = [self.outcome(first), self.outcome(second)]
        if first.task or second.task or outcomes == [None, None]:
            return
        task = self.act(select(first.rx, second.rx, biased=biased))
        error = task.exception()
        if error is None:
            result = task.result()
            assert isinstance(result, tuple)
            which, got = result
            assert outcomes[which] == ("item", got)
            self.listeners[which].next += 1
        elif isinstance(error, Lagged):
            index = [
                outcome is not None and outcome == ("lagged", error.missed)
                for outcome in outcomes
            ].index(True)
            # Both may lag by as many: then the one that moved tells.
            if len(self.listeners[index].rx) > self.CAPACITY:
                index = 1
            self.listeners[index].next += error.missed
        else:
            assert isinstance(error, Closed)
            assert ("closed", 0) in outcomes

    @precondition(lambda self: any(listener.task for listener in self.listeners))
    @rule(which=st.integers(0, 9), swap=st.booleans(), sends=st.booleans())
    def cancel(self, which: int, *, swap: bool, sends: bool) -> None:
        """Cancel one that waits, in one turn with a message: it has taken nothing."""
        waiting = [listener for listener in self.listeners if listener.task]
        listener = waiting[which % len(waiting)]
        task = listener.task
        assert task is not None

        def send() -> None:
            if sends and self.senders:
                self.note_send()

        self.now(*((send, task.cancel) if swap else (task.cancel, send)))
        assert task.cancelled()
        listener.task = None
        self.advance()

    @precondition(lambda self: self.senders and len(self.listeners) < 4)
    @rule()
    def subscribe(self) -> None:
        """Listen to what comes from now on."""
        self.listeners.append(Listener(self.senders[0].subscribe(), self.sent))

    @precondition(lambda self: self.listeners and len(self.listeners) < 4)
    @rule()
    def resubscribe(self) -> None:
        """Make another receiver of one, which does not hear what waits there."""
        self.listeners.append(Listener(self.listeners[0].rx.resubscribe(), self.sent))

    @precondition(lambda self: self.listeners)
    @rule(which=st.integers(0, 9), often=st.integers(0, 2))
    def close_a_receiver(self, which: int, often: int) -> None:
        """Close one; the task that waits with it is told."""
        if often:
            return
        listener = self.listeners.pop(which % len(self.listeners))
        self.now(listener.rx.close, listener.rx.close)
        if listener.task is not None:
            assert isinstance(listener.task.exception(), Closed)
        self.advance()

    @precondition(lambda self: self.senders and len(self.senders) < 3)
    @rule(weakly=st.booleans())
    def clone(self, *, weakly: bool) -> None:
        """Make another sender, directly or through a weak one."""
        tx = self.senders[0]
        made = tx.downgrade().upgrade() if weakly else tx.clone()
        assert made is not None
        self.senders.append(made)

    @precondition(lambda self: self.senders)
    @rule(often=st.integers(0, 2))
    def close_a_sender(self, often: int) -> None:
        """Close one, rarely; after the last what was sent is still heard."""
        if often:
            return
        tx = self.senders.pop()
        self.now(tx.close, tx.close)
        self.advance()

    @precondition(lambda self: self.senders and self.closing is None)
    @rule()
    def wait_until_nobody_listens(self) -> None:
        """Wait for the last receiver to go."""
        self.closing = self.act(self.senders[0].closed())
        self.advance()

    @invariant()
    def those_who_wait_have_reason_to(self) -> None:
        """Nobody waits for what is there; the counts are right."""
        for listener in getattr(self, "listeners", ()):
            assert len(listener.rx) == self.sent - listener.next
            if listener.task is not None:
                assert not listener.task.done()
                assert self.outcome(listener) is None
        if hasattr(self, "senders"):
            assert self.closing is None or not self.closing.done()
            for tx in self.senders:
                assert tx.receiver_count == len(self.listeners)
                assert tx.strong_count == len(self.senders)

    @precondition(lambda self: not self.senders)
    @rule(often=st.integers(0, 3))
    def begin_anew(self, often: int) -> None:
        """Make another channel when this one has ended."""
        if not (often and self.listeners):
            self.finish()
            self.now(self.make)

    def finish(self) -> None:
        """Close all: no message is kept for nobody."""
        if not hasattr(self, "senders"):
            return
        listeners, self.listeners = self.listeners, []
        self.now(*[listener.rx.close for listener in listeners])
        for listener in listeners:
            if listener.task is not None:
                assert isinstance(listener.task.exception(), Closed)
            assert not listener.rx._shared.slots
        self.advance()
        self.now(*[tx.close for tx in self.senders])


TestBroadcastModel = BroadcastMachine.TestCase
TestBroadcastModel.settings = SETTINGS
