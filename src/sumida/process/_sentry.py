"""A thread that hears signals when the main thread cannot, and ends what hangs.

The interpreter runs handlers on the main thread, when that runs Python code: not while
it is inside a function of C. But it writes a byte for each signal to a descriptor, at
once, and this thread reads those. From the first signal on it keeps the deadline of
the whole program, through everything that comes after `run` too: user code, the
interpreter's wait for threads, functions registered with `atexit`.

What no thread of Python can do anything about is a function of C that keeps the
interpreter's lock: against one that takes it after the first signal there is a timer
of `faulthandler`, which needs no lock; one that holds it before is out of reach.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final, final

from sumida.process._dispatch import is_ours, listen

__all__ = ("Sentry",)

_FROM_HANDLER: Final = 0x80
"""Marks a byte that our handler wrote, on the main thread; signals end at 64."""

_CHUNK: Final = 4096

_STDERR: Final = 2

_FORCE_AT: Final = 3
"""The signal at which there is no more waiting."""

_SHORTEST: Final = 0.001
_LONGEST: Final = 3600.0
"""Bounds of one wait, in seconds: 0 would mean not to wait, and no clock has `inf`."""

_LAST_WORDS: Final = 1.0
"""How long the report may take, in seconds: whoever reads stderr may be stuck too."""


@final
class Sentry:
    """Hears signals from before the loop is made until the process is gone.

    Args:
        numbers: The signals that ask the program to stop.
        patience: Seconds from the first signal to the end by force; None for never.
        on_signal: Called on this thread with each signal and how many there were.
        on_force: Called on a thread of its own with the last signal, before the end by
            force; it may take a second.
    """

    __slots__ = (
        "_chain_lock",
        "_chained",
        "_count",
        "_deadline",
        "_go",
        "_has_reported",
        "_is_over",
        "_last",
        "_numbers",
        "_on_force",
        "_on_signal",
        "_ours",
        "_outer",
        "_patience",
        "_stops",
        "_theirs",
        "_thread",
        "_unconfirmed",
    )

    def __init__(
        self,
        numbers: tuple[int, ...],
        patience: float | None,
        on_signal: Callable[[int, int], object],
        on_force: Callable[[int], object],
    ) -> None:
        self._numbers = numbers
        self._patience = patience
        self._on_signal = on_signal
        self._on_force = on_force
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)  # noqa: FBT003  # the only argument
        self._chained: int | None = None
        # Held for an instant, and never by a handler.
        self._chain_lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._count = 0
        self._last = 0
        self._deadline: float | None = None
        # Signals that the descriptor told of and our handler did not yet.
        self._unconfirmed = 0
        self._go = threading.Lock()
        self._has_reported = threading.Lock()
        # The descriptor that was set before, to be put back.
        self._outer = -1
        self._is_over = False
        self._thread = threading.Thread(
            target=self._watch, name="sumida-signals", daemon=True
        )

    def __repr__(self) -> str:
        return f"<Sentry {self._count} signals, deadline {self._deadline}>"

    # On the main thread.

    def start(self) -> None:
        """Take the signals over; on the main thread."""
        # In an empty context: some builds let a thread inherit its starter's.
        Context().run(self._thread.start)
        for number in self._numbers:
            self._stops.append(listen(number, self._on_handler))
        self._outer = self.take_wakeup()

    def take_wakeup(self) -> int:
        """Have the interpreter write its bytes to us; those of a loop are passed on.

        uvloop sets a descriptor of its own whenever it begins to run.

        Returns:
            The descriptor to which it has written before; -1 for none.
        """
        before = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        if before in (-1, self._theirs.fileno()):
            return before
        self._unchain()
        with contextlib.suppress(OSError):
            # A copy, for the loop closes its own, whose number then means another.
            self._chained = os.dup(before)
        return before

    def _unchain(self) -> None:
        with self._chain_lock:
            chained, self._chained = self._chained, None
            if chained is not None:
                os.close(chained)

    def _pass_on(self, byte: int) -> None:
        with self._chain_lock, contextlib.suppress(OSError):
            if self._chained is not None:
                os.write(self._chained, bytes((byte,)))

    def _on_handler(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._theirs.send(bytes((_FROM_HANDLER | number,)))

    def stop(self) -> None:
        """Let go after the program has ended by itself; on the main thread.

        Once a signal has come it stays, unless it has no deadline to keep, or somebody
        sits before the interpreter and goes on with it.
        """
        self._unchain()
        if self._count and self._patience is not None:
            if not hasattr(sys, "ps1"):
                return
            faulthandler.cancel_dump_traceback_later()
        for stop in self._stops:
            stop()
        self._stops.clear()
        current = signal.set_wakeup_fd(-1)
        if current == self._theirs.fileno():
            current = self._outer
        signal.set_wakeup_fd(current, warn_on_full_buffer=False)
        self._is_over = True
        if self._go.locked():
            self._go.release()
        self._theirs.close()
        self._thread.join(_LAST_WORDS)

    # On a thread of its own.

    def _watch(self) -> None:
        while self._deadline is None or self._deadline > time.monotonic():
            if self._deadline is not None:
                left = self._deadline - time.monotonic()
                self._ours.settimeout(min(max(left, _SHORTEST), _LONGEST))
            try:
                data = self._ours.recv(_CHUNK)
            except TimeoutError:
                continue
            if not data:
                self._ours.close()
                return
            for byte in data:
                self._take(byte)
        self._force()

    def _take(self, byte: int) -> None:
        number = byte & ~_FROM_HANDLER
        if byte & _FROM_HANDLER:
            if self._unconfirmed:
                self._unconfirmed -= 1
                return
        else:
            self._pass_on(byte)
            if number not in self._numbers or not is_ours(number):
                # Another's; only the loop has to wake.
                self._on_signal(0, self._count)
                return
            # The handler may be called once for several.
            self._unconfirmed = min(self._unconfirmed + 1, _FORCE_AT)
        self._count += 1
        self._last = number
        if self._count == 1:
            self._arm()
        self._on_signal(number, self._count)
        if self._count >= _FORCE_AT:
            self._deadline = time.monotonic()

    def _arm(self) -> None:
        # Now, for no thread can be started at the interpreter's end.
        self._go.acquire()
        self._has_reported.acquire()
        reporter = threading.Thread(
            target=self._report, name="sumida-force", daemon=True
        )
        with contextlib.suppress(RuntimeError):
            Context().run(reporter.start)
        if self._patience is None:
            return
        self._deadline = time.monotonic() + self._patience
        with contextlib.suppress(Exception):
            faulthandler.dump_traceback_later(
                self._patience + 2 * _LAST_WORDS, exit=True, file=_STDERR
            )

    def _report(self) -> None:
        self._go.acquire()
        if self._is_over:
            return
        try:
            self._on_force(self._last)
        finally:
            self._has_reported.release()

    def _force(self) -> None:
        self._go.release()
        self._has_reported.acquire(timeout=_LAST_WORDS)
        os._exit(128 + self._last)
