"""The command, run as a user runs it."""

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
