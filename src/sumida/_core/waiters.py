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
"""

from asyncio import AbstractEventLoop, Future
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from typing import final

from sumida.errors import BusyError, WrongLoopError

__all__ = ("Waiter", "WaiterQueue")


@final
class Waiter:
    """One place in a queue, kept by the operation that waits.

    Args:
        needed: How many permits make it ready; 1 for anything that is not counted.

    Attributes:
        future: Set to wake the task; None while nobody waits.
        granted: Permits assigned so far.
        needed: As above.
        ticket: Its turn; 0 before it first joined.
    """

    __slots__ = ("after", "before", "future", "granted", "linked", "needed", "ticket")

    def __init__(self, needed: int = 1) -> None:
        self.future: Future[object] | None = None
        self.needed = needed
        self.granted = 0
        self.ticket = 0
        self.linked = False
        self.before: Waiter | None = None
        self.after: Waiter | None = None

    def __repr__(self) -> str:
        state = "linked" if self.linked else "apart"
        return f"<Waiter #{self.ticket} {self.granted}/{self.needed} {state}>"


@final
class WaiterQueue:
    """Waiters in the order of their tickets, first come, first served.

    Args:
        in_order: Whether they are served one by one, so that a place is worth keeping.
            Where all are woken at once it is not: to find it again costs time for each
            who stands before it.

    Attributes:
        head: The first in line, or None when nobody waits: the one attribute that
            a fast path may look at.
        loop: The loop of those who wait, or waited last; None before the first.
        spare: A waiter that was served and is nobody's, to be used again.
    """

    __slots__ = ("_in_order", "_tail", "_tickets", "head", "loop", "spare")

    def __init__(self, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self.head: Waiter | None = None
        self.spare: Waiter | None = None
        self._tail: Waiter | None = None
        self._tickets = 0
        self.loop: AbstractEventLoop | None = None

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

    def join(self, waiter: Waiter, future: Future[object], what: object) -> None:
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
        loop = future.get_loop()
        if loop is not self.loop:
            if self.head is not None and not self._forget_dead():
                raise WrongLoopError(
                    f"{what!r} is awaited on two event loops at once",
                    "make one per loop, or cross threads with the blocking_ calls",
                )
            self.loop = loop
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
            raise WrongLoopError(
                "this object is used outside the event loop that waits for it",
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
            if future is None or future.done():
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
            future.set_result(waiter)
        return 0
