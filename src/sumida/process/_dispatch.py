"""Who is told of which signal: one handler for each, any number of listeners.

A handler of Python's runs on the main thread, between any two of its instructions. So
it only passes on, and what is passed on takes effect in the listener's own place.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, final

from sumida.errors import MisuseError, SignalError

__all__ = ("is_ours", "listen")

Listener = Callable[[int], object]

_FORBIDDEN: Final = {
    signal.SIGKILL: "no program can have it",
    signal.SIGSTOP: "no program can have it",
    signal.SIGSEGV: "the program that returns from it runs into it again",
    signal.SIGILL: "the program that returns from it runs into it again",
    signal.SIGFPE: "the program that returns from it runs into it again",
    signal.SIGBUS: "the program that returns from it runs into it again",
}


@final
class _Listeners:
    """Those who are told of one signal, and what was there before them.

    Args:
        number: The signal.
    """

    __slots__ = ("_before", "_number", "all")

    def __init__(self, number: int) -> None:
        self._number = number
        # Replaced, never changed: the handler may run while it is replaced.
        self.all: tuple[Listener, ...] = ()
        self._before: Any = signal.signal(number, _on_signal)

    def __repr__(self) -> str:
        return f"<_Listeners {len(self.all)} of signal {self._number}>"

    def give_back(self) -> None:
        """Put back what was there before, unless somebody has replaced us."""
        if is_ours(self._number):
            # None: a handler that Python does not know, and cannot put back.
            before = signal.SIG_DFL if self._before is None else self._before
            signal.signal(self._number, before)


_listeners: Final[dict[int, _Listeners]] = {}


def _on_signal(number: int, _frame: FrameType | None) -> None:
    listeners = _listeners.get(number)
    if listeners is not None:
        for listener in listeners.all:
            listener(number)


def is_ours(number: int) -> bool:
    """Tell whether a signal still comes here.

    Args:
        number: The signal.

    Returns:
        Whether nobody has put another handler in our place.
    """
    return signal.getsignal(number) is _on_signal


def listen(number: int, listener: Listener) -> Callable[[], None]:
    """Have `listener` called when a signal comes.

    Args:
        number: The signal.
        listener: Called on the main thread, between any two instructions: it must
            take no lock.

    Returns:
        What ends that, on the main thread; twice does no harm. The last to end gives
        the signal back to who had it before.

    Raises:
        SignalError: There is no such signal, or nobody may listen to it.
        MisuseError: Called on another thread than the main one.
    """
    if number in _FORBIDDEN:
        raise SignalError(number, _FORBIDDEN[signal.Signals(number)])
    if number not in signal.valid_signals():
        raise SignalError(number, "there is no such signal")
    if threading.current_thread() is not threading.main_thread():
        raise MisuseError(
            "signals can only be listened to on the main thread",
            "do it there, and send what comes through a channel",
        )
    listeners = _listeners.get(number)
    if listeners is None or not is_ours(number):
        old = () if listeners is None else listeners.all
        listeners = _listeners[number] = _Listeners(number)
        listeners.all = old
    listeners.all = (*listeners.all, listener)

    def stop() -> None:
        found = _listeners.get(number)
        if found is None or listener not in found.all:
            return
        found.all = tuple(one for one in found.all if one != listener)
        if not found.all:
            del _listeners[number]
            found.give_back()

    return stop


def _forget_in_child() -> None:
    """Give everything back in a forked child: those who listen are in the parent."""
    for listeners in _listeners.values():
        listeners.give_back()
    _listeners.clear()


os.register_at_fork(after_in_child=_forget_in_child)
