"""Errors of channels, locks, tasks and deadlines."""

from typing import final

from sumida.errors.root import SumidaError

__all__ = (
    "AccessError",
    "AlreadyInitialized",
    "AlreadySent",
    "Closed",
    "Elapsed",
    "Empty",
    "Full",
    "Lagged",
    "NoPermits",
    "WorkerDiedError",
    "WouldBlock",
)


@final
class Closed(SumidaError):
    """The other side is gone, or the object was closed: nothing more will come.

    Args:
        what: What is closed, as a reader of the message knows it.
        unsent: What could not be handed over, in order; most often one item.

    Attributes:
        what: As above.
        unsent: As above; empty when the call carried nothing.
        branch: The name or index of the `select` branch that raised it, else None.

    Source:
        `tokio::sync::mpsc::error::SendError`, `RecvError`, `tokio::sync::AcquireError`
    """

    def __init__(self, what: str, *unsent: object) -> None:
        super().__init__(what, *unsent)
        self.what = what
        self.unsent = unsent
        self.branch: int | str | None = None

    @property
    def item(self) -> object:
        """The item that was not sent.

        Raises:
            AttributeError: The call that failed carried no item.
        """
        if not self.unsent:
            message = "this Closed carries no item: nothing was being sent"
            raise AttributeError(message)
        return self.unsent[0]

    def __str__(self) -> str:
        if not self.unsent:
            return f"{self.what} is closed"
        return f"{self.what} is closed; what was not sent is in error.unsent"


@final
class Full(SumidaError):
    """There is no room now, and the call does not wait.

    Args:
        what: What is full.
        capacity: How many items it holds at most.
        unsent: What could not be handed over, in order.

    Attributes:
        what: As above.
        capacity: As above.
        unsent: As above.

    Source:
        `tokio::sync::mpsc::error::TrySendError::Full`
    """

    def __init__(self, what: str, capacity: int, *unsent: object) -> None:
        super().__init__(what, capacity, *unsent)
        self.what = what
        self.capacity = capacity
        self.unsent = unsent

    @property
    def item(self) -> object:
        """The item that was not sent.

        Raises:
            AttributeError: The call that failed carried no item.
        """
        if not self.unsent:
            message = "this Full carries no item: nothing was being sent"
            raise AttributeError(message)
        return self.unsent[0]

    def __str__(self) -> str:
        return (
            f"{self.what} has no room left of {self.capacity}; "
            "use the waiting call, drop the item, or raise the capacity"
        )


@final
class Empty(SumidaError):
    """There is nothing to take now, and the call does not wait.

    Args:
        what: What is empty.

    Attributes:
        what: As above.

    Source:
        `tokio::sync::mpsc::error::TryRecvError::Empty`
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is empty; use the waiting call to wait for an item"


@final
class Lagged(SumidaError):
    """A receiver fell behind a broadcast, and the oldest messages are gone.

    The receiver stays subscribed: its next call gives the oldest message kept.

    Args:
        missed: How many messages it will never see.

    Attributes:
        missed: As above.

    Source:
        `tokio::sync::broadcast::error::RecvError::Lagged`
    """

    def __init__(self, missed: int) -> None:
        super().__init__(missed)
        self.missed = missed

    def __str__(self) -> str:
        return (
            f"receiver lagged and missed {self.missed} messages; it goes on with "
            "the oldest kept: receive faster or raise the channel's capacity"
        )


@final
class AlreadySent(SumidaError):
    """A oneshot channel carries one value, and it was sent before.

    Args:
        item: The second value, which was not sent.

    Attributes:
        item: As above.
    """

    def __init__(self, item: object) -> None:
        super().__init__(item)
        self.item = item

    def __str__(self) -> str:
        return (
            "this oneshot channel has sent its one value; "
            "make one channel per answer, or use mpsc for several"
        )


@final
class NoPermits(SumidaError):
    """A semaphore has too few free permits, and the call does not wait.

    Args:
        wanted: How many permits were asked for.
        available: How many were free.

    Attributes:
        wanted: As above.
        available: As above.

    Source:
        `tokio::sync::TryAcquireError::NoPermits`
    """

    def __init__(self, wanted: int, available: int) -> None:
        super().__init__(wanted, available)
        self.wanted = wanted
        self.available = available

    def __str__(self) -> str:
        return (
            f"{self.wanted} permits wanted, {self.available} available; "
            "use acquire() to wait for them"
        )


@final
class WouldBlock(SumidaError):
    """The lock is held, or promised to a waiter, and the call does not wait.

    Args:
        what: Which lock, and for what.

    Attributes:
        what: As above.

    Source:
        `tokio::sync::TryLockError`
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is held; use the waiting call to wait for it"


@final
class AlreadyInitialized(SumidaError):
    """A cell that is set once has its value, or is being given one.

    Args:
        what: Which cell, and its state.
        value: The value that was not stored.

    Attributes:
        what: As above.
        value: As above.

    Source:
        `tokio::sync::SetError`
    """

    def __init__(self, what: str, value: object) -> None:
        super().__init__(what, value)
        self.what = what
        self.value = value

    def __str__(self) -> str:
        return f"{self.what}; the value refused is in error.value"


@final
class Elapsed(SumidaError, TimeoutError):
    """A deadline passed before the work was done.

    Args:
        after: How long the block ran before it was ended, in seconds.
        what: What was being waited for.

    Attributes:
        after: As above.
        what: As above.

    Source:
        `tokio::time::error::Elapsed`
    """

    def __init__(self, after: float, what: str) -> None:
        super().__init__(after, what)
        self.after = after
        self.what = what

    def __str__(self) -> str:
        return f"deadline passed after {self.after:g} s, waiting for {self.what}"


@final
class AccessError(SumidaError, LookupError):
    """A task-local was read where no scope has set it.

    Args:
        name: The task-local's name.

    Attributes:
        name: As above.

    Source:
        `tokio::task::AccessError`
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"task-local {self.name!r} is not set here; "
            f"set it with `with {self.name}.scope(value):` or read it with get(default)"
        )


@final
class WorkerDiedError(SumidaError):
    """A worker process ended in the middle of a call.

    Args:
        function: The function it was running.
        exit_code: The process's exit code; negative is the signal that ended it.

    Attributes:
        function: As above.
        exit_code: As above.
    """

    def __init__(self, function: str, exit_code: int | None) -> None:
        super().__init__(function, exit_code)
        self.function = function
        self.exit_code = exit_code

    def __str__(self) -> str:
        return (
            f"the worker process running {self.function} died with exit code "
            f"{self.exit_code}; only this call is lost, the pool replaces the worker"
        )
