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

Action = Callable[[], object]


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


class Everything:
    """One of each kind of source: how it is waited for, and what makes it ready."""

    def __init__(self) -> None:
        tx, rx = mpsc.channel(1)
        full, self.out = mpsc.channel(1)
        full.try_send(0)
        news: broadcast.Sender[str] = broadcast.channel(1)
        heard = news.subscribe()
        level, seen = watch.channel(0)
        token, notify, slots = CancellationToken(), Notify(), Semaphore(0)
        mutex = Mutex(None)
        guard = mutex.try_lock()
        mine, theirs = duplex()
        usr1 = signals(signal.SIGUSR1)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        event = asyncio.Event()
        task = asyncio.create_task(event.wait())
        timer = sleep(3600)
        self.closes: list[Action] = [
            *(tx.close, full.close, news.close, heard.close),
            *(level.close, usr1.close, mine.close),
        ]
        self.kinds: dict[str, tuple[Callable[[], Awaitable[object]], Action]] = {
            "recv": (rx.recv, lambda: tx.try_send(1)),
            "send": (lambda: full.send(1), self.out.try_recv),
            "broadcast": (heard.recv, lambda: news.send("tick")),
            "watch": (seen.changed, lambda: level.send(1)),
            "token": (token.cancelled, token.cancel),
            "notify": (notify.notified, notify.notify_one),
            "semaphore": (slots.acquire, lambda: slots.add_permits(1)),
            "mutex": (mutex.lock, guard.release),
            "socket": (mine.readable, theirs.close),
            "signal": (usr1.recv, lambda: os.kill(os.getpid(), signal.SIGUSR1)),
            "future": (lambda: future, lambda: future.set_result("done")),
            "task": (lambda: task, event.set),
            "timer": (lambda: timer, lambda: timer.reset(0)),
        }

    def close(self) -> list[object]:
        """Close all, and give what was sent by the branch that sends."""
        sent: list[object] = [self.out.try_recv() for _ in range(len(self.out))]
        self.out.close()
        for close in self.closes:
            close()
        return sent


def test_row_01_one_protocol_for_every_kind_of_source(run: Run) -> None:
    """Each can win a select over all of them, and the others have taken nothing."""

    async def main() -> tuple[list[str], list[str], list[object]]:
        world = Everything()
        waiting = dict(world.kinds)
        winners = []
        for name, (_, action) in world.kinds.items():
            acting = asyncio.create_task(_after(3, action))
            branches = {each: wait() for each, (wait, _) in waiting.items()}
            winner, value = await select(biased=False, **branches)
            await acting
            winners.append(winner)
            # What stays done once it is would win again.
            del waiting[name]
            if name in ("semaphore", "mutex"):
                value.release()
        return winners, [*world.kinds], world.close()

    winners, expected, sent = run(main)

    assert winners == expected
    assert sent == [1]


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
