"""Programs that the tests of the example start: our server, Redis, its tools."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = (
    "ENVIRONMENT",
    "complaints",
    "needs",
    "our_server",
    "real_server",
    "run_tool",
)

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not installed"
    )


def complaints(errors: str) -> list[str]:
    """Find what went wrong in what a server wrote to stderr.

    On a busy machine the watchdog may tell that the loop was late; that is no fault.
    """
    return re.findall("Traceback.*|.*Warning.*|.*failed.*", errors)


@contextmanager
def our_server(*arguments: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Start the example as a user does; it has to end well when it is told to."""
    with subprocess.Popen(  # noqa: S603  # the repository's own program
        [
            *(sys.executable, "-X", "dev", "-W", "error"),
            *(str(ROOT / "examples" / "mini_redis"), "--port", "0", *arguments),
        ],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield int(line.rpartition(" ")[2]), process
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=SECONDS)
                assert not complaints(errors)
                assert process.wait() == 0
        finally:
            process.kill()


@contextmanager
def real_server(folder: Path) -> Iterator[int]:
    """Start Redis itself, with nothing on disk."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with subprocess.Popen(  # noqa: S603  # what is named here
        [
            *("redis-server", "--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_until_it_listens(port)
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


def _wait_until_it_listens(port: int) -> None:
    until = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), SECONDS).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, "redis-server does not listen"
            # Another process: there is nothing else to wait for.
            time.sleep(0.02)
        else:
            return


def run_tool(*command: str, stdin: str = "") -> str:
    """Run one of Redis' tools; what it printed."""
    done = subprocess.run(  # noqa: S603  # what is named in the tests
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
