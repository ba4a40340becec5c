"""Run a whole program: the loop, the signals, the end.

`run(main)` is the one call at the bottom of a program. Inside, `shutdown_token()` says
when it is to stop.
"""

import inspect
import signal
import threading
from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final, Self, TypeVar, final

from sumida.errors import MisuseError
from sumida.runtime.run import LoopRun
from sumida.sync.cancellation import CancellationToken

__all__ = ("run", "shutdown_token")

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_FORCE_AT: Final = 3
"""The signal that does not wait for the loop: it may be blocked."""


@final
class _SignalPolicy:
    """What the first, the second and the third signal do.

    The first asks: it cancels the token, and main `grace` seconds later. A program
    that never asked for the token cannot hear it, so main is cancelled at once. The
    second cancels main. The third ends the process's main thread wherever it is.

    Args:
        loop: The program's loop.
        grace: As above, in seconds.
    """

    __slots__ = (
        "_before",
        "_grace",
        "_is_asked_for",
        "_loop",
        "_main",
        "_timer",
        "_token",
        "count",
        "first",
        "last",
    )

    def __init__(self, loop: AbstractEventLoop, grace: float) -> None:
        self._loop = loop
        self._grace = grace
        self._token = CancellationToken()
        self._is_asked_for = False
        self._main: Task[Any] | None = None
        self._timer: TimerHandle | None = None
        self._before: dict[int, Any] = {}
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None

    @property
    def token(self) -> CancellationToken:
        """The token; who looks at it will hear the first signal."""
        self._is_asked_for = True
        return self._token

    def __enter__(self) -> Self:
        """Take the signals over, if this is the main thread.

        Before the loop runs: `asyncio.Runner` puts its own handler in the place of
        Python's while it runs, and that must not be what is given back.
        """
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def start(self, main: Task[Any]) -> None:
        """Take charge of `main`; called in its first step."""
        self._main = main
        _policy.set(self)

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
        self._main = None
        if self._timer is not None:
            self._timer.cancel()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Between any two bytecodes: only count, and let the loop do the rest.
        self.count += 1
        self.last = number
        if self.first is None:
            self.first = number
        if self.count >= _FORCE_AT:
            raise SystemExit(128 + number)
        self._loop.call_soon_threadsafe(self._deliver, number, self.count)

    def _deliver(self, number: int, count: int) -> None:
        if self._main is None:
            # Before its first step, in which it may ask for the token.
            self._loop.call_soon(self._deliver, number, count)
            return
        if count > 1:
            self._cancel_main()
            return
        self._token.cancel(f"{signal.Signals(number).name} received")
        if self._is_asked_for:
            self._timer = self._loop.call_later(self._grace, self._cancel_main)
        else:
            self._cancel_main()

    def _cancel_main(self) -> None:
        if self._main is not None:
            self._main.cancel()


_policy: ContextVar[_SignalPolicy] = ContextVar("sumida.program")


def shutdown_token() -> CancellationToken:
    """Give the token that the first SIGINT or SIGTERM cancels.

    A program that asks for it is expected to stop by itself when it is cancelled.

    Returns:
        The token of the program that runs.

    Raises:
        MisuseError: No `run` is above the caller.
    """
    try:
        return _policy.get().token
    except LookupError:
        raise MisuseError(
            "shutdown_token() was called outside of sumida.run", "call it inside main"
        ) from None


def run(  # noqa: PLR0913  # one call configures the program
    main: Callable[..., Coroutine[object, object, T]],
    *args: object,
    grace: float = 10.0,
    exit: bool = False,  # noqa: A002  # the word that fits
    strict: bool = False,
    watch_blocking: float | None = 0.1,
    uvloop: bool | None = None,
    debug: bool | None = None,
) -> T:
    """Run `main` on a loop of its own, with signals, and clean up after it.

    The first SIGINT or SIGTERM cancels `shutdown_token()`, and `grace` seconds later
    main; the second cancels main at once, and so does the first in a program that
    never asked for the token. A third ends the main thread wherever it is. Signals are
    only taken on the main thread.

    Args:
        main: An async function.
        *args: Its arguments.
        grace: How long main has to stop by itself, in seconds.
        exit: Whether an int that main returns is the exit code.
        strict: Whether known blocking calls on the loop raise `BlockingCallError`.
        watch_blocking: Report what holds the loop for longer, in seconds; None for
            never. 0.1 s is what a user begins to notice.
        uvloop: True for uvloop, False for asyncio's loop; None for uvloop where it is
            installed.
        debug: asyncio's debug mode; None for its default.

    Returns:
        What main returns.

    Raises:
        TypeError: `main` is no async function.
        ValueError: `grace` is negative.
        MisuseError: A loop runs on this thread already.
        SystemExit: With 130 after SIGINT; with 128 + the signal when main was
            cancelled by one; with main's result if `exit` is set.

    Source:
        `#[tokio::main]`
    """
    if not callable(main) or inspect.isasyncgenfunction(main):
        raise TypeError(f"main must be an async function, not {main!r}; do not call it")
    if not grace >= 0:
        raise ValueError(f"grace must be 0 seconds or more, not {grace}")
    with (
        LoopRun(
            uvloop=uvloop, debug=debug, strict=strict, watch_blocking=watch_blocking
        ) as loop_run,
        _SignalPolicy(loop_run.loop, grace) as policy,
    ):
        coroutine: Coroutine[object, object, T] = main(*args)
        if not inspect.iscoroutine(coroutine):
            raise TypeError(f"main must be an async function; it gave {coroutine!r}")
        try:
            result: T = loop_run.run(coroutine, policy.start)
        except CancelledError:
            if policy.last is None:
                raise
            raise SystemExit(128 + policy.last) from None
    if policy.first == signal.SIGINT:
        raise SystemExit(128 + policy.first)
    if exit and isinstance(result, int):
        raise SystemExit(result)
    return result
