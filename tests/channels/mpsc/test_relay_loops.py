"""Sender and receiver that rest: on which loop, and what is refused."""

import asyncio

import pytest

from sumida.channels import mpsc
from sumida.errors import Full, WrongLoopError
from sumida.operation import BUDGET, budget
from tests.core.support import turns


async def _produce(tx: mpsc.Sender[int], messages: int, size: int) -> None:
    with tx:
        for n in range(0, messages, size):
            if size == 1:
                await tx.send(n)
            else:
                await tx.send_many(range(n, n + size))


async def _send(tx: mpsc.Sender[str], items: list[str]) -> None:
    await tx.send_many(items)


def test_a_channel_serves_one_loop_after_another() -> None:
    """What was made outside any loop is used in two runs, by both sides."""
    tx, rx = mpsc.channel(2)

    async def main(tx: mpsc.Sender[int]) -> list[int]:
        producing = asyncio.create_task(_produce(tx, 20, 2))
        received = [await rx.recv() for _ in range(20)]
        await producing
        return received

    received = [asyncio.run(main(tx.clone())) for _ in range(3)]
    tx.close()

    assert received == [list(range(20))] * 3


@pytest.mark.parametrize("kind", ["send", "send_many", "reserve"])
def test_a_sender_rests_on_one_loop_after_another(kind: str) -> None:
    """The rest of a loop that is gone is refused by the task, and another is made."""
    tx, rx = mpsc.channel(1)

    async def put() -> None:
        if kind == "send":
            await tx.send(2)
        elif kind == "send_many":
            await tx.send_many([2])
        else:
            (await tx.reserve()).send(2)

    async def main() -> list[int]:
        tx.try_send(1)
        putting = asyncio.create_task(put())
        await turns(1)
        received = [rx.try_recv()]
        await putting
        return [*received, rx.try_recv()]

    received = [asyncio.run(main()) for _ in range(2)]
    tx.close()

    assert received == [[1, 2], [1, 2]]


@pytest.mark.parametrize("is_sender", [False, True])
def test_two_live_loops_are_refused(*, is_sender: bool) -> None:
    """Resting on a channel whose other side rests elsewhere is an error, at once."""
    tx, rx = mpsc.channel(1)
    if is_sender:
        tx.try_send(1)

    async def rest() -> None:
        if is_sender:
            await tx.send(2)
        else:
            await rx.recv()

    async def begin() -> asyncio.Task[None]:
        # The run ends with this, and the task rests until the next.
        return asyncio.ensure_future(rest())

    with asyncio.Runner() as first, asyncio.Runner() as second:
        task = first.run(begin())
        with pytest.raises(WrongLoopError):
            second.run(rest())
        task.cancel()
        first.run(turns())
    if is_sender:
        rx.try_recv()
    tx.close()

    assert task.cancelled()


@pytest.mark.parametrize("kind", ["send", "send_many", "reserve"])
def test_a_sender_refused_on_a_second_loop_leaves_no_place(kind: str) -> None:
    """It is not in line any more, also where one that was served has not gone on."""
    budget.left = BUDGET  # it lingers at once
    tx, rx = mpsc.channel(2)
    for letter in "ab":
        tx.try_send(letter)

    async def begin() -> asyncio.Task[None]:
        resting = asyncio.ensure_future(_send(tx, ["c", "d"]))
        # The loop stops in the turn after this one, in which it begins to rest.
        asyncio.get_running_loop().call_soon(serve)
        return resting

    def serve() -> None:
        received.extend((rx.try_recv(), rx.try_recv()))
        with pytest.raises(Full):
            tx.try_send("x")

    async def intrude() -> None:
        if kind == "send":
            await tx.send("x")
        elif kind == "send_many":
            await tx.send_many(["x"])
        else:
            await tx.reserve()

    received: list[str] = []
    with asyncio.Runner() as first, asyncio.Runner() as second:
        resting = first.run(begin())
        with pytest.raises(WrongLoopError):
            second.run(intrude())

        async def go_on() -> None:
            await resting
            received.extend((rx.try_recv(), rx.try_recv()))
            tx.try_send("e")
            tx.try_send("f")
            tx.close()
            received.extend([letter async for letter in rx])

        first.run(go_on())

    assert received == list("abcdef")
