"""The command, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sumida.cli import main

ROOT = Path(__file__).parent.parent


def test_the_command_tells_its_version_and_refuses_nonsense(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As commands do."""
    with pytest.raises(SystemExit) as version:
        main(["--version"])
    with pytest.raises(SystemExit) as nonsense:
        main(["demo", "--clients", "0"])

    assert version.value.code == 0
    assert nonsense.value.code == 2
    assert "1 or more, not 0" in capsys.readouterr().err


def test_the_command_runs_the_demo() -> None:
    """In a process of its own, which ends by itself."""
    command = [sys.executable, "-m", "sumida", "demo", "--seconds", "0.3"]
    result = subprocess.run(  # noqa: S603  # this interpreter
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )

    assert result.returncode == 0, result.stderr
    assert "all was heard by all" in result.stdout
