"""A bounded channel against a simple model, with random operations.

Each rule does one thing and lets the loop run until nobody moves; then the model says
exactly what was received, who still waits and what was refused.
"""

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

from sumida import operation, select
from sumida.channels import mpsc
from sumida.errors import Closed, Empty, Full
from sumida.runtime import _race
from tests.channels.mpsc.model import Model
from tests.core.support import of


class MpscMachine(Model):
    """The rules, and what holds always."""

    @initialize(capacity=st.integers(1, 4))
    def make(self, capacity: int) -> None:
        """Make the channel."""

        async def build() -> None:
            tx, self.rx = mpsc.channel(capacity)
            self.senders = [tx]
            self.other_tx, self.other_rx = mpsc.channel(1)

        self.capacity = capacity
        # What is counted for the whole process begins the same for each example.
        operation.budget.left = operation.BUDGET
        _race.turns.next = 0
        self.loop.run_until_complete(build())

    @precondition(lambda self: self.senders)
    @rule(which=st.integers(0, 9))
    def send(self, which: int) -> None:
        """Send one message, waiting."""
        item = self.item()
        tx = self.senders[which % len(self.senders)]
        self.ask("send", self.act(tx.send(item)), [item])

    @precondition(lambda self: self.senders)
    @rule(count=st.integers(0, 4))
    def send_many(self, count: int) -> None:
        """Send several messages at once, waiting."""
        items = [self.item() for _ in range(min(count, self.capacity))]
        task = self.act(self.senders[0].send_many(items))
        if not items and not self.is_closed:
            assert task.result() is None
        else:
            self.ask("send_many", task, items)

    @precondition(lambda self: self.senders)
    @rule(which=st.integers(0, 9))
    def try_send(self, which: int) -> None:
        """Send without waiting."""
        item = self.item()

        async def attempt() -> None:
            self.senders[which % len(self.senders)].try_send(item)

        error = self.act(attempt()).exception()
        if self.is_closed:
            assert isinstance(error, Closed)
        elif self.waiting or not self.free:
            assert isinstance(error, Full)
            assert error.item == item
        else:
            assert error is None
            self.queue.append(item)
            self.advance()

    @precondition(lambda self: self.senders)
    @rule()
    def reserve(self) -> None:
        """Reserve one place, waiting."""
        task = self.act(self.senders[-1].reserve())
        self.ask("reserve", task, [0])

    @precondition(lambda self: self.senders)
    @rule(count=st.integers(1, 4))
    def reserve_many(self, count: int) -> None:
        """Reserve several places, waiting."""
        count = min(count, self.capacity)
        task = self.act(self.senders[-1].reserve_many(count))
        self.ask("reserve_many", task, [0] * count)

    @precondition(lambda self: self.permits)
    @rule(which=st.integers(0, 9))
    def use_permit(self, which: int) -> None:
        """Send through a permit."""
        permit = self.permits[which % len(self.permits)]
        item = self.item()

        async def use() -> None:
            permit.send(item)

        self.act(use()).result()
        self.held -= 1
        self.queue.append(item)
        if isinstance(permit, mpsc.Permit) or not len(permit):
            self.permits.remove(permit)
        self.advance()

    @precondition(lambda self: self.permits)
    @rule(which=st.integers(0, 9))
    def release_permit(self, which: int) -> None:
        """Give places back."""
        permit = self.permits.pop(which % len(self.permits))
        places = 1 if isinstance(permit, mpsc.Permit) else len(permit)

        async def release() -> None:
            permit.release()

        self.act(release()).result()
        self.held -= places
        self.advance()

    @precondition(lambda self: self.receiving is None)
    @rule(limit=st.none() | st.integers(0, 5))
    def receive(self, limit: int | None) -> None:
        """Receive one message or several, waiting."""
        task = self.act(self.rx.recv() if limit is None else self.rx.recv_many(limit))
        if limit == 0:
            assert task.result() == []
            return
        self.receiving, self.receive_limit = task, limit
        self.advance()

    @precondition(lambda self: self.receiving is None)
    @rule()
    def try_recv(self) -> None:
        """Receive without waiting."""

        async def attempt() -> int:
            return self.rx.try_recv()

        task = self.act(attempt())
        if self.queue:
            assert task.result() == self.queue.popleft()
            self.advance()
        else:
            assert isinstance(task.exception(), Closed if self.ended else Empty)

    @precondition(lambda self: self.receiving is None)
    @rule(other=st.booleans(), biased=st.booleans())
    def select_between_two(self, *, other: bool, biased: bool) -> None:
        """Receive from two channels by select; the loser keeps its message."""
        if other:
            self.other_tx.try_send(-1)
        elif not (self.queue or self.ended):
            return
        task = self.act(select(mine=self.rx, other=self.other_rx, biased=biased))
        if (error := task.exception()) is not None:
            assert isinstance(error, Closed)
            assert error.branch == "mine"
            assert self.ended
            assert not self.queue
            won = "mine"
        else:
            result = task.result()
            assert isinstance(result, tuple)
            won, value = result
            if won == "mine":
                assert value == self.queue.popleft()
            else:
                assert other
                assert value == -1
            assert won == "mine" or not biased or not (self.queue or self.ended)
        if other and won == "mine":
            assert self.other_rx.try_recv() == -1
        assert self.other_rx.is_empty
        self.advance()

    @precondition(lambda self: self.receiving is None and not self.queue)
    @rule()
    def select_that_waits(self) -> None:
        """Lose a select with the receiver armed: it has taken nothing."""
        if self.ended:
            return
        task = self.act(select(self.rx, self.other_rx, biased=True))
        assert not task.done()
        self.loop.run_until_complete(of(self.other_tx.send(-1)))
        self.settle()
        assert task.result() == (1, -1)

    @precondition(lambda self: self.waiting or self.receiving)
    @rule(which=st.integers(0, 99))
    def cancel_a_waiter(self, which: int) -> None:
        """Cancel anybody who waits."""
        tasks = [waiting.task for waiting in self.waiting]
        if self.receiving is not None:
            tasks.append(self.receiving)
        task = tasks[which % len(tasks)]
        task.cancel()
        self.settle()
        assert task.cancelled()
        if task is self.receiving:
            self.receiving = None
        self.waiting = [other for other in self.waiting if other.task is not task]
        self.advance()

    @rule(
        steps=st.lists(
            st.sampled_from(["send", "reserve", "recv", "use", "release", "try_recv"]),
            min_size=8,
            max_size=30,
        )
    )
    def several(self, steps: list[str]) -> None:
        """Do common things in close order, which single rules come to rarely."""
        for step in steps:
            match step:
                case "send" if self.senders:
                    self.send(0)
                case "reserve" if self.senders and not self.waiting:
                    self.reserve()
                case "recv" if self.receiving is None:
                    self.receive(None)
                case "use" if self.permits:
                    self.use_permit(0)
                case "release" if self.permits:
                    self.release_permit(0)
                case "try_recv" if self.receiving is None:
                    self.try_recv()
                case _:
                    pass
            self.places_add_up()
            self.those_who_wait_have_reason_to()

    @precondition(lambda self: self.receiving is None and self.senders)
    @rule(
        steps=st.lists(st.sampled_from(["send", "try_send", "try_recv"]), max_size=6),
        victim=st.none() | st.integers(0, 9),
        takes=st.integers(0, 3),
    )
    def in_one_turn(self, steps: list[str], victim: int | None, takes: int) -> None:
        """Do several things before those who were served have run.

        A new sender is let come to its lingering turn, and no further. At the end
        somebody who waits, or was served, may be cancelled before it runs.
        """

        async def main() -> None:
            self.rx._chan.spent = 0  # nobody has to yield
            for step in steps:
                if step == "try_recv":
                    self.take_now()
                elif step == "send":
                    await self.linger()
                else:
                    self.put_now()
            if victim is not None and (self.granted or self.waiting):
                self.strike(victim)
            for _ in range(takes):
                self.take_now()

        self.act(main()).result()
        self.run_granted()
        self.advance()

    @precondition(lambda self: self.receiving is None and self.senders)
    @rule(steps=st.lists(st.sampled_from(["send", "reserve", "recv"]), max_size=12))
    def without_waiting(self, steps: list[str]) -> None:
        """Await what is ready, again and again: the paths that look at nothing."""

        async def main() -> None:
            for step in steps:
                if step == "recv":
                    if self.queue:
                        assert await self.rx.recv() == self.queue.popleft()
                elif self.free and not (self.waiting or self.is_closed):
                    if step == "send":
                        self.queue.append(self.item())
                        await self.senders[0].send(self.queue[-1])
                    else:
                        self.permits.append(await self.senders[0].reserve())
                        self.held += 1

        if not self.waiting:
            self.act(main()).result()

    @precondition(lambda self: self.senders and len(self.senders) < 4)
    @rule(weakly=st.booleans())
    def clone(self, *, weakly: bool) -> None:
        """Make another sender, directly or through a weak one."""
        tx = self.senders[0]
        made = tx.downgrade().upgrade() if weakly else tx.clone()
        assert made is not None
        self.senders.append(made)

    @precondition(lambda self: self.senders)
    @rule(which=st.integers(0, 9))
    def close_a_sender(self, which: int) -> None:
        """Close one sender; who waits with it goes on waiting."""
        tx = self.senders.pop(which % len(self.senders))

        async def close() -> None:
            tx.close()
            tx.close()

        self.act(close()).result()
        self.advance()

    @rule(often=st.integers(0, 9))
    def close_the_receiver(self, often: int) -> None:
        """Close the receiving side, rarely: who waits for a place is told."""
        if often:
            return

        async def close() -> None:
            self.rx.close()

        self.act(close()).result()
        self.is_closed = True
        for waiting in self.waiting:
            error = waiting.task.exception()
            assert isinstance(error, Closed)
            assert list(error.unsent) == (
                waiting.items if "send" in waiting.kind else []
            )
        self.waiting.clear()
        self.advance()

    # What holds always.

    @invariant()
    def places_add_up(self) -> None:
        """Queued, held and free places are all there are."""
        if not hasattr(self, "rx"):
            return
        assert len(self.rx) == len(self.queue)
        assert [*self.rx._queue] == [*self.queue]  # the very order
        if self.waiting:
            # The first may have been assigned a part, which is free for nobody.
            assert self.rx.capacity == 0
        else:
            assert self.rx.capacity == self.free
        assert self.rx.sender_strong_count == len(self.senders)

    @invariant()
    def those_who_wait_have_reason_to(self) -> None:
        """Nobody waits while there is room, nor for a message that is there."""
        for waiting in self.waiting:
            assert not waiting.task.done()
        if self.waiting:
            assert self.waiting[0].places > self.free
        if self.receiving is not None:
            assert not self.receiving.done()
            assert not self.queue
            assert not self.ended

    @invariant()
    def nothing_went_wrong_aside(self) -> None:
        """Nothing reached the loop's exception handler."""
        assert not self.problems

    def teardown(self) -> None:
        """End all tasks and close all handles."""

        async def end() -> None:
            tasks = [waiting.task for waiting in self.waiting]
            if self.receiving is not None:
                tasks.append(self.receiving)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            for permit in self.permits:
                permit.release()
            for tx in (*self.senders, self.other_tx):
                tx.close()
            self.rx.close()
            while await self.rx.recv_many(9):
                pass

        if hasattr(self, "rx"):
            self.loop.run_until_complete(end())
            assert self.rx.capacity == self.capacity
        self.loop.close()


TestMpscModel = MpscMachine.TestCase
TestMpscModel.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
