"""Failures in a set that nobody takes."""

import asyncio

import pytest

from sumida import JoinSet, sleep
from sumida.testing import run_paused, turns
from tests.support import Run


def test_a_failure_that_nobody_takes_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once each, after ten seconds, whatever else goes on; taken ones are not."""

    async def fail(delay: float) -> None:
        await sleep(delay)
        raise ValueError(f"after {delay:g}")

    async def main() -> list[int]:
        told: list[int] = []
        with pytest.raises(BaseExceptionGroup) as failed:
            async with JoinSet[None]() as tasks:
                tasks.spawn(sleep_for(100))
                for delay in (1, 3, 4, 8):
                    tasks.spawn(fail(delay), name=f"t{delay}")
                await sleep(2)
                taken = tasks.try_join_next()
                assert taken is not None
                assert isinstance(taken.exception(), ValueError)
                for second in range(3, 60):
                    await sleep(1)
                    if len(caplog.records) > len(told):
                        told.append(second)
                    assert len(caplog.records) == len(told)
        assert len(failed.value.exceptions) == 3
        return told

    async def sleep_for(seconds: float) -> None:
        await sleep(seconds)

    told = run_paused(main)

    names = [record.getMessage().split()[1] for record in caplog.records]
    assert names == ["'t3'", "'t4'", "'t8'"]
    assert told == [21, 31, 41]
    assert all(record.exc_info for record in caplog.records)


def test_the_alarm_of_a_failure_ends_with_its_set(run: Run) -> None:
    """No timer is left behind, and what is dropped unseen is asyncio's to tell."""

    async def fail() -> None:
        raise ValueError

    async def main() -> None:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        with pytest.raises(BaseExceptionGroup):
            async with JoinSet[None]() as tasks:
                tasks.spawn(fail())
                await turns()
                alarm = tasks._alarm
                assert alarm is not None
                assert alarm._timer is not None
        assert alarm is not None
        assert alarm._timer is None
        assert told == []

    run(main)
