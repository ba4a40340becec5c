"""Sender: its place in line while it lingers."""

import asyncio

import pytest

from sumida.channels import mpsc
from sumida.errors import Full, MisuseError
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


async def put(tx: mpsc.Sender[int], kind: str, item: int) -> None:
    """Send `item` by the call of that name."""
    if kind == "send":
        await tx.send(item)
    elif kind == "send_many":
        await tx.send_many([item])
    else:
        (await tx.reserve()).send(item)


def test_try_send_does_not_pass_a_sender_that_lingers(run: Run) -> None:
    """A sender in its lingering turn is in line like one that sleeps."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        with tx:
            tx.try_send(0)
            lingering = asyncio.create_task(of(tx.send(1)))
            await asyncio.sleep(0)  # it has found the channel full, and lingers
            received = [rx.try_recv()]
            with pytest.raises(Full):
                tx.try_send(2)
            await lingering
            return [*received, rx.try_recv()]

    assert run(main) == [0, 1]


@pytest.mark.parametrize("kind", ["send", "send_many", "reserve"])
def test_a_call_does_not_pass_a_sender_that_lingers(run: Run, kind: str) -> None:
    """A place that came free in its turn is its own, also when another looks first."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        received: list[int] = []

        with tx:
            tx.try_send(0)
            one = asyncio.create_task(of(tx.send(1)))
            asyncio.get_running_loop().call_soon(lambda: received.append(rx.try_recv()))
            two = asyncio.create_task(put(tx, kind, 2))
            await one
            received.append(rx.try_recv())
            await two
            return [*received, rx.try_recv()]

    assert run(main) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["send", "send_many", "reserve"])
def test_who_lingered_wakes_a_receiver_that_sleeps(run: Run, kind: str) -> None:
    """All places were held, so that there was no message either."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        with tx:
            permits = tx.try_reserve_many(2)
            receiving = await started(rx.recv())
            asyncio.get_running_loop().call_soon(permits.release)
            await put(tx, kind, 1)
            return await receiving

    assert run(main) == 1


def test_places_that_one_who_lingers_leaves_are_free(run: Run) -> None:
    """As many as came free meanwhile, but for those that it is about to take."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(3)
        with tx:
            await tx.send_many([1, 2, 3])
            lingering = asyncio.create_task(of(tx.send(4)))
            await turns(1)
            free = [tx.capacity]
            for _ in range(3):
                rx.try_recv()
                free.append(rx.capacity)
            await lingering
            return [*free, tx.capacity, rx.try_recv()]

    assert run(main) == [0, 0, 1, 2, 2, 4]


@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize("kind", ["send", "send_many", "reserve"])
def test_who_goes_on_leaves_another_that_lingers_in_line(
    run: Run, kind: str, *, is_cancelled: bool
) -> None:
    """It was served while it lingered, so that the next could begin to."""

    async def main() -> list[int]:
        tx, rx = mpsc.channel(1)
        received: list[int] = []
        second: list[asyncio.Task[None]] = []

        def serve() -> None:
            received.append(rx.try_recv())
            with pytest.raises(Full):
                tx.try_send(9)
            if is_cancelled:
                # It lingers when the other has not been told of its cancel yet.
                second.append(asyncio.create_task(put(tx, kind, 2)))
                one.cancel()

        async def first() -> None:
            try:
                await put(tx, kind, 1)
                received.append(rx.try_recv())
            finally:
                # The place is the next one's, who has not gone on yet.
                with pytest.raises(Full):
                    tx.try_send(9)

        with tx:
            tx.try_send(0)
            one = asyncio.create_task(first())
            asyncio.get_running_loop().call_soon(serve)
            if not is_cancelled:
                second.append(asyncio.create_task(put(tx, kind, 2)))
            await asyncio.wait([one])
            assert one.cancelled() == is_cancelled
            await second[0]
            return [*received, rx.try_recv()]

    assert run(main) == ([0, 2] if is_cancelled else [0, 1, 2])


@pytest.mark.parametrize("served", [False, True])
def test_cancel_in_the_lingering_turn_sends_nothing(run: Run, *, served: bool) -> None:
    """A sender cancelled in its lingering turn sent nothing, granted or not."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)
        with tx:
            tx.try_send(0)
            lingering = asyncio.create_task(of(tx.send(1)))
            await asyncio.sleep(0)
            if served:
                rx.try_recv()
            assert await cancelled(lingering)
            if not served:
                rx.try_recv()
            assert rx.is_empty
            return tx.capacity

    assert run(main) == 1


@pytest.mark.parametrize("many", [False, True])
def test_a_send_that_lingered_is_spent_as_well(run: Run, *, many: bool) -> None:
    """It found its place one turn later, without having parked."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        with tx:
            tx.try_send("first")
            send = tx.send_many(["second"]) if many else tx.send("second")
            sending = asyncio.create_task(of(send))
            await turns(1)
            received = [rx.try_recv()]
            await sending
            with pytest.raises(MisuseError, match="sent its item"):
                await send
            return [*received, rx.try_recv()]

    assert run(main) == ["first", "second"]
