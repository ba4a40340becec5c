"""The programs of the tour, section 2: channels."""

import asyncio
import copy
from typing import Any, assert_type

import pytest

import sumida
from sumida.channels import broadcast, mpsc, oneshot, watch
from sumida.errors import AlreadySent, Closed, Full
from tests.core.support import started
from tests.support import Run


def test_mpsc(run: Run) -> None:
    """The bounded channel, line by line."""

    async def main() -> None:
        tx, rx = mpsc.channel(64)
        await tx.send("job")
        tx.try_send("job")
        permit = await tx.reserve()
        permit.send("job")
        other = tx.clone()
        async with tx, other:
            pass
        jobs = []
        async for job in rx:
            jobs.append(job)  # as the tour has it
        batch = await rx.recv_many(100)
        assert_type(batch, list[Any])

        assert jobs == ["job"] * 3
        assert batch == []

    run(main)


def test_mpsc_what_the_comments_say(run: Run) -> None:
    """Waits while full; Closed with the item; a permit not used goes back."""

    async def main() -> None:
        tx, rx = mpsc.channel(64)
        for n in range(64):
            await tx.send(n)
        waiting = await started(tx.send(64))
        assert not waiting.done()
        with pytest.raises(Full):
            tx.try_send(65)
        assert len(await rx.recv_many(100)) == 64
        await waiting
        permit = await tx.reserve()
        free = tx.capacity
        permit.release()
        assert tx.capacity == free + 1
        rx.close()
        with pytest.raises(Closed) as closed:
            await tx.send("job")
        assert closed.value.item == "job"
        assert await rx.recv_many(100) == [64]
        with pytest.warns(ResourceWarning):
            del tx

    run(main)


def test_oneshot(run: Run) -> None:
    """One answer."""

    async def main() -> None:
        reply_tx, reply_rx = oneshot.channel()
        reply_tx.send(42)
        with pytest.raises(AlreadySent):
            reply_tx.send(43)
        answer = await reply_rx

        assert answer == 42

        silent_tx, silent_rx = oneshot.channel()
        silent_tx.close()
        with pytest.raises(Closed):
            await silent_rx

    run(main)


def test_broadcast(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Every subscriber sees every message, or is told what it missed."""

    async def main() -> None:
        news = broadcast.channel(128)
        sub = news.subscribe()
        delivered_to = news.send("tick")

        assert_type(delivered_to, int)
        assert delivered_to == 1
        assert await sub.recv() == "tick"

        for n in range(130):
            news.send(n)
        try:
            await sub.recv()
        except sumida.Lagged as lag:
            print(lag.missed)  # noqa: T201  # as the tour has it

        assert capsys.readouterr().out == "2\n"
        assert await sub.recv() == 2
        sub.close()
        news.close()

    run(main)


def test_watch(run: Run) -> None:
    """The latest value only."""

    async def main() -> None:
        config_tx, config_rx = watch.channel({"level": 1})
        config_tx.send({"level": 2})
        await config_rx.changed()
        config = config_rx.borrow_and_update()

        assert_type(config, dict[str, int])
        assert config == {"level": 2}

        config_tx.send_if_modified(lambda cfg: cfg)
        # It did not say True, so nobody wakes.
        assert not config_rx.has_changed()

        seen: list[dict[str, int]] = []

        async def follow() -> None:
            async for config in config_rx:
                seen.append(copy.copy(config))  # as the tour has it

        following = await started(follow())
        config_tx.send({"level": 3})
        config_tx.send({"level": 4})
        config_tx.close()
        await following

        assert seen == [{"level": 2}, {"level": 4}]

    run(main)


def test_threads(run: Run) -> None:
    """The same channel seen from a thread outside the loop."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        back_tx, back_rx = mpsc.channel(1)

        def worker() -> None:
            for _ in range(3):
                back_tx.blocking_send(rx.blocking_recv() + 1)

        working = asyncio.create_task(asyncio.to_thread(worker))
        with tx, back_tx:
            for n in range(3):
                await tx.send(n)
                assert await back_rx.recv() == n + 1
            await working

    run(main)
