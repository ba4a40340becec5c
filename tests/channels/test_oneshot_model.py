"""A oneshot channel against a simple model, with random operations."""

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sumida.channels import oneshot
from sumida.errors import AlreadySent, Closed, Empty, MisuseError
from tests.core.machine import SETTINGS, Machine


class OneshotMachine(Machine):
    """One channel after the other."""

    def make(self) -> None:
        """Make a new channel; nobody waits."""
        self.tx: oneshot.Sender[int]
        self.rx: oneshot.Receiver[int]
        self.tx, self.rx = oneshot.channel()
        self.value: int | None = None
        self.is_sent = False
        self.is_tx_closed = False
        self.is_rx_closed = False
        self.is_taken = False
        self.receiving: asyncio.Task[object] | None = None
        self.closing: asyncio.Task[object] | None = None

    def advance(self) -> None:
        """Say what those who wait have got."""
        if self.receiving is not None and self.is_known:
            self.check(self.receiving)
            self.receiving = None
        if self.closing is not None and self.is_rx_closed:
            assert self.closing.done()
            assert self.closing.result() is None
            self.closing = None

    @property
    def is_known(self) -> bool:
        """Whether a receiver need not wait."""
        return (
            self.is_taken
            or self.value is not None
            or self.is_tx_closed
            or self.is_rx_closed
        )

    def check(self, task: asyncio.Task[object]) -> None:
        """Check what one who waited for the value has got."""
        assert task.done()
        if self.is_taken:
            assert isinstance(task.exception(), MisuseError)
        elif self.value is not None:
            assert task.result() == self.value
        else:
            assert isinstance(task.exception(), Closed)
        self.value, self.is_taken = None, True

    def note_send(self, item: int) -> None:
        """Send, or be refused and keep the item."""
        if self.is_sent:
            with pytest.raises(AlreadySent) as again:
                self.tx.send(item)
            assert again.value.item == item
        elif self.is_tx_closed or self.is_rx_closed:
            with pytest.raises(Closed) as closed:
                self.tx.send(item)
            assert closed.value.item == item
        else:
            self.tx.send(item)
            self.is_sent, self.value = True, item

    @precondition(lambda self: self.receiving is None and self.closing is None)
    @rule()
    def begin_anew(self) -> None:
        """End this channel and make another."""
        self.now(self.tx.close, self.rx.close, self.make)

    @rule(item=st.integers())
    def send(self, item: int) -> None:
        """Send a value."""
        self.now(lambda: self.note_send(item))
        self.advance()

    @precondition(lambda self: self.receiving is None)
    @rule()
    def receive(self) -> None:
        """Wait for the value."""
        self.receiving = self.act(self.rx.recv())
        self.advance()

    @precondition(lambda self: self.receiving is None)
    @rule()
    def try_receive(self) -> None:
        """Take the value if it is there."""
        try:
            value = self.rx.try_recv()
        except Empty:
            assert not self.is_known
        except Closed:
            assert self.is_known
            assert self.value is None
            self.is_taken = True
        else:
            assert value == self.value
            self.value, self.is_taken = None, True

    @precondition(lambda self: self.closing is None)
    @rule()
    def wait_until_closed(self) -> None:
        """Wait until nobody receives."""
        self.closing = self.act(self.tx.closed())
        self.advance()

    @precondition(lambda self: self.receiving is not None)
    @rule(item=st.integers(), swap=st.booleans(), closes=st.booleans())
    def cancel_in_the_turn_of_the_end(
        self, item: int, *, swap: bool, closes: bool
    ) -> None:
        """Cancel, and send or close, in each order: what was sent stays."""
        task = self.receiving
        assert task is not None

        def end() -> None:
            if closes:
                self.tx.close()
                self.is_tx_closed = not self.is_sent
            else:
                self.note_send(item)

        self.now(*((task.cancel, end) if swap else (end, task.cancel)))
        assert task.cancelled()
        self.receiving = None
        self.advance()

    @precondition(lambda self: self.receiving or self.closing)
    @rule()
    def cancel(self) -> None:
        """Cancel all who wait."""
        for task in (self.receiving, self.closing):
            if task is not None:
                task.cancel()
                self.settle()
                assert task.cancelled()
        self.receiving = self.closing = None

    @rule()
    def close_the_sender(self) -> None:
        """Close without sending, or after it, which changes nothing."""
        self.now(self.tx.close)
        self.is_tx_closed = self.is_tx_closed or not self.is_sent
        self.advance()

    @rule(often=st.integers(0, 3))
    def close_the_receiver(self, often: int) -> None:
        """Close the other side; what was sent before can still be taken."""
        if often:
            return
        self.now(self.rx.close)
        self.is_rx_closed = True
        self.advance()

    @invariant()
    def those_who_wait_have_reason_to(self) -> None:
        """Nobody waits for what is there."""
        if hasattr(self, "rx"):
            assert self.receiving is None or not self.receiving.done()
            assert self.closing is None or not self.closing.done()
            assert self.rx.is_empty == (self.value is None)
            assert self.rx.is_terminated == self.is_taken

    def finish(self) -> None:
        """End all."""
        if hasattr(self, "rx"):
            self.cancel()
            self.now(self.tx.close, self.rx.close)


TestOneshotModel = OneshotMachine.TestCase
TestOneshotModel.settings = SETTINGS
