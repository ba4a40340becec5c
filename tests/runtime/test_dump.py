"""The dump says what every task waits for, and where."""

import asyncio

import pytest

from sumida import JoinSet, select
from sumida.channels import mpsc
from sumida.runtime.dump import format_dump, task_dump, waits_for
from sumida.sync import Mutex
from sumida.testing import turns
from tests.support import Run


def test_each_wait_is_named(run: Run) -> None:
    """A receiver, a select of two, a lock, and a future of asyncio."""

    async def main() -> str:
        tx, rx = mpsc.channel(1)
        full_tx, full_rx = mpsc.channel(1)
        mutex = Mutex(None)

        async def receives() -> None:
            await rx.recv()

        async def selects() -> None:
            await select(full_tx.send(1), full_tx.reserve())

        async def locks() -> None:
            async with mutex.lock():
                pass

        async def sleeps() -> None:
            await asyncio.sleep(100)

        await full_tx.send(0)
        async with mutex.lock(), JoinSet[None]() as tasks:
            for function in (receives, selects, locks, sleeps):
                tasks.spawn(function(), name=function.__name__)
            await turns()
            text = format_dump()
            tasks.abort_all()
        assert full_rx.try_recv() == 0
        tx.close()
        full_tx.close()
        return text

    text = run(main)

    assert "receives waits for <Receiver 0/1, 1 sender>" in text
    assert "selects waits for <Send waiting on 1/1> or <Reserve 1 waiting" in text
    assert "locks waits for <MutexGuard waiting of <Mutex locked" in text
    assert "sleeps waits for <Future" in text
    assert __file__ in text


def test_a_task_that_is_ready_waits_for_its_turn(run: Run) -> None:
    """The one that asks among them; states are sorted by name."""

    async def main() -> list[str]:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("asker")
        assert waits_for(task).startswith("its turn")
        return [str(state).splitlines()[0] for state in task_dump()]

    assert run(main) == ["asker waits for its turn"]


def test_what_is_no_task_waits_for_nothing() -> None:
    """It is refused by its name."""
    with pytest.raises(TypeError, match="task must be a task, not 'x'"):
        waits_for("x")  # type: ignore[arg-type]  # the mistake


def test_it_needs_a_loop() -> None:
    """Outside of one it has to be given."""
    with pytest.raises(RuntimeError):
        task_dump()
