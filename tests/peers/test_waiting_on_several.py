"""Row 1: what is lost by waiting on several things, by every kind of wait.

Each test first does it the usual way and sees the fault, then does it with sumida.
"""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

import pytest

from sumida import CancellationToken, JoinSet, select, sleep
from sumida.channels import broadcast, mpsc, watch
from sumida.io import duplex
from sumida.process import signal as signals
from sumida.sync import Mutex, Notify, Semaphore
from sumida.testing import turns
from tests.support import Run


async def first_done(*waits: Awaitable[object]) -> object:
    """Race as most programs do: handle one that is done, cancel those that are not."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
    # The idiom: one of them is handled, then the loop goes round.
    return next(task for task in tasks if task in done).result()


def test_row_01_one_select_sends_one_message(run: Run) -> None:
    """A race of two `put()` puts both; a select of two sends carries out one."""

    async def usual() -> int:
        left: asyncio.Queue[int] = asyncio.Queue(1)
        right: asyncio.Queue[int] = asyncio.Queue(1)
        await first_done(left.put(1), right.put(2))
        return left.qsize() + right.qsize()

    async def ours() -> int:
        left, from_left = mpsc.channel(1)
        right, from_right = mpsc.channel(1)
        with left, right:
            await select(left.send(1), right.send(2))
        return len([n async for n in from_left] + [n async for n in from_right])

    assert run(usual) == 2
    assert run(ours) == 1


def test_row_01_two_that_come_in_one_tick_are_both_kept(run: Run) -> None:
    """Also when the select waits for both already, and one is a place to send to."""

    async def usual() -> tuple[object, int]:
        a: asyncio.Queue[int] = asyncio.Queue()
        full: asyncio.Queue[int] = asyncio.Queue(1)
        full.put_nowait(0)
        racing = asyncio.create_task(first_done(a.get(), full.put(1)))
        await turns()
        a.put_nowait(2)
        full.get_nowait()
        await racing
        return racing.result(), full.qsize()

    async def ours() -> tuple[object, int, int]:
        a, from_a = mpsc.channel(1)
        tx, rx = mpsc.channel(1)
        with a, tx:
            tx.try_send(0)

            async def race() -> tuple[int, object]:
                return await select(from_a.recv(), tx.send(1))

            racing = asyncio.create_task(race())
            await turns()
            a.try_send(2)
            rx.try_recv()
            index, _ = await racing
        unread = [n async for n in from_a]
        return index, len(unread), len([n async for n in rx])

    # The message that was received is used, and the other was sent all the same.
    assert run(usual) == (2, 1)
    index, unread, sent = run(ours)
    assert (index, unread, sent) in ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("seed", range(5))
def test_row_01_as_many_come_out_as_went_in_whatever_is_cancelled(
    run: Run, seed: int
) -> None:
    """Three sources, selects that are cancelled at random, also by a deadline."""
    count = 60

    async def send(tx: mpsc.Sender[int], dice: random.Random) -> None:
        with tx:
            for n in range(count):
                await tx.send(n)
                await turns(dice.randrange(3))

    async def usual(dice: random.Random) -> int:
        queues: list[asyncio.Queue[int]] = [asyncio.Queue(1) for _ in range(3)]
        got = 0

        async def put(queue: asyncio.Queue[int]) -> None:
            for n in range(count):
                await queue.put(n)

        async with asyncio.TaskGroup() as group:
            putting = [group.create_task(put(queue)) for queue in queues]
            while not all(task.done() for task in putting):
                taking = asyncio.create_task(
                    first_done(*(queue.get() for queue in queues))
                )
                await turns(dice.randrange(1, 6))
                taking.cancel()
                await asyncio.wait([taking])
                got += not taking.cancelled()
        return got + sum(queue.qsize() for queue in queues)

    async def ours(dice: random.Random) -> list[tuple[int, int]]:
        got: list[tuple[int, int]] = []
        ends = [mpsc.channel(1) for _ in range(3)]

        async def take() -> None:
            got.append(await select(*(rx.recv() for _, rx in ends)))

        async with JoinSet[None]() as tasks:
            for tx, _ in ends:
                tasks.spawn(send(tx, dice))
            while len(got) < 3 * count and not all(rx.is_closed for _, rx in ends):
                taking = asyncio.create_task(take())
                await turns(dice.randrange(1, 6))
                taking.cancel()
                await asyncio.wait([taking])
                if not taking.cancelled() and taking.exception():
                    break  # one of the sources has ended: what is left is read below
            for index, (_, rx) in enumerate(ends):
                got += [(index, item) async for item in rx]
        return got

    lost = 3 * count - run(usual, random.Random(seed))  # noqa: S311  # the same each time
    got = run(ours, random.Random(seed))  # noqa: S311  # as above

    assert lost > 0
    for index in range(3):
        # None is lost, none is doubled, and each source is in order.
        assert [n for source, n in got if source == index] == list(range(count))


def test_row_01_one_protocol_for_every_kind_of_source(run: Run) -> None:
    """Each can win a select over all of them, and the others have taken nothing."""

    async def main() -> tuple[list[str], list[str]]:
        tx, rx = mpsc.channel(1)
        full, out = mpsc.channel(1)
        news: broadcast.Sender[str] = broadcast.channel(1)
        heard = news.subscribe()
        level, seen = watch.channel(0)
        token, notify, slots = CancellationToken(), Notify(), Semaphore(0)
        mutex = Mutex(None)
        guard = await mutex.lock()
        mine, theirs = duplex()
        usr1 = signals(signal.SIGUSR1)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        never = asyncio.Event()
        task = asyncio.create_task(never.wait())
        full.try_send(0)
        timer = sleep(3600)
        actions: dict[str, Callable[[], object]] = {
            "recv": lambda: tx.try_send(1),
            "send": out.try_recv,
            "broadcast": lambda: news.send("tick"),
            "watch": lambda: level.send(1),
            "token": token.cancel,
            "notify": notify.notify_one,
            "semaphore": lambda: slots.add_permits(1),
            "mutex": guard.release,
            "socket": theirs.close,
            "signal": lambda: os.kill(os.getpid(), signal.SIGUSR1),
            "future": lambda: future.set_result("done"),
            "task": never.set,
            "timer": lambda: timer.reset(0),
        }
        winners = []
        waiting = set(actions)
        for name, action in actions.items():
            branches: dict[str, Awaitable[object]] = {
                "recv": rx.recv(),
                "send": full.send(1),
                "broadcast": heard.recv(),
                "watch": seen.changed(),
                "token": token.cancelled(),
                "notify": notify.notified(),
                "semaphore": slots.acquire(),
                "mutex": mutex.lock(),
                "socket": mine.readable(),
                "signal": usr1.recv(),
                "future": future,
                "task": task,
                "timer": timer,
            }
            # What stays done once it is would win again.
            chosen = {each: branches[each] for each in waiting}
            acting = asyncio.create_task(_after(3, action))
            winner, value = await select(biased=False, **chosen)
            await acting
            winners.append(winner)
            waiting.discard(name)
            if name in ("semaphore", "mutex"):
                value.release()
        assert [n for n in range(2) if len(out) > n] == [0]  # sent once
        out.close()
        out.try_recv()
        for each in (tx, full, news, heard, level, usr1, mine):
            each.close()
        return winners, list(actions)

    winners, expected = run(main)

    assert winners == expected


async def _after(steps: int, call: Callable[[], object]) -> None:
    await turns(steps)
    call()


def test_row_01_a_biased_select_asks_in_order_and_can_have_a_default(run: Run) -> None:
    """The first that is ready wins; what is always ready, and last, is the default."""

    async def main() -> list[object]:
        a, from_a = mpsc.channel(1)
        b, from_b = mpsc.channel(1)
        nothing: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        nothing.set_result("nothing")
        with a, b:
            a.try_send("a")
            b.try_send("b")
            return [
                await select(from_a.recv(), from_b.recv(), nothing, biased=True)
                for _ in range(3)
            ]

    assert run(main) == [(0, "a"), (1, "b"), (2, "nothing")]
