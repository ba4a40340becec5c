"""What a `select` waits with: woken at once where bytes arrive, and used again."""

import asyncio
import gc
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal
from weakref import ref

import pytest

from sumida import CancellationToken, select
from sumida._core.sleeper import Racer, Sleeper
from sumida.channels import mpsc
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
