"""The waiting room: the only code that adds, wakes and forgets a waiter.

A primitive keeps a `WaiterQueue` for each thing that can be waited for. A waiter
joins with a future, is granted what it waits for while it sleeps, and takes the
value itself when its task runs again. Nothing travels in the future, so a task that
is cancelled between its wake-up and its next step has lost nothing: its operation
gives the grant back, and the next in line has it in the same tick.

The queue is a doubly linked list, as Tokio's is: joining, waking the first and
leaving from the middle cost the same however many wait, which neither a deque (slow
in the middle) nor a dict (slow at a front that was emptied) can say.

A waiter keeps its ticket when it leaves unserved, and joins again before all who
came later. So an operation that loses a `select` and is passed again keeps its place,
and yet nothing is promised to it while nobody awaits it. Where all are woken at once
there is no such place, and a thousand tasks can select over one token.

Any future will do to be woken by. A task that waits for one thing can also sleep on its
waiter, which is as much of a future as a task asks for: none is made for each wait.
"""

from asyncio import AbstractEventLoop, Future
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from contextvars import Context
from functools import partial
from threading import current_thread
from typing import final

from sumida._core.sleeper import raise_cancelled
from sumida.errors import BusyError, WrongLoopError

__all__ = ("Waiter", "WaiterQueue")


@final
class Waiter:
    """One place in a queue, kept by the operation that waits.

    A task can sleep on it: call `sleep_on`, join the queue with it as its own future,
    and yield it, unless it was served in between.

    Args:
        needed: How many permits make it ready; 1 for anything that is not counted.

    Attributes:
        future: Set to wake the task; itself if that sleeps on it; None while none does.
        granted: Permits assigned so far.
        is_awake: Whether no task sleeps on it any more.
        needed: As above.
        ticket: Its turn; 0 before it first joined.
        callback: What goes on with the task that sleeps on it, in `context`.
        result: Called by the task when it wakes: any function of C, or one that raises.
    """

    __slots__ = (
        *("_asyncio_future_blocking", "_loop", "callback", "context", "result"),
        *("after", "before", "future", "granted", "is_awake", "linked", "needed"),
        "ticket",
    )

    def __init__(self, needed: int = 1) -> None:
        self.future: Future[object] | Waiter | None = None
        self.needed = needed
        self.granted = 0
        self.ticket = 0
        self.linked = False
        self.before: Waiter | None = None
        self.after: Waiter | None = None
        self.is_awake = True
        self.callback: Callable[[object], object] | None = None
        self.context: Context = None  # type: ignore[assignment]  # set with the callback
        self.result: Callable[[], object] = bool
        # The names of these two, too, are the task's.
        self._asyncio_future_blocking = False
        self._loop: AbstractEventLoop = None  # type: ignore[assignment]  # set by `sleep_on`

    def __repr__(self) -> str:
        state = "linked" if self.linked else "apart"
        return f"<Waiter #{self.ticket} {self.granted}/{self.needed} {state}>"

    def sleep_on(self, loop: AbstractEventLoop) -> None:
        """Prepare it to be yielded by a task of `loop`."""
        self._loop = loop
        self._asyncio_future_blocking = True
        self.is_awake = False

    # What the task calls.

    def add_done_callback(
        self, callback: Callable[[object], object], *, context: Context
    ) -> None:
        """Keep what goes on with the task."""
        self.callback = callback
        self.context = context

    def cancel(self, msg: object = None) -> bool:
        """Let the task be cancelled in the next turn; say whether it still slept."""
        if self.is_awake:
            return False
        self.result = partial(raise_cancelled, self, msg)
        self.set_result(None)
        return True

    # What a queue asks of a future.

    def done(self) -> bool:
        """Tell whether the task was woken."""
        return self.is_awake

    def set_result(self, _result: object) -> None:
        """Let the task go on in the next turn."""
        self.is_awake = True
        callback, self.callback = self.callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self.context)


@final
class WaiterQueue:
    """Waiters in the order of their tickets, first come, first served.

    Args:
        in_order: Whether they are served one by one, so that a place is worth keeping.
            Where all are woken at once it is not: to find it again costs time for each
            who stands before it.
        in_batches: Whether several may be served in one turn, so that one callback of
            the loop for all of them saves more than it costs: a fifth of the time of a
            semaphore on which a hundred tasks wait (asyncio's loop).

    Attributes:
        head: The first in line, or None when nobody waits: the one attribute that
            a fast path may look at.
        loop: The loop of those who wait, or waited last; None before the first.
        spare: A waiter that was served and is nobody's, to be used again.
    """

    __slots__ = (
        *("_context", "_due", "_in_batches", "_in_order", "_tail", "_tickets"),
        *("head", "loop", "spare"),
    )

    def __init__(self, *, in_order: bool = True, in_batches: bool = False) -> None:
        self._in_order = in_order
        self._in_batches = in_batches
        self.head: Waiter | None = None
        self.spare: Waiter | None = None
        self._tail: Waiter | None = None
        self._tickets = 0
        self.loop: AbstractEventLoop | None = None
        # Those who go on in the next turn, by one callback; and its context, which is
        # no task's, for a context cannot be entered twice.
        self._due: list[Waiter] = []
        self._context: Context | None = None

    def __len__(self) -> int:
        count = 0
        waiter = self.head
        while waiter is not None:
            count += 1
            waiter = waiter.after
        return count

    def __repr__(self) -> str:
        return f"<WaiterQueue {len(self)} waiting>"

    def new_waiter(self, needed: int) -> Waiter:
        """Give a waiter that has no place yet.

        Args:
            needed: How many permits make it ready.

        Returns:
            The spare one, or a new one.
        """
        waiter = self.spare
        if waiter is None:
            return Waiter(needed)
        self.spare = None
        waiter.needed = needed
        return waiter

    def join(
        self, waiter: Waiter, future: Future[object] | Waiter, what: object
    ) -> None:
        """Put `waiter` in line, at its old place if it had one.

        Args:
            waiter: A waiter that is in no queue now.
            future: What to set when its turn has come.
            what: What is waited for; its `repr` goes into an error's message.

        Raises:
            BusyError: Another task waits with this waiter already.
            WrongLoopError: Tasks of another event loop wait here.
        """
        if waiter.future is not None:
            raise BusyError(
                f"{what!r} is awaited by two tasks at once",
                "give each task its own operation, or let one task do the waiting",
            )
        loop = waiter._loop if future is waiter else future.get_loop()  # type: ignore[union-attr]  # never another waiter
        if loop is not self.loop:
            if self.head is not None and not self._forget_dead():
                raise WrongLoopError(
                    f"{what!r} is awaited on two event loops at once",
                    "make one per loop, or cross threads with the blocking_ calls",
                )
            self.loop = loop
            if self._in_batches:
                # Those who are due on another loop stay there.
                self._due = []
                self._context = Context()
        waiter.future = future
        waiter.linked = True
        tail = self._tail
        if not waiter.ticket:
            self._tickets = waiter.ticket = self._tickets + 1
        elif tail is not None and tail.ticket > waiter.ticket:
            self._link_in_order(waiter)
            return
        self._tail = waiter
        if tail is None:
            self.head = waiter
        else:
            waiter.before = tail
            tail.after = waiter

    def _link_in_order(self, waiter: Waiter) -> None:
        # Who has waited before is near the front, so the walk is short.
        after = self.head
        while after is not None and after.ticket < waiter.ticket:
            after = after.after
        assert after is not None
        before = after.before
        waiter.before, waiter.after = before, after
        after.before = waiter
        if before is None:
            self.head = waiter
        else:
            before.after = waiter

    def _unlink(self, waiter: Waiter) -> None:
        before, after = waiter.before, waiter.after
        if before is None:
            self.head = after
        else:
            before.after = after
        if after is None:
            self._tail = before
        else:
            after.before = before
        waiter.before = waiter.after = None
        waiter.linked = False

    def leave(self, waiter: Waiter) -> int:
        """Take `waiter` out, served or not; in order it keeps its ticket.

        Set `waiter.ticket` to 0 to leave for good, and be the last next time.

        Args:
            waiter: A waiter that joined this queue, or was woken from it.

        Returns:
            What it had been granted, which the caller must use or give back.
        """
        if waiter.linked:
            self._unlink(waiter)
        if not self._in_order:
            waiter.ticket = 0
        waiter.future = None
        granted = waiter.granted
        waiter.granted = 0
        return granted

    def check_loop(self) -> None:
        """Refuse a caller who is not on the waiters' own loop, if anybody waits.

        Waking a future from elsewhere does not wake its loop: asyncio hangs then,
        in silence. Each method that wakes checks first; a caller that changes
        anything before it wakes has to check before that.

        Raises:
            WrongLoopError: The caller runs on another thread or loop.
        """
        if self.head is not None and running_loop() is not self.loop:
            self._refuse_loop()

    def _forget_dead(self) -> bool:
        """Forget the waiters of a loop that was closed, whose tasks never run again.

        Returns:
            Whether the loop was closed.
        """
        loop = self.loop
        if loop is None or not loop.is_closed():
            return False
        while self.head is not None:
            self._unlink(self.head)
        return True

    def _refuse_loop(self) -> None:
        if not self._forget_dead():
            name = current_thread().name
            raise WrongLoopError(
                f"thread {name!r} uses what tasks of another event loop wait for",
                "from a thread use the blocking_ calls or loop.call_soon_threadsafe",
            )

    def first(self) -> Waiter | None:
        """Give the first who still waits, forgetting those who no longer do.

        A future that is done was cancelled, or woken for another branch of a
        `select`: its task has not run yet, and will leave, or join again at its old
        place, when it does.

        Returns:
            The first waiter, or None.
        """
        waiter = self.head
        while waiter is not None:
            future = waiter.future
            if future is not None and not future.done():
                return waiter
            self._unlink(waiter)
            waiter = self.head
        return None

    def last(self) -> Waiter | None:
        """Give the last who still waits; as `first`.

        Returns:
            The last waiter, or None.
        """
        waiter = self._tail
        while waiter is not None:
            future = waiter.future
            if future is not None and not future.done():
                return waiter
            self._unlink(waiter)
            waiter = self._tail
        return None

    def wake(self, waiter: Waiter) -> None:
        """Wake `waiter` without granting it anything: it will look for itself.

        Args:
            waiter: One that is in this queue, and whose future is not done.
        """
        self._unlink(waiter)
        future = waiter.future
        assert future is not None
        future.set_result(waiter)

    def serve(self, waiter: Waiter) -> None:
        """Wake `waiter`, which has all it needs.

        Args:
            waiter: One that `first` or `last` has just given.
        """
        waiter.granted = waiter.needed
        self.wake(waiter)

    def serve_first(self) -> bool:
        """Serve the first in line.

        Returns:
            Whether there was one.

        Raises:
            WrongLoopError: Called outside the waiters' loop; nothing is changed.
        """
        if self.head is None:
            return False
        if running_loop() is not self.loop:
            self._refuse_loop()
        waiter = self.first()
        if waiter is None:
            return False
        self.serve(waiter)
        return True

    def wake_all(self) -> int:
        """Wake all who wait now, granting nothing: each looks for itself.

        Returns:
            How many there were.

        Raises:
            WrongLoopError: Called outside the waiters' loop; nothing is changed.
        """
        waiter = self.head
        if waiter is None:
            return 0
        if running_loop() is not self.loop:
            self._refuse_loop()
            waiter = self.head
        self.head = self._tail = None
        woken = 0
        while waiter is not None:
            after = waiter.after
            waiter.before = waiter.after = None
            waiter.linked = False
            future = waiter.future
            if future is not None and not future.done():
                future.set_result(waiter)
                woken += 1
            waiter = after
        return woken

    def assign(self, permits: int) -> int:
        """Hand permits to those in line, the first until it has enough.

        Args:
            permits: How many came free.

        Returns:
            How many nobody wanted.

        Raises:
            WrongLoopError: Called outside the waiters' loop; nothing is changed.
        """
        if self.head is not None and running_loop() is not self.loop:
            self._refuse_loop()
        return self.assign_here(permits)

    def assign_here(self, permits: int) -> int:
        """Do as `assign`, for a caller who is known to be on the waiters' loop.

        To ask for the running loop is a system call on CPython 3.11.

        Args:
            permits: How many came free.

        Returns:
            How many nobody wanted.
        """
        while permits:
            waiter = self.head
            if waiter is None:
                return permits
            future = waiter.future
            if future is None or (
                waiter.is_awake if future is waiter else future.done()
            ):
                # What it had been given so far goes to those behind it; it asks
                # again if it comes back.
                self._unlink(waiter)
                permits += waiter.granted
                waiter.granted = 0
                continue
            missing = waiter.needed - waiter.granted
            if permits < missing:
                waiter.granted += permits
                return 0
            permits -= missing
            waiter.granted = waiter.needed
            # As `_unlink`, for the first in line.
            after = self.head = waiter.after
            if after is None:
                self._tail = None
            else:
                after.before = waiter.after = None
            waiter.linked = False
            if future is not waiter:
                future.set_result(waiter)
                continue
            waiter.is_awake = True
            callback = waiter.callback
            # One that is served as it joins does not sleep.
            if callback is not None and self._in_batches:
                due = self._due
                if not due:
                    waiter._loop.call_soon(self._wake_due, due, context=self._context)
                due.append(waiter)
            elif callback is not None:
                waiter.callback = None
                waiter._loop.call_soon(callback, waiter, context=waiter.context)
        return 0

    def _wake_due(self, due: list[Waiter]) -> None:
        """Let those go on who were served in the last turn, in their order."""
        if due is self._due:
            self._due = []
        waiters = iter(due)
        try:
            for waiter in waiters:
                callback, waiter.callback = waiter.callback, None
                if callback is not None:
                    waiter.context.run(callback, waiter)
        finally:
            # One of them has ended the loop; the others go on if it runs again.
            for waiter in waiters:
                waiter.set_result(None)
