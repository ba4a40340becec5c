"""Sender and receiver that hand over to each other within one turn of the loop."""

import asyncio
import contextvars
from collections.abc import Callable, Sequence

import pytest

from sumida.channels import mpsc
from sumida.channels.mpsc._relay import OPERATIONS, ROUNDS
from sumida.errors import Full
from sumida.operation import BUDGET
from sumida.testing import Outcome, cancel_everywhere
from tests.core.support import TurnCounter, cancelled, of, started, turns
from tests.support import Run

CAPACITY = 16


async def _produce(tx: mpsc.Sender[int], messages: int, size: int) -> None:
    with tx:
        for n in range(0, messages, size):
            if size == 1:
                await tx.send(n)
            else:
                await tx.send_many(range(n, n + size))


async def _consume(rx: mpsc.Receiver[int], limit: int) -> list[int]:
    received: list[int] = []
    if limit == 1:
        async for n in rx:
            received.append(n)
        return received
    while batch := await rx.recv_many(limit):
        received += batch
    return received


@pytest.mark.parametrize("size", [1, CAPACITY // 2, CAPACITY])
@pytest.mark.parametrize("limit", [1, 3, CAPACITY])
def test_two_busy_sides_take_fewer_turns_than_queue_fulls(
    run: Run, size: int, limit: int
) -> None:
    """They need no turn for each queue full, and yet others run in between."""
    fulls = 200
    messages = fulls * CAPACITY

    async def main() -> tuple[bool, int]:
        tx, rx = mpsc.channel(CAPACITY)
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        producing = asyncio.create_task(_produce(tx, messages, size))
        received = await _consume(rx, limit)
        seen = turned.count
        await producing
        await cancelled(counting)
        return received == list(range(messages)), seen

    is_whole, seen = run(main)

    assert is_whole
    assert seen < fulls * 0.75
    assert seen >= fulls // (ROUNDS + 2)
    if size == 1:
        assert seen >= messages // (BUDGET + CAPACITY) - 1


@pytest.mark.parametrize("limit", [1, 64, 1000])
def test_two_busy_sides_let_others_run(run: Run, limit: int) -> None:
    """After so many operations, whichever side makes them."""
    messages = BUDGET * 40

    async def main() -> int:
        tx, rx = mpsc.channel(64)
        turned = TurnCounter()
        counting = asyncio.create_task(turned.count_on())
        producing = asyncio.create_task(_produce(tx, messages, 1))
        await _consume(rx, limit)
        seen = turned.count
        await producing
        await cancelled(counting)
        return seen

    operations = messages * 2 if limit == 1 else messages

    assert run(main) >= operations // (OPERATIONS + 64) - 1


def test_a_task_goes_on_as_itself(run: Run) -> None:
    """Whoever goes on within a turn is the current task, with its own context."""
    who = contextvars.ContextVar("who", default="nobody")

    async def main() -> list[str]:
        tx, rx = mpsc.channel(2)
        strange: list[str] = []

        def look(task: "asyncio.Task[object] | None", name: str) -> None:
            if asyncio.current_task() is not task or who.get() != name:
                strange.append(f"{name} is {asyncio.current_task()}, {who.get()}")

        async def produce() -> None:
            task = asyncio.current_task()
            who.set("sender")
            with tx:
                for n in range(50):
                    await tx.send(n)
                    look(task, "sender")

        async def consume() -> None:
            task = asyncio.current_task()
            who.set("receiver")
            async for _ in rx:
                look(task, "receiver")

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            group.create_task(consume())
        return strange

    assert run(main) == []


class Resting:
    """A receiver that lingers, goes on, and lingers again."""

    def __init__(self) -> None:
        self.tx, self.rx = mpsc.channel(1)
        self.sent: list[str] = []
        self.received: list[str] = []

    def send(self, item: str) -> None:
        """Send without waiting."""
        self.tx.try_send(item)
        self.sent.append(item)

    async def subject(self) -> None:
        """Receive in the turn in which it began to wait, and once more."""
        asyncio.get_running_loop().call_soon(self.send, "first")
        self.received.append(await self.rx.recv())
        self.received.append(await self.rx.recv())

    def wakes(self) -> Sequence[Callable[[], object]]:
        """Send the second."""
        return [lambda: self.send("second")]

    async def check(self, outcome: Outcome) -> None:
        """See that each message is somewhere, and that the channel still works."""
        assert outcome.error is None
        while not self.rx.is_empty:
            self.received.append(self.rx.try_recv())
        sending = await started(self.tx.send("last"))
        self.received.append(await self.rx.recv())
        await sending
        self.tx.close()
        assert self.received == [*self.sent, "last"]


def test_a_cancelled_rest_loses_nothing(run: Run) -> None:
    """At each suspension, in each order with the message."""
    assert run(cancel_everywhere, Resting) == 8


@pytest.mark.parametrize("is_sender", [False, True])
def test_a_cancel_reaches_one_that_rests_with_its_message(
    run: Run, *, is_sender: bool
) -> None:
    """It is thrown at once, as told; the next to rest is not touched by it."""

    async def main() -> tuple[tuple[object, ...], list[int]]:
        tx, rx = mpsc.channel(1)
        if is_sender:
            tx.try_send(0)
        loop = asyncio.get_running_loop()
        told: list[tuple[object, ...]] = []

        async def rest() -> None:
            loop.call_soon(task_of.pop().cancel, "enough")
            try:
                if is_sender:
                    await tx.send(9)
                else:
                    await rx.recv()
            except asyncio.CancelledError as error:
                told.append(error.args)
                raise

        task_of: list[asyncio.Task[None]] = []
        gate = asyncio.Event()

        async def begin() -> None:
            await gate.wait()
            await rest()

        task = asyncio.create_task(begin())
        task_of.append(task)
        gate.set()
        await asyncio.wait([task])
        producing = asyncio.create_task(_produce(tx, 5, 1))
        received = await _consume(rx, 1)
        await producing
        assert task.cancelled()
        return told[0], received[-5:]

    assert run(main) == (("enough",), [0, 1, 2, 3, 4])


def test_the_cancel_of_one_that_was_served_hits_no_other(run: Run) -> None:
    """Another sender rests in its stead before it has gone on."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        tx.try_send(0)
        received: list[int] = []
        others: list[asyncio.Task[None]] = []

        async def first() -> None:
            asyncio.get_running_loop().call_soon(strike)
            others.append(asyncio.create_task(of(tx.send(2))))
            await tx.send(1)

        def strike() -> None:
            struck.cancel()
            received.append(rx.try_recv())
            with pytest.raises(Full):
                tx.try_send(9)

        struck = asyncio.create_task(first())
        await asyncio.wait([struck])
        assert struck.cancelled()
        received.append(await rx.recv())
        await others[0]
        tx.close()
        return received

    assert run(main) == [0, 2]


def test_the_cancel_of_a_receiver_hits_no_other(run: Run) -> None:
    """Another task rests in its stead before it has been told."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        others: list[asyncio.Task[int]] = []

        async def first() -> None:
            asyncio.get_running_loop().call_soon(strike)
            others.append(asyncio.create_task(of(rx.recv())))
            await rx.recv()

        def strike() -> None:
            struck.cancel()

        struck = asyncio.create_task(first())
        await asyncio.wait([struck])
        assert struck.cancelled()
        tx.try_send(1)
        tx.close()
        return await others[0]

    assert run(main) == 1


def test_both_sides_are_cancelled_in_one_turn(run: Run) -> None:
    """Neither goes on, and what was sent is still there."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(4)
        received: list[int] = []

        async def consume() -> None:
            while True:
                received.append(await rx.recv())

        async def produce() -> None:
            for n in range(10_000):
                await tx.send(n)

        sides = [asyncio.create_task(produce()), asyncio.create_task(consume())]
        await turns(7)
        for side in sides:
            side.cancel()
        await asyncio.wait(sides)
        while not rx.is_empty:
            received.append(rx.try_recv())
        tx.close()
        assert all(side.cancelled() for side in sides)
        return received

    received = run(main)

    assert received == list(range(len(received)))


@pytest.mark.parametrize("cancels", ["sender", "receiver"])
def test_who_rests_is_not_touched_by_a_cancel_of_the_other_side(
    run: Run, cancels: str
) -> None:
    """All places are held, so that both sides rest in one turn."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx, tx.try_reserve() as permit:
            sending = asyncio.create_task(of(tx.send(1)))
            receiving = asyncio.create_task(of(rx.recv()))
            strike = sending.cancel if cancels == "sender" else receiving.cancel
            for _ in range(2):  # in one turn
                asyncio.get_running_loop().call_soon(strike)
            await turns()
            assert sending.cancelled() == (cancels == "sender")
            assert receiving.cancelled() == (cancels == "receiver")
            if cancels == "sender":
                permit.send(1)
                return await receiving
            permit.release()
            await sending
            return rx.try_recv()

    assert run(main) == 1


def test_a_sender_of_many_is_not_woken_for_few(run: Run) -> None:
    """It goes on when all of its places are free, and before who came later."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(4)
        for letter in "abcd":
            tx.try_send(letter)
        many = asyncio.create_task(_send(tx, list("efgh")))
        received = [await rx.recv()]
        few = asyncio.create_task(_send(tx, ["i"]))
        await turns()
        received += [await rx.recv() for _ in range(8)]
        await many
        await few
        tx.close()
        return received

    assert run(main) == list("abcdefghi")


async def _send(tx: mpsc.Sender[str], items: list[str]) -> None:
    await tx.send_many(items)


def test_a_third_goes_by_way_of_the_loop(run: Run) -> None:
    """Several senders and receivers at once: each message comes once, in order."""

    async def main() -> dict[int, list[int]]:
        tx, rx = mpsc.channel(2)
        received: dict[int, list[int]] = {0: [], 1: [], 2: []}

        async def produce(tx: mpsc.Sender[tuple[int, int]], who: int) -> None:
            with tx:
                for n in range(100):
                    await tx.send((who, n))

        async with asyncio.TaskGroup() as group:
            for who in received:
                group.create_task(produce(tx.clone(), who))
            tx.close()
            async for who, n in rx:
                received[who].append(n)
        return received

    assert run(main) == {who: list(range(100)) for who in range(3)}


def test_an_exit_in_one_task_does_not_stop_the_other() -> None:
    """`SystemExit` ends the loop's run; who rests goes on in the next."""
    tx, rx = mpsc.channel(1)

    async def leave() -> None:
        with tx:
            await tx.send(1)
            await tx.send(2)
            raise SystemExit(3)

    loop = asyncio.new_event_loop()
    receiving = loop.create_task(_consume(rx, 1))
    leaving = loop.create_task(leave())
    with pytest.raises(SystemExit):
        loop.run_until_complete(receiving)
    received = loop.run_until_complete(receiving)
    loop.close()

    assert received == [1, 2]
    assert isinstance(leaving.exception(), SystemExit)
