"""The command, run as a user runs it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sumida.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent


def sumida(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own."""
    return subprocess.run(  # noqa: S603  # this interpreter
        [sys.executable, "-m", "sumida", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


def test_the_command_tells_its_version_and_refuses_nonsense(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As commands do."""
    with pytest.raises(SystemExit) as version:
        main(["--version"])
    with pytest.raises(SystemExit) as nothing:
        main([])

    assert version.value.code == 0
    assert nothing.value.code == 2
    assert "required: command" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["chat", "demo"])
@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--clients", "0", "must be 1 or more, not 0"),
        ("--clients", "many", "must be a whole number, not 'many'"),
        ("--seconds", "-1", "must be a number above 0, not '-1'"),
        ("--seconds", "nan", "must be a number above 0, not 'nan'"),
        ("--seconds", "inf", "must be a number above 0, not 'inf'"),
        ("--seconds", "long", "must be a number above 0, not 'long'"),
    ],
)
def test_a_demo_refuses_nonsense(
    command: str,
    option: str,
    value: str,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what is allowed, and what was given."""
    with pytest.raises(SystemExit) as left:
        main([command, option, value])

    assert left.value.code == 2
    assert f"argument {option}: {complaint}" in capsys.readouterr().err


def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Uvloop would listen on another one."""
    with pytest.raises(SystemExit) as left:
        main(["chat", "--port", "65536"])

    assert left.value.code == 2
    assert "must be 0 to 65535, not 65536" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    """In a sentence; the chat does not wait for a server that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = sumida("chat", "--port", str(port))

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("sumida chat: ")
    assert "address already in use" in done.stderr.lower()
    assert done.stderr.count("\n") == 1


def test_a_demo_without_descriptors_ends_with_a_sentence() -> None:
    """It does not wait for clients that could not connect."""
    limited = f"ulimit -n 40; exec {sys.executable} -m sumida chat --clients 100"
    done = subprocess.run(  # noqa: S603  # this interpreter
        ["/bin/sh", "-c", limited],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 1
    assert "Too many open files" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("sumida chat: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["chat", "demo"])
def test_a_demo_that_nobody_reads_ends_quietly(command: str) -> None:
    """As in `sumida demo | head -n 1`."""
    with subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-m", "sumida", command, "--seconds", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
        code = process.wait(60)

    assert code == 1
    assert complaints == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["chat", "demo"])
def test_a_demo_tells_that_the_disk_is_full(command: str) -> None:
    """Where it should have written."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603  # this interpreter
            [sys.executable, "-m", "sumida", command, "--seconds", "30"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )

    assert done.returncode == 1
    assert done.stderr == f"sumida {command}: [Errno 28] No space left on device\n"


def test_a_demo_without_a_standard_output_says_nothing() -> None:
    """As under a service manager that gives it none."""
    silent = f"exec {sys.executable} -m sumida chat --seconds 0.2 >&-"
    done = subprocess.run(  # noqa: S603  # this interpreter
        ["/bin/sh", "-c", silent],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_demo_that_is_stopped_early_waits_for_nobody() -> None:
    """A Ctrl-C while it holds connections through a reload cuts them itself."""
    with subprocess.Popen(  # this interpreter
        [sys.executable, "-m", "sumida", "demo", "--seconds", "2"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "by a reload" in line:
                process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert code == 130
    assert not any("cancelled, " in line for line in lines), lines
    assert lines[-1] == "nothing was lost; bye\n"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --help, with its own arguments."""
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])

    assert left.value.code == 0
    assert COMMANDS[command][1].split()[0] in capsys.readouterr().out


def test_only_the_program_that_is_run_is_imported() -> None:
    """A quick command does not pay for a big one."""
    code = (
        "import sys\n"
        "from sumida.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith('sumida.apps')])"
    )
    result = subprocess.run(  # noqa: S603  # this interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )

    assert result.stdout.rstrip().endswith("[]")


def test_the_command_runs_the_demo() -> None:
    """In a process of its own, which ends by itself."""
    result = sumida("demo", "--seconds", "0.5", "--clients", "5")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing was lost" in result.stdout


def test_the_command_runs_the_chat() -> None:
    """Likewise."""
    result = sumida("chat", "--seconds", "0.3")

    assert result.returncode == 0, result.stderr
    assert "all was heard by all" in result.stdout


IMPORTING = """
import os, signal, sys
from sumida.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "sumida.apps.proxy.command":
            {reached}

sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.{handler})
main(["proxy"])
"""


def test_a_ctrl_c_during_the_imports_ends_it_quietly() -> None:
    """By the signal, as a shell wants to know it, and without a traceback."""
    code = IMPORTING.format(
        handler="default_int_handler", reached="os.close(1); signal.pause()"
    )
    with subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read() == ""
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert complaints == ""


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """As in the background of a script; and what was there before is put back."""
    code = IMPORTING.format(
        handler="SIG_IGN", reached="os.kill(os.getpid(), signal.SIGINT); sys.exit(7)"
    )
    before = signal.getsignal(signal.SIGINT)
    done = subprocess.run(  # noqa: S603  # this interpreter
        [sys.executable, "-c", code],
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    with pytest.raises(SystemExit):
        main(["--version"])

    assert done.returncode == 7
    assert signal.getsignal(signal.SIGINT) is before
