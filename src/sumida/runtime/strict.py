"""Raise where async code makes a call that would block the event loop.

`with strict_mode():` in a test, or `sumida.run(main, strict=True)`: known blocking
calls of the standard library, made on the loop's own thread while the loop runs,
raise `BlockingCallError` with the name of what to use instead. CPython announces
these calls itself (audit events), so it does not matter how they were imported. It
tells of a call however short it would have been; `LoopWatchdog` tells of any code,
when it took too long.

Some things are let through, because they do not wait or cannot be helped:

- a non-blocking socket, a name that is an address, a file that is open already;
- files read by an `import`, which happens once;
- files read to show a traceback, or written by `logging`: a guard must not hide the
  error that is being told. Network handlers of `logging` are not let through;
- child processes started by asyncio itself;
- all that runs on another thread, as in `spawn_blocking`.

It does not see what has no audit event: `threading.Lock.acquire`, `os.fsync`, reading
from a file, blocking `recv` and `send`. The watchdog does. Renaming and removing
single files is left out, being short. `time.sleep` has its event since CPython 3.13;
before that `time.sleep` is replaced while strict mode is on, so a `sleep` that was
imported by name before is not seen.
"""

import asyncio
import ipaddress
import os
import sys
import threading
import time
from asyncio import AbstractEventLoop
from asyncio import _get_running_loop as running_loop  # None, not an error, outside
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from socket import SOCK_DGRAM, socket
from types import CodeType, FrameType
from typing import Final, SupportsIndex, final

from sumida.errors import BlockingCallError

__all__ = ("Arguments", "allow_blocking", "install", "strict_mode")

Arguments = tuple[object, ...]


@final
class _Kind(Enum):
    """What a call waits for: it decides who is let through."""

    FILE = "file"
    PROCESS = "process"
    OTHER = "other"


@final
@dataclass(frozen=True, slots=True)
class _Rule:
    """What is known of one audit event.

    Attributes:
        instead: What to use in async code.
        kind: What the call waits for.
        blocks: Whether it blocks with these arguments; always when None.
        shown: Which argument tells the reader most.
    """

    instead: str
    kind: _Kind = _Kind.OTHER
    blocks: Callable[[Arguments], bool] | None = None
    shown: int = 0


def _waits(args: Arguments) -> bool:
    """Tell whether `time.sleep(*args)` waits: 0 only lets other threads run."""
    seconds = args[0]
    return not isinstance(seconds, int | float) or seconds > 0


def _names_file(args: Arguments) -> bool:
    """Tell whether `open(*args)` opens what may wait: no descriptor, no /dev/null."""
    return not isinstance(args[0], int) and args[0] != os.devnull


def _connects_blocking(args: Arguments) -> bool:
    """Tell whether a connect waits: asyncio's own sockets do not, nor does UDP."""
    sock = args[0]
    return not isinstance(sock, socket) or (
        sock.gettimeout() != 0 and sock.type != SOCK_DGRAM
    )


def _needs_lookup(args: Arguments) -> bool:
    """Tell whether a host has to be asked for: an address is only parsed."""
    host = args[0]
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _waits_for_lock(args: Arguments) -> bool:
    """Tell whether a file lock is waited for: LOCK_NB refuses, LOCK_UN gives back."""
    non_blocking, unlock = 4, 8
    operation = args[1]
    return not isinstance(operation, int) or not operation & (non_blocking | unlock)


def _is_on_disk(args: Arguments) -> bool:
    """Tell whether a database is a file."""
    return args[0] not in (":memory:", b":memory:")


_SPAWN: Final = "await spawn_blocking(...)"
_FILE: Final = f"use sumida.io, or {_SPAWN}"
_CHILD: Final = f"use sumida.process or asyncio.create_subprocess_exec, or {_SPAWN}"
_DNS: Final = "await loop.getaddrinfo(...)"
_STREAM: Final = "use sumida.net, or loop.sock_connect with a non-blocking socket"
_CLIENT: Final = f"use an async client, or {_SPAWN}"

_RULES: Final[Mapping[str, _Rule]] = {
    "builtins.input": _Rule(f"use sumida.io for stdin, or {_SPAWN}"),
    "fcntl.flock": _Rule(
        f"add LOCK_NB and try again, or {_SPAWN}", blocks=_waits_for_lock
    ),
    "fcntl.lockf": _Rule(
        f"add LOCK_NB and try again, or {_SPAWN}", blocks=_waits_for_lock
    ),
    "ftplib.connect": _Rule(_CLIENT, shown=1),
    "http.client.connect": _Rule(_CLIENT, shown=1),
    "imaplib.open": _Rule(_CLIENT, shown=1),
    "open": _Rule(_FILE, _Kind.FILE, _names_file),
    "os.posix_spawn": _Rule(_CHILD, _Kind.PROCESS),
    "os.system": _Rule(_CHILD, _Kind.PROCESS),
    "poplib.connect": _Rule(_CLIENT, shown=1),
    "pty.spawn": _Rule(_CHILD, _Kind.PROCESS),
    "smtplib.connect": _Rule(_CLIENT, shown=1),
    "socket.connect": _Rule(_STREAM, blocks=_connects_blocking, shown=1),
    "socket.getaddrinfo": _Rule(_DNS, blocks=_needs_lookup),
    "socket.gethostbyaddr": _Rule("await loop.getnameinfo(...)"),
    "socket.gethostbyname": _Rule(_DNS, blocks=_needs_lookup),
    "socket.getnameinfo": _Rule("await loop.getnameinfo(...)"),
    "sqlite3.connect": _Rule(
        f"use an async driver, or {_SPAWN}", _Kind.FILE, _is_on_disk
    ),
    "subprocess.Popen": _Rule(_CHILD, _Kind.PROCESS, shown=1),
    "time.sleep": _Rule("await sumida.sleep(...)", blocks=_waits),
    "urllib.Request": _Rule(_CLIENT),
} | dict.fromkeys(
    (
        "glob.glob",
        "os.fwalk",
        "os.listdir",
        "os.scandir",
        "os.walk",
        "pathlib.Path.glob",
        "pathlib.Path.rglob",
        "shutil.chown",
        "shutil.copyfile",
        "shutil.copymode",
        "shutil.copystat",
        "shutil.copytree",
        "shutil.make_archive",
        "shutil.move",
        "shutil.rmtree",
        "shutil.unpack_archive",
        "tempfile.mkdtemp",
        "tempfile.mkstemp",
    ),
    _Rule(_FILE, _Kind.FILE),
)

# Who may use files, or start processes, by the module of any frame of the callback.
_TRUSTED: Final[Mapping[_Kind, frozenset[str]]] = {
    _Kind.FILE: frozenset(
        {
            "_frozen_importlib",
            "_frozen_importlib_external",
            "asyncio.base_subprocess",
            "importlib._bootstrap",
            "importlib._bootstrap_external",
            "linecache",
            "logging",
        }
    ),
    _Kind.PROCESS: frozenset({"asyncio.base_subprocess"}),
    _Kind.OTHER: frozenset(),
}

# The frames beyond which a callback's stack is no longer its own: an `import` that
# runs a whole program is not importing while the program runs.
_RUN_ONCE: Final[CodeType] = BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # private
_RUNNERS: Final = "asyncio.runners"


@final
class _Permission:
    """One `allow_blocking` block.

    Args:
        why: What the program's author says.
    """

    __slots__ = ("is_open", "why")

    def __init__(self, why: str) -> None:
        self.why = why
        self.is_open = True

    def __repr__(self) -> str:
        return f"<_Permission {self.why!r} {'open' if self.is_open else 'over'}>"


_permission: Final[ContextVar[_Permission | None]] = ContextVar(
    "sumida_allow_blocking", default=None
)

_guarded: Final[dict[AbstractEventLoop, int]] = {}
"""The loops in strict mode, and how often it was entered for each."""

_lock: Final = threading.Lock()

_has_sleep_event: Final = sys.version_info >= (3, 13)
_sleep: Final = time.sleep


def _announced_sleep(seconds: float | SupportsIndex, /) -> None:
    """Sleep, and announce it first, as CPython does itself since 3.13."""
    sys.audit("time.sleep", seconds)
    _sleep(seconds)


class _Installed:
    """Whether the hook is there: it can be added, and never taken away."""

    __slots__ = ("is_done",)

    def __init__(self) -> None:
        self.is_done = False


_installed: Final = _Installed()


def install() -> None:
    """Add the audit hook to this process; harmless when it is there already.

    `strict_mode` does it when it is first entered. A hook cannot be taken away
    again, so each audit event of the process costs one more call from then on (some
    50 ns), which looks whether any loop is in strict mode.
    """
    with _lock:
        if not _installed.is_done:
            _installed.is_done = True
            sys.addaudithook(_on_event)


@contextmanager
def strict_mode(loop: AbstractEventLoop | None = None) -> Iterator[None]:
    """Refuse blocking calls on the thread of `loop`, inside the block.

    May be nested. Only what runs in the loop is looked at, not what the same thread
    does before and after.

    Args:
        loop: The loop to guard; the running one by default.

    Yields:
        Nothing.

    Raises:
        RuntimeError: No loop is given and none is running.
    """
    if loop is None:
        loop = asyncio.get_running_loop()
    install()
    with _lock:
        _guarded[loop] = _guarded.get(loop, 0) + 1
        if not _has_sleep_event and time.sleep is _sleep:
            time.sleep = _announced_sleep
    try:
        yield
    finally:
        with _lock:
            _guarded[loop] -= 1
            if not _guarded[loop]:
                del _guarded[loop]
            if not _guarded and time.sleep is _announced_sleep:
                time.sleep = _sleep


def allow_blocking(why: str) -> AbstractContextManager[None]:
    """Let blocking calls through inside the block, on purpose.

    It holds for this task, and for what it calls; other tasks that run meanwhile are
    not let through, nor is a task that was made inside once the block is left.

    Args:
        why: The reason, for the reader of the code: one sentence.

    Returns:
        A context manager.

    Raises:
        TypeError: `why` is no str.
        ValueError: `why` is empty.
    """
    if not isinstance(why, str):
        raise TypeError(f"why must be a str, not {why!r}")
    if not why.strip():
        raise ValueError("why must say why blocking is right here, not be empty")
    return _allowed(_Permission(why))


@contextmanager
def _allowed(permission: _Permission) -> Iterator[None]:
    outer = _permission.get()
    _permission.set(permission)
    try:
        yield
    finally:
        permission.is_open = False
        _permission.set(outer)


def _on_event(event: str, args: Arguments) -> None:
    # Called for each event of the whole process: this line is what it costs.
    if _guarded:
        rule = _RULES.get(event)
        if rule is not None:
            _judge(event, args, rule)


def _judge(event: str, args: Arguments, rule: _Rule) -> None:
    loop = running_loop()
    if loop is None or loop not in _guarded:
        return
    permission = _permission.get()
    if permission is not None and permission.is_open:
        return
    if rule.blocks is not None and not rule.blocks(args):
        return
    # Above this function stand `_on_event` and the code that made the call.
    if _is_trusted(sys._getframe(2), _TRUSTED[rule.kind]):
        return
    task = asyncio.current_task(loop)
    who = "a callback" if task is None else f"task {task.get_name()!r}"
    value = f" ({args[rule.shown]!r})" if len(args) > rule.shown else ""
    raise BlockingCallError(
        f"{event}{value} was called on the thread of the event loop by {who}",
        f"{rule.instead}; or say why it is right: with allow_blocking(...)",
    )


def _is_trusted(frame: FrameType | None, trusted: frozenset[str]) -> bool:
    if not trusted:
        return False
    while frame is not None and frame.f_code is not _RUN_ONCE:
        module = frame.f_globals.get("__name__")
        if module in trusted:
            return True
        if module == _RUNNERS:
            return False
        frame = frame.f_back
    return False
