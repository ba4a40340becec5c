"""The command, run as a user runs it."""

import signal
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
    with pytest.raises(SystemExit) as nonsense:
        main(["demo", "--clients", "0"])
    with pytest.raises(SystemExit) as nothing:
        main([])

    assert version.value.code == 0
    assert nonsense.value.code == 2
    assert nothing.value.code == 2
    assert "1 or more, not 0" in capsys.readouterr().err


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
