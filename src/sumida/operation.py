"""What can be awaited alone or raced in a `select`: the operation.

`rx.recv()`, `tx.send(x)`, `token.cancelled()`, `tick.tick()`, `sem.acquire()` and
the like return one. `await` it, or pass it to `sumida.select`: it takes effect once,
when it is done, and not at all when it is cancelled or loses. To make your own,
subclass `Operation` and write its three methods; for an ordinary coroutine there is
no need, `select` takes those too.
"""

import contextlib
import sys
from abc import abstractmethod
from asyncio import Future, get_running_loop
from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from types import coroutine
from typing import Final, Generic, Literal, TypeVar, cast, final

from sumida._core import hooks
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import BusyError

__all__ = (
    "BUDGET",
    "DONE",
    "DONE_AWAITABLE",
    "PENDING",
    "UNSHARED",
    "Operation",
    "Pending",
    "QueuedOperation",
    "Source",
    "budget",
    "park",
    "ready",
    "ready_awaitable",
    "refuse_second",
    "spend",
    "wait_next_turn",
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
class Pending(Enum):
    """The type of `PENDING`, so that type checkers can tell it from a result."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
"""What `Operation.poll` returns when there is nothing to take yet."""

# A task that never has to wait would never let another run: after this many
# operations it yields once. Tokio's number.
BUDGET: Final = 128

# An exhausted iterator, returned by `__await__`, ends the `await` at once with None,
# and no Python frame is made for it: 60 ns less than an empty generator (3.11).
# (It is no generator, but `await` asks for no more than an iterator.)
DONE: Final = cast("Generator[object, None, None]", iter(()))


class _Budget:
    """What is left of the running turn, for all operations that keep no count."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BUDGET


budget: Final = _Budget()


def spend() -> bool:
    """Count one operation.

    Returns:
        Whether the turn is used up, so that the caller has to yield once.
    """
    left = budget.left - 1
    if left:
        budget.left = left
        return False
    budget.left = BUDGET
    return True


class Operation(Generic[T_co]):
    """Something that takes effect exactly once, when it is ready.

    `await` it, or pass it to `select`. It can be awaited again once it is done,
    unless its class says that it is spent, and never by two tasks at the same time.

    A subclass writes `poll`, `arm` and `disarm`. They are called on the loop's
    thread, never wait, and are nobody else's business.
    """

    __slots__ = ()

    @abstractmethod
    def poll(self) -> T_co | Literal[Pending.PENDING]:
        """Try now, and take effect if that is possible.

        Returns:
            The result, with its effect done; or `PENDING`, with nothing changed.
        """
        raise NotImplementedError

    @abstractmethod
    def arm(self, future: Future[object]) -> object:
        """Begin to wait: set `future` when trying again is worth it.

        Called after `poll` gave `PENDING`, with no turn of the loop between.

        Args:
            future: May be shared with other operations: set it only if it is not
                done, and with the token as its result.

        Returns:
            A token for this wait, by which the waker is known.

        Raises:
            BusyError: The operation is armed already.
        """
        raise NotImplementedError

    @abstractmethod
    def disarm(self) -> None:
        """Stop waiting; what was granted meanwhile goes to the next in line.

        Does nothing when not armed, or when `poll` has taken what was granted.
        """
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Tell, after a wake-up, whether `poll` would take effect; change nothing.

        `select` asks before it ends its coroutines for the sake of this branch. To be
        written where a wake-up can be in vain, because somebody else may be quicker.

        Returns:
            Whether it would, as far as can be told; True by default.
        """
        return True

    @property
    def is_terminated(self) -> bool:
        """Whether it has given all that it ever gives: `select.loop` drops it then.

        To be written where an operation gives its result once, and no more.
        """
        return False

    def __await__(self) -> Generator[object, None, T_co]:
        if spend():
            return wait_next_turn(self)
        result = self.poll()
        if result is PENDING:
            return park(self)
        return ready(result)


class QueuedOperation(Operation[T_co]):
    """An operation that waits in one `WaiterQueue`: nearly all of them.

    A subclass writes `poll`, which begins with `take_grant` where something is
    granted, or ends with `forget_place` where the waiter looks for itself; and
    `give_back`, where what was granted goes when the operation is abandoned.

    Args:
        waiters: The queue to wait in.
    """

    __slots__ = ("_waiter", "_waiters")

    def __init__(self, waiters: WaiterQueue) -> None:
        self._waiters = waiters
        self._waiter: Waiter | None = None

    @property
    def needed(self) -> int:
        """How many permits make it ready."""
        return 1

    def give_back(self, granted: int) -> None:
        """Pass on what was granted to an operation that no longer wants it.

        Args:
            granted: How much, at least 1.
        """

    @property
    def is_armed(self) -> bool:
        """Whether a task waits with this operation now."""
        return self._waiter is not None and self._waiter.future is not None

    def take_grant(self) -> bool:
        """Leave the queue if served, with what was granted.

        Returns:
            Whether all that is needed had been granted, and is now the caller's.
        """
        waiter = self._waiter
        if waiter is None or waiter.granted < waiter.needed:
            return False
        # Who was served was taken out of the queue then, and can serve another now.
        waiter.ticket = waiter.granted = 0
        waiter.future = None
        self._waiter = None
        self._waiters.spare = waiter
        return True

    def forget_place(self) -> None:
        """Leave the queue for good, as one that was done without being granted."""
        waiter = self._waiter
        if waiter is not None and waiter.ticket:
            waiter.ticket = 0
            granted = self._waiters.leave(waiter)
            if granted:
                self.give_back(granted)

    def arm(self, future: Future[object]) -> object:
        """Join the queue; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The waiter.

        Raises:
            BusyError: Another task waits with this operation.
            WrongLoopError: Tasks of another event loop wait in the queue.
        """
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = self._waiters.new_waiter(self.needed)
        self._waiters.join(waiter, future, self)
        return waiter

    def disarm(self) -> None:
        """Leave the queue; see `Operation.disarm`."""
        waiter = self._waiter
        if waiter is not None and waiter.future is not None:
            granted = self._waiters.leave(waiter)
            if granted:
                self.give_back(granted)


def park(operation: Operation[T_co]) -> Generator[object, None, T_co]:
    """Wait until `operation` is done.

    This is where a single one waits; `select` waits for several. (The receiver of
    an mpsc channel spells it out for itself, and saves a frame at each step.)

    Args:
        operation: One whose `poll` has just given `PENDING`.

    Returns:
        Its result.
    """
    loop = get_running_loop()
    observer = hooks.observer
    if observer is not None:
        observer.waiting(operation)
    try:
        while True:
            # What `loop.create_future` does, without its Python frame.
            future: Future[object] = Future(loop=loop)
            operation.arm(future)
            try:
                yield from future
                result = operation.poll()
            except BaseException:
                # Cancelled, before the wake-up or after it; or `poll` raised what
                # the wait ended with.
                operation.disarm()
                raise
            if result is not PENDING:
                return result
            operation.disarm()
    finally:
        if observer is not None:
            observer.resumed(operation)


def ready(result: T) -> Generator[object, None, T]:
    """Give `result` to an `await` that need not wait.

    Args:
        result: Any object.

    Returns:
        The same.
    """
    return result
    yield None  # type: ignore[unreachable]  # makes it a generator


@coroutine
def ready_awaitable(result: T) -> Generator[object, None, T]:
    """Do as `ready`, for an `__aenter__` that need not wait.

    Args:
        result: Any object.

    Returns:
        The same.
    """
    # Not made of `ready`: `types.coroutine` changes the very function it is given,
    # and what `__await__` returns must not be a coroutine.
    return result
    yield None  # type: ignore[unreachable]  # makes it a generator


def _nothing() -> Generator[object, None, None]:
    yield from ()


coroutine(_nothing)


def _make_done_awaitable() -> Awaitable[None]:
    generator = _nothing()
    with contextlib.suppress(StopIteration):
        generator.send(None)
    # `coroutine` below has marked it as one that can be awaited.
    return cast("Awaitable[None]", generator)


# An exhausted generator can be awaited again and again, and makes no Python frame.
DONE_AWAITABLE: Final = _make_done_awaitable()
"""What an `__aexit__` that need not wait returns."""


def wait_next_turn(operation: Operation[T_co]) -> Generator[object, None, T_co]:
    """Let the other tasks run once, then try `operation`, and wait until it is done.

    Args:
        operation: What to do.

    Returns:
        Its result.
    """
    yield None
    result = operation.poll()
    if result is PENDING:
        result = yield from park(operation)
    return result


def refuse_second(operation: QueuedOperation[object]) -> None:
    """Refuse to poll an operation with which another task is waiting.

    Args:
        operation: The one that is about to be awaited.

    Raises:
        BusyError: Another task waits with it.
    """
    if operation.is_armed:
        raise BusyError(
            f"{operation!r} is awaited by two tasks at once",
            "give each task its own operation, or let one task do the waiting",
        )


class Source(Generic[T_co]):
    """Something that `select.loop` can ask again and again.

    A receiver, an interval, a token: `operation` gives what to wait for each turn.
    """

    __slots__ = ()

    @abstractmethod
    def operation(self) -> Operation[T_co]:
        """Give the operation to wait for; the same one each time, where it can be.

        Returns:
            An operation that can be awaited again once it is done.
        """
        raise NotImplementedError


class _Probe:
    __slots__ = ("spare",)

    def __init__(self) -> None:
        self.spare: object = WaiterQueue()


def _count_of_unshared(holder: _Probe) -> int:
    # The shape of the methods that reuse a spare operation, so that the interpreter
    # counts its references here as it does there.
    spare = holder.spare
    count = sys.getrefcount(spare)
    if spare is None:
        return -1
    return count


def _unshared_count() -> int:
    # Without a global interpreter lock a count can be stale: never reuse there.
    gil: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return _count_of_unshared(_Probe()) if gil() else -1


UNSHARED: Final = _unshared_count()
"""`sys.getrefcount` of an object that one slot and one local variable hold.

An operation made by each call costs 120 ns. A handle keeps its last one, and gives it
again when this count shows that nobody else can know of it.
"""
