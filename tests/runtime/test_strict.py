"""Every blocking call that strict mode knows, made for real, and the near misses."""

import asyncio
import contextlib
import fcntl
import ftplib
import glob
import http.client
import imaplib
import importlib
import io
import logging
import logging.handlers
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
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from sumida.errors import BlockingCallError
from sumida.runtime import strict
from sumida.runtime.blocking import spawn_blocking
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


LOCKED = os.open(os.devnull, os.O_RDWR)

CALLS: dict[str, tuple[str, Callable[[], object]]] = {
    "sleep": ("time.sleep", lambda: time.sleep(0.001)),
    "input": ("builtins.input", input),
    "open": ("open", lambda: open(NOWHERE)),
    "os.open": ("open", lambda: os.open(NOWHERE, os.O_RDONLY)),
    "read_text": ("open", lambda: Path(NOWHERE).read_text()),
    "listdir": ("os.listdir", lambda: os.listdir("/")),
    "scandir": ("os.scandir", lambda: os.scandir("/")),
    "walk": ("os.walk", lambda: list(os.walk(NOWHERE))),
    "fwalk": ("os.fwalk", lambda: list(os.fwalk(NOWHERE))),
    "glob": ("glob.glob", lambda: glob.glob(NOWHERE)),
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
    "subprocess": ("subprocess.Popen", lambda: subprocess.run([TRUE], check=False)),
    "system": ("os.system", lambda: os.system("true")),
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
    "ftp": ("ftplib.connect", lambda: ftplib.FTP("127.0.0.1")),
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
                os.listdir("/")
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
    "open nothing": lambda: open(os.devnull).close(),
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


def test_streams_and_servers_of_asyncio_pass(run: Run) -> None:
    """A whole exchange over TCP, by a name that has to be looked up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> bytes:
        with strict_mode():
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(b"hello\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            await asyncio.sleep(0)
        return answer

    assert run(main) == b"hello\n"


def test_children_of_asyncio_pass(run: Run) -> None:
    """With pipes and with /dev/null."""

    async def main() -> bytes:
        with strict_mode():
            child = await asyncio.create_subprocess_exec(
                "/bin/echo",
                "hello",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await child.communicate()
        return output

    assert run(main) == b"hello\n"


def test_an_import_passes_and_what_it_does_beyond_does_not(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are read once; a sleep in a module's body is still a sleep."""
    (tmp_path / "sumida_reads.py").write_text(
        "import pathlib\nTEXT = pathlib.Path(__file__).read_text()\n"
    )
    (tmp_path / "sumida_sleeps.py").write_text("import time\ntime.sleep(0.001)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def main() -> str:
        with strict_mode():
            text: str = importlib.import_module("sumida_reads").TEXT
            with pytest.raises(BlockingCallError, match=r"time\.sleep"):
                importlib.import_module("sumida_sleeps")
        return text

    try:
        assert run(main).startswith("import pathlib")
    finally:
        for name in ("sumida_reads", "sumida_sleeps"):
            sys.modules.pop(name, None)


def test_an_import_that_runs_a_loop_is_no_excuse(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an import inside the callback counts, not one around the whole loop."""
    del run  # on asyncio's own loop, whose frames can be seen
    (tmp_path / "sumida_runs.py").write_text(
        "import asyncio, os\n"
        "from sumida.runtime.strict import strict_mode\n"
        "async def main():\n"
        "    with strict_mode():\n"
        "        os.listdir('/')\n"
        "asyncio.run(main())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(BlockingCallError):
        importlib.import_module("sumida_runs")


def test_showing_an_error_passes(run: Run, tmp_path: Path) -> None:
    """The source lines of a traceback are read from files that were never read."""
    path = tmp_path / "fresh.py"
    path.write_text("def fail():\n    raise KeyError('here')\n")
    names: dict[str, Callable[[], None]] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)  # a fresh file

    async def main() -> str:
        with strict_mode():
            try:
                names["fail"]()
            except KeyError:
                return traceback.format_exc()
        return ""

    assert "raise KeyError('here')" in run(main)


def test_a_log_file_passes_and_a_log_server_does_not(run: Run, tmp_path: Path) -> None:
    """A file is opened late and rotated; a connection over TCP is refused."""
    logger = logging.Logger("alone")  # not to be found by others
    file = logging.handlers.RotatingFileHandler(
        tmp_path / "log", maxBytes=10, backupCount=1, delay=True
    )
    caught: list[BaseException | None] = []

    class Server(logging.handlers.SocketHandler):
        """Connects, and keeps what went wrong."""

        def makeSocket(self, timeout: float = 1) -> socket.socket:
            """Connect, and leave no socket open."""
            del timeout
            connect()
            raise AssertionError

        def handleError(self, record: logging.LogRecord) -> None:
            """Keep the error."""
            del record
            caught.append(sys.exc_info()[1])

    server = Server("127.0.0.1", PORT)

    async def main() -> None:
        with strict_mode():
            logger.addHandler(file)
            logger.warning("a line of some length")
            logger.warning("a line of some length")
            logger.removeHandler(file)
            logger.addHandler(server)
            logger.warning("over there")

    run(main)
    file.close()
    server.close()

    assert (tmp_path / "log.1").exists()
    assert [type(error) for error in caught] == [BlockingCallError]


def test_other_threads_pass(run: Run) -> None:
    """What spawn_blocking and to_thread run is where it belongs."""

    async def main() -> bool:
        with strict_mode():
            await spawn_blocking(time.sleep, 0.001)
            await asyncio.to_thread(os.listdir, "/")
            return bool(await spawn_blocking(os.listdir, "/"))

    assert run(main)


def test_outside_of_the_loop_it_passes(run: Run) -> None:
    """The thread of the loop may block before and after it runs."""
    loop = asyncio.new_event_loop()

    async def main() -> None:
        with pytest.raises(BlockingCallError):
            os.listdir("/")

    with strict_mode(loop):
        assert os.listdir("/")
        loop.run_until_complete(main())
        assert os.listdir("/")
        run(main_allowed)
    loop.close()


async def main_allowed() -> None:
    """Block on a loop that nobody guards."""
    assert os.listdir("/")
    time.sleep(0)  # the point


def test_a_guarded_loop_in_another_thread_is_guarded(run: Run) -> None:
    """Each loop by itself."""
    caught: list[str] = []

    async def other() -> None:
        with strict_mode():
            try:
                os.listdir("/")
            except BlockingCallError as error:
                caught.append(error.what)

    async def main() -> None:
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert os.listdir("/")

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
                os.listdir("/")
        assert os.listdir("/")

    run(main)

    assert time.sleep is real
    assert strict._guarded == {}


def test_allow_blocking_lets_through_in_its_block(run: Run) -> None:
    """Before and after it the call is refused."""

    async def main() -> None:
        with strict_mode():
            with allow_blocking("read once at start"):
                assert os.listdir("/")
                with allow_blocking("and again"):
                    time.sleep(0.001)  # the point
                assert os.listdir("/")
            with pytest.raises(BlockingCallError):
                os.listdir("/")

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
            os.listdir("/")
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
                os.listdir("/")

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
