"""What strict mode lets through, because it does not wait or cannot be helped."""

import asyncio
import importlib
import logging
import logging.handlers
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from sumida.errors import BlockingCallError
from sumida.runtime.blocking import spawn_blocking
from sumida.runtime.strict import strict_mode
from tests.support import Run

PORT = 9
"""Nobody listens there."""


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
    exec(compile(path.read_text(), str(path), "exec"), names)  # a fresh file  # noqa: S102

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
    logger = logging.Logger("alone")  # not to be found by others  # noqa: LOG001
    file = logging.handlers.RotatingFileHandler(
        tmp_path / "log", maxBytes=10, backupCount=1, delay=True
    )
    caught: list[BaseException | None] = []

    class Server(logging.handlers.SocketHandler):
        """Connects, and keeps what went wrong."""

        def makeSocket(self, timeout: float = 1) -> socket.socket:  # noqa: N802
            """Connect, and leave no socket open."""
            del timeout
            with socket.socket() as sock:
                sock.connect(("127.0.0.1", PORT))
            raise AssertionError

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
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
            os.listdir("/")  # noqa: PTH208

    with strict_mode(loop):
        assert os.listdir("/")  # noqa: PTH208
        loop.run_until_complete(main())
        assert os.listdir("/")  # noqa: PTH208
        run(main_allowed)
    loop.close()


async def main_allowed() -> None:
    """Block on a loop that nobody guards."""
    assert os.listdir("/")  # noqa: PTH208
    time.sleep(0)  # the point  # noqa: ASYNC251
