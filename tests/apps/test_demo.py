"""The demo runs, ends by itself, and loses nothing."""

from collections import Counter

import pytest

import sumida
from sumida.apps import demo


@pytest.mark.parametrize("uvloop", [False, None], ids=["asyncio", "uvloop"])
def test_the_demo_loses_nothing(
    capsys: pytest.CaptureFixture[str], uvloop: bool | None
) -> None:
    """A server is killed and replaced, the file is reloaded, all of it drains."""
    code = sumida.run(demo.main, 8, 0.8, uvloop=uvloop)

    out = capsys.readouterr().out
    assert code == 0, out
    assert "lost 0" in out
    assert "10 connections held, dropped 0" in out
    assert "killing server b" in out
    assert "reload result=applied" in out
    assert "reload result=refused" in out
    assert "stopped finished=" in out
    assert "nothing was lost; bye" in out


def test_what_is_lost_would_be_told() -> None:
    """A request without an answer, a break that nobody made, a connection dropped."""
    good = demo.Report(sent=3, answered=3, broken=Counter(kill=2))
    lost = demo.Report(sent=3, answered=2)
    broken = demo.Report(sent=3, answered=3, broken=Counter(reload=1))
    dropped = demo.Report(sent=3, answered=3, held=10, dropped=1)
    idle = demo.Report()

    assert good.is_good
    assert not any(each.is_good for each in (lost, broken, dropped, idle))
    assert lost.lost == 1
    assert idle.delay_ms() == (0, 0)
