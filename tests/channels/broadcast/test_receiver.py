"""Every subscriber sees every message; a slow one is told what it lost."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from sumida import select
from sumida.channels import broadcast, oneshot
from sumida.errors import Closed, Lagged, WrongLoopError
from sumida.operation import BUDGET
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import Run


def test_everybody_gets_what_was_sent_since_they_came(run: Run) -> None:
    """In order, and the same object."""

    async def main() -> tuple[list[object], list[object], bool]:
        news = broadcast.channel(8)
        early = news.subscribe()
        message = object()
        assert news.send("one") == 1
        late = news.subscribe()
        assert news.send(message) == 2
        news.close()
        one, two = [m async for m in early], [m async for m in late]
        return one, two, one[1] is message is two[0]

    one, two, same = run(main)

    assert (len(one), len(two), same) == (2, 1, True)


def test_a_slow_receiver_is_told_and_goes_on(run: Run) -> None:
    """Exactly as many as were skipped, then the oldest kept, also after the close."""

    async def main() -> list[object]:
        news = broadcast.channel(3)
        sub = news.subscribe()
        for n in range(8):
            news.send(n)
        assert len(sub) == 8
        news.close()
        seen: list[object] = []
        try:
            await sub.recv()
        except Lagged as lag:
            seen.append(lag.missed)
        assert len(sub) == 3
        seen += [n async for n in sub]
        with pytest.raises(Closed):
            await sub.recv()
        return seen

    assert run(main) == [5, 5, 6, 7]


def test_a_receiver_may_lag_again_before_it_reads(run: Run) -> None:
    """It is counted from where the last lag has left it, or the last message."""

    async def main() -> list[object]:
        with broadcast.channel(2) as news:
            sub = news.subscribe()
            seen: list[object] = []
            for n, count in enumerate((2, 3, 3)):
                for m in range(count):
                    news.send((n, m))
                try:
                    seen.append(await sub)
                except Lagged as lag:
                    seen.append(lag.missed)
            return [*seen, await sub, await sub, sub.is_empty]

    assert run(main) == [(0, 0), 2, 3, (2, 1), (2, 2), True]


def test_iterating_never_ends_silently_at_a_lag(run: Run) -> None:
    """The loop raises, and can be begun again."""

    async def main() -> list[int]:
        news = broadcast.channel(2)
        sub = news.subscribe()
        for n in range(5):
            news.send(n)
        news.close()
        with pytest.raises(Lagged, match="missed 3"):
            async for _ in sub:
                pass
        return [n async for n in sub]

    assert run(main) == [3, 4]


def test_waiting_receivers_are_all_woken(run: Run) -> None:
    """By a message, and by the last close, not by the first."""

    async def main() -> list[object]:
        news = broadcast.channel(4)
        assert news
        other = news.clone()
        tasks = [
            asyncio.ensure_future(sub.recv())
            for sub in [news.subscribe() for _ in range(3)]
        ]
        await turns()
        news.send("x")
        seen: list[object] = [await task for task in tasks]
        sub = news.subscribe()
        assert sub
        task = asyncio.ensure_future(sub.recv())
        await turns()
        news.close()
        await turns()
        seen.append(task.done())
        other.close()
        with pytest.raises(Closed):
            await task
        return seen

    assert run(main) == ["x", "x", "x", False]


def test_a_closed_receiver_receives_no_more(run: Run) -> None:
    """A task that waits with it is told."""

    async def main() -> None:
        with broadcast.channel(1) as news:
            sub, other = news.subscribe(), news.subscribe()
            task = asyncio.ensure_future(sub.recv())
            await turns()
            sub.close()
            sub.close()
            with pytest.raises(Closed):
                await task
            late = news.subscribe()
            news.send(0)
            late.close()
            with pytest.raises(Closed, match="receiver is closed"):
                await late
            assert await other == 0
            other.close()
            assert news.send(1) == 0
            assert len(sub) == 0

    run(main)


def test_a_receiver_that_goes_wakes_no_other(run: Run) -> None:
    """Of many that wait only the one that was closed looks for itself."""

    async def main() -> list[bool]:
        with broadcast.channel(1) as news:
            subs = [news.subscribe() for _ in range(3)]
            tasks = [asyncio.ensure_future(sub.recv()) for sub in subs]
            await turns()
            waits = [sub._waiter.future for sub in subs if sub._waiter is not None]
            subs[1].close()
            woken = [wait.done() for wait in waits if wait is not None]
            with pytest.raises(Closed):
                await tasks[1]
            assert news.send("x") == 2
            assert [await tasks[0], await tasks[2]] == ["x", "x"]
            return woken

    assert run(main) == [False, True, False]


def test_a_receiver_closed_in_the_turn_of_its_cancel_is_cancelled(run: Run) -> None:
    """Whichever comes first."""

    async def main() -> list[bool]:
        with broadcast.channel(1) as news:
            subs = [news.subscribe() for _ in range(2)]
            tasks = [asyncio.ensure_future(sub.recv()) for sub in subs]
            await turns()
            tasks[0].cancel()
            for sub in subs:
                sub.close()
            tasks[1].cancel()
            await asyncio.wait(tasks)
            return [task.cancelled() for task in tasks]

    assert run(main) == [True, True]


def test_who_was_woken_for_a_message_that_is_gone_waits_on(run: Run) -> None:
    """Somebody took it without waiting."""

    async def main() -> list[str]:
        with broadcast.channel(4) as news:
            sub = news.subscribe()
            received: list[str] = []
            for _ in range(2):
                task = asyncio.ensure_future(sub.recv())
                await turns()
                for message in ("quick", "quicker", "quickest"):
                    news.send(message)
                    if message == "quick":
                        assert sub.try_recv() == message
                    else:
                        assert await sub == message
                    await turns()
                news.send("next")
                received.append(await task)
            return received

    assert run(main) == ["next", "next"]


@pytest.mark.parametrize("what", ["recv", "closed"])
def test_a_wake_up_in_vain_ends_no_coroutine(run: Run, what: str) -> None:
    """Somebody was quicker: the others of the `select` go on."""

    async def main() -> object:
        with broadcast.channel(4) as news:
            sub = news.subscribe()
            gate: oneshot.Receiver[str]
            key, gate = oneshot.channel()

            async def work() -> str:
                return await gate

            task = asyncio.ensure_future(
                select(work(), sub if what == "recv" else news.closed())
            )
            await turns()
            if what == "recv":
                news.send("x")
                assert sub.try_recv() == "x"
            else:
                sub.close()
                sub = news.subscribe()
            await turns()
            key.send("done")
            return await task

    assert run(main) == (0, "done")


@pytest.mark.parametrize("end", ["message", "lag", "senders", "receiver"])
def test_a_select_with_a_coroutine_takes_a_message_or_the_end(
    run: Run, end: str
) -> None:
    """Whatever there is to tell ends the coroutine, which had nothing."""

    async def main() -> object:
        with broadcast.channel(1) as news:
            sub = news.subscribe()
            task = asyncio.ensure_future(select(asyncio.Event().wait(), sub))
            await turns()
            match end:
                case "message":
                    news.send("x")
                case "lag":
                    news.send("lost")
                    news.send("x")
                case "senders":
                    news.close()
                case _:
                    sub.close()
            try:
                return await task
            except (Closed, Lagged) as error:
                return str(error).split()[:2]

    assert run(main) == {
        "message": (1, "x"),
        "lag": ["receiver", "lagged"],
        "senders": ["channel", "is"],
        "receiver": ["receiver", "is"],
    }.get(end)


@pytest.mark.parametrize("what", ["recv", "closed"])
def test_closing_a_receiver_on_another_thread_changes_nothing(
    run: Run, what: str
) -> None:
    """Somebody waits on the loop, for a message or for the last receiver to go."""

    async def main() -> tuple[int, str]:
        with broadcast.channel(1) as news:
            sub = news.subscribe()
            task = asyncio.ensure_future(sub if what == "recv" else news.closed())
            await turns()
            with pytest.raises(WrongLoopError):
                await asyncio.to_thread(sub.close)
            counted = news.receiver_count, repr(sub)
            sub.close()
            await asyncio.wait([task])
            assert isinstance(task.exception(), Closed | None)
            return counted

    assert run(main) == (1, "<broadcast.Receiver 0/1>")


def test_a_thread_finds_the_loop_that_is_used_now(run: Run) -> None:
    """Not the one on which the channel was made, if that is closed."""
    made: list[broadcast.Sender[str]] = []

    async def make() -> None:
        made.append(broadcast.channel(4))

    async def use() -> str:
        (news,) = made
        sub, first = news.subscribe(), news.subscribe()
        waits = asyncio.ensure_future(first.recv())
        await turns()
        receiving = asyncio.ensure_future(asyncio.to_thread(sub.blocking_recv))
        await turns()
        news.send("x")
        await waits
        news.close()
        return await receiving

    run(make)

    assert run(use) == "x"


def test_a_thread_can_receive(run: Run) -> None:
    """`blocking_recv` gives the message to another thread."""

    async def main() -> list[int]:
        with broadcast.channel(4) as news:
            sub = news.subscribe()
            seen: list[int] = []
            thread = threading.Thread(target=lambda: seen.append(sub.blocking_recv()))
            thread.start()
            news.send(3)
            await asyncio.to_thread(thread.join)
            return seen

    assert run(main) == [3]


def test_a_long_backlog_lets_others_run(run: Run) -> None:
    """A receiver that never has to wait yields once in a while."""

    async def main() -> int:
        count = 0

        async def other() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        with broadcast.channel(BUDGET * 5) as news:
            sub = news.subscribe()
            for n in range(BUDGET * 5):
                news.send(n)
            task = asyncio.create_task(other())
            await turns()
            before = count
            for _ in range(BUDGET * 5):
                await sub.recv()
            seen = count - before
            task.cancel()
            await asyncio.wait([task])
            return seen

    assert 4 <= run(main) <= 6


def test_a_loser_of_a_select_keeps_its_message(run: Run) -> None:
    """Two subscribers of one channel race."""

    async def main() -> tuple[int, int]:
        with broadcast.channel(4) as news:
            one, two = news.subscribe(), news.subscribe()
            task = asyncio.ensure_future(select(one, two))
            await turns()
            news.send("x")
            await task
            return len(one) + len(two), news.receiver_count

    assert run(main) == (1, 2)


class ReceiveWorld:
    """A task waits for a message."""

    def __init__(self) -> None:
        self.news: broadcast.Sender[str] = broadcast.channel(4)
        self.sub = self.news.subscribe()

    async def subject(self) -> object:
        return await self.sub.recv()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.news.send("x")] * 1

    async def check(self, outcome: Outcome) -> None:
        kept = len(self.sub)
        if outcome.returned:
            assert (outcome.value, kept) == ("x", 0)
        else:
            assert kept == outcome.is_woken
        if kept:
            assert await self.sub == "x"
        # Nothing is left of the wait, so that another can begin.
        waiting = asyncio.ensure_future(self.sub.recv())
        await turns()
        self.news.send("y")
        assert await waiting == "y"
        self.news.close()


def test_a_cancelled_receive_takes_nothing(run: Run) -> None:
    """Also in the turn for which it lingers before it parks."""
    assert run(cancel_everywhere, ReceiveWorld) == 8
