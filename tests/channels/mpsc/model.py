"""The model of a bounded channel, and the loop on which the real one runs."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Literal

from hypothesis.stateful import (
    RuleBasedStateMachine,
)

from sumida.channels import mpsc
from sumida.errors import Closed, Full
from tests.core.support import of

Kind = Literal["send", "send_many", "reserve", "reserve_many"]


@dataclass(eq=False)
class Waiting:
    """Somebody who waits for places."""

    kind: Kind
    task: asyncio.Task[object]
    places: int
    items: list[int] = field(default_factory=list)


class Model(RuleBasedStateMachine):
    """The channel, and what a simple program says of it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.problems: list[dict[str, object]] = []
        self.loop.set_exception_handler(
            lambda _loop, context: self.problems.append(context)
        )
        self.counter = 0
        self.queue: deque[int] = deque()
        self.waiting: list[Waiting] = []
        self.granted: list[Waiting] = []
        self.permits: list[mpsc.Permit[int] | mpsc.Permits[int]] = []
        self.held = 0
        self.receiving: asyncio.Task[object] | None = None
        self.receive_limit: int | None = None
        self.is_closed = False
        self.capacity: int
        self.rx: mpsc.Receiver[int]
        self.senders: list[mpsc.Sender[int]]
        self.other_tx: mpsc.Sender[int]
        self.other_rx: mpsc.Receiver[int]

    def settle(self) -> None:
        """Run the loop until nobody moves."""

        async def idle() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    def act(self, awaitable: Awaitable[object]) -> asyncio.Task[object]:
        """Start a task and let it go as far as it can."""
        task = self.loop.create_task(of(awaitable))
        self.settle()
        return task

    def item(self) -> int:
        """Give a new message."""
        self.counter += 1
        return self.counter

    # The model.

    @property
    def free(self) -> int:
        """Places neither queued nor held."""
        return self.capacity - self.held - len(self.queue)

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""
        senders = bool(self.senders) and not self.is_closed
        return not (senders or self.held or self.waiting)

    def advance(self) -> None:
        """Serve those who wait for places, then the receiver, until none can go on."""
        moved = True
        while moved:
            moved = False
            while self.waiting and self.waiting[0].places <= self.free:
                self.grant(self.waiting.pop(0))
                moved = True
            if self.receiving is not None and (self.queue or self.ended):
                self.deliver(self.receiving, self.receive_limit)
                self.receiving = None
                moved = True

    def grant(self, waiting: Waiting) -> None:
        """Check that a waiter was served."""
        assert waiting.task.done(), waiting
        result = waiting.task.result()
        if isinstance(result, (mpsc.Permit, mpsc.Permits)):
            self.permits.append(result)
            self.held += waiting.places
        else:
            self.queue.extend(waiting.items)

    def deliver(self, task: asyncio.Task[object], limit: int | None) -> None:
        """Check that a receiver got what the model says."""
        assert task.done(), task
        if limit is not None:
            expected = [
                self.queue.popleft() for _ in range(min(limit, len(self.queue)))
            ]
            assert task.result() == expected
        elif self.queue:
            assert task.result() == self.queue.popleft()
        else:
            assert isinstance(task.exception(), Closed)

    def ask(self, kind: Kind, task: asyncio.Task[object], items: list[int]) -> None:
        """Note that somebody wants places, or was refused."""
        if self.is_closed:
            error = task.exception()
            assert isinstance(error, Closed)
            assert list(error.unsent) == (items if "send" in kind else [])
            return
        self.waiting.append(Waiting(kind, task, len(items), items))
        self.advance()

    # Within one turn: who was granted has not run yet, and its places are held.

    def give(self) -> None:
        """Grant places to those in line."""
        while self.waiting and self.waiting[0].places <= self.free:
            self.granted.append(self.waiting.pop(0))
            self.held += self.granted[-1].places

    def run_granted(self) -> None:
        """Let those who were granted places use them."""
        while self.granted:
            waiting = self.granted.pop(0)
            self.held -= waiting.places
            self.grant(waiting)

    def take_now(self) -> None:
        """Receive without waiting, if there is something."""
        if self.queue:
            assert self.rx.try_recv() == self.queue.popleft()
            self.give()

    def put_now(self) -> None:
        """Send without waiting, or be refused."""
        item = self.item()
        try:
            self.senders[0].try_send(item)
        except Closed:
            assert self.is_closed
        except Full:
            assert self.waiting or not self.free
        else:
            assert not self.waiting
            assert self.free
            self.queue.append(item)

    async def linger(self) -> None:
        """Let a new sender come to its lingering turn, and no further."""
        item = self.item()
        task = self.loop.create_task(of(self.senders[0].send(item)))
        await asyncio.sleep(0)
        self.run_granted()
        if self.is_closed:
            assert isinstance(task.exception(), Closed)
            return
        self.waiting.append(Waiting("send", task, 1, [item]))
        self.give()
        self.run_granted()

    def strike(self, which: int) -> None:
        """Cancel one that waits or was granted, which has not run since."""
        everybody = self.granted + self.waiting
        chosen = everybody[which % len(everybody)]
        chosen.task.cancel()
        if chosen in self.granted:
            self.granted.remove(chosen)
            self.held -= chosen.places
        else:
            self.waiting.remove(chosen)
