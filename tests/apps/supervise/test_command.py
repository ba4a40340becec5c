"""The command as a user runs it: a process of its own, real signals, exit codes."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sumida.apps.supervise.command import Reader, wants_color
from tests.apps.supervise.stage import alive

ROOT = Path(__file__).parents[3]
# The folder in which it is started is another than this.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
COMMAND = (sys.executable, "-m", "sumida", "supervise")
HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
LOOPS = [
    pytest.param("--asyncio", id="asyncio"),
    pytest.param(
        None,
        id="uvloop",
        marks=pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed"),
    ),
]
TICKS = "while :; do sleep 0.05 & wait $!; done"
POLITE = f"exec 2>/dev/null; trap 'echo bye; exit 0' TERM; echo up; {TICKS}"
DEAF = f"trap '' TERM; ({TICKS}) & echo up; {TICKS}"


class Program:
    """The command, running.

    Args:
        folder: Where its file is.
        *arguments: Of the command.
    """

    def __init__(self, folder: Path, *arguments: str | None) -> None:
        self.process = subprocess.Popen(  # noqa: S603  # this interpreter
            [*COMMAND, *(word for word in arguments if word is not None)],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []

    def until(self, event: str, process: str | None = None) -> dict[str, Any]:
        """Read the log up to such an entry, from where it was read to."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event and self.log[-1]["process"] == process:
                return self.log[-1]
        pytest.fail(f"the log ended before {event} of {process}: {self.log}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; its exit code."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(json.loads(line))
        return self.process.wait()

    def order(self, *events: str) -> list[str]:
        """Give what happened of these kinds, as `kind process`."""
        return [
            f"{entry['event']} {entry['process']}"
            for entry in self.log
            if entry["event"] in events
        ]


class Bench:
    """A folder with a file, and what was started there.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid4().hex
        self.programs: list[Program] = []

    def write(self, text: str) -> None:
        """Write the file; each process is marked, so that it can be found."""
        marked = text.replace(
            "command =", f'env = {{ MARK = "{self.mark}" }}\ncommand ='
        )
        (self.folder / "all.toml").write_text(marked)

    def start(self, *arguments: str | None) -> Program:
        """Start the command with the file, and a log that can be read."""
        program = Program(self.folder, "all.toml", "--json", *arguments)
        self.programs.append(program)
        return program

    def left(self) -> list[int]:
        """Give the processes that are still there."""
        return alive(self.mark)

    def close(self) -> None:
        """End what a failed test left."""
        for program in self.programs:
            program.process.kill()
            program.process.communicate()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a folder, and leave no process behind."""
    bench = Bench(tmp_path)
    yield bench
    bench.close()


THREE = f"""
[process.web]
command = "{POLITE}"
ready = {{ line = "up" }}
depends_on = ["api"]

[process.api]
command = "{POLITE}"
ready = {{ line = "up" }}
depends_on = ["db"]

[process.db]
command = "{POLITE}"
ready = {{ line = "up" }}
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)]
)
def test_a_signal_stops_all_in_order(
    bench: Bench, loop: str | None, number: int, code: int
) -> None:
    """Dependents first; nobody is left, and the exit code is that of the signal."""
    bench.write(THREE)
    program = bench.start(loop)
    program.until("ready", "web")
    program.signal(number)

    assert program.end() == code
    assert "code" not in program.log[-1]
    assert program.order("started", "ready", "stopping", "stopped") == [
        *("started db", "ready db", "started api", "ready api"),
        *("started web", "ready web", "stopping web", "stopped web"),
        *("stopping api", "stopped api", "stopping db", "stopped db"),
    ]
    assert [entry["text"] for entry in program.log if entry["event"] == "line"] == [
        *("up", "up", "up", "bye", "bye", "bye")
    ]
    assert bench.left() == []


@pytest.mark.parametrize("loop", LOOPS)
def test_the_second_ctrl_c_kills_at_once(bench: Bench, loop: str | None) -> None:
    """However long the grace is, and with the whole group."""
    deaf = f'command = "{DEAF}"\nready = {{ line = "up" }}\nstop_grace = 9999\n'
    bench.write(f'[process.x]\n{deaf}[process.y]\n{deaf}depends_on = ["x"]\n')
    program = bench.start(loop)
    program.until("ready", "y")
    program.signal(signal.SIGINT)
    program.until("stopping", "y")
    program.signal(signal.SIGINT)

    assert program.end() == 130
    assert bench.left() == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_failure_gives_its_code(bench: Bench, loop: str | None) -> None:
    """After a restart; the others are stopped, and it is written at the end."""
    bench.write(
        f'[process.good]\ncommand = "{POLITE}"\n'
        '[process.bad]\ncommand = "exit 7"\nmax_restarts = 1\n'
        "back_off = { first = 0.01 }\n"
    )
    program = bench.start(loop)

    assert program.end() == 7
    assert program.order("started").count("started bad") == 2
    assert program.log[-1]["event"] == "end"
    assert program.log[-1]["code"] == 7
    assert bench.left() == []


def test_the_command_line_goes_before_the_file(bench: Bench) -> None:
    """For the exit policy, and for the restarts of those that say nothing."""
    bench.write(
        'exit = "first-failure"\n[process.bad]\ncommand = "exit 7"\n'
        '[process.slow]\ncommand = "sleep 0.3; exit 0"\n'
    )
    program = bench.start("--exit", "all", "--restart", "never")

    assert program.end() == 7
    assert program.order("finished") == ["finished bad", "finished slow"]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hangup_reads_the_file_again(bench: Bench, loop: str | None) -> None:
    """Only what has changed is touched; a wrong file changes nothing."""
    bench.write(THREE)
    program = bench.start(loop)
    program.until("ready", "web")
    bench.write("[process.web]\n")
    program.signal(signal.SIGHUP)
    failed = program.until("reload-failed")
    bench.write(THREE.replace('depends_on = ["api"]', 'depends_on = ["db"]'))
    program.signal(signal.SIGHUP)
    reload = program.until("reload")
    program.until("ready", "web")
    program.signal(signal.SIGTERM)

    assert program.end() == 0
    assert "process.web.command: is missing" in failed["error"]
    assert (reload["added"], reload["changed"], reload["removed"]) == ([], ["web"], [])
    assert program.order("started") == [
        *("started db", "started api", "started web", "started web")
    ]
    assert bench.left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_supervisor_that_is_killed_takes_its_processes_along(bench: Bench) -> None:
    """The ports are free for the next."""
    bench.write('[process.x]\ncommand = "exec sleep 1000"\n')
    program = bench.start()
    program.until("ready", "x")
    while not bench.left():
        pass  # it is in the middle of its exec
    program.signal(signal.SIGKILL)

    assert program.end() == -signal.SIGKILL
    while bench.left():
        pass  # the kernel has sent the signal, and is about to end it


def test_who_reads_no_more_ends_it(bench: Bench) -> None:
    """As `| head -1` does; it is no success."""
    bench.write('[process.x]\ncommand = "yes"\n')
    program = bench.start()
    program.until("line", "x")
    assert program.process.stdout is not None
    program.process.stdout.close()

    assert program.process.wait() == 1
    assert bench.left() == []


def test_people_read_prefixed_lines(tmp_path: Path) -> None:
    """Without colours where it is no terminal; a Procfile is found by itself."""
    (tmp_path / "Procfile").write_text("one: echo hello\ntwo: printf 'no end'\n")
    result = subprocess.run(  # noqa: S603  # this interpreter
        COMMAND,
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert "one    | hello\n" in result.stdout
    assert "two    | no end\n" in result.stdout
    assert "sumida | all have ended, exit code 0\n" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_unless_it_wants_none(
    tmp_path: Path, no_color: str
) -> None:
    """As https://no-color.org has it."""
    (tmp_path / "Procfile").write_text("one: echo hello\n")
    ours, theirs = os.openpty()
    with subprocess.Popen(  # noqa: S603  # this interpreter
        COMMAND,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env={**ENVIRONMENT, "NO_COLOR": no_color, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:
                break  # the last who had it open has ended
            out += chunk
        code = process.wait()
    os.close(ours)

    assert code == 0
    assert b"hello" in out
    assert (b"\x1b[36mone" in out) is (no_color == "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: a\nnonsense\n", "Procfile:2: 'nonsense' is not `name: command`"),
        ("", "Procfile: has no process"),
        (None, "Procfile: cannot be read, No such file or directory"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, text: str | None, said: str
) -> None:
    """Before anything is started, with the exit code 2 and no traceback."""
    if text is not None:
        (tmp_path / "Procfile").write_text(text)
    result = subprocess.run(  # noqa: S603  # this interpreter
        COMMAND,
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"sumida supervise: {said}")
    assert result.stderr.count("\n") == 1


def test_check_shows_the_order_and_starts_nothing(bench: Bench) -> None:
    """For a hook before a commit."""
    bench.write(THREE)
    result = subprocess.run(  # noqa: S603  # this interpreter
        [*COMMAND, "--check", "all.toml"],
        cwd=bench.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0
    assert result.stdout == "db\napi after db\nweb after api\n"


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], is_terminal: bool, expected: bool
) -> None:
    """And nowhere else."""
    assert wants_color(environment, is_terminal=is_terminal) is expected


def test_the_reader_keeps_what_the_command_line_said(tmp_path: Path) -> None:
    """Also when the file is read again."""
    path = tmp_path / "Procfile"
    path.write_text("x: true\n")
    reader = Reader(path, "never", "all")

    file = reader.read()

    assert file.exit == "all"
    assert file.processes[0].restart == "never"
