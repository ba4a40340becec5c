"""One value, once."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import assert_type

import pytest

from sumida import select
from sumida.channels import oneshot
from sumida.errors import (
    AlreadySent,
    BusyError,
    Closed,
    Empty,
    MisuseError,
    WrongLoopError,
)
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import Run


class Sent:
    """A value to which there can be a weak reference."""


def test_a_value_is_sent_and_received(run: Run) -> None:
    """Before and while it is waited for."""

    async def main() -> tuple[int, int]:
        tx, rx = oneshot.channel()
        tx.send(42)
        first = await rx
        tx, rx = oneshot.channel()
        task = asyncio.ensure_future(rx.recv())
        await turns()
        tx.send(43)
        return first, await task

    assert run(main) == (42, 43)


def test_a_second_value_is_refused(run: Run) -> None:
    """It is given back; the first stays."""

    async def main() -> object:
        tx, rx = oneshot.channel()
        tx.send("first")
        with pytest.raises(AlreadySent) as error:
            tx.send("second")
        assert await rx == "first"
        return error.value.item

    assert run(main) == "second"


def test_nobody_waits_any_more(run: Run) -> None:
    """`send` gives the value back, and `closed()` tells beforehand."""

    async def main() -> object:
        tx, rx = oneshot.channel()
        task = asyncio.ensure_future(tx.closed())
        await turns()
        assert not task.done()
        rx.close()
        rx.close()
        await task
        assert tx.is_closed
        with pytest.raises(Closed) as error:
            tx.send("lost")
        return error.value.item

    assert run(main) == "lost"


def test_closing_the_receiver_ends_its_own_wait(run: Run) -> None:
    """The task that waits with it is told."""

    async def main() -> bool:
        tx, rx = oneshot.channel()
        task = asyncio.ensure_future(rx.recv())
        await turns()
        rx.close()
        with pytest.raises(Closed):
            await task
        with pytest.raises(MisuseError, match="awaited again"):
            await rx
        tx.close()
        return rx.is_terminated

    assert run(main)


def test_a_receiver_that_is_collected_is_gone(run: Run) -> None:
    """Who waits for that is told, and a value that was sent is dropped."""

    async def main() -> bool:
        tx, rx = oneshot.channel()
        task = asyncio.ensure_future(tx.closed())
        await turns()
        assert not task.done()
        del rx
        await task
        with pytest.raises(Closed):
            tx.send("lost")
        tx, rx = oneshot.channel()
        sent = Sent()
        gone = weakref.ref(sent)
        tx.send(sent)
        del sent, rx
        assert gone() is None
        return tx.is_closed

    assert run(main)


def test_a_value_that_was_taken_is_not_kept(run: Run) -> None:
    """It is the caller's alone, and the receiver is empty."""

    async def main() -> bool:
        tx, rx = oneshot.channel()
        tx.send(Sent())
        gone = weakref.ref(await rx)
        assert gone() is None
        return rx.is_empty

    assert run(main)


@pytest.mark.parametrize("call", ["send", "close", "receiver", "receiver alone"])
def test_another_thread_is_refused_and_changes_nothing(run: Run, call: str) -> None:
    """While a task waits for the value, or for the receiver to go."""

    async def main() -> str:
        tx, rx = oneshot.channel()
        closing = asyncio.ensure_future(tx.closed())
        await turns()
        if call == "receiver alone":
            with pytest.raises(WrongLoopError):
                await asyncio.to_thread(rx.close)
        receiving = asyncio.ensure_future(rx.recv())
        await turns()

        def abroad() -> None:
            with pytest.raises(WrongLoopError):
                if call == "send":
                    tx.send("from abroad")
                elif call == "close":
                    tx.close()
                else:
                    rx.close()

        await asyncio.to_thread(abroad)
        assert not tx.is_closed
        tx.send("x")
        received = await receiving
        rx.close()
        await closing
        return received

    assert run(main) == "x"


def test_the_sender_went_away(run: Run) -> None:
    """Closed or collected: the receiver learns it."""

    async def main() -> list[bool]:
        tx, rx = oneshot.channel()
        task = asyncio.ensure_future(rx.recv())
        await turns()
        assert not tx.is_closed
        with tx:
            pass
        assert tx.is_closed
        with pytest.raises(Closed) as error:
            tx.send("late")
        assert error.value.item == "late"
        with pytest.raises(Closed):
            await task
        terminated = [rx.is_terminated]
        tx, rx = oneshot.channel()
        with pytest.warns(ResourceWarning, match="without sending"):
            del tx
            gc.collect()
        with pytest.raises(Closed):
            await rx
        return [*terminated, rx.is_empty]

    assert run(main) == [True, True]


def test_a_value_sent_before_the_close_is_received(run: Run) -> None:
    """By await or try; after it was taken the channel is closed."""

    async def main() -> list[int]:
        tx, rx = oneshot.channel()
        with pytest.raises(Empty):
            rx.try_recv()
        tx.send(1)
        rx.close()
        seen = [await rx]
        with pytest.raises(Closed):
            rx.try_recv()
        with pytest.raises(MisuseError, match="awaited again"):
            await rx
        tx, rx = oneshot.channel()
        tx.send(2)
        rx.close()
        return [*seen, rx.try_recv()]

    assert run(main) == [1, 2]


def test_two_tasks_cannot_wait(run: Run) -> None:
    """The second is refused, and the first gets the value."""

    async def main() -> int:
        tx, rx = oneshot.channel()
        first = asyncio.ensure_future(rx.recv())
        await turns()
        with pytest.raises(BusyError):
            await rx
        tx.send(5)
        return await first

    assert run(main) == 5


def test_it_races_in_a_select(run: Run) -> None:
    """A loser keeps its value."""

    async def main() -> list[object]:
        a_tx, a_rx = oneshot.channel()
        b_tx, b_rx = oneshot.channel()
        a_tx.send("a")
        b_tx.send("b")
        first = await select(a_rx, b_rx, biased=True)
        return [first, await b_rx]

    assert run(main) == [(0, "a"), "b"]


def test_a_thread_can_wait(run: Run) -> None:
    """`blocking_recv` gives the value to another thread."""

    async def main() -> list[int]:
        tx, rx = oneshot.channel()
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(rx.blocking_recv()))
        thread.start()
        tx.send(7)
        await asyncio.to_thread(thread.join)
        with pytest.raises(MisuseError, match="thread of an event loop"):
            rx.blocking_recv()
        return seen

    assert run(main) == [7]


def test_reprs_tell_the_state(run: Run) -> None:
    """Open, sent, ready, done, closed."""

    async def main() -> list[str]:
        tx, rx = oneshot.channel()
        seen = [repr(tx), repr(rx)]
        tx.send(1)
        seen += [repr(tx), repr(rx)]
        await rx
        seen.append(repr(rx))
        return seen

    assert run(main) == [
        "<oneshot.Sender open>",
        "<oneshot.Receiver empty>",
        "<oneshot.Sender sent>",
        "<oneshot.Receiver ready>",
        "<oneshot.Receiver done>",
    ]


class ReceiveWorld:
    """A task waits for the value."""

    def __init__(self) -> None:
        self.tx: oneshot.Sender[str]
        self.rx: oneshot.Receiver[str]
        self.tx, self.rx = oneshot.channel()

    async def subject(self) -> object:
        return await self.rx.recv()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.tx.send("x")]

    async def check(self, outcome: Outcome) -> None:
        if outcome.returned:
            assert outcome.value == "x"
            return
        if outcome.is_woken:
            assert self.rx.try_recv() == "x"
            return
        # Nothing is left of the wait, so that another can begin.
        waiting = asyncio.ensure_future(self.rx.recv())
        await turns()
        self.tx.send("y")
        assert await waiting == "y"


class ClosedWorld:
    """A task waits for the receiver to go."""

    def __init__(self) -> None:
        self.tx, self.rx = oneshot.channel()

    async def subject(self) -> object:
        return await self.tx.closed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.rx.close]

    async def check(self, outcome: Outcome) -> None:
        assert self.tx.is_closed == (outcome.returned or outcome.is_woken)
        self.rx.close()
        await self.tx.closed()
        self.tx.close()


@pytest.mark.parametrize("world", [ReceiveWorld, ClosedWorld])
def test_waits_are_cancel_safe(run: Run, world: type[ReceiveWorld]) -> None:
    """A value that was sent stays to be received."""
    assert run(cancel_everywhere, world) == 8


def test_types_are_told() -> None:
    """An annotation is enough for both sides."""
    tx: oneshot.Sender[int]
    rx: oneshot.Receiver[int]
    tx, rx = oneshot.channel()

    async def main() -> None:
        assert_type(await rx, int)

    tx.send(1)
    asyncio.run(main())
