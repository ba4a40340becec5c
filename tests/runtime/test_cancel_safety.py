"""Behind each "Cancel safety: Safe" of the room: a cancel at every place."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.operation import PENDING
from sumida.runtime.interval import Interval
from sumida.runtime.joinset import JoinSet
from sumida.runtime.timeouts import timeout, timeout_at
from sumida.runtime.timers import sleep, sleep_until
from sumida.runtime.tracker import TaskTracker
from sumida.runtime.yielding import yield_now
from sumida.testing import Outcome, World, cancel_everywhere, turns
from tests.core.support import cancelled, started
from tests.support import Run

HOUR = 3600.0


def _now() -> float:
    return asyncio.get_running_loop().time()


class Sleeping:
    """`sleep`."""

    def __init__(self) -> None:
        self.sleep = sleep(HOUR)

    async def subject(self) -> None:
        """Sleep."""
        await self.sleep

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the moment come."""
        return [lambda: self.sleep.reset(_now())]

    async def check(self, outcome: Outcome) -> None:
        """No timer is left, and it can be awaited again."""
        assert outcome.error is None
        assert "idle" in repr(self.sleep)
        self.sleep.reset(_now())
        await self.sleep


class SleepingUntil(Sleeping):
    """`sleep_until`."""

    def __init__(self) -> None:
        self.sleep = sleep_until(_now() + HOUR)


class Ticking:
    """`Interval.tick`."""

    def __init__(self) -> None:
        self.interval = Interval(HOUR)
        self.planned = 0.0

    async def subject(self) -> float:
        """Take the second tick."""
        await self.interval.tick()
        return await self.interval.tick()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the tick come."""
        return [self.come]

    def come(self) -> None:
        """Plan the tick for now."""
        self.planned = _now()
        self.interval.reset_at(self.planned)

    async def check(self, outcome: Outcome) -> None:
        """A tick that was not returned comes to the next; one that was, does not."""
        if outcome.returned:
            assert outcome.value == self.planned
            assert self.interval.tick().poll() is PENDING
        elif self.planned:
            assert await self.interval.tick() == self.planned
        elif outcome.at:
            assert self.interval.tick().poll() is PENDING
            self.come()
            assert await self.interval.tick() == self.planned


class Tracking:
    """`TaskTracker.wait`."""

    def __init__(self) -> None:
        self.tracker = TaskTracker()
        self.gate = asyncio.Event()

    async def subject(self) -> None:
        """Wait for the one task."""
        self.tracker.spawn(self.wait())
        self.tracker.close()
        await self.tracker.wait()

    async def wait(self) -> None:
        """Run until it is allowed to end."""
        await self.gate.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let it end."""
        return [self.gate.set]

    async def check(self, outcome: Outcome) -> None:
        """The task is not disturbed, and the next who waits sees it end."""
        assert outcome.error is None
        self.tracker.close()
        self.gate.set()
        await self.tracker.wait()
        assert self.tracker.is_empty


class Joining(Tracking):
    """`JoinSet.join_all`."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: JoinSet[int] = JoinSet()

    async def work(self, n: int) -> int:
        """Give a number, when it is allowed to end."""
        await self.gate.wait()
        return n

    async def subject(self) -> list[int]:  # type: ignore[override]  # the tests share the rest
        """Join two tasks."""
        for n in (1, 2):
            self.tasks.spawn(self.work(n))
        return await self.tasks.join_all()

    async def check(self, outcome: Outcome) -> None:
        """All results are returned, or all are still to be taken."""
        self.gate.set()
        spawned = outcome.at or outcome.order is None
        expected = [1, 2] if spawned or len(self.tasks) else []
        left = await self.tasks.join_all()
        assert outcome.value == (expected if outcome.returned else None)
        assert left == ([] if outcome.returned else expected)


class Leaving(Joining):
    """The end of a `JoinSet`'s block, with tasks that clean up."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0
        self.begun = 0

    async def work(self, n: int) -> int:
        """Take some turns to clean up."""
        self.begun += 1
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        return n

    async def subject(self) -> None:  # type: ignore[override]  # as above
        """Leave the block."""
        async with self.tasks as tasks:
            tasks.spawn(self.work(1))
            tasks.spawn(self.work(2))

    async def check(self, outcome: Outcome) -> None:
        """No task outlives the block, however it was left."""
        assert outcome.error is None
        assert self.tasks.is_empty
        assert self.ended == self.begun


class TimingOut:
    """A block within a deadline, which it meets."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def subject(self) -> None:
        """Wait within it."""
        async with timeout(HOUR), timeout_at(_now() + HOUR):
            await self.gate.wait()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let it go on."""
        return [self.gate.set]

    def check(self, outcome: Outcome) -> None:
        """A cancel is a cancel, and no deadline."""
        assert outcome.error is None


class Selecting:
    """`select.loop`, over a channel and a tick."""

    def __init__(self) -> None:
        self.tx, self.rx = mpsc.channel(4)
        self.received: list[object] = []

    async def subject(self) -> None:
        """Take one message."""
        async for branch in select.loop(self.rx, Interval(HOUR)):
            if branch[0] == 0:
                self.received.append(branch[1])
                return

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Send it."""
        return [lambda: self.tx.try_send("x")]

    def check(self, outcome: Outcome) -> None:
        """It was taken, or it is still there."""
        sent = outcome.order is None or outcome.is_woken
        while not self.rx.is_empty:
            self.received.append(self.rx.try_recv())
        self.tx.close()
        assert outcome.error is None
        assert self.received == ["x"] * sent


class SelectingOnce(Selecting):
    """`select`, over two channels."""

    async def subject(self) -> None:
        """Take one message."""
        other_tx, other = mpsc.channel(1)
        with other_tx:
            self.received.append((await select(other, self.rx))[1])


class SelectingWithCoroutine(Selecting):
    """`select`, over a channel and a coroutine that takes turns to end."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0

    async def run(self) -> None:
        """Run until it is cancelled, and clean up."""
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            await turns(3)
            self.running -= 1

    async def subject(self) -> None:
        """Take one message."""
        self.received.append((await select(self.run(), self.rx))[1])

    def check(self, outcome: Outcome) -> None:
        """Nor does the coroutine run on."""
        super().check(outcome)
        assert not self.running


WORLDS: tuple[Callable[[], World], ...] = (
    Sleeping,
    SleepingUntil,
    Ticking,
    Tracking,
    Joining,
    Leaving,
    TimingOut,
    Selecting,
    SelectingOnce,
    SelectingWithCoroutine,
)


@pytest.mark.parametrize("world", WORLDS)
def test_waits_are_cancel_safe(run: Run, world: Callable[[], World]) -> None:
    """Nothing is lost or doubled, wherever the cancel strikes."""
    assert run(cancel_everywhere, world) == 8


def test_a_cancelled_yield_ends_at_once(run: Run) -> None:
    """`yield_now` and a sleep of no time pass a cancel on, and leave nothing."""

    async def main() -> list[bool]:
        tasks = [await started(_forever(yield_now)), await started(_forever(_no_time))]
        for task in tasks:
            await cancelled(task)
        return [task.cancelled() for task in tasks]

    assert run(main) == [True, True]


async def _forever(step: Callable[[], object]) -> None:
    while True:
        await step()  # type: ignore[misc]  # both are awaited


async def _no_time() -> None:
    await sleep(0)


def test_a_cancelled_shutdown_waits_for_all(run: Run) -> None:
    """The cancel is kept until the last task has cleaned up, also if it comes twice."""

    async def main() -> tuple[bool, int]:
        tasks: JoinSet[None] = JoinSet()
        ended = 0

        async def work() -> None:
            nonlocal ended
            try:
                await asyncio.Event().wait()
            finally:
                await turns(5)
                ended += 1

        for _ in range(3):
            tasks.spawn(work())
        await turns(1)
        stopping = asyncio.ensure_future(tasks.shutdown())
        await turns(2)
        stopping.cancel()
        await turns(1)
        stopping.cancel()
        await asyncio.wait([stopping])
        return stopping.cancelled(), ended

    assert run(main) == (True, 3)
