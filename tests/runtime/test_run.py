"""The loop of a program: which one, and what it leaves behind."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import NoReturn, TypeVar

import pytest

from sumida.errors import BlockingCallError
from sumida.runtime.blocking import blocking_cancelled, spawn_blocking
from sumida.runtime.joinset import JoinSet
from sumida.runtime.run import LoopRun, make_loop

T = TypeVar("T")


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

    async def main() -> tuple[bool, bool, bool]:
        names = [thread.name for thread in threading.enumerate()]
        try:
            time.sleep(0.001)  # noqa: ASYNC251  # to be refused
        except BlockingCallError:
            is_strict = True
        else:
            is_strict = False
        is_debugged = asyncio.get_running_loop().get_debug()
        return is_debugged, is_strict, "sumida-watchdog" in names

    with LoopRun(uvloop=False, debug=True, strict=True, watch_blocking=5) as loop:
        assert loop.run(main(), lambda _task: None) == (True, True, True)
    with LoopRun(uvloop=False, debug=None, strict=False, watch_blocking=None) as loop:
        assert loop.run(main(), lambda _task: None) == (False, False, False)


def _run(main: Coroutine[object, object, T], *, uvloop: bool = False) -> T:
    with LoopRun(
        uvloop=uvloop, debug=None, strict=False, watch_blocking=None
    ) as loop_run:
        return loop_run.run(main, lambda _task: None)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_main_cleans_up_when_a_task_ends_the_program(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It is cancelled, and may wait; and nothing is told of that was not lost."""
    seen: list[str] = []

    async def stop() -> None:
        await asyncio.sleep(0)
        raise kind(7)

    async def main() -> None:
        try:
            async with JoinSet[None]() as tasks:
                tasks.spawn(stop())
                tasks.spawn(clean_up("task"))
        finally:
            await asyncio.sleep(0)
            seen.append("main")

    async def clean_up(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append(name)

    with pytest.raises(kind) as raised:
        _run(main())
    gc.collect()

    assert raised.value.args == (7,)
    assert seen == ["task", "main"]
    assert not caplog.records


def test_what_was_left_is_ended_although_it_ends_the_program() -> None:
    """Each in its turn, and the last one's code is the program's."""
    ended: list[int] = []

    async def stubborn(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
            raise SystemExit(number)

    async def main() -> list[object]:
        kept: list[object] = [asyncio.create_task(stubborn(n)) for n in (1, 2)]
        await asyncio.sleep(0)
        return kept

    with pytest.raises(SystemExit):
        _run(main())

    assert sorted(ended) == [1, 2]


def test_main_that_never_began_is_closed() -> None:
    """What starts it has failed, and Python does not warn."""

    async def main() -> None:
        raise AssertionError

    def fail(_task: object) -> None:
        raise KeyError

    with (
        pytest.raises(KeyError),
        LoopRun(uvloop=False, debug=None, strict=False, watch_blocking=None) as run,
    ):
        run.run(main(), fail)
    gc.collect()


def test_a_failure_of_main_at_the_end_is_told() -> None:
    """The program ends with what the task has raised, and that is not all."""

    async def stop() -> None:
        await asyncio.sleep(0)
        raise SystemExit(7)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: told.append(about["exception"]))
        task = asyncio.create_task(stop())
        try:
            await asyncio.Event().wait()
        finally:
            task.exception()
            raise failure

    told: list[object] = []
    failure = ValueError()
    with pytest.raises(SystemExit):
        _run(main())

    assert told == [failure]


def test_threads_are_waited_for() -> None:
    """They are told that nobody waits for what they do."""
    ended: list[str] = []
    entered = threading.Event()

    def work() -> None:
        entered.set()
        while not blocking_cancelled():
            time.sleep(0.001)
        time.sleep(0.01)
        ended.append("work")

    async def main() -> object:
        task = asyncio.create_task(spawn_blocking(work))
        while not entered.is_set():
            await asyncio.sleep(0)
        return task

    _run(main())

    assert ended == ["work"]


def test_what_goes_wrong_at_the_end_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no error of the program's, and must not be lost."""

    async def main() -> None:
        pass

    async def fail(_deadline: float) -> NoReturn:
        raise OSError("no")

    monkeypatch.setattr("sumida.runtime.run.shutdown_blocking", fail)
    with pytest.raises(OSError, match="no"):
        _run(main())
