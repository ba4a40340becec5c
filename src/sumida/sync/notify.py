"""Wake a task that waits for something to have happened.

A `Notify` carries no value: it says "look again". It is what other primitives are
made of; for a value use a channel, for a count a `Semaphore`.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from typing import Final, Literal, final

from sumida._core.finalize import finalize
from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Operation, Pending, QueuedOperation, Source

__all__ = ("Notified", "Notify")

_ONE: Final = 1
_LAST: Final = 2


@final
class Notify(Source[None]):
    """Wakes one waiter, or all; a wake-up that nobody waits for is kept, once.

    Source:
        `tokio::sync::Notify`
    """

    __slots__ = ("_generation", "_has_permit", "_waiters")

    def __init__(self) -> None:
        self._has_permit = False
        # How often all were woken: a `Notified` made before sees that it was.
        self._generation = 0
        self._waiters = WaiterQueue()

    def __repr__(self) -> str:
        permit = ", one stored" if self._has_permit else ""
        return f"<Notify {len(self._waiters)} waiting{permit}>"

    def notified(self) -> "Notified":
        """Wait for a notification.

        Returns:
            An operation. A `notify_waiters` counts from this call on, a `notify_one`
            from the moment it is awaited or enabled.

        Cancel safety:
            Safe: a notification that was on its way goes to another waiter, or is
            kept; the place is lost.
        """
        return Notified(self, self._waiters)

    def operation(self) -> Operation[None]:
        """Give `notified()`, so that `select.loop` takes this itself."""
        return Notified(self, self._waiters)

    def notify_one(self) -> None:
        """Wake the one that waits longest; keep the notification if nobody waits.

        At most one is kept.

        Raises:
            WrongLoopError: Tasks of another loop wait; nothing is changed.
        """
        if not self._waiters.serve_first():
            self._has_permit = True

    def notify_last(self) -> None:
        """Wake the one that came last; keep the notification if nobody waits.

        Raises:
            WrongLoopError: Tasks of another loop wait; nothing is changed.
        """
        waiters = self._waiters
        waiters.check_loop()
        waiter = waiters.last()
        if waiter is None:
            self._has_permit = True
            return
        # Remembered, so that it goes to the last again if this one is cancelled.
        waiter.granted = _LAST
        waiters.wake(waiter)

    def notify_waiters(self) -> None:
        """Wake all who wait now, or hold a `notified()` made before; keep nothing.

        Raises:
            WrongLoopError: Tasks of another loop wait; nothing is changed.
        """
        self._waiters.check_loop()
        self._generation += 1
        self._waiters.wake_all()

    def _pass_on(self, granted: int) -> None:
        if granted == _LAST:
            self.notify_last()
        else:
            self.notify_one()


@final
class _Enabled:
    """Stands for the future of a wait that was enabled and is not awaited yet.

    Who is woken is taken out of the line, and that is all there is to see of it.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop

    def get_loop(self) -> AbstractEventLoop:
        """Give the loop, as a future does."""
        return self._loop

    def done(self) -> bool:
        """Tell that it was not notified: while it is in line it was not."""
        return False

    def set_result(self, _result: object) -> None:
        """Wake nobody."""


@final
class Notified(QueuedOperation[None]):
    """The wait for a notification; made by `Notify.notified`.

    Awaited again after it was done, it waits for the next one. (In Tokio it stays
    done, because there it cannot be used in a loop.)

    Source:
        `tokio::sync::futures::Notified`
    """

    __slots__ = ("_generation", "_is_enabled", "_notify")

    def __init__(self, notify: Notify, waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._notify = notify
        self._generation = notify._generation
        self._is_enabled = False

    def __repr__(self) -> str:
        state = "waiting" if self.is_armed else "idle"
        return f"<Notified {state} of {self._notify!r}>"

    def enable(self) -> bool:
        """Join those who wait without waiting: a `notify_one` counts from now on.

        Returns:
            Whether it is notified already; awaiting it then does not wait.

        Raises:
            BusyError: A task waits with it.
        """
        notify = self._notify
        if notify._generation != self._generation:
            return True
        waiter = self._waiter
        if waiter is not None and waiter.granted:
            return True
        self.arm(_Enabled(get_running_loop()))  # type: ignore[arg-type]  # all that a queue asks of a future
        self._is_enabled = True
        if notify._has_permit:
            notify._has_permit = False
            notify._waiters.serve_first()
            return True
        return False

    def poll(self) -> Literal[Pending.PENDING] | None:
        """Take a notification if there is one; see `Operation.poll`."""
        notify = self._notify
        if notify._generation != self._generation:
            # Woken with all others; what was meant for one goes to one.
            self._generation = notify._generation
            self._is_enabled = False
            self.forget_place()
            return None
        if self.take_grant():
            self._is_enabled = False
            return None
        if notify._has_permit:
            notify._has_permit = False
            self._is_enabled = False
            self.forget_place()
            return None
        return PENDING

    def arm(self, future: Future[object]) -> object:
        """Join those who wait; see `Operation.arm`."""
        if self._is_enabled and self._waiter is not None:
            # It keeps the place that it has had since.
            self._is_enabled = False
            self._waiters.leave(self._waiter)
        return QueuedOperation.arm(self, future)

    def give_back(self, granted: int) -> None:
        """Pass the notification on."""
        self._notify._pass_on(granted)

    def __del__(self) -> None:
        if self._is_enabled:
            finalize(self._waiters, self.disarm)
