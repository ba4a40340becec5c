"""select with coroutines, futures and other awaitables among its branches."""

import asyncio
import gc

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import Full
from tests.core.support import cancelled, started, turns
from tests.runtime.branches import Awaited, Recorder, value_of
from tests.support import Run


def test_a_future_is_only_watched(run: Run) -> None:
    """A future of the caller is neither cancelled nor changed when it loses."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(1)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        recorder = Recorder()
        task = asyncio.create_task(recorder.wait())
        with tx:
            racing = await started(select(rx, future, task))
            tx.try_send("message")
            told: list[object] = [await racing, future.cancelled(), task.done()]
            racing2 = await started(select(rx, future))
            future.set_result("done")
            told += [await racing2, await select(future), len(rx)]
            await cancelled(task)
            return told

    assert run(main) == [(0, "message"), False, False, (1, "done"), (0, "done"), 0]


def test_a_cancelled_select_leaves_its_futures_alone(run: Run) -> None:
    """Only the select is cancelled."""

    async def main() -> tuple[bool, bool]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        racing = await started(select(future))
        await cancelled(racing)
        future.set_result("x")
        return racing.cancelled(), future.cancelled()

    assert run(main) == (True, False)


def test_a_failed_task_raises_out_of_select(run: Run) -> None:
    """What the task of the caller raised is raised."""

    async def fail() -> None:
        raise ValueError("mine")

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            task = asyncio.create_task(fail())
            with pytest.raises(ValueError, match="mine"):
                await select(rx, task)

    run(main)


def test_a_coroutine_is_run_and_its_result_given(run: Run) -> None:
    """Coroutines take part; also alone."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(1)
        with tx:
            return [
                await select(value_of("one")),
                await select(rx, value_of("two")),
                await select(a=rx, b=value_of("three")),
            ]

    assert run(main) == [(0, "one"), (1, "two"), ("b", "three")]


def test_a_coroutine_is_not_started_when_an_operation_is_ready(run: Run) -> None:
    """Nothing of it has run, and Python does not complain that it was not awaited."""

    async def main() -> tuple[object, list[str]]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            await tx.send(1)
            won = await select(recorder.wait(), rx, biased=True)
        gc.collect()
        return won, recorder.told

    assert run(main) == ((1, 1), [])


def test_a_coroutine_that_loses_has_ended_when_select_returns(run: Run) -> None:
    """It is cancelled, and awaited however long it takes to end."""

    async def main() -> tuple[object, list[str]]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            racing = await started(select(rx, recorder.wait(turns_to_end=5)))
            tx.try_send(1)
            return await racing, recorder.told

    assert run(main) == ((0, 1), ["started", "cancelled", "ended"])


def test_an_error_of_a_losing_coroutine_is_reported(run: Run) -> None:
    """Nobody else would see it: the loop's exception handler is told."""
    reports: list[dict[str, object]] = []

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            raise ValueError("late")

    async def main() -> object:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, context: reports.append(context))
        tx, rx = mpsc.channel(1)
        with tx:
            racing = await started(select(rx, fail_when_cancelled()))
            tx.try_send(1)
            result = await racing
        loop.set_exception_handler(handler)
        return result

    result = run(main)

    assert result == (0, 1)
    assert [repr(report["exception"]) for report in reports] == ["ValueError('late')"]


def test_an_error_of_a_coroutine_is_raised(run: Run) -> None:
    """The first to end wins, well or badly; the others are ended."""

    async def fail() -> None:
        raise ValueError("first")

    async def main() -> list[str]:
        recorder = Recorder()
        with pytest.raises(ValueError, match="first"):
            await select(recorder.wait(), fail())
        return recorder.told

    told = run(main)

    assert told in ([], ["started", "cancelled", "ended"])


@pytest.mark.parametrize("turns_to_end", [0, 3])
def test_a_cancelled_select_ends_its_coroutines(run: Run, turns_to_end: int) -> None:
    """No task of it is left when the cancel comes through."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            racing = await started(select(rx, recorder.wait(turns_to_end=turns_to_end)))
            assert await cancelled(racing)
            tx.try_send("kept")
            assert await rx.recv() == "kept"
            return recorder.told

    assert run(main) == ["started", "cancelled", "ended"]


def test_a_cancel_while_the_losers_end_takes_nothing(run: Run) -> None:
    """The winner takes effect only when no loser is left, or not at all."""

    async def main() -> tuple[list[str], object]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            racing = await started(select(rx, recorder.wait(turns_to_end=4)))
            tx.try_send("kept")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert recorder.told[-1] == "cancelled"
            assert await cancelled(racing)
            return recorder.told, rx.try_recv()

    assert run(main) == (["started", "cancelled", "ended"], "kept")


def test_a_granted_place_is_kept_while_the_losers_end(run: Run) -> None:
    """A send that won has its place; cancelled meanwhile, it gives the place on."""

    async def main() -> tuple[object, object]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            await tx.send(0)
            racing = await started(select(tx.send(1), recorder.wait(turns_to_end=4)))
            rx.try_recv()
            await turns(3)
            with pytest.raises(Full):
                tx.try_send("barge")
            assert await racing == (0, None)
            racing = await started(select(tx.send(2), recorder.wait(turns_to_end=4)))
            first = rx.try_recv()
            behind = await started(tx.send(3))
            assert await cancelled(racing)
            await behind
            return first, rx.try_recv()

    assert run(main) == (1, 3)


def test_a_coroutine_survives_a_wake_up_in_vain(run: Run) -> None:
    """A message that another task took is no reason to end it."""

    async def main() -> tuple[object, list[str]]:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            racing = await started(select(rx, recorder.wait()))
            tx.try_send("stolen")
            rx.try_recv()
            await turns()
            assert recorder.told == ["started"]
            tx.try_send("mine")
            return await racing, recorder.told

    assert run(main) == ((0, "mine"), ["started", "cancelled", "ended"])


def test_a_message_taken_while_the_losers_end_lets_select_wait_on(run: Run) -> None:
    """It goes on with the branches that are left, and raises nothing."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()
        with tx:
            racing = await started(select(recorder.wait(turns_to_end=5), rx))
            tx.try_send("stolen")
            await turns(3)
            rx.try_recv()
            await turns(10)
            assert not racing.done()
            tx.try_send("mine")
            return await racing

    assert run(main) == (1, "mine")


def test_a_coroutine_that_starts_at_once_wakes_the_others(run: Run) -> None:
    """What it does in its first step is seen, with eager tasks too."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        recorder = Recorder()

        async def send_and_wait() -> None:
            tx.try_send("made ready")
            await recorder.wait()

        with tx:
            return await select(send_and_wait(), rx)

    assert run(main) == (1, "made ready")


def test_two_coroutines_that_end_at_once_give_one_result(run: Run) -> None:
    """The first to end wins."""

    async def main() -> object:
        return await select(value_of("a"), value_of("b"), biased=True)

    assert run(main) in ((0, "a"), (1, "b"))


def test_any_awaitable_can_be_a_branch(run: Run) -> None:
    """What has `__await__` is run as a coroutine."""

    async def main() -> object:
        tx, rx = mpsc.channel(1)
        with tx:
            return await select(rx, Awaited())

    assert run(main) == (1, "awaited")


def test_a_coroutine_is_closed_when_the_turn_is_cancelled(run: Run) -> None:
    """Cancelled while it yields for its budget, select has started nothing."""

    async def main() -> list[str]:
        recorder = Recorder()
        tx, rx = mpsc.unbounded_channel()
        with tx:
            for n in range(300):
                tx.send(n)

            async def spin() -> None:
                while True:
                    await select(rx, recorder.wait(), biased=True)

            task = asyncio.create_task(spin())
            await asyncio.sleep(0)
            assert await cancelled(task)
            await rx.recv_many(300)
        gc.collect()
        return recorder.told

    assert run(main) == []
