"""How a sender and a receiver take turns within one turn of the loop.

A sender that has filled the queue, and a receiver that has emptied it, need nothing of
the loop but that the other runs. Through the loop that is a turn for every queue full:
six Python frames for each of the two tasks, and a system call. A task that awaits a
future-like object hands it what goes on with the task (asyncio's own protocol, by
which `asyncio.isfuture` knows it), so the two can be called in turn from one callback:
half the time of a batch of 64 (CPython 3.11).

Nobody starves: a task goes on within the turn only if there is something for it to do,
and after `ROUNDS`, or `OPERATIONS` of the two, the others run.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, final

from sumida._core.sleeper import raise_cancelled
from sumida.operation import BUDGET

if TYPE_CHECKING:
    from sumida.channels.mpsc._chan import Chan

__all__ = ("ROUNDS", "Relay", "Rest")

ROUNDS: Final = 8
"""How often the two sides go on within one turn.

The turn costs as much as three rounds: after eight there is little left to save, and
the other tasks have waited 50 µs (batches of 64, CPython 3.11).
"""

OPERATIONS: Final = 4 * BUDGET
"""What the two sides may do in one turn, together, before the others run.

Each has waited for the other, and begins a new budget, as a task does that Tokio polls
again. The others wait 150 µs; with half as many operations a message that is received
by `recv_many` would cost 3 % more (a queue of 64, CPython 3.12).
"""


@final
class Rest:
    """Stands for the future of a task that looks again when the other side has run.

    Args:
        relay: Whose side this is.

    Attributes:
        wakeup: What goes on with the task; None while none rests here.
        get_loop: As a future's; the function itself, to save its frame.
        result: As a future's: returns, or raises the cancel.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "context",
        "get_loop",
        "relay",
        "result",
        "wakeup",
    )

    def __init__(self, relay: "Relay") -> None:
        self._asyncio_future_blocking = False
        self.relay = relay
        self.wakeup: Callable[[object], object] | None = None
        self.context = relay.context
        self.get_loop = repeat(relay.loop).__next__
        self.result: Callable[[], object] = bool

    def __repr__(self) -> str:
        return f"<Rest {'empty' if self.wakeup is None else 'taken'}>"

    def add_done_callback(
        self, wakeup: Callable[[object], object], *, context: Context
    ) -> None:
        """Keep what goes on with the task, which calls this itself."""
        self.wakeup = wakeup
        self.context = context
        relay = self.relay
        if not relay.is_due:
            relay.is_due = True
            relay.loop.call_soon(relay.run, context=relay.context)

    def cancel(self, msg: object = None) -> bool:
        """Go on with the task at once, with a cancel; the task calls this itself."""
        wakeup = self.wakeup
        if wakeup is None:
            return False
        self.wakeup = None
        self.result = partial(raise_cancelled, self, msg)
        relay = self.relay
        # The next to rest on this side must not meet this cancel.
        if relay.sender is self:
            relay.sender = Rest(relay)
        else:
            relay.receiver = Rest(relay)
        relay.loop.call_soon(wakeup, self, context=self.context)
        return True


@final
class Relay:
    """Lets the two sides of one channel go on in turn, on one loop.

    Args:
        chan: The channel.
        loop: The running loop.

    Attributes:
        is_due: Whether `run` will be called, or is running.
        sender: Where a sender rests.
        receiver: Where the receiver rests.
    """

    __slots__ = ("_chan", "context", "is_due", "loop", "receiver", "sender")

    def __init__(self, chan: "Chan[Any]", loop: AbstractEventLoop) -> None:
        self._chan = chan
        self.loop = loop
        # Its own: a task's context is entered for that task, and only once.
        self.context = Context()
        self.is_due = False
        self.sender = Rest(self)
        self.receiver = Rest(self)

    @property
    def is_taken(self) -> bool:
        """Whether a task rests on one of its sides."""
        return self.sender.wakeup is not None or self.receiver.wakeup is not None

    def run(self) -> None:
        """Let each that rests look again, and the two go on while they can."""
        chan = self._chan
        chan.spent = chan.taken = 0
        if chan.queue:
            first, second = self.receiver, self.sender
        else:
            first, second = self.sender, self.receiver
        wakeup, later = first.wakeup, second.wakeup
        try:
            if wakeup is not None:
                first.wakeup = None
                first.context.run(wakeup, first)
            # Who has come to rest in this turn looks in the next one.
            if later is not None and second.wakeup is later:
                second.wakeup = None
                second.context.run(later, second)
            left = OPERATIONS
            for _ in range(ROUNDS):
                left -= chan.spent + chan.taken
                if left <= 0:
                    break
                rest = self.sender
                wakeup = rest.wakeup
                if (
                    wakeup is not None
                    and chan.lingerer is not None
                    and chan.capacity - chan.held - len(chan.queue) >= chan.lingering
                ):
                    rest.wakeup = None
                    chan.spent = 0
                    rest.context.run(wakeup, rest)
                rest = self.receiver
                wakeup = rest.wakeup
                if wakeup is None or not chan.queue:
                    break
                rest.wakeup = None
                chan.taken = 0
                rest.context.run(wakeup, rest)
        finally:
            self.is_due = False
            if self.is_taken:
                self.is_due = True
                self.loop.call_soon(self.run, context=self.context)
