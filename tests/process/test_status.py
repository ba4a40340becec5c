"""How a process ended."""

import signal

import pytest

from sumida.errors import ExitError
from sumida.process import ExitStatus


def test_a_status_tells_what_a_shell_would() -> None:
    """A code, 128 + the signal, or 255 where nobody knows."""
    assert ExitStatus(3).shell_code == 3
    assert ExitStatus(None, signal.SIGTERM).shell_code == 143
    assert ExitStatus(None).shell_code == 255


def test_a_status_is_told_in_words() -> None:
    """Signals by their names."""
    assert str(ExitStatus(3)) == "exit code 3"
    assert str(ExitStatus(None, signal.SIGKILL)) == "SIGKILL"
    assert str(ExitStatus(None, 40)) == "signal 40"
    assert str(ExitStatus(None)) == "unknown status"


def test_only_code_0_is_a_success() -> None:
    """What failed is raised where it is asked for, with what it complained of."""
    ExitStatus(0).check()
    with pytest.raises(ExitError, match="tar ended with exit code 2: no such file"):
        ExitStatus(2).check("tar", "no such file")
    with pytest.raises(ExitError, match="the child ended with SIGKILL"):
        ExitStatus(None, signal.SIGKILL).check()


def test_a_status_is_neither_true_nor_false() -> None:
    """A C programmer and a Python programmer would expect opposite things."""
    with pytest.raises(TypeError, match="is_success"):
        bool(ExitStatus(0))
