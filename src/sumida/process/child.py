"""A child process: its streams, its end, and how to bring that about.

Made by `Command.spawn`. Hold it in an `async with` block: whoever leaves the block, in
whatever way, leaves no process of the child's group behind.
"""

import asyncio
import fcntl
import os
import struct
import termios
import time
import warnings
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP
from types import TracebackType
from typing import Final, Self, final

from sumida.errors import MisuseError
from sumida.operation import PENDING, Operation
from sumida.process._handle import ProcessHandle, WaitForExit
from sumida.process._options import Options
from sumida.process._spawn import start
from sumida.process.lines import LINE_LIMIT, Lines, StreamName
from sumida.process.status import ExitStatus
from sumida.process.streams import PipeReader, PipeWriter

__all__ = ("Child",)

_FIRST_LOOK: Final = 0.001
_LONGEST_LOOK: Final = 0.05
"""Seconds between two looks whether a group is gone: nothing tells of that."""

_AFTER_KILL: Final = 1.0
"""How long the death of what was killed is waited for, in seconds. It comes at once,
unless the kernel itself is stuck with the process."""


@final
class Child:
    """A process that was started by `Command.spawn`.

    Leave it by `async with`: its group is then asked to end, and killed if it does not
    within the command's grace. It is reaped whatever happens. A child that is collected
    while it runs is killed, with a `ResourceWarning`.

    Source:
        `tokio::process::Child`
    """

    __slots__ = (
        "__weakref__",
        "_handle",
        "_is_pty",
        "_options",
        "_stdin",
        "_was_killed",
        "_was_taken",
        "stderr",
        "stdout",
    )

    stdout: PipeReader | None
    """What it writes, where that is a pipe or a terminal."""

    stderr: PipeReader | None
    """What it complains to, where that is a pipe."""

    def __init__(self, options: Options) -> None:
        loop = asyncio.get_running_loop()
        started = start(options)
        fds = [started.stdin, started.stdout, started.stderr]
        try:
            self._handle = ProcessHandle(
                loop, started.pid, owns_group=started.owns_group
            )
            what = f"{options.name}[{started.pid}]"
            self._options = options
            self._is_pty = options.pty is not None
            self._was_taken = False
            self._was_killed = False
            self._stdin = _writer(fds, 0, f"stdin of {what}")
            self.stdout = _reader(fds, 1, f"stdout of {what}")
            self.stderr = _reader(fds, 2, f"stderr of {what}")
        except BaseException:
            # No thread or descriptor left to watch it with.
            if hasattr(self, "_handle"):
                self._handle.abandon()
            else:
                _kill_unwatched(started.pid)
            for fd in fds:
                if fd is not None:
                    os.close(fd)
            raise

    def __repr__(self) -> str:
        status = self._handle.status
        state = "running" if status is None else str(status)
        return f"<Child {self._options.name}[{self.pid}] {state}>"

    # What it is.

    @property
    def pid(self) -> int:
        """Its process id; of nobody, or of another process, once it has ended."""
        return self._handle.pid

    @property
    def name(self) -> str:
        """What was started."""
        return self._options.name

    @property
    def status(self) -> ExitStatus | None:
        """How it ended; None while it runs, as far as the loop has seen."""
        return self._handle.status

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._handle.reap()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, and nobody of its group is left."""
        return self._handle.reap() and self._handle.is_gone()

    @property
    def was_killed(self) -> bool:
        """Whether `kill`, `stop` or the end of its block has sent SIGKILL to its group.

        `stop` and the block do if it, or what it has started, has not ended in time.
        Its `status` does not tell: the child may have ended well, and what it has
        started not; or somebody else has killed it.
        """
        return self._was_killed

    @property
    def stdin(self) -> PipeWriter | None:
        """What it reads, where that is a pipe or a terminal.

        `wait` closes it, as a child that reads to the end would not end before; take
        it by `take_stdin` where another task still writes then.
        """
        return self._stdin

    def take_stdin(self) -> PipeWriter:
        """Give `stdin` to the caller, who has to close it.

        Returns:
            The stream.

        Raises:
            MisuseError: It is no pipe, or was taken before.
        """
        stdin = self._stdin
        if stdin is None or self._was_taken:
            raise MisuseError(
                f"{self!r} has no stdin to take", "say stdin('pipe'), and take it once"
            )
        self._was_taken = True
        return stdin

    def resize(self, columns: int, rows: int) -> None:
        """Tell the programs on its terminal that this has another size.

        Args:
            columns: Characters in a line.
            rows: Lines.

        Raises:
            MisuseError: It has no terminal, or that is closed.
        """
        fd = -1 if self.stdout is None else self.stdout.fileno()
        if not self._is_pty or fd < 0:
            raise MisuseError(f"{self!r} has no terminal", "start it with pty()")
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def lines(self, limit: int = LINE_LIMIT) -> Lines:
        """Give the lines that it writes to its stdout and stderr, each with its name.

        Nobody else may read the two streams then.

        Args:
            limit: Bytes in a line, 1 or more; a longer one comes in pieces.

        Returns:
            What can be iterated over, and passed to `select`.

        Raises:
            ValueError: `limit` is less than 1.

        Cancel safety:
            Safe: it does not wait, and what it gives takes whole lines only.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 byte or more, not {limit}")
        pairs: list[tuple[StreamName, PipeReader]] = []
        if self.stdout is not None:
            pairs.append(("stdout", self.stdout))
        if self.stderr is not None:
            pairs.append(("stderr", self.stderr))
        return Lines(pairs, limit)

    # Its end.

    def wait(self) -> Operation[ExitStatus]:
        """Wait until it has ended, whoever still holds its streams.

        Where `stdin` is a pipe it is closed first, unless it was taken.

        Returns:
            An operation that gives how it ended; at once when it has, any number of
            times.

        Cancel safety:
            Safe: the child runs on, and may be waited for again.

        Source:
            `tokio::process::Child::wait`
        """
        return WaitForExit(self._handle, self._close_stdin)

    def _close_stdin(self) -> None:
        if self._stdin is not None and not self._was_taken and not self._is_pty:
            self._stdin.close()

    def try_wait(self) -> ExitStatus | None:
        """Look whether it has ended.

        Returns:
            How it ended; None while it runs.
        """
        self._handle.reap()
        return self._handle.status

    def signal(self, number: int) -> bool:
        """Send a signal to the process alone.

        Args:
            number: The signal.

        Returns:
            Whether it was still there; a signal to a child that has ended does
            nothing, and never reaches another process.
        """
        return self._handle.send(number)

    def signal_group(self, number: int) -> bool:
        """Send a signal to all of its group.

        Args:
            number: The signal.

        Returns:
            Whether anybody was still there.
        """
        return self._handle.send_group(number)

    def terminate(self) -> bool:
        """Ask its group to end: SIGTERM, and SIGCONT for what is stopped.

        Returns:
            Whether anybody was still there.
        """
        return self._ask(SIGTERM)

    def _ask(self, number: int) -> bool:
        is_there = self._handle.send_group(number)
        if number not in (SIGKILL, SIGSTOP, SIGTSTP):
            self._handle.send_group(SIGCONT)
        return is_there

    def kill(self) -> bool:
        """Kill its group at once.

        Returns:
            Whether anybody was still there.

        Source:
            `tokio::process::Child::start_kill`
        """
        is_there = self._handle.send_group(SIGKILL)
        self._was_killed |= is_there
        return is_there

    async def stop(
        self, grace: float | None = None, *, first: int = SIGTERM
    ) -> ExitStatus:
        """End its whole group: ask, and kill what has not ended in time.

        Args:
            grace: How long it may take to end by itself, in seconds; the command's
                when None, 0 to kill at once.
            first: The signal that asks.

        Returns:
            How the child itself ended; `was_killed` tells whether anybody of the group
            had to be killed.

        Raises:
            ValueError: `grace` is negative.

        Cancel safety:
            Safe: a cancelled call has killed the group.
        """
        if grace is None:
            grace = self._options.grace
        if not grace >= 0:
            raise ValueError(f"grace must be 0 seconds or more, not {grace}")
        handle = self._handle
        handle.reap()
        try:
            if grace and not handle.is_gone():
                self._ask(first)
                await self._wait_gone(grace)
        finally:
            if not handle.is_gone():
                await self._kill_and_wait()
        status = handle.status
        return ExitStatus(None) if status is None else status

    async def _wait_gone(self, seconds: float) -> None:
        """Wait until nobody is left, for some time at most."""
        end = time.monotonic() + seconds
        pause = _FIRST_LOOK
        handle = self._handle
        while not (handle.reap() and handle.is_gone()):
            left = end - time.monotonic()
            if left <= 0:
                return
            if handle.status is None:
                await self._pause(left)
            else:
                await self._pause(min(pause, left))
                pause = min(pause * 2, _LONGEST_LOOK)

    async def _pause(self, seconds: float) -> None:
        """Sleep in real time, and wake when the child itself has ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        timer = loop.call_later(seconds, _wake, future)
        end = WaitForExit(self._handle, None)
        if end.poll() is PENDING:
            end.arm(future)
        try:
            await future
        finally:
            end.disarm()
            timer.cancel()

    async def _kill_and_wait(self) -> None:
        """Kill the group, and see its end; a cancel comes after that."""
        self.kill()
        cancelled: asyncio.CancelledError | None = None
        end = time.monotonic() + _AFTER_KILL
        while time.monotonic() < end:
            try:
                await self._wait_gone(end - time.monotonic())
            except asyncio.CancelledError as error:
                cancelled = error
                continue
            break
        if cancelled is not None:
            raise cancelled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._close_stdin()
            await self.stop()
        finally:
            self.close_streams()

    def close_streams(self) -> None:
        """Close our ends of its streams, at once; twice does no harm."""
        for stream in (self._stdin, self.stdout, self.stderr):
            if stream is not None and not (stream is self._stdin and self._was_taken):
                stream.abort()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is None or handle.is_abandoned:
            return  # it was never started, or is killed already
        if handle.status is None:
            handle.abandon()
            warnings.warn(
                f"{self!r} was collected while it ran, and is killed; "
                "use `async with`, or wait for it",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        else:
            handle.close()


def _wake(future: asyncio.Future[object]) -> None:
    if not future.done():
        future.set_result(None)


def _writer(fds: list[int | None], place: int, what: str) -> PipeWriter | None:
    fd = fds[place]
    if fd is None:
        return None
    fds[place] = None
    return PipeWriter(fd, what)


def _reader(fds: list[int | None], place: int, what: str) -> PipeReader | None:
    fd = fds[place]
    if fd is None:
        return None
    fds[place] = None
    return PipeReader(fd, what)


def _kill_unwatched(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
        os.waitpid(pid, 0)
    except OSError:
        return  # it was reaped already
