"""A watch channel against a simple model, with random operations."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sumida.channels import watch
from sumida.errors import Closed
from tests.core.machine import SETTINGS, Machine


@dataclass(eq=False)
class Watcher:
    """A receiver, the version it has seen, and the task that waits with it."""

    rx: watch.Receiver[list[int]]
    seen: int
    task: asyncio.Task[object] | None = None


class WatchMachine(Machine):
    """Senders, receivers and one who waits until there is none."""

    def make(self) -> None:
        """Make the channel."""
        tx, rx = watch.channel([0])
        self.senders = [tx]
        self.value, self.version = [0], 0
        self.watchers = [Watcher(rx, 0)]
        self.closing: asyncio.Task[object] | None = None

    def changed(self, value: list[int]) -> None:
        """Note a new value, and check who was told."""
        self.value = value
        self.version += 1
        self.advance()

    def advance(self) -> None:
        """Check that those who need not wait have gone on."""
        for watcher in self.watchers:
            if watcher.task is not None:
                if watcher.seen != self.version:
                    assert watcher.task.result() is None
                    watcher.seen, watcher.task = self.version, None
                elif not self.senders:
                    assert isinstance(watcher.task.exception(), Closed)
                    watcher.task = None
        if self.closing is not None and not self.watchers:
            assert self.closing.result() is None
            self.closing = None

    @precondition(lambda self: self.senders)
    @rule(value=st.integers(0, 9))
    def send(self, value: int) -> None:
        """Set a value, if anybody watches."""
        tx = self.senders[-1]
        if not self.watchers:
            with pytest.raises(Closed) as refused:
                tx.send([value])
            assert refused.value.item == [value]
            return
        self.now(lambda: tx.send([value]))
        self.changed([value])

    @precondition(lambda self: self.senders)
    @rule(value=st.integers(0, 9))
    def send_replace(self, value: int) -> None:
        """Set a value in any case, and get the one before."""
        before: list[list[int]] = []
        self.now(lambda: before.append(self.senders[0].send_replace([value])))
        assert before == [self.value]
        self.changed([value])

    @precondition(lambda self: self.senders)
    @rule(value=st.integers(0, 9), tells=st.booleans(), fails=st.booleans())
    def send_if_modified(self, value: int, *, tells: bool, fails: bool) -> None:
        """Change in place: only what is told of, by one that ends well, counts."""

        def modify(held: list[int]) -> bool:
            held.append(value)
            if fails:
                raise ZeroDivisionError
            return tells

        def send() -> None:
            if fails:
                with pytest.raises(ZeroDivisionError):
                    self.senders[0].send_if_modified(modify)
            else:
                assert self.senders[0].send_if_modified(modify) == tells

        self.now(send)
        if tells and not fails:
            self.changed([*self.value, value])

    @precondition(lambda self: self.watchers)
    @rule(which=st.integers(0, 9))
    def wait(self, which: int) -> None:
        """Wait for a change."""
        watcher = self.watchers[which % len(self.watchers)]
        if watcher.task is None:
            watcher.task = self.act(watcher.rx.changed())
            self.advance()

    @precondition(lambda self: self.watchers)
    @rule(which=st.integers(0, 9), updates=st.booleans())
    def look(self, which: int, *, updates: bool) -> None:
        """Look at the value, as seen or not."""
        watcher = self.watchers[which % len(self.watchers)]
        if updates:
            assert watcher.rx.borrow_and_update() == self.value
            watcher.seen = self.version
        else:
            assert watcher.rx.borrow() == self.value

    @precondition(lambda self: any(watcher.task for watcher in self.watchers))
    @rule(which=st.integers(0, 9), swap=st.booleans(), sends=st.booleans())
    def cancel(self, which: int, *, swap: bool, sends: bool) -> None:
        """Cancel one that waits, in one turn with a change: it has seen nothing."""
        waiting = [watcher for watcher in self.watchers if watcher.task]
        watcher = waiting[which % len(waiting)]
        task = watcher.task
        assert task is not None
        sends = sends and bool(self.senders)

        def send() -> None:
            if sends:
                self.senders[0].send([7])

        self.now(*((send, task.cancel) if swap else (task.cancel, send)))
        assert task.cancelled()
        watcher.task = None
        if sends:
            self.changed([7])
            assert watcher.seen != self.version

    @precondition(lambda self: self.senders and len(self.watchers) < 4)
    @rule()
    def subscribe(self) -> None:
        """Watch from now on."""
        self.watchers.append(Watcher(self.senders[0].subscribe(), self.version))

    @precondition(lambda self: self.watchers and len(self.watchers) < 4)
    @rule()
    def clone_a_receiver(self) -> None:
        """Make one that has seen the same."""
        first = self.watchers[0]
        self.watchers.append(Watcher(first.rx.clone(), first.seen))

    @precondition(lambda self: self.watchers)
    @rule(which=st.integers(0, 9), often=st.integers(0, 2))
    def close_a_receiver(self, which: int, often: int) -> None:
        """Close one; the task that waits with it is told."""
        if often:
            return
        watcher = self.watchers.pop(which % len(self.watchers))
        self.now(watcher.rx.close, watcher.rx.close)
        if watcher.task is not None:
            assert isinstance(watcher.task.exception(), Closed)
        self.advance()

    @precondition(lambda self: self.senders and len(self.senders) < 3)
    @rule()
    def clone_a_sender(self) -> None:
        """Make another sender."""
        self.senders.append(self.senders[0].clone())

    @precondition(lambda self: self.senders)
    @rule(often=st.integers(0, 2))
    def close_a_sender(self, often: int) -> None:
        """Close one, rarely; after the last the value can still be seen."""
        if often:
            return
        tx = self.senders.pop()
        self.now(tx.close, tx.close)
        self.advance()

    @precondition(lambda self: self.senders and self.closing is None)
    @rule()
    def wait_until_nobody_watches(self) -> None:
        """Wait for the last receiver to go."""
        self.closing = self.act(self.senders[0].closed())
        self.advance()

    @invariant()
    def those_who_wait_have_reason_to(self) -> None:
        """Nobody waits for what is there; what is seen is known."""
        for watcher in getattr(self, "watchers", ()):
            if watcher.task is not None:
                assert not watcher.task.done()
            if self.senders:
                assert watcher.rx.has_changed() == (watcher.seen != self.version)
            else:
                with pytest.raises(Closed):
                    watcher.rx.has_changed()
        if hasattr(self, "senders"):
            assert self.closing is None or not self.closing.done()
            for tx in self.senders:
                assert tx.receiver_count == len(self.watchers)
                assert tx.sender_count == len(self.senders)

    @precondition(lambda self: not self.senders)
    @rule(often=st.integers(0, 3))
    def begin_anew(self, often: int) -> None:
        """Make another channel when this one has ended."""
        if not (often and self.watchers):
            self.finish()
            self.now(self.make)

    def finish(self) -> None:
        """End all."""
        if hasattr(self, "senders"):
            watchers, self.watchers = self.watchers, []
            self.now(*[watcher.rx.close for watcher in watchers])
            for watcher in watchers:
                if watcher.task is not None:
                    assert isinstance(watcher.task.exception(), Closed)
            self.advance()
            self.now(*[tx.close for tx in self.senders])


TestWatchModel = WatchMachine.TestCase
TestWatchModel.settings = SETTINGS
