"""The chat demo runs, ends by itself, and loses nothing."""

from collections import Counter

import pytest

import sumida
from sumida.apps import chat_demo


@pytest.mark.parametrize("uvloop", [False, None], ids=["asyncio", "uvloop"])
def test_the_demo_loses_nothing(
    capsys: pytest.CaptureFixture[str], uvloop: bool | None
) -> None:
    """Five clients, stopped in the middle of the talk."""
    code = sumida.run(chat_demo.main, 5, 0.3, uvloop=uvloop)

    out = capsys.readouterr().out
    assert code == 0
    assert "lost 0" in out
    assert "median" in out


def test_lost_messages_would_be_counted() -> None:
    """What one client heard and another did not, between others or at the end."""
    report = chat_demo.Report(upto={0: Counter(), 1: Counter(), 2: Counter()})
    for listener, speaker, number in ((0, 5, 0), (0, 5, 1), (0, 5, 2), (1, 5, 2)):
        report.hear(listener, speaker, number, 0.001)

    assert report.gaps == 2
    assert report.lost() == 2 + 3
    assert report.heard == 4


def test_nothing_heard_has_no_delay() -> None:
    """Rather than an error at the end of a demo that was stopped at once."""
    assert chat_demo.Report().delay_ms() == (0, 0)
