"""How a thread does what a task would await: one way across, for every primitive.

A thread hands an operation to the loop and sleeps until it is done there. The loop
is woken once for all that threads have handed over since it last looked.
"""

import threading
from asyncio import AbstractEventLoop, Future
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections import deque
from typing import Generic, TypeVar, cast, final
from weakref import WeakKeyDictionary

from sumida.errors import Closed, MisuseError
from sumida.operation import PENDING, Operation

__all__ = ("blocking",)

T = TypeVar("T")

# How often a sleeping thread looks whether its loop is still there, in seconds.
_LOOK_INTERVAL = 1.0


@final
class _Call(Generic[T]):
    """One operation on its way through the loop."""

    __slots__ = ("done", "error", "loop", "operation", "result")

    def __init__(self, operation: Operation[T], loop: AbstractEventLoop) -> None:
        self.operation = operation
        self.loop = loop
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def step(self, future: Future[object] | None = None) -> None:
        """Try the operation on the loop, and wait there if it has to."""
        if self.done.is_set():
            return
        try:
            result = self.operation.poll()
            if result is PENDING:
                if future is not None:
                    self.operation.disarm()
                again = self.loop.create_future()
                self.operation.arm(again)
                again.add_done_callback(self.step)
                return
            self.result = result
        except BaseException as error:  # noqa: BLE001  # raised again in the thread
            if future is not None:
                self.operation.disarm()
            self.error = error
        self.done.set()

    def give_up(self) -> None:
        """Stop waiting on the loop: the thread was interrupted."""
        if not self.done.is_set():
            self.operation.disarm()
            self.done.set()


@final
class _Inbox:
    """What threads have handed to one loop and it has not looked at."""

    __slots__ = ("calls", "is_woken", "lock")

    def __init__(self) -> None:
        self.calls: deque[_Call[object]] = deque()
        self.is_woken = False
        self.lock = threading.Lock()

    def put(self, call: _Call[object]) -> None:
        """Hand `call` over, and wake the loop unless that is on its way."""
        with self.lock:
            self.calls.append(call)
            if self.is_woken:
                return
            self.is_woken = True
        call.loop.call_soon_threadsafe(self.drain)

    def drain(self) -> None:
        """Start all that was handed over; on the loop."""
        with self.lock:
            self.is_woken = False
            calls = list(self.calls)
            self.calls.clear()
        for call in calls:
            call.step()


_inboxes: WeakKeyDictionary[AbstractEventLoop, _Inbox] = WeakKeyDictionary()
_inboxes_lock = threading.Lock()


def blocking(operation: Operation[T], loop: AbstractEventLoop | None, name: str) -> T:
    """Do `operation` on `loop` and block the calling thread until it is done.

    Args:
        operation: What a task would await.
        loop: The loop of the object; None when it has none yet.
        name: The public method, for the message of an error.

    Returns:
        The operation's result.

    Raises:
        MisuseError: Called on the thread of a running loop, or with no loop known.
        Closed: The loop was closed meanwhile.
    """
    if running_loop() is not None:
        raise MisuseError(
            f"{name} was called on the thread of an event loop, which it would block",
            f"await {name.replace('blocking_', '')} there",
        )
    if loop is None:
        raise MisuseError(
            f"{name} does not know the event loop of this object yet",
            "make the object inside the loop, not before it",
        )
    with _inboxes_lock:
        inbox = _inboxes.setdefault(loop, _Inbox())
    call = _Call(operation, loop)
    try:
        inbox.put(cast("_Call[object]", call))
        while not call.done.wait(_LOOK_INTERVAL):
            if loop.is_closed() and not call.done.is_set():
                raise Closed("event loop")  # noqa: TRY301  # not a RuntimeError
    except RuntimeError:
        if not loop.is_closed():
            raise
        raise Closed("event loop") from None
    except BaseException:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call.give_up)
        raise
    if call.error is not None:
        raise call.error
    return cast("T", call.result)
