"""blocking: what a task would await, from a thread."""

import asyncio
import signal
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import cast

import pytest

from sumida._core import bridge
from sumida._core.bridge import blocking
from sumida.channels import mpsc
from sumida.errors import Closed, MisuseError
from tests.core.support import started, turns
from tests.core.test_operation import Shelf, Take
from tests.support import Run


async def until_armed(shelf: Shelf, count: int = 1) -> None:
    """Let the loop turn until so many wait at the shelf."""
    while len(shelf.waiters) < count:
        await asyncio.sleep(0)


def test_a_thread_gets_the_result(run: Run) -> None:
    """At once, or after it has waited on the loop."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        shelf = Shelf(1)
        results = [await asyncio.to_thread(blocking, Take(shelf), loop, "take()")]
        waiting = asyncio.create_task(
            asyncio.to_thread(blocking, Take(shelf), loop, "take()")
        )
        await until_armed(shelf)
        shelf.put()
        return [*results, await waiting]

    assert run(main) == ["thing", "thing"]


def test_threads_and_tasks_share_one_line(run: Run) -> None:
    """First come, first served, whoever they are."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        shelf = Shelf()
        served: list[str] = []

        async def take(name: str, *, in_thread: bool) -> None:
            if in_thread:
                await asyncio.to_thread(blocking, Take(shelf), loop, "take()")
            else:
                await Take(shelf)
            served.append(name)

        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(take(f"{n}", in_thread=n % 2 == 0))
                await until_armed(shelf, n + 1)
            for n in range(6):
                shelf.put()
                while len(served) <= n:
                    await asyncio.sleep(0)
        return served

    assert run(main) == list("012345")


def test_many_threads_lose_nothing(run: Run) -> None:
    """Each gets one thing for each call, and none is left."""
    threads, each = 8, 50

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        shelf = Shelf()
        counts: list[int] = []

        def take() -> None:
            taken = [blocking(Take(shelf), loop, "take()") for _ in range(each)]
            counts.append(len(taken))

        workers = [threading.Thread(target=take) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for _ in range(threads * each):
            shelf.put()
            await asyncio.sleep(0)
        while len(counts) < threads:
            await asyncio.sleep(0)
        for worker in workers:
            worker.join()
        return sum(counts), shelf.things

    assert run(main) == (threads * each, 0)


def test_errors_are_raised_in_the_thread(run: Run) -> None:
    """Those of the first try and those that end a wait; the loop goes on."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        tx, rx = mpsc.channel(1)
        with tx:
            waiting = asyncio.create_task(asyncio.to_thread(rx.blocking_recv))
            while rx._chan.items.head is None:  # until it waits
                await asyncio.sleep(0)
        raised = []
        for attempt in (waiting, asyncio.to_thread(blocking, rx, loop, "recv()")):
            with pytest.raises(Closed) as error:
                await attempt
            raised.append(error.value.what)
        return raised

    assert run(main) == ["channel", "channel"]


def test_a_thread_woken_in_vain_waits_on(run: Run) -> None:
    """Somebody on the loop was quicker; the next message is the thread's."""

    async def main() -> tuple[object, object]:
        tx, rx = mpsc.channel(1)
        with tx:
            waiting = asyncio.create_task(asyncio.to_thread(rx.blocking_recv))
            while rx._chan.items.head is None:  # until it waits
                await asyncio.sleep(0)
            tx.try_send("stolen")
            stolen = rx.try_recv()
            await turns()
            assert not waiting.done()
            tx.try_send("mine")
            return stolen, await waiting

    assert run(main) == ("stolen", "mine")


def test_a_grant_of_a_thread_goes_back_when_its_wait_fails(run: Run) -> None:
    """Granted a place and refused in one tick, it keeps no place."""

    async def main() -> tuple[object, int]:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send("first")
            waiting = asyncio.create_task(asyncio.to_thread(tx.blocking_send, "late"))
            while rx._chan.rooms.head is None:  # until it waits
                await asyncio.sleep(0)
            rx.try_recv()
            rx.close()
            with pytest.raises(Closed) as error:
                await waiting
            return error.value.item, rx.capacity

    assert run(main) == ("late", 1)


def test_the_loops_own_thread_is_refused(run: Run) -> None:
    """It would wait for itself; the message says what to await instead."""

    async def main() -> None:
        with pytest.raises(MisuseError, match=r"await take\(\) there"):
            blocking(Take(Shelf(1)), asyncio.get_running_loop(), "blocking_take()")

    run(main)


def test_the_thread_of_any_other_loop_is_refused(run: Run) -> None:
    """It would hold up that loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def elsewhere() -> None:
            with pytest.raises(MisuseError, match="which it would block"):
                blocking(Take(Shelf(1)), loop, "blocking_take()")

        await asyncio.to_thread(asyncio.run, elsewhere())

    run(main)


def test_without_a_loop_it_is_refused() -> None:
    """Nobody could ever do it."""
    with pytest.raises(MisuseError, match="does not know the event loop"):
        blocking(Take(Shelf(1)), None, "blocking_take()")


def test_a_closed_loop_is_closed() -> None:
    """Told at once where it is known."""
    loop = asyncio.new_event_loop()
    loop.close()

    with pytest.raises(Closed, match="event loop"):
        blocking(Take(Shelf()), loop, "blocking_take()")


def test_a_loop_that_closes_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that sleeps finds out, and does not sleep for ever."""
    monkeypatch.setattr(bridge, "_LOOK_INTERVAL", 0.01)
    shelf = Shelf()
    errors: list[Exception] = []

    def take(loop: asyncio.AbstractEventLoop) -> None:
        try:
            blocking(Take(shelf), loop, "blocking_take()")
        except Closed as error:
            errors.append(error)

    async def main() -> threading.Thread:
        thread = threading.Thread(target=take, args=(asyncio.get_running_loop(),))
        thread.start()
        await until_armed(shelf)
        return thread

    thread = asyncio.run(main())
    thread.join(10)

    assert not thread.is_alive()
    assert [str(error) for error in errors] == ["event loop is closed"]


class Interrupted(BaseException):
    """Raised by a signal in the main thread, as Ctrl-C is."""


@pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="needs POSIX thread signals"
)
def test_an_interrupted_thread_leaves_the_line() -> None:
    """What it waited for goes to the next; nothing is taken for nobody."""
    shelf = Shelf()
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    runner.start()
    me = threading.get_ident()

    async def interrupt_me() -> None:
        await until_armed(shelf)
        signal.pthread_kill(me, signal.SIGUSR1)

    async def give_one() -> int:
        await turns()
        assert len(shelf.waiters) == 0
        taking = await started(Take(shelf))
        shelf.put()
        await taking
        shelf.put()
        return shelf.things

    try:
        interrupting = asyncio.run_coroutine_threadsafe(interrupt_me(), loop)
        with pytest.raises(Interrupted):
            blocking(Take(shelf), loop, "blocking_take()")
        interrupting.result(10)
        left = asyncio.run_coroutine_threadsafe(give_one(), loop).result(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
        loop.call_soon_threadsafe(loop.stop)
        runner.join()
        loop.close()

    assert left == 1


class Loop:
    """What a thread needs of a loop, and notes how it is used."""

    def __init__(self) -> None:
        self.called: list[Callable[[], object]] = []
        self.error: RuntimeError | None = None

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        """Note it, or refuse."""
        self.called.append(callback)
        if self.error is not None:
            raise self.error

    def is_closed(self) -> bool:
        """It never is."""
        return False


def test_a_loop_is_woken_once_for_all_that_came_meanwhile() -> None:
    """And again for what comes after it has looked."""
    loop = Loop()
    calls = [
        bridge._Call(Take(Shelf(1)), cast("AbstractEventLoop", loop)) for _ in "abc"
    ]
    inbox = bridge._Inbox()
    for call in calls[:2]:
        inbox.put(cast("bridge._Call[object]", call))
    woken = [len(loop.called)]
    loop.called[0]()
    done = [call.done.is_set() for call in calls]
    inbox.put(cast("bridge._Call[object]", calls[2]))
    woken.append(len(loop.called))

    assert (woken, done) == ([1, 2], [True, True, False])


def test_what_a_living_loop_refuses_is_raised_as_it_is() -> None:
    """It is not closed, so that must not be said."""
    loop = Loop()
    loop.error = RuntimeError("no")
    with pytest.raises(RuntimeError, match="no"):
        blocking(Take(Shelf(1)), cast("AbstractEventLoop", loop), "take()")
