"""Values that belong to a task and to what it spawns: the request's id, the user.

A `TaskLocal` is set for a block and gone after it. It is a context variable with a
scope that cannot be left open, and an error where a default would hide a mistake.
"""

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Generic, TypeVar, final, overload

from sumida.errors import AccessError, MisuseError

T = TypeVar("T")
D = TypeVar("D")

__all__ = ("TaskLocal", "TaskLocalScope")


@final
class _Missing:
    __slots__ = ()


_MISSING: Final = _Missing()


@final
class TaskLocalScope(Generic[T]):
    """The block in which a task-local is set; made by `TaskLocal.scope`."""

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value
        self._token: Token[T] | None = None

    def __repr__(self) -> str:
        state = "idle" if self._token is None else "entered"
        return f"<TaskLocalScope {self._variable.name}={self._value!r} {state}>"

    def __enter__(self) -> T:
        if self._token is not None:
            raise MisuseError(
                f"{self!r} is entered a second time", "make a scope for each block"
            )
        self._token = self._variable.set(self._value)
        return self._value

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        token, self._token = self._token, None
        assert token is not None
        try:
            self._variable.reset(token)
        except ValueError:
            raise MisuseError(
                f"{self!r} is left in another task than it was entered in",
                "enter and leave it in one task; do not `yield` inside it",
            ) from exc


@final
class TaskLocal(Generic[T]):
    """A value of its own for each task, seen by the tasks that it spawns.

    Args:
        name: What it is called, for messages.

    Source:
        `tokio::task_local!`
    """

    __slots__ = ("_variable",)

    def __init__(self, name: str) -> None:
        self._variable: ContextVar[T] = ContextVar(name)

    def __repr__(self) -> str:
        value = self._variable.get(_MISSING)
        state = "unset" if value is _MISSING else repr(value)
        return f"<TaskLocal {self.name}: {state}>"

    @property
    def name(self) -> str:
        """What it is called."""
        return self._variable.name

    def scope(self, value: T) -> TaskLocalScope[T]:
        """Set the value for a `with` block, and for the tasks spawned in it.

        Args:
            value: The value.

        Returns:
            A context manager, to be entered once; it gives the value.
        """
        return TaskLocalScope(self._variable, value)

    @overload
    def get(self) -> T: ...

    @overload
    def get(self, default: D) -> T | D: ...

    def get(self, default: object = _MISSING) -> object:
        """Give the value of the innermost scope.

        Args:
            default: What to give outside of any scope; none by default.

        Returns:
            The value.

        Raises:
            AccessError: There is no scope, and no default is given.
        """
        value = self._variable.get(default)
        if value is _MISSING:
            raise AccessError(self.name)
        return value
