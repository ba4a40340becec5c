"""The loop of a program: which one, and what it leaves behind."""

import asyncio
import sys
from importlib.util import find_spec

import pytest

from sumida.runtime.run import LoopRun, make_loop


def test_uvloop_is_taken_where_it_is() -> None:
    """Unless one says which."""
    plain = make_loop(uvloop=False)
    chosen = make_loop()

    assert type(plain).__module__.startswith("asyncio")
    assert ("uvloop" in type(chosen).__module__) == (find_spec("uvloop") is not None)
    plain.close()
    chosen.close()


def test_uvloop_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, and not there."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    with pytest.raises(ModuleNotFoundError):
        make_loop(uvloop=True)


def test_main_runs_and_its_task_is_told() -> None:
    """Before its first line."""
    seen: list[str] = []

    async def main() -> str:
        seen.append("main")
        return "done"

    with LoopRun(uvloop=False, debug=None, strict=False, watch_blocking=None) as loop:
        result = loop.run(main(), lambda task: seen.append(type(task).__name__))

    assert result == "done"
    assert seen == ["Task", "main"]
    assert "strict=False" in repr(loop)


def test_a_blocked_loop_is_watched_and_debug_is_set() -> None:
    """As it is asked for."""

    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    with LoopRun(uvloop=False, debug=True, strict=True, watch_blocking=5) as loop:
        assert loop.run(main(), lambda _task: None)
