"""Watch many descriptors for an event loop, at less than the loop's own price.

For each descriptor that is ready asyncio makes a tuple, looks up a key, queues a handle
and runs it in a context: several microseconds, as much as the system calls. Here the
loop watches one descriptor, an epoll of our own, and what is ready in that is called
directly. Where there is no epoll the loop watches each, as ever.
"""

import contextlib
import select
import sys
from asyncio import AbstractEventLoop
from asyncio.selector_events import BaseSelectorEventLoop
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, final
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from asyncio import Handle

__all__ = (
    "READ",
    "WRITE",
    "EpollPoller",
    "Handler",
    "LoopPoller",
    "Poller",
    "poller_of",
)

READ: Final = 1
WRITE: Final = 4
"""Events to watch for, and those of a callback: `EPOLLIN`, `EPOLLOUT`.

The others (an error, a hang-up) come unasked; a read or a write tells what they are.
"""

_MOST: Final = 256
"""Events taken from the kernel at once."""

_ENOUGH: Final = 128
"""Events after which the loop has its turn, if those it woke have brought new ones."""

Handler: TypeAlias = Callable[[int], object]


class Poller(Protocol):
    """What watches descriptors."""

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` with what `fd` is ready for, in the place of an earlier one.

        Args:
            fd: A descriptor.
            events: `READ`, `WRITE` or both.
            handler: May be called in vain; must not raise but to end the loop.

        Raises:
            OSError: The system has no memory for it.
        """

    def forget(self, fd: int) -> None:
        """Watch a descriptor no longer; it must be done before that is closed."""


@final
class EpollPoller:
    """By an epoll of our own, which the loop watches.

    Args:
        loop: The event loop; it keeps this, until it is closed.
    """

    __slots__ = ("__weakref__", "_epoll", "_handlers", "_ready")

    def __init__(self, loop: BaseSelectorEventLoop) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        # What the loop runs next; its own attribute since asyncio began.
        self._ready: deque[Handle] | None = getattr(loop, "_ready", None)
        # Not in the context of the task that happens to be the first.
        Context().run(loop.add_reader, self._epoll.fileno(), self._run)

    def __repr__(self) -> str:
        return f"<EpollPoller of {len(self._handlers)}>"

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Begin, or change what is watched for; see `Poller.watch`."""
        if fd in self._handlers:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """End it; see `Poller.forget`."""
        if self._handlers.pop(fd, None) is not None:
            # One that was closed by somebody else has left the epoll by itself.
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def _run(self) -> None:
        poll = self._epoll.poll
        find = self._handlers.get
        left = _ENOUGH
        while True:
            events = poll(0, _MOST)
            for fd, mask in events:
                # None: one that was before it has closed this one.
                handler = find(fd)
                if handler is not None:
                    handler(mask)
            left -= len(events)
            # What came meanwhile need not cost a turn of the loop, if nobody else
            # waits for one.
            if self._ready or left <= 0 or not events:
                return


@final
class LoopPoller:
    """By the loop itself.

    Args:
        loop: The event loop.
    """

    __slots__ = ("_loop", "_watched")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<LoopPoller of {len(self._watched)}>"

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Begin, or change what is watched for; see `Poller.watch`."""
        before = self._watched.get(fd, 0)
        self._watched[fd] = events
        if events & READ:
            self._loop.add_reader(fd, handler, READ)
        elif before & READ:
            self._loop.remove_reader(fd)
        if events & WRITE:
            self._loop.add_writer(fd, handler, WRITE)
        elif before & WRITE:
            self._loop.remove_writer(fd)

    def forget(self, fd: int) -> None:
        """End it; see `Poller.forget`."""
        before = self._watched.pop(fd, 0)
        if before & READ:
            self._loop.remove_reader(fd)
        if before & WRITE:
            self._loop.remove_writer(fd)


# The loop itself keeps its poller, and drops it when it is closed.
_pollers: Final[WeakKeyDictionary[AbstractEventLoop, ref[EpollPoller]]] = (
    WeakKeyDictionary()
)


def poller_of(loop: AbstractEventLoop) -> Poller | None:
    """Give what watches descriptors for `loop`.

    Args:
        loop: The running loop.

    Returns:
        The poller; None for a loop whose own transports are quicker, as uvloop's.
    """
    if not isinstance(loop, BaseSelectorEventLoop):
        return None
    if sys.platform != "linux":
        return LoopPoller(loop)
    known = _pollers.get(loop)
    poller = None if known is None else known()
    if poller is None:
        poller = EpollPoller(loop)
        _pollers[loop] = ref(poller)
    return poller
