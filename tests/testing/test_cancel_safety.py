"""What the tools of the room wait for is cancel-safe, as the rest of the library."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from sumida.errors import Elapsed
from sumida.runtime.timeouts import timeout
from sumida.testing import (
    Outcome,
    Script,
    World,
    advance,
    cancel_everywhere,
    run_paused,
    turns,
)
from sumida.testing.clock import PausedLoop
from tests.support import Run

MINUTE = 60.0
LONG = 30.0
MANY = 200


def _now() -> float:
    return asyncio.get_running_loop().time()


class Turning:
    """`turns`, of so many that it is still at it when the cancel strikes."""

    async def subject(self) -> None:
        """Let the loop turn."""
        await turns(MANY)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let it turn to the end."""
        return [lambda: turns(MANY)]

    async def check(self, outcome: Outcome) -> None:
        """Nothing is left that turns on."""
        assert outcome.error is None
        assert len(asyncio.all_tasks()) == 1


def test_turns_can_be_cancelled(run: Run) -> None:
    """It ends at once, and another counts from its own beginning."""
    assert run(cancel_everywhere, Turning) == 8


class Advancing:
    """`advance`, by the paused clock."""

    def __init__(self) -> None:
        self.begun = _now()

    async def subject(self) -> None:
        """Let a minute pass."""
        await advance(MINUTE)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let it pass by another sleep."""
        return [lambda: asyncio.sleep(MINUTE)]

    async def check(self, outcome: Outcome) -> None:
        """The clock stands where the cancel found it, and goes on from there."""
        has_passed = outcome.returned or outcome.is_woken
        assert outcome.error is None
        assert _now() - self.begun == (MINUTE if has_passed else 0)
        stood = _now()
        await advance(MINUTE)
        assert _now() - stood == MINUTE


class ReadingLate:
    """`ScriptReader.read`, from a peer that is silent for a minute."""

    def __init__(self) -> None:
        self.script = Script().wait(MINUTE).read(b"late")
        self.reader, _ = self.script.build()
        self.begun = _now()

    async def subject(self) -> bytes:
        """Read a part."""
        return await self.reader.read(2)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Let the minute pass."""
        return [lambda: asyncio.sleep(MINUTE)]

    async def check(self, outcome: Outcome) -> None:
        """No byte is lost or comes twice, and the peer is silent for no less."""
        assert outcome.error is None
        assert outcome.value == (b"la" if outcome.returned else None)
        assert await self.reader.read() == (b"te" if outcome.returned else b"late")
        assert _now() - self.begun == MINUTE
        self.script.assert_done()


class ReadingAll(ReadingLate):
    """`ScriptReader.read` to the end, of which a part is there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Script().read(b"at once, ").wait(MINUTE).read(b"late")
        self.reader, _ = self.script.build()

    async def subject(self) -> bytes:
        """Read all."""
        return await self.reader.read()

    async def check(self, outcome: Outcome) -> None:
        """No byte is lost or comes twice."""
        assert outcome.error is None
        assert outcome.value == (b"at once, late" if outcome.returned else None)
        left = await self.reader.read()
        assert left == (b"" if outcome.returned else b"at once, late")
        assert _now() - self.begun == MINUTE
        self.script.assert_done()


class ReadingExactly(ReadingLate):
    """`ScriptReader.readexactly`, of which a part is there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Script().read(b"at once, ").wait(MINUTE).read(b"late\nand more")
        self.reader, _ = self.script.build()

    async def subject(self) -> bytes:
        """Read so many bytes."""
        return await self.reader.readexactly(14)

    async def check(self, outcome: Outcome) -> None:
        """No byte is lost or comes twice."""
        assert outcome.error is None
        assert outcome.value == (b"at once, late\n" if outcome.returned else None)
        left = await self.reader.read()
        assert left == (b"" if outcome.returned else b"at once, late\n") + b"and more"
        assert _now() - self.begun == MINUTE
        self.script.assert_done()


class ReadingALine(ReadingExactly):
    """`ScriptReader.readline`, and so `readuntil`, likewise."""

    async def subject(self) -> bytes:
        """Read a line."""
        return await self.reader.readline()


@pytest.mark.parametrize(
    "world", [Advancing, ReadingLate, ReadingAll, ReadingExactly, ReadingALine]
)
def test_what_waits_for_the_paused_clock(world: Callable[[], World]) -> None:
    """Nothing is lost, and no time either, wherever the cancel strikes."""
    assert run_paused(cancel_everywhere, world) == 8


class ReadingTheAnswer:
    """`ScriptReader.read`, from a peer that wants to be written to first."""

    def __init__(self) -> None:
        self.script = Script().write(b"ask").read(b"answer")
        self.reader, self.writer = self.script.build()
        self.has_asked = False

    async def subject(self) -> bytes:
        """Read."""
        return await self.reader.read(100)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Write."""
        return [self.ask]

    def ask(self) -> None:
        """Write what the peer waits for."""
        self.has_asked = True
        self.writer.write(b"ask")

    async def check(self, outcome: Outcome) -> None:
        """The answer was returned, or it is still there."""
        assert outcome.error is None
        assert outcome.value == (b"answer" if outcome.returned else None)
        if not self.has_asked:
            self.ask()
        left = await self.reader.read()
        assert left == (b"" if outcome.returned else b"answer")
        self.script.assert_done()


def test_a_cancelled_read_has_read_nothing(run: Run) -> None:
    """Also while it waits for its own side."""
    assert run(cancel_everywhere, ReadingTheAnswer) == 8


def test_a_read_that_meets_its_deadline_does_not_hasten_the_peer() -> None:
    """What is left of the silence is waited for by the next read."""

    async def main() -> tuple[bytes, float]:
        reader, _ = Script().wait(MINUTE).read(b"late").build()
        for _ in range(3):
            with pytest.raises(Elapsed):
                async with timeout(MINUTE / 4):
                    await reader.read(4)
        return await reader.read(4), _now()

    assert run_paused(main) == (b"late", MINUTE)


def test_a_cancelled_drain_or_close_leaves_the_writer_as_it_is(run: Run) -> None:
    """What was written stays written, what failed still fails, closed stays closed."""

    async def main() -> list[bool]:
        script = Script().write(b"one").write_error(BrokenPipeError("gone"))
        _, writer = script.build()
        writer.write(b"one")
        seen = []
        for wait in (writer.drain, writer.wait_closed):
            task = asyncio.ensure_future(_forever(wait))
            await turns(3)
            task.cancel()
            await asyncio.wait([task])
            seen.append(task.cancelled())
            writer.close()
        assert writer.is_closing()
        await writer.drain()
        writer.write(b"two")
        for _ in range(2):
            with pytest.raises(BrokenPipeError):
                await writer.drain()
        script.assert_done()
        return seen

    assert run(main) == [True, True]


async def _forever(step: Callable[[], object]) -> None:
    while True:
        await step()  # type: ignore[misc]  # both are awaited


def test_a_cancelled_end_of_the_executor_does_not_stop_the_clock() -> None:
    """The paused clock jumps again, for whoever goes on."""

    async def main() -> tuple[bool, bool, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PausedLoop)
        gate = Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        call = loop.run_in_executor(None, gate.wait, LONG)
        ending = asyncio.ensure_future(loop.shutdown_default_executor())
        await turns()
        assert loop.is_held
        # Before the cancel: on 3.11 that waits for the threads.
        gate.set()
        ending.cancel()
        await asyncio.wait([ending])
        await call
        before = _now()
        await asyncio.sleep(MINUTE)
        return ending.cancelled(), loop.is_held, _now() - before

    assert run_paused(main) == (True, False, MINUTE)
