"""One worker process as its parent sees it: start, ask, kill, reap.

All but `kill` may take long and is called on a thread of the pool's.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import connection, process, resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Final, final

from sumida.errors import MisuseError
from sumida.runtime._worker import END, READY, serve

__all__ = ("WorkerProcess",)

# How long a worker that has nothing to do may take to end by itself, in seconds: the
# interpreter's own end, and what the program's functions registered with atexit.
_GRACE: Final = 1.0


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Hold SIGINT back in what this thread starts, until it can refuse it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It sets this thread's mask too, so it has to run before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@final
class WorkerProcess:
    """A process that makes calls, one at a time.

    Args:
        name: Of the process.

    Attributes:
        name: As above.
        pid: The process's id.

    Raises:
        MisuseError: This process is such a worker itself, or another daemon.
        OSError: The system starts no more processes.
        EOFError: The process ended before it was ready.
    """

    __slots__ = (
        "_connection",
        "_lock",
        "_pidfd",
        "_process",
        "exit_code",
        "name",
        "pid",
    )

    def __init__(self, name: str) -> None:
        if process.current_process().daemon:
            raise MisuseError(
                "spawn_cpu was called in a worker process, which may have no children",
                "call it in the program, for each part of the work",
            )
        self.name = name
        self.exit_code: int | None = None
        self._lock = threading.Lock()
        self._connection, theirs = multiprocessing.Pipe()
        # A daemon may have no children of its own: it can be killed at any moment,
        # and they would be left behind.
        self._process = SpawnProcess(
            target=serve, args=(theirs,), name=name, daemon=True
        )
        try:
            with _without_interrupt():
                self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()
        # The module waits at exit for those that it knows, and polls them whenever
        # another is started, on any thread; this one is ours to reap.
        process._children.discard(self._process)  # type: ignore[attr-defined]  # private
        self.pid = self._process.pid or 0
        self._pidfd = _open_pidfd(self.pid)

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.name} pid {self.pid}>"

    def wait_ready(self) -> bool:
        """Wait until it has started.

        Returns:
            Whether it has; False when it died before, and has to be reaped.
        """
        return self._receive() == READY

    def ask(self, request: bytes) -> bytes | None:
        """Make one call and wait for the answer.

        Args:
            request: The call.

        Returns:
            The answer; None when the process died, and has to be reaped.
        """
        try:
            self._connection.send_bytes(request)
        except OSError:
            return None
        return self._receive()

    def _receive(self) -> bytes | None:
        # Its death is asked for as well: a process that it forked may hold the pipe.
        death = self._process.sentinel if self._pidfd is None else self._pidfd
        ready = connection.wait([self._connection, death])
        if self._connection not in ready and not self._connection.poll(0):
            return None
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def is_alive(self) -> bool:
        """Look whether it can be asked, without waiting."""
        with self._lock:
            return self.exit_code is None and self._process.exitcode is None

    def kill(self) -> None:
        """Kill it; it has to be reaped then."""
        with self._lock:
            if self.exit_code is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                if self._pidfd is None:
                    self._process.kill()
                else:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def end(self) -> None:
        """Ask it to end, kill it if it does not, and reap it."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(END)
        death = self._process.sentinel if self._pidfd is None else self._pidfd
        if not connection.wait([death], _GRACE):
            self.kill()
        self.reap()

    def reap(self) -> int | None:
        """Wait for the end of a process that is dead or about to be.

        Returns:
            Its exit code; negative is the signal that ended it.
        """
        with self._lock:
            if self.exit_code is None:
                self._process.join()
                # None when somebody else reaped it, as a handler of SIGCHLD that
                # waits for any child does.
                code = self._process.exitcode
                self.exit_code = -1 if code is None else code
                self._process.close()
                self._close()
            return self.exit_code

    def forget(self) -> None:
        """Close what a forked child has inherited: the process is its parent's."""
        self.exit_code = -1
        self._lock = threading.Lock()
        self._close()

    def _close(self) -> None:
        self._connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _open_pidfd(pid: int) -> int | None:
    """Get a handle that cannot mean another process, where the system has them."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
