"""Start a process: the one step in which a child comes to be.

It does not wait, so nobody can be cancelled in it: who has started a child has its pid,
and whatever fails after that kills it. `fork` and `exec` take less than a millisecond;
a thread for them would take as long, and the kernel would count the child as that
thread's (see `die_with_parent`).
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from typing import Final, final

from sumida.errors import SpawnError
from sumida.process._options import Options, Stdio
from sumida.process.streams import PipeReader, PipeWriter
from sumida.runtime.strict import allow_blocking

__all__ = ("Started", "start")

_WHY: Final = "starting a process takes less than a millisecond"

_DEATH_WRAPPER: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, 9)
parent, locale, *argv = sys.argv[1:]
if os.getppid() != int(parent):
    os._exit(137)
if locale:
    os.environ["LC_CTYPE"] = locale
else:
    os.environ.pop("LC_CTYPE", None)
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(argv[0], argv)
except OSError as error:
    os.write(2, f"cannot start {argv[0]!r}: {error}\\n".encode())
    os._exit(127 if isinstance(error, FileNotFoundError) else 126)
"""
# Run by an interpreter of its own between fork and exec: Python code in the forked
# child itself (`preexec_fn`) can hang on a lock that another thread holds. The parent
# may have died before `prctl`, so it is asked for afterwards. An interpreter sets a
# locale for itself, and ignores signals, which the program must not inherit.

_CD_WRAPPER: Final = 'cd -- "$0" && exec "$@"'


@final
@dataclass(slots=True)
class Started:
    """A process that runs, and our ends of its streams.

    Attributes:
        pid: Its id.
        owns_group: Whether it leads a group.
        stdin: What it reads, a descriptor; None where that is no pipe.
        stdout: What it writes, as above.
        stderr: What it complains to, as above.
    """

    pid: int = 0
    owns_group: bool = True
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


@final
@dataclass(slots=True)
class _Ends:
    """The descriptors of one start.

    Attributes:
        theirs: The child's, closed on our side when it runs.
        ours: Closed if it does not.
    """

    theirs: list[int] = field(default_factory=list)
    ours: list[int] = field(default_factory=list)

    def pipe(self, *, is_read_by_child: bool) -> tuple[int, int]:
        """Make a pipe; the child's end, and ours."""
        read_end, write_end = os.pipe()
        theirs, ours = (
            (read_end, write_end) if is_read_by_child else (write_end, read_end)
        )
        self.theirs.append(theirs)
        self.ours.append(ours)
        return theirs, ours

    def place(self, where: Stdio) -> int | None:
        """Find the descriptor of what is no pipe of ours; None to inherit."""
        match where:
            case "inherit":
                return None
            case "null":
                return subprocess.DEVNULL
            case PipeReader() | PipeWriter():
                fd = where.into_fd()
                self.theirs.append(fd)
                return fd
            case int():
                return where
            case str():
                raise ValueError(
                    f"a stream is 'pipe', 'null', 'inherit' or a file, not {where!r}"
                )
            case _:
                return where.fileno()


def start(options: Options) -> Started:
    """Start a process.

    Args:
        options: What, and how.

    Returns:
        The process, and our ends of its streams.

    Raises:
        SpawnError: The system does not start it.
    """
    ends = _Ends()
    try:
        with allow_blocking(_WHY):
            if options.pty is not None:
                return _start_on_terminal(options, options.pty, ends)
            return _start(options, ends)
    except BaseException as error:
        for fd in ends.ours:
            os.close(fd)
        if isinstance(error, OSError) and not isinstance(error, SpawnError):
            raise _explained(options, error) from error
        raise
    finally:
        for fd in ends.theirs:
            os.close(fd)


def _explained(options: Options, error: OSError) -> SpawnError:
    reason = error.strerror or str(error)
    if error.filename is not None and str(error.filename) == options.cwd:
        reason = f"its directory {options.cwd!r}: {reason}"
    return SpawnError(options.name, error.errno or errno.EIO, reason)


def _start(options: Options, ends: _Ends) -> Started:
    started = Started(owns_group=options.group != "shared")
    places: dict[str, int | None] = {}
    # A child in a group of its own that read our terminal would be stopped by it.
    default: Stdio = "inherit" if options.group == "shared" else "null"
    stdin = default if options.stdin is None else options.stdin
    stdout = "inherit" if options.stdout is None else options.stdout
    stderr = "inherit" if options.stderr is None else options.stderr
    if stdin == "pipe":
        places["stdin"], started.stdin = ends.pipe(is_read_by_child=True)
    else:
        places["stdin"] = ends.place(stdin)
    if stdout == "pipe":
        places["stdout"], started.stdout = ends.pipe(is_read_by_child=False)
    else:
        places["stdout"] = ends.place(stdout)
    if stderr == "pipe":
        places["stderr"], started.stderr = ends.pipe(is_read_by_child=False)
    elif stderr == "stdout":
        places["stderr"] = subprocess.STDOUT
    else:
        places["stderr"] = ends.place(stderr)
    process = subprocess.Popen(  # noqa: S603  # what the caller asked for
        _argv(options),
        cwd=options.cwd,
        env=options.env,
        stdin=places["stdin"],
        stdout=places["stdout"],
        stderr=places["stderr"],
        start_new_session=options.group == "session",
        process_group=0 if options.group == "own" else None,
    )
    # It is ours from here on: what subprocess does for those that were forgotten
    # would take our status.
    process.returncode = 0
    started.pid = process.pid
    return started


def _argv(options: Options) -> list[str]:
    argv = options.argv
    if not options.dies_with_parent:
        return argv
    _check_program(options, argv[0])
    env = os.environ if options.env is None else options.env
    parent, locale = str(os.getpid()), env.get("LC_CTYPE", "")
    wrapper = [sys.executable, "-I", "-S", "-c", _DEATH_WRAPPER, parent, locale]
    return wrapper + argv


def _check_program(options: Options, program: str) -> None:
    """Refuse here what a wrapper would fail to start."""
    path = None if options.env is None else options.env.get("PATH", os.defpath)
    if os.sep in program and options.cwd is not None:
        program = os.path.join(options.cwd, program)  # noqa: PTH118  # never waits
    if shutil.which(program, path=path) is None:
        raise SpawnError(options.name, errno.ENOENT, os.strerror(errno.ENOENT))


def _start_on_terminal(options: Options, size: tuple[int, int], ends: _Ends) -> Started:
    columns, rows = size
    master, slave = os.openpty()
    ends.ours.append(master)
    ends.theirs.append(slave)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    argv = _argv(options)
    if options.cwd is not None:
        _check_program(options, argv[0])
        if not os.path.isdir(options.cwd):  # noqa: PTH112  # never waits
            reason = os.strerror(errno.ENOENT)
            raise FileNotFoundError(errno.ENOENT, reason, options.cwd)
        argv = ["/bin/sh", "-c", _CD_WRAPPER, options.cwd, *argv]
    # The first terminal that a session's leader opens is its own: so it is opened by
    # the child, which subprocess cannot do.
    pid = os.posix_spawnp(
        argv[0],
        argv,
        dict(os.environ if options.env is None else options.env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ],
        setsid=True,
        # What Python ignores, and other programs do not expect to be ignored.
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )
    started = Started(pid, owns_group=True, stdout=master)
    with contextlib.suppress(OSError):  # no descriptor left: it cannot be written to
        started.stdin = os.dup(master)
    return started
