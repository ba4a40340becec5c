"""UnboundedSender: never waits, otherwise as the bounded one."""

import asyncio

import pytest

from sumida.channels import mpsc
from sumida.channels.mpsc import _chan
from sumida.errors import Closed, WrongLoopError
from tests.core.support import started
from tests.support import Run


def test_send_never_waits(run: Run) -> None:
    """Any number of messages is queued at once, and drained after the close."""

    async def main() -> list[int]:
        tx, rx = mpsc.unbounded_channel()
        with tx:
            for n in range(1000):
                tx.send(n)
        return [n async for n in rx]

    assert run(main) == list(range(1000))


def test_a_waiting_receiver_is_woken(run: Run) -> None:
    """The first message wakes it, and the end does."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        receiving = await started(rx.recv())
        tx.send(1)
        received: int = await receiving
        receiving = await started(rx.recv())
        async with tx:
            pass
        with pytest.raises(Closed):
            await receiving
        return received

    assert run(main) == 1


def test_sending_to_a_closed_receiver_gives_the_item_back(run: Run) -> None:
    """Closed by either side, `send` raises and carries the item."""

    async def main() -> list[object]:
        tx, rx = mpsc.unbounded_channel()
        waiting = await started(tx.closed())
        rx.close()
        await waiting
        with pytest.raises(Closed) as closed:
            tx.send(1)
        is_closed = tx.is_closed
        tx.close()
        tx.close()
        with pytest.raises(Closed, match="sender") as own:
            tx.send(2)
        with pytest.raises(Closed):
            tx.clone()
        return [closed.value.item, own.value.item, is_closed]

    assert run(main) == [1, 2, True]


def test_clones_and_weak_senders(run: Run) -> None:
    """The channel ends with the last strong sender."""

    async def main() -> list[object]:
        tx, rx = mpsc.unbounded_channel()
        other, weak = tx.clone(), tx.downgrade()
        told: list[object] = [tx.strong_count, tx.weak_count, tx.same_channel(other)]
        told += [weak.strong_count, weak.weak_count, repr(weak), repr(tx)]
        tx.close()
        upgraded = weak.upgrade()
        assert upgraded is not None
        other.close()
        upgraded.send(1)
        upgraded.close()
        told += [weak.upgrade(), rx.is_closed, repr(tx), await rx.recv()]
        with pytest.raises(Closed):
            await rx.recv()
        del weak
        return [*told, rx.sender_weak_count]

    assert run(main) == [
        2, 1, True, 2, 1, "<WeakUnboundedSender 0>", "<UnboundedSender 0>",
        None, True, "<UnboundedSender 1, closed>", 1, 0,
    ]  # fmt: skip


def test_a_collected_sender_closes_with_a_warning(run: Run) -> None:
    """As a bounded one."""

    async def main() -> bool:
        tx, rx = mpsc.unbounded_channel()
        receiving = await started(rx.recv())
        with pytest.warns(ResourceWarning, match="UnboundedSender"):
            del tx
        with pytest.raises(Closed):
            await receiving
        return rx.is_closed

    assert run(main)


def test_a_receiver_collected_by_another_thread_tells_the_senders(run: Run) -> None:
    """Nobody waits for a place here; `closed()` is told on its loop all the same."""

    async def main() -> bool:
        tx, rx = mpsc.unbounded_channel()
        with tx:
            told = await started(tx.closed())
            box = [rx]
            del rx
            await asyncio.to_thread(box.clear)
            await told
            return tx.is_closed

    assert run(main)


def test_sending_from_a_foreign_thread_is_refused(run: Run) -> None:
    """Nothing is queued, and the receiver sleeps on."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        with tx:
            receiving = await started(rx.recv())

            def abroad() -> None:
                with pytest.raises(WrongLoopError):
                    tx.send(1)
                with pytest.raises(WrongLoopError):
                    tx.close()

            await asyncio.to_thread(abroad)
            assert not receiving.done()
            assert not tx.is_closed
            tx.send(2)
            return await receiving

    assert run(main) == 2


def test_a_queue_that_grows_is_told_of(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 100,000 messages, and at each tenfold; not at what is read in time."""
    assert _chan._MANY == 100_000
    monkeypatch.setattr(_chan, "_MANY", 10)

    async def main() -> list[str]:
        tx, rx = mpsc.unbounded_channel()
        with tx:
            for n in range(1000):
                tx.send(n)
                assert rx.try_recv() == n
            assert caplog.messages == []
            with tx.clone() as other:
                for n in range(500):
                    (tx if n % 2 else other).send(n)
        assert await rx.recv_many(1000) == [*range(500)]
        return caplog.messages

    told = run(main)

    assert [text.partition(" is ")[0] for text in told] == [
        "<UnboundedSender 10>",
        "<UnboundedSender 100>",
    ]
    assert all("use a channel with a capacity" in text for text in told)
