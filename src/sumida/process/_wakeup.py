"""Wake a loop that sleeps when a signal comes, whichever thread it comes to.

A handler of Python's runs when the main thread next runs Python code. The kernel may
give a signal to another thread, and then a loop that sleeps on the main thread would
sleep on. Against that the interpreter writes a byte for each signal to a descriptor of
ours, which the loop reads. uvloop sets such a descriptor by itself, and so does
asyncio while `add_signal_handler` is used; then there is nothing to do.
"""

import signal
import socket
from asyncio import AbstractEventLoop
from typing import final
from weakref import WeakKeyDictionary

__all__ = ("keep_awake", "let_sleep")

_CHUNK = 4096


@final
class _Wakeup:
    """A descriptor of ours, where nobody else has set one.

    Args:
        loop: The loop to wake.
    """

    __slots__ = ("_loop", "_ours", "_theirs", "count")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.count = 0
        self._ours: socket.socket | None = None
        self._theirs: socket.socket | None = None
        before = signal.set_wakeup_fd(-1)
        if before != -1:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            return
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)  # noqa: FBT003  # the only argument
        self._theirs.setblocking(False)  # noqa: FBT003  # the only argument
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        loop.add_reader(self._ours, self._drain)

    def __repr__(self) -> str:
        return f"<_Wakeup for {self.count} listeners>"

    def _drain(self) -> None:
        # The handlers have run when this does.
        assert self._ours is not None
        self._ours.recv(_CHUNK)

    def close(self) -> None:
        """Take the descriptor back, unless somebody has replaced it."""
        ours, theirs = self._ours, self._theirs
        if ours is None or theirs is None:
            return
        self._ours = self._theirs = None
        current = signal.set_wakeup_fd(-1)
        if current != theirs.fileno():
            signal.set_wakeup_fd(current, warn_on_full_buffer=False)
        if not self._loop.is_closed():
            self._loop.remove_reader(ours)
        ours.close()
        theirs.close()


_wakeups: WeakKeyDictionary[AbstractEventLoop, _Wakeup] = WeakKeyDictionary()


def keep_awake(loop: AbstractEventLoop) -> None:
    """Let every signal wake `loop` from now on; on the main thread.

    Args:
        loop: A loop that runs on the main thread.
    """
    wakeup = _wakeups.get(loop)
    if wakeup is None:
        wakeup = _wakeups[loop] = _Wakeup(loop)
    wakeup.count += 1


def let_sleep(loop: AbstractEventLoop) -> None:
    """Undo one `keep_awake`; on the main thread.

    Args:
        loop: As there.
    """
    wakeup = _wakeups.get(loop)
    if wakeup is None:
        return
    wakeup.count -= 1
    if not wakeup.count:
        del _wakeups[loop]
        wakeup.close()
