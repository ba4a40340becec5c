"""Senders of a broadcast: what they keep, count and refuse."""

import asyncio
import gc
import threading

import pytest

from sumida.channels import broadcast
from sumida.errors import BusyError, Closed, Empty, Lagged, WrongLoopError
from sumida.testing import turns
from tests.support import Run


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
        assert first.try_recv() == second.try_recv() == 2
        seen.append(len(news))
        news.send(3)
        first.close()
        seen.append(len(news))
        news.send(4)
        assert second.try_recv() == 3
        second.close()
        seen.append(len(news))
        news.close()
        return seen

    assert run(main) == [2, 2, 1, 0, 1, 0]


def test_counts_weak_senders_and_identity(run: Run) -> None:
    """A weak sender does not keep the channel open."""

    async def main() -> None:
        news = broadcast.channel(1)
        weak = news.downgrade()
        clone = weak.upgrade()
        assert clone is not None
        assert clone.same_channel(news)
        assert (news.strong_count, news.weak_count, news.capacity) == (2, 1, 1)
        assert (weak.strong_count, weak.weak_count) == (2, 1)
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
        del weak
        assert (sub.sender_strong_count, sub.sender_weak_count) == (0, 0)
        with pytest.raises(Closed):
            news.send(1)
        with pytest.raises(Closed):
            news.subscribe()
        with pytest.raises(Closed):
            news.clone()

    run(main)


def test_a_collected_sender_closes_with_a_warning(run: Run) -> None:
    """The last one wakes who waits for a message."""

    async def main() -> None:
        news = broadcast.channel(1)
        other, sub = news.clone(), news.subscribe()
        task = asyncio.ensure_future(sub.recv())
        await turns()
        with pytest.warns(ResourceWarning, match="without being closed"):
            del other
        await turns()
        assert not task.done()
        with pytest.warns(ResourceWarning, match="broadcast.Sender 0/1, receivers: 1"):
            del news
        with pytest.raises(Closed):
            await task

    run(main)


def test_closed_can_be_waited_for_again(run: Run) -> None:
    """With the same operation, when somebody has subscribed since."""

    async def main() -> list[bool]:
        with broadcast.channel(1) as news:
            closed = news.closed()
            waited: list[bool] = []
            for _ in range(2):
                sub = news.subscribe()
                task = asyncio.ensure_future(closed)
                await turns()
                waited.append(not task.done())
                sub.close()
                await task
            return waited

    assert run(main) == [True, True]


def test_closing_a_sender_on_another_thread_changes_nothing(run: Run) -> None:
    """Somebody waits for a message on the loop."""

    async def main() -> str:
        with broadcast.channel(1) as news:
            sub = news.subscribe()
            task = asyncio.ensure_future(sub.recv())
            await turns()
            with pytest.raises(WrongLoopError):
                await asyncio.to_thread(news.close)
            assert not sub.is_closed
            news.send("x")
            return await task

    assert run(main) == "x"


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


def test_reprs_tell_the_state() -> None:
    """Messages, capacity, receivers, closed."""
    news = broadcast.channel(4)
    sub = news.subscribe()
    news.send(1)

    assert repr(news) == "<broadcast.Sender 1/4, receivers: 1>"
    assert repr(sub) == "<broadcast.Receiver 1/4>"
    assert repr(news.downgrade()) == "<broadcast.WeakSender, 1 strong>"
    news.close()
    assert "closed" in repr(news)
