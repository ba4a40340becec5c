"""Run a whole program: the loop, the signals, the end.

`run(main)` is the one call at the bottom of a program. Inside, `shutdown_token()` says
when it is to stop, and `shutdown_phase` adds to what is done then.
"""

import inspect
import math
import signal
import threading
import time
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, Self, TypeVar, final

from sumida._core.arguments import is_at_least, refuse
from sumida.errors import MisuseError
from sumida.process._force import last_words
from sumida.process._names import name_of
from sumida.process._sentry import Sentry
from sumida.process.shutdown import Phases, ShutdownStep
from sumida.runtime.run import LoopRun
from sumida.sync.cancellation import CancellationToken

__all__ = ("run", "shutdown_phase", "shutdown_token")

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_CANCEL_AT: Final = 2
"""The signal that does not wait for the grace to pass."""


@final
class _Program:
    """What the signals do to a program, and what it does when it ends.

    The first asks: it cancels the token, begins the phases, and cancels main `grace`
    seconds later. A program that never asked for the token cannot hear it, so main is
    cancelled when the phases are over: at once where there are none. The second
    cancels main, and what runs of a phase. All that needs the loop; the end by force
    does not, see `Sentry`.

    Args:
        grace: As above, in seconds.
        force_after: Seconds from there to the end by force; None for never.
    """

    __slots__ = (
        "_early",
        "_first_at",
        "_force_after",
        "_grace",
        "_is_asked_for",
        "_loop",
        "_main",
        "_sentry",
        "_token",
        "first",
        "last",
        "phases",
    )

    def __init__(self, grace: float, force_after: float | None) -> None:
        self._grace = grace
        self._force_after = force_after
        self._token = CancellationToken()
        self._is_asked_for = False
        self._loop: AbstractEventLoop | None = None
        self._main: Task[Any] | None = None
        # What came before main's first step, in which it may ask for the token.
        self._early: list[tuple[int, int]] = []
        self._first_at = 0.0
        self._sentry: Sentry | None = None
        self.phases = Phases()
        self.first: int | None = None
        self.last: int | None = None

    def __repr__(self) -> str:
        return f"<_Program stopping by {self.first}>"

    @property
    def token(self) -> CancellationToken:
        """The token; who looks at it will hear the first signal."""
        self._is_asked_for = True
        return self._token

    def __enter__(self) -> Self:
        """Take the signals over, if this is the main thread; before a loop is made."""
        if threading.current_thread() is threading.main_thread():
            force = self._force_after
            patience = None if force is None else self._grace + force
            self._sentry = Sentry(_SIGNALS, patience, self._hear, self._say_last_words)
            self._sentry.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back, unless one has come: then its deadline stays."""
        self._main = None
        if self._sentry is not None:
            self._sentry.stop()

    def attach(self, loop: AbstractEventLoop) -> None:
        """Know the loop of the program, before it runs."""
        self._loop = loop

    def start(self, main: Task[Any]) -> None:
        """Take charge of `main`; called in its first step."""
        self._main = main
        _program.set(self)
        if self._sentry is not None:
            self._sentry.take_wakeup()
        early, self._early = self._early, []
        for number, count in early:
            assert self._loop is not None
            self._loop.call_soon(self._deliver, number, count)

    async def whole(self, main: Coroutine[object, object, T]) -> T:
        """Run main, and then what is left of the phases."""
        has_loop = True
        try:
            return await main
        except GeneratorExit:
            has_loop = False
            raise
        finally:
            self._main = None
            if has_loop and len(self.phases):
                self.phases.begin(self._on_phases_end)
                await self.phases.wait()

    def _hear(self, number: int, count: int) -> None:
        """Pass a signal on to the loop; on the sentry's thread."""
        if number:
            self.last = number
            if self.first is None:
                self.first = number
                self._first_at = time.monotonic()
        loop = self._loop
        if loop is None or loop.is_closed():
            self._early.append((number, count))
            return
        try:
            loop.call_soon_threadsafe(self._deliver, number, count)
        except RuntimeError:
            return  # it was closed at this moment, and nothing is left to ask

    def _deliver(self, number: int, count: int) -> None:
        if not number:
            return  # another's signal: the loop only had to wake
        if self._main is None and not self.phases.has_begun:
            self._early.append((number, count))
            return
        if count >= _CANCEL_AT:
            self.phases.hurry()
            self._cancel_main()
            return
        self._token.cancel(f"{name_of(number)} received")
        assert self._loop is not None
        if not len(self.phases):
            if not self._is_asked_for:
                self._cancel_main()
                return
        else:
            self.phases.begin(self._on_phases_end)
        if not math.isinf(self._grace):
            # It finds nobody to cancel when main has ended.
            self._loop.call_later(self._grace, self._cancel_main)

    def _on_phases_end(self) -> None:
        if not self._is_asked_for:
            self._cancel_main()

    def _cancel_main(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _say_last_words(self, number: int) -> None:
        """Tell of what still runs; on a thread of the sentry's, before the end."""
        took = time.monotonic() - self._first_at
        head = (
            f"sumida: {name_of(number)}, the first signal {took:.1f} s ago, and the "
            "program has not ended; it is ended by force. What still runs:"
        )
        last_words(head, self.phases.lines, self._loop)


_program: ContextVar[_Program] = ContextVar("sumida.program")


def _current(name: str) -> _Program:
    try:
        return _program.get()
    except LookupError:
        raise MisuseError(
            f"{name} was called outside of sumida.run", "call it inside main"
        ) from None


def shutdown_token() -> CancellationToken:
    """Give the token that the first SIGINT or SIGTERM cancels.

    A program that asks for it is expected to stop by itself when it is cancelled.

    Returns:
        The token of the program that runs.

    Raises:
        MisuseError: No `run` is above the caller.
    """
    return _current("shutdown_token()").token


def shutdown_phase(
    phase: str,
    fn: Callable[[], Awaitable[object] | None],
    *,
    deadline: float,
    before: str | None = None,
) -> ShutdownStep:
    """Have `fn` called when the program stops.

    The phases run one after the other, the functions of one phase at once: "stop
    accepting", "drain", "flush", and after them those that are new, in the order in
    which they were first named. They begin with the first signal, beside main, which
    goes on meanwhile; or when main has ended, if there was none. `run` returns when
    they are over. What a function raises is logged, and the next phase begins.

    A function that is late is cancelled. Its line in the report is logged when it
    ends (logger `sumida`), and stands in what is written at an end by force.

    Args:
        phase: The name of the phase.
        fn: Called without arguments, in the loop; async or not.
        deadline: How long it may take, in seconds, above 0. The sum over the phases
            should be below `grace + force_after` of `run`, which ends all.
        before: Where a new phase goes: before the one of this name.

    Returns:
        The step: `remove` it, or use it in a `with` block, where what it ends is gone
        earlier than the program.

    Raises:
        MisuseError: No `run` is above the caller, or the phases have begun.
        TypeError: `fn` cannot be called.
        ValueError: `deadline` is not above 0, or there is no phase `before`.
    """
    phases = _current("shutdown_phase()").phases
    return phases.add(phase, fn, deadline=deadline, before=before)


def run(  # noqa: PLR0913  # one call configures the program
    main: Callable[..., Coroutine[object, object, T]],
    *args: object,
    grace: float = 10.0,
    force_after: float | None = 5.0,
    exit: bool = False,  # noqa: A002  # the word that fits
    strict: bool = False,
    watch_blocking: float | None = 0.1,
    uvloop: bool | None = None,
    debug: bool | None = None,
) -> T:
    """Run `main` on a loop of its own, with signals, and clean up after it.

    The first SIGINT or SIGTERM cancels `shutdown_token()` and begins the phases (see
    `shutdown_phase`), and `grace` seconds later main is cancelled. The second cancels
    main at once, and so does the first in a program that never asked for the token, as
    soon as its phases are over. `force_after` seconds after the grace, or at the third
    signal, the stacks of all tasks and threads go to stderr, children are killed, the
    terminal is restored, and the process exits with 128 + the signal. That deadline
    holds from the first signal until the process is gone, also after `run` has
    returned: no task, thread, executor or `atexit` function can outstay it.

    Signals are only taken on the main thread.

    Args:
        main: An async function.
        *args: Its arguments.
        grace: How long main has to stop by itself, in seconds: most orchestrators
            kill after 30.
        force_after: How long the rest may take then, in seconds; None for ever, until
            the third signal: for tests that send signals to themselves and go on.
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
        TypeError: `main` is no async function, or a time is no number.
        ValueError: `grace` or `force_after` is negative, or `watch_blocking` not
            above 0.
        MisuseError: A loop runs on this thread already.
        SystemExit: With 130 after SIGINT; with 128 + the signal when main was
            cancelled by one; with main's result if `exit` is set.

    Source:
        `#[tokio::main]`
    """
    if not callable(main) or inspect.isasyncgenfunction(main):
        given: object = main
        if inspect.iscoroutine(given):
            given.close()
        raise TypeError(f"main must be an async function, not {main!r}; do not call it")
    if not is_at_least(grace, 0):
        refuse("grace", grace, "0 seconds or more")
    if force_after is not None and not is_at_least(force_after, 0):
        refuse("force_after", force_after, "0 seconds or more, or None for never")
    with (
        _Program(grace, force_after) as program,
        LoopRun(
            uvloop=uvloop, debug=debug, strict=strict, watch_blocking=watch_blocking
        ) as loop_run,
    ):
        program.attach(loop_run.loop)
        coroutine: Coroutine[object, object, T] = main(*args)
        if not inspect.iscoroutine(coroutine):
            raise TypeError(f"main must be an async function; it gave {coroutine!r}")
        try:
            result: T = loop_run.run(program.whole(coroutine), program.start)
        except CancelledError:
            if program.last is None:
                raise
            raise SystemExit(128 + program.last) from None
        finally:
            coroutine.close()
    if program.first == signal.SIGINT:
        raise SystemExit(128 + program.first)
    if exit and isinstance(result, int):
        raise SystemExit(result)
    return result
