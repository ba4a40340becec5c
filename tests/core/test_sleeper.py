"""What a `select` waits with: woken at once where bytes arrive, and used again."""

import asyncio
import gc
from collections.abc import Callable, Generator
from contextvars import ContextVar
from types import coroutine
from typing import Literal
from weakref import ref

import pytest

from sumida import CancellationToken, select
from sumida._core.sleeper import Racer, Sleeper
from sumida.channels import mpsc
from sumida.errors import BusyError
from sumida.io import duplex
from sumida.net import UnixStream
from sumida.operation import PENDING, Operation, Pending
from sumida.runtime import _race
from sumida.testing import turns
from tests.support import Run


@pytest.fixture(autouse=True)
def no_spares() -> None:
    """Begin without any."""
    _race._spares.clear()


def test_a_select_runs_where_the_bytes_arrive(run: Run) -> None:
    """Not a turn of the loop later, as by a future."""

    async def main() -> list[str]:
        a, b = duplex()
        seen: list[str] = []

        async def wait() -> None:
            token = CancellationToken()
            _, data = await select(token.cancelled(), b.read(), biased=True)
            seen.append(f"read {data!r}")

        async with a, b:
            waiting = asyncio.ensure_future(wait())
            await turns()
            asyncio.get_running_loop().call_soon(_deliver, b, b"x", seen)
            await waiting
        return seen

    assert run(main) == ["read b'x'", "delivered"]


def _deliver(stream: "object", data: bytes, seen: list[str]) -> None:
    engine = stream._engine  # type: ignore[attr-defined]  # a stream's
    engine.data_received(data)
    seen.append("delivered")


def test_each_way_of_waking_tells_which_branch(run: Run) -> None:
    """A channel, a token and a stream, one after the other, with the same waits."""

    async def main() -> list[object]:
        a, b = await UnixStream.pair()
        tx: mpsc.Sender[int]
        tx, rx = mpsc.channel(1)
        token = CancellationToken()
        seen: list[object] = []

        async def wait() -> None:
            for _ in range(4):
                seen.append(await select(rx.recv(), b.read(), token.cancelled()))

        async with a, b:
            waiting = asyncio.ensure_future(wait())
            await turns()
            await tx.send(1)
            await turns()
            await a.write_all(b"x")
            while len(seen) < 2:
                await asyncio.sleep(0)
            await tx.send(2)
            await turns()
            token.cancel()
            await waiting
            tx.close()
        return seen

    assert run(main) == [(0, 1), (1, b"x"), (0, 2), (2, None)]
    assert len(_race._spares) == 1


class AtOnce(Operation[str]):
    """An operation that is made ready by the wait for it."""

    def __init__(self) -> None:
        self.is_here = False

    def poll(self) -> str | Literal[Pending.PENDING]:
        """Give it, if it has come."""
        return "here" if self.is_here else PENDING

    def arm(self, future: asyncio.Future[object]) -> object:
        """Let it come."""
        self.is_here = True
        if not future.done():
            future.set_result(self)
        return self

    def disarm(self) -> None:
        """Do nothing."""


def test_a_branch_may_become_ready_while_others_are_armed(run: Run) -> None:
    """The task does not wait then."""

    async def main() -> list[object]:
        never = CancellationToken().cancelled
        return [
            await select(AtOnce(), never()),
            await select(never(), AtOnce()),
            await select(never(), AtOnce(), AtOnce(), biased=True),
        ]

    assert run(main) == [(0, "here"), (1, "here"), (1, "here")]


def test_a_cancel_keeps_its_message(run: Run) -> None:
    """And the wait that it ended can be used again."""

    async def main() -> tuple[object, ...]:
        a, b = duplex()
        async with a, b:
            waiting = asyncio.ensure_future(
                select(b.read(), CancellationToken().cancelled())
            )
            await turns()
            waiting.cancel("enough")
            assert not waiting.done()
            with pytest.raises(asyncio.CancelledError) as caught:
                await waiting
            again = asyncio.ensure_future(
                select(b.read(), CancellationToken().cancelled())
            )
            await turns()
            await a.write_all(b"x")
            assert await again == (0, b"x")
            return caught.value.args

    # A task's message does not cross an await of the task in every version.
    assert run(main) in {("enough",), ()}


def test_one_that_is_thrown_away_while_it_waits_is_not_used_again(run: Run) -> None:
    """Its task would be run by whoever had it next."""

    async def main() -> int:
        token = CancellationToken()
        racing = select(token.cancelled(), CancellationToken().cancelled())
        racing.send(None)
        wait = _Callback()
        found = [each for each in gc.get_objects() if type(each) is Racer]
        (racer,) = found
        racer.add_done_callback(wait, context=asyncio.current_task().get_context())  # type: ignore[union-attr]  # there is one
        racing.close()
        return len(_race._spares)

    if not hasattr(asyncio.Task, "get_context"):
        pytest.skip("a task tells its context from 3.12 on")
    assert run(main) == 0


class _Callback:
    def __call__(self, sleeper: Sleeper) -> None:
        raise AssertionError(f"{sleeper!r} has run a task that is no more")


def test_those_of_another_loop_are_not_used(run: Run) -> None:
    """The next loop makes its own."""

    async def main() -> object:
        token = CancellationToken()
        asyncio.get_running_loop().call_soon(token.cancel)
        return await select(token.cancelled(), CancellationToken().cancelled())

    assert run(main) == (0, None)
    (first,) = _race._spares
    assert run(main) == (0, None)
    assert first not in _race._spares


def test_a_repr_tells_whether_it_is_waited_for() -> None:
    """Of both kinds."""

    async def main(make: Callable[[asyncio.AbstractEventLoop], Sleeper]) -> str:
        return repr(make(asyncio.get_running_loop()))

    assert asyncio.run(main(Sleeper)) == "<Sleeper idle>"
    assert asyncio.run(main(Racer)) == "<Racer idle>"


class _Held:
    """Something that a task has set."""


_held: ContextVar[_Held] = ContextVar("held")


def test_what_a_task_has_set_does_not_live_on_with_its_wait(run: Run) -> None:
    """The waits are kept to be used again, and the tasks' contexts are not."""

    async def main() -> bool:
        tx: mpsc.Sender[int]
        tx, rx = mpsc.channel(1)
        other = CancellationToken()

        async def wait() -> "ref[_Held]":
            held = _Held()
            _held.set(held)
            await select(rx, other)
            return ref(held)

        with tx:
            waiting = asyncio.ensure_future(wait())
            await turns()
            tx.try_send(1)
            held = await waiting
            del waiting
            await turns()
        gc.collect()
        return held() is None

    assert run(main)
    assert len(_race._spares) == 1


@coroutine
def _sleep_on(sleeper: Sleeper) -> Generator[object, None, None]:
    sleeper._asyncio_future_blocking = True
    yield sleeper


_WAYS: dict[str, Callable[[Sleeper], object]] = {
    "set_result": lambda sleeper: sleeper.set_result(None),
    "run": Sleeper.run,
}


@pytest.mark.parametrize("way", _WAYS)
def test_the_task_goes_on_in_its_own_context(run: Run, way: str) -> None:
    """However it is woken, and not in the one of who wakes it."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        sleeper = Sleeper(loop)

        async def wait() -> bool:
            held = _Held()
            _held.set(held)
            await _sleep_on(sleeper)
            return _held.get(None) is held

        waiting = asyncio.ensure_future(wait())
        await turns()
        loop.call_soon(_WAYS[way], sleeper)
        return await waiting

    assert run(main)


@pytest.mark.parametrize("way", _WAYS)
def test_nobody_is_woken_where_nobody_waits(run: Run, way: str) -> None:
    """Nor twice, where somebody did."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        sleeper = Sleeper(loop)
        _WAYS[way](sleeper)
        assert sleeper.done()
        passed: list[int] = []

        async def wait() -> None:
            await _sleep_on(sleeper)
            passed.append(1)
            await asyncio.Event().wait()

        waiting = asyncio.ensure_future(wait())
        await turns()
        assert not sleeper.done()
        for _ in range(2):
            loop.call_soon(_WAYS[way], sleeper)
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        return len(passed)

    assert run(main) == 1


def test_a_task_that_runs_another_lets_it_wait_a_turn(run: Run) -> None:
    """Within one's step the step of another cannot be made, and it is not lost."""

    async def main() -> list[str]:
        sleeper = Sleeper(asyncio.get_running_loop())
        seen: list[str] = []

        async def wait() -> None:
            await _sleep_on(sleeper)
            seen.append("woken")

        waiting = asyncio.ensure_future(wait())
        await turns()
        sleeper.run()
        seen.append("went on")
        await waiting
        return seen

    assert run(main) == ["went on", "woken"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_who_ends_the_program_ends_the_loop(
    run: Run, kind: type[BaseException]
) -> None:
    """What wakes it, a transport's callback, must not take that for its own fault."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sleeper = Sleeper(loop)
        ending = asyncio.ensure_future(end(sleeper))
        await turns()
        loop.call_soon(note, sleeper)
        try:
            await asyncio.Event().wait()
        finally:
            assert isinstance(ending.exception(), kind)

    async def end(sleeper: Sleeper) -> None:
        await _sleep_on(sleeper)
        raise kind

    def note(sleeper: Sleeper) -> None:
        sleeper.run()
        seen.append("went on")

    seen: list[str] = []
    with pytest.raises(kind):
        run(main)

    assert seen == ["went on"]


def test_a_select_is_woken_once(run: Run) -> None:
    """By the first who does, whose token is kept."""

    async def main() -> list[object]:
        seen: list[object] = []
        for wake in (Racer.run_with, Racer.set_result):
            racer = Racer(asyncio.get_running_loop())
            racer.run_with("nobody uses it")
            seen.append(racer.token)
            racer.is_done = False
            wake(racer, "first")
            racer.run_with("second")
            racer.set_result("third")
            seen.append(racer.token)
        return seen

    assert run(main) == [None, "first"] * 2


def test_one_that_is_kept_cannot_be_woken_and_holds_nothing(run: Run) -> None:
    """Who woke it last may be slow to let go of it, and wake it again."""

    async def main() -> list[object]:
        token = CancellationToken()
        asyncio.get_running_loop().call_soon(token.cancel)
        await select(token.cancelled(), CancellationToken().cancelled())
        (racer,) = _race._spares
        seen: list[object] = [racer.done(), racer.token]
        racer.set_result("late")
        return [*seen, racer.token]

    assert run(main) == [True, None, None]


def test_one_that_was_refused_a_wait_counts_as_woken(run: Run) -> None:
    """It is kept, and what was armed until then must not find it waiting."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        waiting = asyncio.ensure_future(rx.recv())
        await turns()
        with pytest.raises(BusyError):
            await select(CancellationToken(), rx, biased=True)
        (racer,) = _race._spares
        waiting.cancel()
        tx.close()
        await turns()
        return racer.done()

    assert run(main)
