"""Sender: other threads and other loops."""

import asyncio
import gc
import threading

import pytest

from sumida.channels import mpsc
from sumida.errors import Closed, MisuseError, WrongLoopError
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


def test_a_send_from_a_foreign_thread_is_refused_before_it_changes_anything(
    run: Run,
) -> None:
    """Waking from elsewhere would hang in silence, so it is an error, and clean."""

    async def main() -> tuple[int, int]:
        tx, rx = mpsc.channel(2)
        with tx:
            permit = tx.try_reserve()
            permits = tx.try_reserve_many(1)
            receiving = await started(rx.recv())

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    tx.try_send(1) if tx.capacity else permit.send(1)
                with pytest.raises(WrongLoopError):
                    permits.send(1)
                with pytest.raises(WrongLoopError):
                    permits.send_many([1])
                with pytest.raises(WrongLoopError):
                    tx.close()

            await asyncio.to_thread(abroad)
            assert permit.is_held
            assert len(permits) == 1
            queued, free = len(rx), tx.capacity
            permits.release()
            permit.send(7)
            assert await receiving == 7
            await tx.send(8)
            assert await rx.recv() == 8
            return queued, free

    assert run(main) == (0, 0)


def test_try_send_from_a_foreign_thread_is_refused(run: Run) -> None:
    """Also on the plain path: nothing is queued and the receiver sleeps on."""

    async def main() -> int:
        tx, rx = mpsc.channel(2)
        with tx:
            receiving = await started(rx.recv())

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    tx.try_send(1)
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send(1)))
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send_many([1, 2])))

            await asyncio.to_thread(abroad)
            assert not receiving.done()
            assert tx.capacity == 2
            tx.try_send(5)
            return await receiving

    assert run(main) == 5


def test_waiting_on_two_loops_is_refused(run: Run) -> None:
    """A sender cannot wait on one loop while another waits on its own."""

    async def main() -> bool:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            waiting = await started(tx.send(1))

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(tx.send(2)))
                with pytest.raises(WrongLoopError):
                    rx.try_recv()
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(rx.recv()))
                with pytest.raises(WrongLoopError):
                    asyncio.run(of(rx.recv_many(3)))
                with pytest.raises(WrongLoopError):
                    rx.close()

            await asyncio.to_thread(abroad)
            received = await rx.recv_many(2)
            await waiting
            received += await rx.recv_many(2)
            return received == [0, 1] and not rx.is_closed

    assert run(main)


def test_a_channel_serves_one_loop_after_another(run: Run) -> None:
    """A channel made outside, or used by a loop that is gone, works in the next."""
    tx, rx = mpsc.channel(1)

    async def main() -> int:
        receiving = await started(rx.recv())
        await tx.send(1)
        assert await receiving == 1
        await tx.send(2)
        waiting = await started(tx.send(3))
        return await rx.recv() + await rx.recv() + (await waiting or 0)

    with tx:
        assert run(main) == 5
        assert run(main) == 5


def test_waiters_of_a_closed_loop_are_forgotten() -> None:
    """A task that a closed loop left behind neither blocks nor breaks the next."""
    tx, rx = mpsc.channel(1)
    loop = asyncio.new_event_loop()
    receiving = loop.create_task(of(rx.recv()))
    loop.run_until_complete(turns())
    loop.close()

    async def main() -> int:
        with tx:
            await tx.send(1)
            return await rx.recv()

    result = asyncio.run(main())

    assert result == 1
    assert not receiving.done()
    # Python tells of a pending task that is collected; this one is left on purpose.
    receiving._log_destroy_pending = False  # type: ignore[attr-defined]  # of asyncio
    del receiving
    gc.collect()


def test_blocking_send_from_many_threads_loses_nothing(run: Run) -> None:
    """Each thread's messages arrive, in its order, none lost and none twice."""
    threads, each = 8, 60

    async def main() -> list[tuple[int, int]]:
        tx, rx = mpsc.channel(3)

        def produce(name: int) -> None:
            for n in range(each):
                tx.blocking_send((name, n))

        workers = [threading.Thread(target=produce, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        received = [await rx.recv() for _ in range(threads * each)]
        for worker in workers:
            worker.join()
        tx.close()
        with pytest.raises(Closed):
            await rx.recv()
        return received

    received = run(main)

    for name in range(threads):
        assert [n for who, n in received if who == name] == list(range(each))


@pytest.mark.parametrize("rests", [True, False])
def test_a_thread_finds_the_loop_that_is_used_now(run: Run, *, rests: bool) -> None:
    """Not the one on which the channel was made, if that is closed."""
    made: list[tuple[mpsc.Sender[int], mpsc.Receiver[int]]] = []

    async def make() -> None:
        tx, rx = mpsc.channel(1)
        made.append((tx, rx))
        # Somebody has waited on the loop that is gone, too.
        receiving = await started(rx.recv())
        assert await cancelled(receiving)

    async def use() -> list[int]:
        tx, rx = made.pop()
        with tx:
            # It lingers in one turn, and parks in the next.
            receiving = asyncio.create_task(of(rx.recv()))
            await turns(1 if rests else 5)
            await asyncio.to_thread(tx.blocking_send, 1)
            received = [await receiving]
            sending = asyncio.create_task(asyncio.to_thread(tx.blocking_send, 2))
            received.append(await asyncio.to_thread(rx.blocking_recv))
            await sending
            return received

    run(make)

    assert run(use) == [1, 2]


def test_a_thread_finds_no_loop_that_is_gone(run: Run) -> None:
    """Where tasks of another waited last; it goes to the one that made the channel."""

    async def main() -> int:
        tx, rx = mpsc.channel(1)

        async def visit() -> None:
            receiving = await started(rx.recv())
            assert await cancelled(receiving)

        with tx:
            await asyncio.to_thread(asyncio.run, visit())
            await asyncio.to_thread(tx.blocking_send, 1)
            return await asyncio.to_thread(rx.blocking_recv)

    assert run(main) == 1


def test_blocking_send_on_the_loops_thread_is_refused(run: Run) -> None:
    """It would wait for itself."""

    async def main() -> None:
        tx, _rx = mpsc.channel(1)
        with tx, pytest.raises(MisuseError, match="blocking_send"):
            tx.blocking_send(1)

    run(main)


def test_blocking_send_to_a_closed_channel_gives_the_item_back(run: Run) -> None:
    """A thread that waits for a place is told that the receiver went."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(0)
            sending = asyncio.create_task(asyncio.to_thread(tx.blocking_send, 1))
            while not tx._chan.rooms.head:  # until the thread waits
                await asyncio.sleep(0)
            rx.close()
            with pytest.raises(Closed) as error:
                await sending
            await rx.recv()
            return error.value.item

    assert run(main) == 1


def test_blocking_send_without_a_loop_is_refused() -> None:
    """Nobody could ever receive it."""
    tx, _rx = mpsc.channel(1)
    with tx, pytest.raises(MisuseError, match="does not know"):
        tx.blocking_send(1)


def test_blocking_send_into_a_closed_loop_gives_the_item_back() -> None:
    """A loop that is gone is told as Closed, with the item."""

    async def make() -> tuple[mpsc.Sender[int], mpsc.Receiver[int]]:
        return mpsc.channel(1)

    tx, _rx = asyncio.run(make())
    with tx, pytest.raises(Closed) as error:
        tx.blocking_send(4)

    assert error.value.item == 4
