"""One child process as its parent sees it: its end, its reaping, signals to it.

A pid may belong to another process as soon as its own was reaped. So a child is
reaped in one place, here, on the loop's thread; and signals are sent through a
descriptor of the process where the kernel has such (`pidfd`), which can mean no other.
Its process group outlives the leader where it left something behind, and is reached
through the same descriptor (since Linux 6.9).
"""

import atexit
import contextlib
import os
import signal
import threading
import time
from asyncio import AbstractEventLoop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from collections.abc import Callable
from contextvars import Context
from typing import Final, Literal, final
from weakref import WeakSet

from sumida._core.exits import before_forced_exit
from sumida._core.waiters import WaiterQueue
from sumida.operation import PENDING, Pending, QueuedOperation
from sumida.process._members import living_members, start_limit
from sumida.process.status import ExitStatus

__all__ = ("ProcessHandle", "WaitForExit", "reap_adopted", "running", "with_group")

_WHOLE_GROUP: Final = 4
"""`PIDFD_SIGNAL_PROCESS_GROUP`, which the signal module does not name."""

_LAST_WAIT: Final = 1.0
"""How long the interpreter's end waits for children that it has killed, in seconds."""

_FIRST_LOOK: Final = 0.001
_LAST_LOOK: Final = 0.5
"""How long a thread gives a loop to reap a child, before it looks whether it is closed.

In seconds; each look takes twice as long as the one before it.
"""

_leaders: Final[WeakSet["ProcessHandle"]] = WeakSet()
"""Those that lead a group."""

_running: Final[dict[int, "ProcessHandle"]] = {}
"""All children that were not reaped yet, by their pid."""


@final
class ProcessHandle:
    """A child that was started and has to be reaped.

    Args:
        loop: The loop on which its end is noticed.
        pid: Its id; nobody has waited for it.
        owns_group: Whether it leads a process group of its own.

    Attributes:
        pid: As above.
        owns_group: As above.
        status: How it ended; None until that is known.
        is_abandoned: Whether its owner has given it up, and it was killed.
        waiters: Those who wait for its end.
    """

    __slots__ = (
        "__weakref__",
        "_exits_before",
        "_loop",
        "_next_scan",
        "_pidfd",
        "_remains",
        "is_abandoned",
        "owns_group",
        "pid",
        "status",
        "waiters",
    )

    def __init__(self, loop: AbstractEventLoop, pid: int, *, owns_group: bool) -> None:
        self.pid = pid
        self.owns_group = owns_group
        self.status: ExitStatus | None = None
        self.waiters = WaiterQueue(in_order=False)
        self.is_abandoned = False
        self._loop = loop
        # Whether somebody of its group may be left.
        self._remains = owns_group
        self._exits_before = 0
        self._next_scan = 0.0
        _running[pid] = self
        if owns_group:
            _leaders.add(self)
        self._pidfd = _open_pidfd(pid)
        try:
            if self._pidfd is None:
                self._start_thread()
            else:
                loop.add_reader(self._pidfd, self.reap)
        except BaseException:
            # Nobody watches it: the caller has to end it.
            self.disown()
            del _running[pid]
            raise

    def __repr__(self) -> str:
        return f"<ProcessHandle {self.pid} {self.status or 'running'}>"

    @property
    def is_empty(self) -> bool:
        """Whether it has ended, and was seen to have left nobody in its group."""
        return self.status is not None and not self._remains

    def _start_thread(self) -> None:
        thread = threading.Thread(
            target=self._wait_blocking, name=f"sumida-wait-{self.pid}", daemon=True
        )
        # In an empty context: some builds let a thread inherit its starter's.
        Context().run(thread.start)

    def _wait_blocking(self) -> None:
        """Wait on a thread of its own, and leave the reaping to the loop's."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self.reap)
        delay = _FIRST_LOOK
        while self.status is None:
            if self._loop.is_closed():
                self.reap()  # nobody else does, and it sends no more signals
                return
            time.sleep(delay)
            delay = min(2 * delay, _LAST_LOOK)

    def reap(self) -> bool:
        """Take the status of a child that has ended.

        Returns:
            Whether it has.
        """
        if self.status is not None:
            return True
        try:
            if self._pidfd is None:
                result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
            else:
                result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            status = ExitStatus(None)
        else:
            if result is None:
                return False
            if result.si_code == os.CLD_EXITED:
                status = ExitStatus(result.si_status)
            else:
                status = ExitStatus(None, result.si_status)
        self._end(status)
        return True

    def _end(self, status: ExitStatus) -> None:
        self._exits_before = start_limit()
        self.status = status
        _running.pop(self.pid, None)
        loop = self._loop
        is_here = running_loop() is loop
        if self._pidfd is not None and (is_here or not loop.is_running()):
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.remove_reader(self._pidfd)
        # In the same moment: its number cannot have become another's yet.
        if self._remains and not self._signal_rest(0):
            self._remains = False
        if not self._remains:
            self.close()
        if is_here:
            self.waiters.wake_all()

    def close(self) -> None:
        """Let go of the descriptor of a child that has ended."""
        fd, self._pidfd = self._pidfd, None
        if fd is not None:
            os.close(fd)

    # Signals.

    def send(self, number: int) -> bool:
        """Send a signal to the child alone.

        Args:
            number: The signal; 0 only looks.

        Returns:
            Whether it is still there.
        """
        if self.status is not None:
            return False
        try:
            if self._pidfd is None:
                os.kill(self.pid, number)
            else:
                signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def send_group(self, number: int) -> bool:
        """Send a signal to its whole group, or to it alone where it leads none.

        Args:
            number: The signal; 0 only looks.

        Returns:
            Whether anybody is still there.
        """
        if not self.owns_group:
            return self.send(number)
        if self.status is not None:
            return self._remains and self._signal_rest(number)
        # It was not reaped, so the number is its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        return True

    def _signal_rest(self, number: int) -> bool:
        """Send a signal to what is left of the group after its leader was reaped."""
        try:
            if self._pidfd is not None and _can_signal_groups():
                signal.pidfd_send_signal(self._pidfd, number, None, _WHOLE_GROUP)
            elif number == 0 or living_members(self.pid, self._exits_before):
                # Somebody who was there before keeps the number from being given away.
                os.killpg(self.pid, number)
            else:
                return False
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def is_gone(self) -> bool:
        """Tell whether it has ended and nobody of its group is left."""
        if self.status is None:
            return False
        if not self._remains:
            return True
        reap_adopted(self.pid)
        if not self._signal_rest(0) or not self._has_living():
            # One that died between the two looks would stay a zombie.
            reap_adopted(self.pid)
            self._remains = False
            self.close()
        return not self._remains

    def _has_living(self) -> bool:
        """Look whether those that are left live.

        Dead ones that nobody reaps keep the group's number, and do nothing else.
        """
        begun = time.monotonic()
        if begun < self._next_scan:
            return True
        found = living_members(self.pid, None)
        # All processes of the system are looked at: not more than a tenth of the time.
        now = time.monotonic()
        self._next_scan = now + 10 * (now - begun)
        return bool(found)

    def disown(self) -> None:
        """Have nothing to do with it any more."""
        self.is_abandoned = True
        self._remains = False
        if self.status is None:
            self.status = ExitStatus(None)
        self.close()

    def abandon(self) -> None:
        """Kill the group, and see to it that the child is reaped; on any thread."""
        self.is_abandoned = True
        self.send_group(signal.SIGKILL)
        if self.status is not None:
            self.close()
            return
        # The loop may be closed before it hears of the end, or is already.
        with contextlib.suppress(RuntimeError):
            self._start_thread()


@final
class WaitForExit(QueuedOperation[ExitStatus]):
    """Wait until a child has ended.

    Args:
        handle: The child's.
        before: Called before it first waits.
    """

    __slots__ = ("_before", "_handle")

    def __init__(
        self, handle: ProcessHandle, before: Callable[[], object] | None
    ) -> None:
        QueuedOperation.__init__(self, handle.waiters)
        self._handle = handle
        self._before = before

    def __repr__(self) -> str:
        return f"<end of process {self._handle.pid}>"

    def poll(self) -> ExitStatus | Literal[Pending.PENDING]:
        """See whether it has; see `Operation.poll`."""
        status = self._handle.status
        if status is not None:
            self.forget_place()
            return status
        before, self._before = self._before, None
        if before is not None:
            before()
        return PENDING


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        # No such call here, none allowed, or no descriptor left.
        return None


class _Kernel:
    """What this kernel can do, as far as it was asked."""

    __slots__ = ("signals_groups",)

    def __init__(self) -> None:
        self.signals_groups: bool | None = None


_kernel: Final = _Kernel()


def _can_signal_groups() -> bool:
    """Tell whether a pidfd reaches the whole group: since Linux 6.9."""
    if _kernel.signals_groups is None:
        fd = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(fd, 0, None, _WHOLE_GROUP)
            _kernel.signals_groups = True
        except ProcessLookupError:
            _kernel.signals_groups = True  # we lead no group
        except OSError:
            _kernel.signals_groups = False
        finally:
            os.close(fd)
    return _kernel.signals_groups


def reap_adopted(group: int) -> None:
    """Reap those of a group that came to us as orphans; see `adopt_orphans`.

    Args:
        group: Of a child of ours, which is reaped in its own place.
    """
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_PGID, group, look)) is not None:
            if dead.si_pid == group and group in _running:
                return
            os.waitid(os.P_PID, dead.si_pid, os.WEXITED | os.WNOHANG)


def with_group() -> list[int]:
    """List the groups of children that may have members left.

    Returns:
        The groups.
    """
    return [handle.pid for handle in _leaders if not handle.is_empty]


def running() -> list["ProcessHandle"]:
    """List the children that were not reaped yet.

    Returns:
        Their handles.
    """
    return list(_running.values())


def _kill_all() -> None:
    for handle in tuple(_running.values()):
        handle.send_group(signal.SIGKILL)


def _end_all() -> None:
    """Leave no child behind when the interpreter ends."""
    _kill_all()
    end = time.monotonic() + _LAST_WAIT
    while _running and time.monotonic() < end:
        for handle in tuple(_running.values()):
            handle.reap()
        if _running:
            time.sleep(0.001)


def _disown_all() -> None:
    """In a forked child: they are its parent's, and not to be touched from here."""
    for handle in {*_running.values(), *_leaders}:
        handle.disown()
    _running.clear()


atexit.register(_end_all)
before_forced_exit(_kill_all)
os.register_at_fork(after_in_child=_disown_all)
