"""Every blocking call that strict mode knows, made for real, and the near misses."""

import asyncio
import atexit
import contextlib
import fcntl
import ftplib
import glob
import http.client
import imaplib
import io
import os
import poplib
import pty
import shutil
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from sumida.errors import BlockingCallError
from sumida.runtime import strict
from sumida.runtime.strict import allow_blocking, install, strict_mode
from tests.support import Run

NOWHERE = "/nonexistent/sumida"
PORT = 9
TRUE = "/bin/true"


def connect() -> None:
    """Connect a socket that blocks."""
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", PORT))


def connect_in_time() -> None:
    """A timeout makes a socket wait for less long, and it waits."""
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.connect_ex(("127.0.0.1", PORT))


def lock(call: Callable[[int, int], object], flags: int) -> None:
    """Lock a file that is open already."""
    call(LOCKED, flags)


# One for each process: several run the tests at once.
LOCKED_FILE = tempfile.TemporaryFile()  # noqa: SIM115  # for as long as the tests run
LOCKED = LOCKED_FILE.fileno()
atexit.register(LOCKED_FILE.close)

CALLS: dict[str, tuple[str, Callable[[], object]]] = {
    "sleep": ("time.sleep", lambda: time.sleep(0.001)),
    "input": ("builtins.input", input),
    "open": ("open", lambda: open(NOWHERE)),  # noqa: PTH123, SIM115
    "os.open": ("open", lambda: os.open(NOWHERE, os.O_RDONLY)),
    "read_text": ("open", lambda: Path(NOWHERE).read_text()),
    "listdir": ("os.listdir", lambda: os.listdir("/")),  # noqa: PTH208
    "scandir": ("os.scandir", lambda: os.scandir("/")),
    "walk": ("os.walk", lambda: list(os.walk(NOWHERE))),
    "fwalk": ("os.fwalk", lambda: list(os.fwalk(NOWHERE))),
    "glob": ("glob.glob", lambda: glob.glob(NOWHERE)),  # noqa: PTH207
    "Path.glob": ("pathlib.Path.glob", lambda: list(Path(NOWHERE).glob("*"))),
    "Path.rglob": ("pathlib.Path.rglob", lambda: list(Path(NOWHERE).rglob("*"))),
    "chown": ("shutil.chown", lambda: shutil.chown(NOWHERE, user=0)),
    "copyfile": ("shutil.copyfile", lambda: shutil.copyfile(NOWHERE, NOWHERE + "2")),
    "copymode": ("shutil.copymode", lambda: shutil.copymode(NOWHERE, NOWHERE + "2")),
    "copystat": ("shutil.copystat", lambda: shutil.copystat(NOWHERE, NOWHERE + "2")),
    "copytree": ("shutil.copytree", lambda: shutil.copytree(NOWHERE, NOWHERE + "2")),
    "archive": (
        "shutil.make_archive",
        lambda: shutil.make_archive(NOWHERE, "tar", NOWHERE),
    ),
    "move": ("shutil.move", lambda: shutil.move(NOWHERE, NOWHERE + "2")),
    "rmtree": ("shutil.rmtree", lambda: shutil.rmtree(NOWHERE)),
    "unpack": (
        "shutil.unpack_archive",
        lambda: shutil.unpack_archive(NOWHERE, NOWHERE, "tar"),
    ),
    "mkstemp": ("tempfile.mkstemp", lambda: tempfile.mkstemp(dir=NOWHERE)),
    "mkdtemp": ("tempfile.mkdtemp", lambda: tempfile.mkdtemp(dir=NOWHERE)),
    "flock": ("fcntl.flock", lambda: lock(fcntl.flock, fcntl.LOCK_EX)),
    "lockf": ("fcntl.lockf", lambda: lock(fcntl.lockf, fcntl.LOCK_EX)),
    "sqlite3": ("sqlite3.connect", lambda: sqlite3.connect(NOWHERE)),
    "subprocess": ("subprocess.Popen", lambda: subprocess.run([TRUE], check=False)),  # noqa: S603
    "system": ("os.system", lambda: os.system("true")),  # noqa: S605, S607
    "posix_spawn": ("os.posix_spawn", lambda: os.posix_spawn(TRUE, [TRUE], {})),
    "pty.spawn": ("pty.spawn", lambda: pty.spawn(TRUE)),
    "connect": ("socket.connect", connect),
    "connect in time": ("socket.connect", connect_in_time),
    "getaddrinfo": ("socket.getaddrinfo", lambda: socket.getaddrinfo("localhost", 1)),
    "gethostbyname": (
        "socket.gethostbyname",
        lambda: socket.gethostbyname("localhost"),
    ),
    "gethostbyname_ex": (
        "socket.gethostbyname",
        lambda: socket.gethostbyname_ex("localhost"),
    ),
    "gethostbyaddr": (
        "socket.gethostbyaddr",
        lambda: socket.gethostbyaddr("127.0.0.1"),
    ),
    "getnameinfo": (
        "socket.getnameinfo",
        lambda: socket.getnameinfo(("127.0.0.1", 1), 0),
    ),
    "urlopen": (
        "urllib.Request",
        lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}"),
    ),
    "http": (
        "http.client.connect",
        lambda: http.client.HTTPConnection("127.0.0.1", PORT).connect(),
    ),
    "smtp": ("smtplib.connect", lambda: smtplib.SMTP("127.0.0.1", PORT)),
    "ftp": ("ftplib.connect", lambda: ftplib.FTP("127.0.0.1")),  # noqa: S321
    "imap": ("imaplib.open", lambda: imaplib.IMAP4("127.0.0.1", PORT)),
    "pop": ("poplib.connect", lambda: poplib.POP3("127.0.0.1", PORT)),
}


def test_every_known_event_is_called_for_real() -> None:
    """No line of the table goes without a call."""
    assert {event for event, _ in CALLS.values()} == set(strict._RULES)


@pytest.mark.parametrize("name", CALLS)
def test_a_blocking_call_in_a_task_is_refused(run: Run, name: str) -> None:
    """The message names the call, the task and the way out; nothing is done."""
    event, call = CALLS[name]

    async def main() -> BlockingCallError:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the-task")
        with strict_mode(), pytest.raises(BlockingCallError) as caught:
            call()
        return caught.value

    error = run(main)

    assert error.what.startswith(event)
    assert error.what.endswith("the event loop by task 'the-task'")
    assert "allow_blocking" in error.instead


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("sleep", "time.sleep (0.001)", "await sumida.sleep"),
        ("open", f"open ('{NOWHERE}')", "sumida.io"),
        ("connect", "socket.connect (('127.0.0.1', 9))", "sumida.net"),
        ("getaddrinfo", "socket.getaddrinfo ('localhost')", "loop.getaddrinfo"),
        ("subprocess", f"subprocess.Popen (['{TRUE}'])", "sumida.process"),
        ("sqlite3", f"sqlite3.connect ('{NOWHERE}')", "spawn_blocking"),
        ("http", "http.client.connect ('127.0.0.1')", "async client"),
    ],
)
def test_the_message_shows_the_value_and_the_replacement(
    run: Run, name: str, value: str, instead: str
) -> None:
    """What was called with what, and what to await instead."""

    async def main() -> BlockingCallError:
        with strict_mode(), pytest.raises(BlockingCallError) as caught:
            CALLS[name][1]()
        return caught.value

    error = run(main)

    assert error.what.startswith(value)
    assert instead in error.instead


def test_a_callback_is_guarded_too(run: Run) -> None:
    """Not only tasks run on the loop."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def callback() -> None:
            try:
                os.listdir("/")  # noqa: PTH208
            except BlockingCallError as error:
                answer.set_result(error.what)

        with strict_mode():
            loop.call_soon(callback)
            return await answer

    assert run(main).endswith("the event loop by a callback")


def test_a_c_function_called_by_the_loop_is_guarded(run: Run) -> None:
    """Also when the loop itself is the caller, with no Python of ours around."""

    async def main() -> list[object]:
        seen: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        with strict_mode():
            loop.call_soon(os.listdir, "/")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return seen

    (error,) = run(main)

    assert isinstance(error, BlockingCallError)


NEAR: dict[str, Callable[[], object]] = {
    "sleep(0)": lambda: time.sleep(0),
    "open a descriptor": lambda: open(LOCKED, closefd=False).close(),
    "open nothing": lambda: open(os.devnull).close(),  # noqa: PTH123
    "in memory": lambda: io.StringIO("text").read(),
    "sqlite in memory": lambda: sqlite3.connect(":memory:").close(),
    "lock without waiting": lambda: lock(fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "unlock": lambda: lock(fcntl.flock, fcntl.LOCK_UN),
    "lockf without waiting": lambda: lock(fcntl.lockf, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "address": lambda: socket.getaddrinfo("127.0.0.1", 1),
    "address 6": lambda: socket.getaddrinfo("::1", 1),
    "address in bytes": lambda: socket.getaddrinfo(b"127.0.0.1", 1),
    "any address": lambda: socket.getaddrinfo(None, 1, type=socket.SOCK_STREAM),
    "address by name": lambda: socket.gethostbyname("127.0.0.1"),
    "audit of others": lambda: sys.audit("sumida.test", 1),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_miss_passes(run: Run, name: str) -> None:
    """The same call with arguments that make it return at once."""

    async def main() -> None:
        with strict_mode():
            NEAR[name]()

    run(main)


def test_sockets_that_do_not_block_pass(run: Run) -> None:
    """What asyncio does itself, and UDP, whose connect only notes the address."""

    async def main() -> None:
        with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as udp:
            sock.setblocking(False)  # its signature
            with strict_mode():
                assert sock.connect_ex(("127.0.0.1", PORT)) != 0
                udp.connect(("127.0.0.1", PORT))

    run(main)


def test_a_guarded_loop_in_another_thread_is_guarded(run: Run) -> None:
    """Each loop by itself."""
    caught: list[str] = []

    async def other() -> None:
        with strict_mode():
            try:
                os.listdir("/")  # noqa: PTH208
            except BlockingCallError as error:
                caught.append(error.what)

    async def main() -> None:
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert os.listdir("/")  # noqa: PTH208

    run(main)

    assert len(caught) == 1


def test_it_is_off_after_the_block_and_can_be_nested(run: Run) -> None:
    """The outer block still holds after the inner."""
    real = time.sleep

    async def main() -> None:
        with strict_mode():
            with strict_mode():
                pass
            with pytest.raises(BlockingCallError):
                os.listdir("/")  # noqa: PTH208
        assert os.listdir("/")  # noqa: PTH208

    run(main)

    assert time.sleep is real
    assert strict._guarded == {}


def test_allow_blocking_lets_through_in_its_block(run: Run) -> None:
    """Before and after it the call is refused."""

    async def main() -> None:
        with strict_mode():
            with allow_blocking("read once at start"):
                assert os.listdir("/")  # noqa: PTH208
                with allow_blocking("and again"):
                    time.sleep(0.001)  # the point  # noqa: ASYNC251
                assert os.listdir("/")  # noqa: PTH208
            with pytest.raises(BlockingCallError):
                os.listdir("/")  # noqa: PTH208

    run(main)


def test_allow_blocking_is_for_its_own_task(run: Run) -> None:
    """Not for one that runs meanwhile, nor for its own child once it is left."""

    async def child(left: asyncio.Event) -> bool:
        await left.wait()
        return is_refused()

    async def neighbour(entered: asyncio.Event, go_on: asyncio.Event) -> bool:
        await entered.wait()
        refused = is_refused()
        go_on.set()
        return refused

    def is_refused() -> bool:
        try:
            os.listdir("/")  # noqa: PTH208
        except BlockingCallError:
            return True
        return False

    async def main() -> tuple[bool, bool]:
        entered, go_on, left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        with strict_mode():
            other = asyncio.create_task(neighbour(entered, go_on))
            with allow_blocking("the point"):
                own = asyncio.create_task(child(left))
                entered.set()
                await go_on.wait()
            left.set()
            return await other, await own

    assert run(main) == (True, True)


def test_an_error_leaves_allow_blocking_and_strict_mode(run: Run) -> None:
    """Both end with their block, however it ends."""

    async def main() -> None:
        with strict_mode():
            with contextlib.suppress(KeyError), allow_blocking("the point"):
                raise KeyError
            with pytest.raises(BlockingCallError):
                os.listdir("/")  # noqa: PTH208

    run(main)


@pytest.mark.parametrize(("why", "error"), [("", ValueError), (" ", ValueError)])
def test_allow_blocking_wants_a_reason(why: str, error: type[Exception]) -> None:
    """At the call, not when the block is entered."""
    with pytest.raises(error, match="why blocking is right here"):
        allow_blocking(why)
    with pytest.raises(TypeError, match="why must be a str, not 5"):
        allow_blocking(5)  # type: ignore[arg-type]  # the point


def test_strict_mode_without_a_loop_is_refused() -> None:
    """There is nothing to guard."""
    with pytest.raises(RuntimeError, match="no running event loop"), strict_mode():
        pass


def test_install_is_idempotent() -> None:
    """One hook, however often."""
    install()
    install()

    assert strict._installed.is_done
    assert repr(strict._Permission("x")) == "<_Permission 'x' open>"
