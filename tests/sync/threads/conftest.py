"""Threads change places as often as they can, so that races show."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    """Let the interpreter change threads every ten microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
