"""The chat demo runs, ends by itself, and loses nothing."""

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
    """What one client heard and another did not."""
    report = chat_demo.Report(seen={0: {(0, 1), (1, 1)}, 1: {(0, 1)}, 2: set()})

    assert report.lost() == 3
    assert report.delay_ms() == (0, 0)
