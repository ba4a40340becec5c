"""Ask many tasks to stop: a token they watch, and a tree of them.

A token is a request, not an exception: nothing is interrupted by it. A task looks at
`is_cancelled`, or waits for `cancelled()` in a `select`, and stops where it can.
"""

import asyncio
from asyncio import Future, get_running_loop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Coroutine
from inspect import iscoroutine
from types import TracebackType
from typing import Literal, Self, TypeVar, final
from weakref import WeakSet

from sumida._core.finalize import finalize
from sumida._core.settle import cancel_and_wait
from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Operation, Pending, QueuedOperation, Source

__all__ = ("CancellationToken", "DropGuard")

T = TypeVar("T")


@final
class CancellationToken(Source[None]):
    """A request to stop, seen by whoever has the token.

    Cancelling a token cancels its children, and theirs, not its parent. In Rust it is
    cloned to be shared; here the object itself is. Not thread-safe: from a thread use
    `loop.call_soon_threadsafe(token.cancel)`.

    Source:
        `tokio_util::sync::CancellationToken`
    """

    __slots__ = (
        "__weakref__",
        "_children",
        "_is_cancelled",
        "_parent",
        "_reason",
        "_waiters",
    )

    def __init__(self) -> None:
        self._is_cancelled = False
        self._reason: str | None = None
        self._waiters = WaiterQueue(in_order=False)
        # A parent does not keep its children: a server may make one for each of a
        # million requests. A child keeps its parent, so that the chain holds.
        self._parent: CancellationToken | None = None
        self._children: WeakSet[CancellationToken] | None = None

    def __repr__(self) -> str:
        if not self._is_cancelled:
            return f"<CancellationToken {len(self._waiters)} waiting>"
        reason = f": {self._reason}" if self._reason else ""
        return f"<CancellationToken cancelled{reason}>"

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled; it stays so."""
        return self._is_cancelled

    @property
    def reason(self) -> str | None:
        """What `cancel` was told, or None."""
        return self._reason

    def cancel(self, reason: str | None = None) -> None:
        """Ask everybody to stop; the second time does nothing.

        Args:
            reason: Why, for those who ask.

        Raises:
            WrongLoopError: Somebody waits on another loop; nothing is cancelled.
        """
        if self._is_cancelled:
            return
        # By a list, not by recursion: a tree may be deep.
        family = [self]
        for token in family:
            token._waiters.check_loop()
            if token._children is not None:
                family += [child for child in token._children if not child.is_cancelled]
        for token in family:
            token._is_cancelled = True
            token._reason = reason
            token._children = None
            token._parent = None
        for token in family:
            token._waiters.wake_all()

    def cancelled(self) -> Operation[None]:
        """Wait until the token is cancelled.

        Returns:
            An operation; it stays done.

        Cancel safety:
            Safe.
        """
        return _Cancelled(self, self._waiters)

    def operation(self) -> Operation[None]:
        """Give `cancelled()`, so that `select` takes the token itself."""
        return _Cancelled(self, self._waiters)

    def child_token(self) -> "CancellationToken":
        """Make a token that is cancelled with this one, or alone.

        Returns:
            The child; cancelled at once if this one is.
        """
        child = CancellationToken()
        if self._is_cancelled:
            child._is_cancelled = True
            child._reason = self._reason
            return child
        child._parent = self
        if self._children is None:
            self._children = WeakSet()
        self._children.add(child)
        return child

    def drop_guard(self) -> "DropGuard":
        """Make a guard that cancels the token when its block is left, however.

        Returns:
            A context manager.
        """
        return DropGuard(self)

    async def run_until_cancelled(
        self, coroutine: Coroutine[object, object, T]
    ) -> T | None:
        """Run a coroutine until it ends, or the token is cancelled.

        Args:
            coroutine: Run as a task; it is not started if the token is cancelled
                already.

        Returns:
            The coroutine's result, also if the token is cancelled in the same moment;
            None if it was cancelled first. The task has ended then.

        Raises:
            TypeError: `coroutine` is none.
            WrongLoopError: Tasks of another loop wait for the token.

        Cancel safety:
            Safe if the coroutine is: it is cancelled with the caller, and awaited.
        """
        if not iscoroutine(coroutine):
            raise TypeError(f"run_until_cancelled takes a coroutine, not {coroutine!r}")
        if self._is_cancelled:
            coroutine.close()
            return None
        loop = get_running_loop()
        task: asyncio.Task[T] = loop.create_task(coroutine)
        operation = self.cancelled()
        future: Future[object] = loop.create_future()

        def wake(_task: object) -> None:
            if not future.done():
                future.set_result(None)

        try:
            # An eager one may have ended, or cancelled the token itself.
            if not task.done() and operation.poll() is PENDING:
                operation.arm(future)
                task.add_done_callback(wake)
                await future
        except BaseException:
            # Cancelled; or the token is another loop's.
            await cancel_and_wait([task])
            raise
        finally:
            operation.disarm()
        if task.done():
            return task.result()
        await cancel_and_wait([task])
        return None


@final
class _Cancelled(QueuedOperation[None]):
    """Wait until a token is cancelled."""

    __slots__ = ("_token",)

    def __init__(self, token: CancellationToken, waiters: WaiterQueue) -> None:
        self._waiters = waiters
        self._waiter = None
        self._token = token

    def __repr__(self) -> str:
        return f"<cancelled() of {self._token!r}>"

    def poll(self) -> Literal[Pending.PENDING] | None:
        """See whether it is; see `Operation.poll`."""
        if not self._token.is_cancelled:
            return PENDING
        self.forget_place()
        return None


@final
class DropGuard:
    """Cancels a token when its block is left; made by `drop_guard`.

    Source:
        `tokio_util::sync::DropGuard`
    """

    __slots__ = ("_home", "_token")

    def __init__(self, token: CancellationToken) -> None:
        self._token: CancellationToken | None = token
        # Where it is done if it is collected, and nobody waits for the token itself:
        # somebody may for a child.
        self._home = WaiterQueue()
        self._home.loop = running_loop()

    def __repr__(self) -> str:
        return f"<DropGuard {'disarmed' if self._token is None else self._token!r}>"

    def disarm(self) -> CancellationToken | None:
        """Let the token live.

        Returns:
            The token; None the second time.
        """
        token, self._token = self._token, None
        return token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        token = self.disarm()
        if token is not None:
            token.cancel("its guard was left")

    def __del__(self) -> None:
        token = self.disarm()
        if token is not None and not token.is_cancelled:
            finalize(
                token._waiters,
                lambda: token.cancel("its guard was collected"),
                self._home,
            )
