"""Report a blocked event loop while it is blocked, with the stack that blocks it.

`sumida.run` starts a `LoopWatchdog`; make one yourself for a loop that you run in
another way. It is for production: it needs no debug mode, tells of any code whatever
it does, and costs less than 1 %. To find known blocking calls in tests, before they
take long, use `strict_mode`.

A thread looks at the loop's thread now and then. A loop that waits for events is
left alone. One that runs something is sent a small call, and if that is not answered
in time, and the same callback has been running ever since, it is reported.
"""

import asyncio
import asyncio.base_events
import asyncio.events
import logging
import sys
import threading
import time
import traceback
from asyncio import AbstractEventLoop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Final, final

from sumida._core.arguments import is_at_least, refuse

__all__ = ("BlockedLoop", "LoopWatchdog", "log_blocked_loop")

_logger: Final = logging.getLogger("sumida")

# On asyncio's own loop every callback is called from the first of these, which is
# called from the last; what another thread has sent, from CPython 3.14 on, by way of
# the one between. uvloop has no Python frames of its own.
_RUN_HANDLES: Final = frozenset(
    getattr(asyncio.events, name)._run.__code__
    for name in ("Handle", "_ThreadSafeHandle")
    if hasattr(asyncio.events, name)
)
_RUN_ONCE: Final[CodeType] = asyncio.base_events.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # private

_LOOKS: Final = 2
"""How often the loop is looked at within the threshold.

A stall is reported when it is up to half a threshold longer. Each look costs this
process about 100 us, nearly all of it for waking up (a virtual machine, CPython 3.11):
0.2 % of one core at the default threshold.
"""

_GROWTH: Final = 10
"""A stall that goes on is reported again when it is so many times as long."""

# Of the time for which this thread could not run, the part that the loop's thread
# must have been running for it to be the one that held the interpreter.
_HOG_SHARE: Final = 0.8

_DEBUGGERS: Final = frozenset({"bdb", "debugpy", "pdb", "pydevd"})


@final
@dataclass(frozen=True, slots=True)
class BlockedLoop:
    """One event loop, held up by one callback or task.

    Attributes:
        seconds: For how long so far; how long in all when it is over.
        stack: Where it stands, the innermost last, as a traceback shows it. Empty
            when it was over before anybody could look, because the code held the
            interpreter itself.
        task_name: The task that runs; empty for a callback.
        thread: The name of the loop's thread.
        is_over: Whether the loop goes on again.
    """

    seconds: float
    stack: str
    task_name: str
    thread: str
    is_over: bool = False

    def __str__(self) -> str:
        who = f"task {self.task_name!r}" if self.task_name else "a callback"
        verb = "was blocked" if self.is_over else "has been blocked"
        head = (
            f"the event loop of {self.thread} {verb} for {self.seconds:.3f} s by {who}"
        )
        if self.is_over or not self.stack:
            return head
        return f"{head}; move that to spawn_blocking or spawn_cpu:\n{self.stack}"


def log_blocked_loop(blocked: BlockedLoop) -> None:
    """Log a warning with the logger `sumida`: what a watchdog does by default.

    Args:
        blocked: What to tell.
    """
    _logger.warning("%s", blocked)


@final
class _Pulse:
    """What the loop's own thread tells the watchdog, each time it is asked.

    Attributes:
        thread_id: The loop's thread; 0 before it first answered.
        clock: That thread's processor clock, where the system has such.
        base: The code that calls the loop's callbacks.
        asked: When the last call was sent, None when it was answered; in seconds.
        answered: When the last call was answered.
        root: The first frame of the callback that was seen running last.
        held: Frames that the watchdog is looking at.
        done_with: Frames that it has looked at. An answer lets go of them: a frame
            may be the last to hold an object, and what the program does when that is
            destroyed must not happen on the watchdog's thread.
    """

    __slots__ = (
        "answered",
        "asked",
        "base",
        "clock",
        "done_with",
        "held",
        "root",
        "thread_id",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        is_asyncio = isinstance(loop, asyncio.BaseEventLoop)
        self.base: CodeType | None = _RUN_ONCE if is_asyncio else None
        self.thread_id = 0
        self.clock: int | None = None
        self.asked: float | None = None
        self.answered = 0.0
        self.root: FrameType | None = None
        self.held: list[FrameType] = []
        self.done_with: list[FrameType] = []
        if running_loop() is loop:
            self._note_thread()
            if self.base is None:
                self._guess_base(loop)

    def __repr__(self) -> str:
        return f"<_Pulse {'asked' if self.asked else 'at rest'}>"

    def _note_thread(self) -> None:
        self.thread_id = threading.get_ident()
        if hasattr(time, "pthread_getcpuclockid"):
            # Only of a living thread; the clock itself may be read at any time.
            self.clock = time.pthread_getcpuclockid(self.thread_id)

    def _guess_base(self, loop: AbstractEventLoop) -> None:
        """Find who called the running task, until the first answer tells for sure."""
        task = asyncio.current_task(loop)
        frame = getattr(None if task is None else task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_back is not None:
            self.base = frame.f_back.f_code

    def answer(self) -> None:
        """Note that the loop goes on; on its thread."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code in _RUN_HANDLES:
            frame = frame.f_back
        if frame is not None:
            self.base = frame.f_code
        del frame
        if self.thread_id != threading.get_ident():
            self._note_thread()
        self.done_with.clear()
        self.answered = time.monotonic()

    def see(self, root: FrameType | None) -> None:
        """Note which callback is running now."""
        before = self.root
        if before is not None:
            self.held.append(before)
        self.root = root

    def put_away(self) -> bool:
        """Give what was looked at to the next answer; False when there is nothing."""
        self.done_with += self.held
        self.held.clear()
        return bool(self.done_with)

    def processor_time(self) -> float | None:
        """Read how long the loop's thread has run so far, in seconds."""
        if self.clock is None:
            return None
        try:
            return time.clock_gettime(self.clock)
        except OSError:
            return None


@final
class LoopWatchdog:
    """A thread that reports when something holds an event loop for too long.

    Each stall is reported when it passes `threshold`, again when it is 10 times, 100
    times as long, and once more when it is over, with its length. A machine that was
    suspended, a debugger, or another thread that holds the interpreter is not the
    loop's fault and not reported.

    It cannot see a C function that a loop other than asyncio's calls directly, without
    any Python around it: `loop.call_soon(time.sleep, 1)` on uvloop.

    Args:
        loop: The loop to watch; it may not run yet.
        threshold: How long a callback may hold it, in seconds, above 0. 0.1 s is what
            a user begins to notice.
        report: Called on the watchdog's thread with each report.

    Raises:
        ValueError: `threshold` is not above 0.
    """

    __slots__ = (
        "_last_look",
        "_last_processor_time",
        "_loop",
        "_next_report",
        "_pulse",
        "_report",
        "_since",
        "_stack",
        "_stopping",
        "_task_name",
        "_thread",
        "_threshold",
        "_was_debugged",
    )

    def __init__(
        self,
        loop: AbstractEventLoop,
        threshold: float = 0.1,
        report: Callable[[BlockedLoop], object] = log_blocked_loop,
    ) -> None:
        if not is_at_least(threshold, 0) or threshold == 0:
            refuse("threshold", threshold, "above 0 seconds")
        self._loop = loop
        self._threshold = threshold
        self._report = report
        self._thread: threading.Thread | None = None
        # Released to stop; sleeping on a bare lock costs half of what an Event does.
        self._stopping = threading.Lock()
        self._pulse = _Pulse(loop)
        self._forget()

    def _forget(self) -> None:
        self._pulse.see(None)
        self._since = 0.0
        self._stack = ""
        self._task_name = ""
        self._next_report = self._threshold
        self._was_debugged = False

    def __repr__(self) -> str:
        state = "stopped" if self._thread is None else "watching"
        return f"<LoopWatchdog {self._threshold:g} s, {state}>"

    @property
    def threshold(self) -> float:
        """How long a callback may hold the loop, in seconds."""
        return self._threshold

    def __enter__(self) -> "LoopWatchdog":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch; harmless when it does already."""
        if self._thread is not None:
            return
        self._stopping = threading.Lock()
        self._stopping.acquire()
        self._pulse = _Pulse(self._loop)
        self._forget()
        # At once, so that it is known where the loop stands before it first stalls.
        self._ask(time.monotonic())
        self._thread = threading.Thread(
            target=self._watch,
            args=(self._stopping,),
            name="sumida-watchdog",
            daemon=True,
        )
        # From CPython 3.14 on a thread may inherit the context, and keep what is in it.
        Context().run(self._thread.start)

    def stop(self) -> None:
        """Stop watching; harmless when it did already."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.release()
        if thread is not threading.current_thread():
            # Not for ever: a report in progress may need the loop, and so us.
            thread.join(1.0)

    def _watch(self, stopping: threading.Lock) -> None:
        # The interpreter refuses a wait of more than some centuries.
        period = min(self._threshold / _LOOKS, threading.TIMEOUT_MAX)
        self._last_look = time.monotonic()
        self._last_processor_time = self._pulse.processor_time()
        while not stopping.acquire(timeout=period):
            if self._loop.is_closed():
                return
            now = time.monotonic()
            late = now - self._last_look - period
            self._last_look = now
            self._look(now, late)
        self._pulse.see(None)
        self._pulse.put_away()
        self._pulse.asked = None
        self._ask(self._last_look)

    def _look(self, now: float, late: float) -> None:
        pulse = self._pulse
        was_hogged = self._was_hogged(late)
        if pulse.asked is not None and pulse.answered >= pulse.asked:
            pulse.asked = None
            self._settle(pulse.answered)
        wants_answer = False
        if self._loop.is_running():
            wants_answer = self._inspect(now, late, was_hogged=was_hogged)
        else:
            self._settle(now)
        # From here on no variable holds a frame.
        if pulse.put_away() or wants_answer:
            self._ask(now)

    def _inspect(self, now: float, late: float, *, was_hogged: bool) -> bool:
        """Look at the stack of the loop; True when an answer is wanted."""
        pulse = self._pulse
        innermost = sys._current_frames().get(
            pulse.thread_id
        )  # documented in spite of its name
        is_known, root = _root_of(innermost, pulse.base)
        if late > self._threshold:
            if was_hogged:
                self._after_hog(late, root)
            elif pulse.root is not None:
                # Suspended, or another thread held the interpreter.
                self._since += late
        if root is None or innermost is None:
            return not is_known
        pulse.held.append(innermost)
        if root is not pulse.root:
            # Another callback than before: the loop is busy, but goes on.
            self._settle(now)
            self._since = now
            pulse.see(root)
        elif self._is_debugged(innermost):
            self._since = now
        elif now - self._since >= self._next_report:
            self._tell(now - self._since, innermost)
        return True

    def _is_debugged(self, innermost: FrameType) -> bool:
        """Whether a debugger holds the callback, or did at the last look."""
        before = self._was_debugged
        frames = _frames_to(innermost, self._pulse.base)
        self._was_debugged = any(_package_of(frame) in _DEBUGGERS for frame in frames)
        return before or self._was_debugged

    def _was_hogged(self, late: float) -> bool:
        """Whether the loop's thread ran all the while that this one could not."""
        before = self._last_processor_time
        self._last_processor_time = after = self._pulse.processor_time()
        if before is None or after is None:
            return False
        return after - before >= late * _HOG_SHARE

    def _after_hog(self, late: float, root: FrameType | None) -> None:
        """Note what held the interpreter, so that nobody could look meanwhile."""
        if root is None:
            self._send(BlockedLoop(late, "", "", self._thread_name(), is_over=True))
        elif root is not self._pulse.root:
            self._settle(self._last_look - late)
            self._since = self._last_look - late
            self._pulse.see(root)

    def _ask(self, now: float) -> None:
        if self._pulse.asked is None:
            self._pulse.asked = now
            try:
                self._loop.call_soon_threadsafe(self._pulse.answer)
            except RuntimeError:
                if not self._loop.is_closed():
                    raise

    def _settle(self, end: float) -> None:
        """End what was held, and tell its length if it was told of."""
        if self._next_report > self._threshold:
            held = max(end - self._since, self._threshold)
            name = self._thread_name()
            over = BlockedLoop(held, self._stack, self._task_name, name, is_over=True)
            self._forget()
            self._send(over)
        else:
            self._forget()

    def _tell(self, held: float, innermost: FrameType) -> None:
        frames = _frames_to(innermost, self._pulse.base)
        while self._next_report <= held:
            self._next_report *= _GROWTH
        # From another thread too, on every version: it looks the loop up.
        task = asyncio.current_task(self._loop)
        self._task_name = "" if task is None else task.get_name()
        summary = traceback.StackSummary.extract(
            (frame, frame.f_lineno) for frame in frames
        )
        self._stack = "".join(summary.format())
        name = self._thread_name()
        self._send(BlockedLoop(held, self._stack, self._task_name, name))

    def _thread_name(self) -> str:
        for thread in threading.enumerate():
            if thread.ident == self._pulse.thread_id:
                return thread.name
        return f"thread {self._pulse.thread_id}"

    def _send(self, blocked: BlockedLoop) -> None:
        try:
            self._report(blocked)
        except Exception:
            # One bad report must not end the watch.
            _logger.exception("the report of a blocked event loop failed: %r", blocked)


def _root_of(
    innermost: FrameType | None, base: CodeType | None
) -> tuple[bool, FrameType | None]:
    """Find the first frame of the callback that a loop is running.

    Returns:
        Whether the loop was found in the stack; and the frame, None when it waits.
    """
    above: FrameType | None = None
    frame = innermost
    while frame is not None and frame.f_code is not base:
        above = frame
        frame = frame.f_back
    if frame is None:
        return False, None
    if base is _RUN_ONCE and above is not None and above.f_code not in _RUN_HANDLES:
        return True, None  # in the selector, or in the loop's own book-keeping
    return True, above


def _frames_to(innermost: FrameType, base: CodeType | None) -> list[FrameType]:
    """List the frames of a callback, the innermost last."""
    frames = []
    frame: FrameType | None = innermost
    while frame is not None and frame.f_code is not base:
        if frame.f_code not in _RUN_HANDLES:
            frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
