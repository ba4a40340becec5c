"""Permits that are handed out in order: what a semaphore and a read-write lock are.

As in Tokio, a reader takes one of many permits and a writer takes them all. What is
taken is kept by a holder, which is also the wait for it.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Awaitable, Generator
from types import TracebackType, coroutine
from typing import Final, Generic, Literal, Protocol, Self, TypeVar, cast, final
from weakref import ref

from sumida._core import hooks
from sumida._core.finalize import Net
from sumida._core.home import home_of
from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import Closed, MisuseError, ReleasedError
from sumida.operation import (
    BUDGET,
    DONE_AWAITABLE,
    PENDING,
    Pending,
    QueuedOperation,
    budget,
    refuse_second,
)

__all__ = ("Holder", "Owner", "Permits")

H = TypeVar("H")
P = TypeVar("P", bound="Permits")


class Owner(Protocol):
    """The semaphore or lock itself: it has a spare holder, to be used again.

    A holder that only its owner knows is given out by the next call, so one that has
    permits or a place in the line must be seen when it is dropped, and is no spare.
    """

    def _put_spare(self, holder: object) -> None:
        """Keep a holder that has nothing, for the next call."""

    def _drop_spare(self, holder: object) -> None:
        """Let the spare holder go, if it is this one."""


@final
class _Closed:
    """Stands for the sole holder of what is closed: nobody enters any more."""

    __slots__ = ()


_CLOSED: Final = _Closed()


class Permits:
    """What an owner and its holders share; a holder does not know the owner itself.

    Who enters without waiting is noted as `sole`, and leaves again, with no count
    kept; its permits are taken off when anybody else comes. (A sixth of the time of a
    free lock, CPython 3.11 to 3.13.)

    Args:
        owner: Whose permits they are; it keeps them alive, not they it.
        free: How many there are at first.

    Attributes:
        free: Permits that nobody has but the sole holder.
        is_closed: Whether no more are given.
        owner: The owner, while it lives.
        sole: The holder that entered last, if it is not counted yet.
        waiters: Those who wait; while somebody is in line there are no free permits.
    """

    __slots__ = ("_made_on", "free", "is_closed", "owner", "sole", "waiters")

    def __init__(self, owner: Owner, free: int) -> None:
        self.owner = ref(owner)
        self.free = free
        self.is_closed = False
        self.sole: object = None
        self.waiters = WaiterQueue(in_batches=True)
        self._made_on = running_loop()

    @property
    def home(self) -> AbstractEventLoop | None:
        """The loop on which a thread finds the tasks, if it is known."""
        return home_of(self.waiters.loop, self._made_on)

    @property
    def left(self) -> int:
        """How many nobody has; may be read in any thread."""
        sole, free = self.sole, self.free
        return free - sole._permits if isinstance(sole, Holder) else free

    def settle(self) -> bool:
        """Count the permits of the sole holder.

        Returns:
            Whether there may be more, for it is not closed.
        """
        sole = self.sole
        if isinstance(sole, Holder):
            self.sole = None
            self.free -= sole._permits
            sole._hold = True
        return not self.is_closed

    def close(self) -> None:
        """Give no more; who waits is told.

        Raises:
            WrongLoopError: Tasks of another loop wait.
        """
        self.waiters.check_loop()
        self.settle()
        self.is_closed = True
        self.sole = _CLOSED
        self.waiters.wake_all()

    def give(self, permits: int) -> None:
        """Hand permits to those who wait, and keep what nobody wants."""
        if self.waiters.head is not None:
            permits = self.waiters.assign(permits)
        self.free += permits

    def absorb(self) -> None:
        """Hand what is free to the one who joined those who wait."""
        if self.sole is not None:
            self.settle()
        free, self.free = self.free, 0
        self.free = self.waiters.assign(free)


class Holder(QueuedOperation[H], Generic[H, P]):
    """Permits that are held, or the wait for them; gives itself, which is an `H`."""

    __slots__ = ("_hold", "_kept", "_permits", "_state")

    def __init__(self, state: P, permits: int) -> None:
        self._waiters = state.waiters
        self._waiter = None
        self._state = state
        self._permits = permits
        # None while it is idle, or the sole holder; False while it has a place in line.
        # While it holds them: the net below one that was awaited; the loop on which it
        # was waited for by `async with`; True if it did not have to wait there.
        self._hold: object = None
        # Its waiter, while it does not wait: to be used again.
        self._kept: Waiter | None = None

    def __repr__(self) -> str:
        state = "held" if self.is_held else "waiting" if self.is_armed else "idle"
        return f"<{type(self).__name__} {state} of {self._state!r}>"

    @property
    def needed(self) -> int:
        """How many permits it waits for."""
        return self._permits

    @property
    def is_held(self) -> bool:
        """Whether what was asked for is held."""
        return bool(self._hold) or self._state.sole is self

    def poll(self) -> H | Literal[Pending.PENDING]:
        """Take the permits if there are enough; see `Operation.poll`.

        Returns:
            Itself, holding them, or `PENDING`.

        Raises:
            BusyError: Another task enters with it.
            MisuseError: It holds them already.
            Closed: There will be none.
        """
        state = self._state
        if state.sole is not None:
            state.settle()
        if self._hold:
            raise MisuseError(f"{self!r} is awaited while held", "release it first")
        if state.is_closed:
            raise Closed("semaphore")
        waiter = self._waiter
        if waiter is not None and waiter.future is waiter:
            # The task that entered with it sleeps, and may have been served.
            refuse_second(self)
        if waiter is None or not self.take_grant():
            if self._permits > state.free:
                return PENDING
            state.free -= self._permits
            self.forget_place()
        owner = state.owner()
        if owner is not None:
            owner._drop_spare(self)
        self._hang_net()
        return self  # type: ignore[return-value]  # what `H` stands for

    def _hang_net(self) -> None:
        state, permits = self._state, self._permits
        what = f"a {type(self).__name__}"
        self._hold = Net(what, self._waiters, lambda: state.give(permits))
        if hooks.observer is not None:
            hooks.observer.acquired(state, self)

    def _let_go(self) -> None:
        hold, self._hold = self._hold, None
        if isinstance(hold, Net):
            hold.clear()
        if hooks.observer is not None:
            hooks.observer.released(self._state, self)

    def arm(self, future: Future[object]) -> object:
        """Join those who wait for permits; see `Operation.arm`."""
        waiter = QueuedOperation.arm(self, future)
        self._hold = False
        if self._state.free:
            self._state.absorb()
        return waiter

    def disarm(self) -> None:
        """Leave those who wait for permits; see `Operation.disarm`."""
        QueuedOperation.disarm(self)
        owner = self._state.owner()
        if owner is not None:
            # It keeps its place in the line, for whoever keeps it.
            owner._drop_spare(self)

    def give_back(self, granted: int) -> None:
        """Pass the permits on."""
        self._state.give(granted)

    def release(self) -> None:
        """Give back what is held; does nothing the second time.

        Raises:
            WrongLoopError: Tasks of another loop wait for it.
        """
        state = self._state
        if state.sole is not None:
            state.settle()
        if self._hold:
            state.give(self._permits)
            self._let_go()

    @coroutine
    def __aenter__(self) -> Generator[object, None, H]:
        # The same as to await it, with nothing called that need not be; and no net,
        # for `__aexit__` is sure to come.
        state = self._state
        if (
            (state.sole is not None and not state.settle())
            or self._hold is not None
            or hooks.observer is not None
        ):
            return (yield from self.__await__())
        if self._permits <= state.free:
            left = budget.left - 1
            if left:
                budget.left = left
                state.sole = self
                return self  # type: ignore[return-value]  # what `H` stands for
            # Only who need not wait yields: who must takes its place at once.
            budget.left = BUDGET
            yield None
            return (yield from cast("Generator[object, None, H]", self.__aenter__()))
        waiters = self._waiters
        # To ask for the running loop is a system call on CPython 3.11.
        loop = waiters.loop if waiters.head is not None else None
        if loop is None:
            loop = get_running_loop()
        waiter = self._kept
        if waiter is None:
            waiter = Waiter()
        else:
            self._kept = None
        waiter.needed = self._permits
        self._waiter = waiter
        self._hold = False
        waiter.sleep_on(loop)
        waiters.join(waiter, waiter, self)
        if state.free:
            # Where there are any nobody else is in line.
            waiter.granted, state.free = state.free, 0
        try:
            yield waiter
        except BaseException as error:
            self.disarm()
            if type(error) is RuntimeError and get_running_loop() is not loop:
                # The task refused the waiter: those in line are of another loop.
                return (yield from self.__await__())
            raise
        if self._state.is_closed:
            self.disarm()
            raise Closed("semaphore")
        # Nothing but permits, or the end, wakes one that waits for them.
        assert waiter.granted
        waiter.ticket = waiter.granted = 0
        waiter.future = self._waiter = None
        self._kept = waiter
        self._hold = loop
        return self  # type: ignore[return-value]  # what `H` stands for

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        state = self._state
        if state.sole is self:
            # Nobody has come, so nobody waits for what it has.
            state.sole = None
            return DONE_AWAITABLE
        waiters = self._waiters
        hold = self._hold
        permits = self._permits
        if hold is True:
            if waiters.head is not None:
                permits = waiters.assign(permits)
        elif hold is not None and hold is waiters.loop:
            permits = waiters.assign_here(permits)
        else:
            self.release()
            return DONE_AWAITABLE
        state.free += permits
        self._hold = None
        owner = state.owner()
        if owner is not None:
            # Soon nobody knows of it: the next call of this task takes it.
            owner._put_spare(self)
        return DONE_AWAITABLE

    def __enter__(self) -> Self:
        self._check_held("with")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _check_held(self, what: str) -> None:
        self._state.settle()
        if not self._hold:
            raise ReleasedError(f"{what} of {self!r}", "do so while it is held")
