"""A value that is set once: by the first that needs it, or by whoever has it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, final

from sumida._core.waiters import WaiterQueue
from sumida.errors import AlreadyInitialized, Closed
from sumida.operation import PENDING, Operation, Pending, QueuedOperation
from sumida.sync.semaphore import Semaphore

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ("OnceCell", "SetOnce")


@final
class _Unset:
    """Stands where no value is: any object may be one."""

    __slots__ = ()


_UNSET: Final = _Unset()


@final
class OnceCell(Generic[T]):
    """A value that is made by the first that asks for it.

    For what is dear to make and shared by all: a connection, a configuration. An
    initialiser that asks for the same cell waits for itself for ever.

    Source:
        `tokio::sync::OnceCell`
    """

    __slots__ = ("_turn", "_value")

    def __init__(self) -> None:
        self._value: T | _Unset = _UNSET
        self._turn = Semaphore(1)

    def __repr__(self) -> str:
        if not isinstance(self._value, _Unset):
            return f"<OnceCell {self._value!r}>"
        return f"<OnceCell {'unset' if self._turn.available_permits else 'being set'}>"

    @property
    def is_initialized(self) -> bool:
        """Whether it has its value."""
        return not isinstance(self._value, _Unset)

    def get(self) -> T | None:
        """Give the value, if it is there.

        Returns:
            The value, or None.
        """
        return None if isinstance(self._value, _Unset) else self._value

    def set(self, value: T) -> None:
        """Give the cell its value.

        Args:
            value: Any object.

        Raises:
            AlreadyInitialized: It has one, or is being given one; `error.value` gives
                this one back.
        """
        if self.is_initialized:
            raise AlreadyInitialized("the cell has its value already", value)
        if not self._turn.available_permits:
            raise AlreadyInitialized("the cell is being initialized", value)
        self._value = value

    async def get_or_init(self, make: Callable[[], Awaitable[T]]) -> T:
        """Give the value, making it first if nobody has.

        Args:
            make: An async function. Only one runs at a time; if it raises or is
                cancelled, the next caller's own is tried.

        Returns:
            The value.

        Cancel safety:
            Safe: the cell stays without a value, and the next caller makes it.
        """
        while isinstance(self._value, _Unset):
            turn = self._turn
            try:
                permit = await turn.acquire()
            except Closed:
                # Another has made it meanwhile.
                continue
            with permit:
                if self.is_initialized:
                    # Set by hand, while this one yielded to the others.
                    continue
                self._value = await make()
                # All who wait go on at once, not one in each turn of the loop.
                turn.close()
                self._turn = Semaphore(1)
        return self._value

    def take(self) -> T | None:
        """Empty the cell, so that it can be set again.

        Returns:
            The value it had, or None.
        """
        value, self._value = self._value, _UNSET
        return None if isinstance(value, _Unset) else value


@final
class SetOnce(Generic[T]):
    """A value that somebody sets, and that any number of tasks wait for.

    Source:
        `tokio::sync::SetOnce`
    """

    __slots__ = ("_value", "_waiters")

    def __init__(self) -> None:
        self._value: T | _Unset = _UNSET
        self._waiters = WaiterQueue()

    def __repr__(self) -> str:
        if not isinstance(self._value, _Unset):
            return f"<SetOnce {self._value!r}>"
        return f"<SetOnce unset, {len(self._waiters)} waiting>"

    @property
    def is_initialized(self) -> bool:
        """Whether it has its value."""
        return not isinstance(self._value, _Unset)

    def get(self) -> T | None:
        """Give the value, if it is there.

        Returns:
            The value, or None.
        """
        return None if isinstance(self._value, _Unset) else self._value

    def set(self, value: T) -> None:
        """Set the value and wake all who wait for it.

        Args:
            value: Any object.

        Raises:
            AlreadyInitialized: It is set; `error.value` gives this one back.
            WrongLoopError: Tasks of another loop wait; nothing is changed.
        """
        if self.is_initialized:
            raise AlreadyInitialized("the value is set already", value)
        self._waiters.check_loop()
        self._value = value
        self._waiters.wake_all()

    def wait(self) -> Operation[T]:
        """Wait until it is set.

        Returns:
            An operation that gives the value; it stays done.

        Cancel safety:
            Safe.
        """
        return _WaitSet(self, self._waiters)


@final
class _WaitSet(QueuedOperation[T], Generic[T]):
    """Wait until a value is set."""

    __slots__ = ("_cell",)

    def __init__(self, cell: SetOnce[T], waiters: WaiterQueue) -> None:
        QueuedOperation.__init__(self, waiters)
        self._cell = cell

    def __repr__(self) -> str:
        return f"<wait of {self._cell!r}>"

    def poll(self) -> T | Literal[Pending.PENDING]:
        """Give the value if it is set; see `Operation.poll`."""
        value = self._cell._value
        if isinstance(value, _Unset):
            return PENDING
        self.forget_place()
        return value
