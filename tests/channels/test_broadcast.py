"""Every subscriber sees every message; a slow one is told what it lost."""

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence

import pytest

from sumida import select
from sumida.channels import broadcast
from sumida.errors import BusyError, Closed, Empty, Lagged, WrongLoopError
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


def test_nobody_is_there(run: Run) -> None:
    """`send` says 0 and keeps nothing; who comes later sees later messages."""

    async def main() -> list[object]:
        news = broadcast.channel(4)
        assert news.send("nobody") == 0
        assert news.is_empty
        sub = news.subscribe()
        with pytest.raises(Empty):
            sub.try_recv()
        news.send("somebody")
        news.close()
        return [await sub.recv()]

    assert run(main) == ["somebody"]


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


def test_the_capacity_is_exact(run: Run) -> None:
    """Three are kept of three, not four as in Tokio."""

    async def main() -> int:
        news = broadcast.channel(3)
        with news.subscribe() as sub, news:
            for n in range(4):
                news.send(n)
            with pytest.raises(Lagged) as error:
                await sub.recv()
        return error.value.missed

    assert run(main) == 1


def test_waiting_receivers_are_all_woken(run: Run) -> None:
    """By a message, and by the last close, not by the first."""

    async def main() -> list[object]:
        news = broadcast.channel(4)
        other = news.clone()
        tasks = [
            asyncio.ensure_future(sub.recv())
            for sub in [news.subscribe() for _ in range(3)]
        ]
        await turns()
        news.send("x")
        seen: list[object] = [await task for task in tasks]
        sub = news.subscribe()
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


def test_messages_are_kept_once_and_no_longer_than_needed(run: Run) -> None:
    """What all have seen, or nobody is left to see, is dropped."""

    async def main() -> list[int]:
        news = broadcast.channel(10)
        first, second = news.subscribe(), news.subscribe()
        news.send(1)
        news.send(2)
        seen = [len(news)]
        await first.recv()
        seen.append(len(news))
        await second.recv()
        seen.append(len(news))
        first.close()
        second.close()
        seen.append(len(news))
        news.close()
        return seen

    assert run(main) == [2, 2, 1, 0]


def test_counts_weak_senders_and_identity(run: Run) -> None:
    """A weak sender does not keep the channel open."""

    async def main() -> None:
        news = broadcast.channel(1)
        weak = news.downgrade()
        clone = weak.upgrade()
        assert clone is not None
        assert clone.same_channel(news)
        assert (news.strong_count, news.weak_count, news.capacity) == (2, 1, 1)
        clone.close()
        sub = news.subscribe()
        again = sub.resubscribe()
        assert again.is_empty
        assert (news.receiver_count, sub.sender_strong_count) == (2, 1)
        assert sub.sender_weak_count == 1
        assert not sub.is_closed
        news.close()
        news.close()
        assert sub.is_closed
        assert weak.upgrade() is None
        with pytest.raises(Closed):
            news.send(1)
        with pytest.raises(Closed):
            news.subscribe()
        with pytest.raises(Closed):
            news.clone()

    run(main)


def test_closed_waits_for_the_last_receiver(run: Run) -> None:
    """Closed, or collected; it is done at once while nobody is there."""

    async def main() -> bool:
        news = broadcast.channel(1)
        await news.closed()
        sub = news.subscribe()
        task = asyncio.ensure_future(news.closed())
        await turns()
        assert not task.done()
        del sub
        gc.collect()
        await task
        news.close()
        return task.done()

    assert run(main)


def test_a_closed_receiver_receives_no_more(run: Run) -> None:
    """A task that waits with it is told."""

    async def main() -> None:
        with broadcast.channel(1) as news:
            sub = news.subscribe()
            task = asyncio.ensure_future(sub.recv())
            await turns()
            sub.close()
            sub.close()
            with pytest.raises(Closed):
                await task
            assert news.send(1) == 0
            assert len(sub) == 0

    run(main)


def test_bad_use_is_refused(run: Run) -> None:
    """Capacities, two tasks at once, another thread."""

    async def main() -> None:
        with broadcast.channel(1) as news:
            sub = news.subscribe()
            task = asyncio.ensure_future(sub.recv())
            await turns()
            with pytest.raises(BusyError):
                await sub.recv()
            errors: list[Exception] = []

            def misuse() -> None:
                try:
                    news.send(1)
                except WrongLoopError as error:
                    errors.append(error)

            thread = threading.Thread(target=misuse)
            thread.start()
            thread.join()
            assert len(errors) == 1
            assert len(news) == 0
            news.send(2)
            assert await task == 2

    run(main)
    with pytest.raises(ValueError, match="1 or more, not 0"):
        broadcast.channel(0)
    with pytest.raises(TypeError, match="int, not True"):
        broadcast.channel(True)


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


def test_reprs_tell_the_state() -> None:
    """Messages, capacity, receivers, closed."""
    news = broadcast.channel(4)
    sub = news.subscribe()
    news.send(1)

    assert repr(news) == "<broadcast.Sender 1/4, 1 receivers>"
    assert repr(sub) == "<broadcast.Receiver 1/4>"
    assert repr(news.downgrade()) == "<broadcast.WeakSender, 1 strong>"
    news.close()
    assert "closed" in repr(news)


class ReceiveWorld:
    """A task waits for a message."""

    def __init__(self) -> None:
        self.news: broadcast.Sender[str] = broadcast.channel(4)
        self.sub = self.news.subscribe()

    async def subject(self) -> object:
        return await self.sub.recv()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.news.send("x")] * 1

    def check(self, outcome: Outcome) -> None:
        kept = len(self.sub)
        self.news.close()
        if outcome.returned:
            assert (outcome.value, kept) == ("x", 0)
        else:
            assert kept == outcome.is_woken


def test_a_cancelled_receive_takes_nothing(run: Run) -> None:
    """Also in the turn for which it lingers before it parks."""
    assert run(cancel_everywhere, ReceiveWorld) == 8
