"""select and select.loop: one takes effect, the losers have taken nothing."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from typing import Literal

import pytest

from sumida import select
from sumida._core import hooks
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed, Full, MisuseError
from sumida.operation import PENDING, Operation, Pending, Source
from tests.core.support import cancelled, of, started, turns
from tests.support import Run


async def value_of(value: object) -> object:
    """Give `value`, in a coroutine."""
    return value


class Recorder:
    """A coroutine that tells what happened to it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def wait(self, *, turns_to_end: int = 0) -> str:
        """Wait for ever, and take `turns_to_end` turns to end when cancelled."""
        self.told.append("started")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.told.append("cancelled")
            for _ in range(turns_to_end):
                await asyncio.sleep(0)
            self.told.append("ended")
        return "never"


# Exactly one takes effect.


@pytest.mark.parametrize("biased", [False, True])
def test_one_of_two_that_are_ready_takes_effect(run: Run, *, biased: bool) -> None:
    """The loser's message stays where it is."""

    async def main() -> tuple[int, int]:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            await a_tx.send("a")
            await b_tx.send("b")
            won, value = await select(a, b, biased=biased)
            left = len(a) + len(b)
            lost: mpsc.Receiver[str] = (b, a)[won]
            return left, {value, lost.try_recv()} == {"a", "b"}

    assert run(main) == (1, True)


@pytest.mark.parametrize("biased", [False, True])
def test_one_of_two_that_become_ready_at_once_takes_effect(
    run: Run, *, biased: bool
) -> None:
    """Also when both were woken in the same tick."""

    async def main() -> int:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            racing = await started(select(a, b, biased=biased))
            a_tx.try_send("a")
            b_tx.try_send("b")
            won, value = await racing
            lost: mpsc.Receiver[str] = (b, a)[won]
            assert {value, lost.try_recv()} == {"a", "b"}
            return won

    assert run(main) == 0


def test_send_and_receive_race(run: Run) -> None:
    """A send that loses has sent nothing, one that wins has."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(1)
        stop_tx, stop = mpsc.channel(1)
        with tx, stop_tx:
            told: list[object] = [await select(tx.send("first"), stop, biased=True)]
            racing = await started(select(tx.send("lost"), stop))
            stop_tx.try_send("stop")
            told += [await racing, await rx.recv(), rx.is_empty]
            return told

    assert run(main) == [(0, None), (1, "stop"), "first", True]


def test_biased_asks_in_the_order_written(run: Run) -> None:
    """The first that is ready wins, every time."""

    async def main() -> list[str]:
        channels = [mpsc.channel(20) for _ in range(3)]
        for tx, _ in channels[1:]:
            await tx.send_many(range(10))
        names = [
            (
                await select(
                    a=channels[0][1], b=channels[1][1], c=channels[2][1], biased=True
                )
            )[0]
            for _ in range(12)
        ]
        for tx, rx in channels:
            tx.close()
            await rx.recv_many(20)
        return names

    assert run(main) == ["b"] * 10 + ["c"] * 2


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_the_order_is_rotated_fairly(run: Run, count: int) -> None:
    """Branches that are always ready win equally often, give or take one."""

    async def main() -> Counter[int]:
        channels = [mpsc.unbounded_channel() for _ in range(count)]
        wins: Counter[int] = Counter()
        for tx, _ in channels:
            for n in range(100):
                tx.send(n)
            tx.close()
        for _ in range(30 * count):
            wins[(await select(*(rx for _, rx in channels)))[0]] += 1
        for _, rx in channels:
            await rx.recv_many(200)
        return wins

    wins = run(main)

    assert set(wins) == set(range(count))
    assert max(wins.values()) - min(wins.values()) <= 1


def test_a_busy_branch_does_not_starve_another(run: Run) -> None:
    """One that is always ready leaves one that is ready at times its share."""

    async def main() -> int:
        busy_tx, busy = mpsc.unbounded_channel()
        rare_tx, rare = mpsc.unbounded_channel()
        with busy_tx, rare_tx:
            for n in range(200):
                busy_tx.send(n)
            rare_tx.send("rare")
            for n in range(200):
                if (await select(busy, rare))[0]:
                    await busy.recv_many(300)
                    return n
        return 200

    assert run(main) <= 2


def test_a_select_that_never_waits_lets_others_run(run: Run) -> None:
    """It counts as one operation of the turn."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        seen = 0

        async def count() -> None:
            nonlocal seen
            while True:
                seen += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        with tx:
            for n in range(1000):
                tx.send(n)
            for _ in range(1000):
                await select(rx, biased=True)
            await cancelled(counting)
        return seen

    assert run(main) >= 7


# Losers, and places in a queue.


def test_a_loser_gives_its_grant_to_the_next_in_the_same_tick(run: Run) -> None:
    """What was granted to the branch that lost is not lost."""

    async def main() -> tuple[object, object, int]:
        a_tx, a_rx = mpsc.channel(1)
        stop_tx, stop = mpsc.channel(1)
        with a_tx, stop_tx:
            await a_tx.send(0)
            racing = await started(select(stop, a_tx.send("lost"), biased=True))
            behind = await started(a_tx.send("behind"))
            stop_tx.try_send("stop")
            first = a_rx.try_recv()  # grants to the racing send, which lost already
            result = await racing
            await asyncio.sleep(0)
            assert behind.done()
            return result, a_rx.try_recv(), first

    assert run(main) == ((0, "stop"), "behind", 0)


def test_a_grant_wins_over_a_branch_that_became_ready_later(run: Run) -> None:
    """The one that was woken first is asked first."""

    async def main() -> object:
        a_tx, a_rx = mpsc.channel(1)
        stop_tx, stop = mpsc.channel(1)
        with a_tx, stop_tx:
            await a_tx.send(0)
            racing = await started(select(stop, a_tx.send("sent"), biased=True))
            a_rx.try_recv()
            stop_tx.try_send("stop")
            result = await racing
            assert stop.try_recv() == "stop"
            assert a_rx.try_recv() == "sent"
            return result

    assert run(main) == (1, None)


@pytest.mark.parametrize("kept", [False, True])
def test_a_kept_operation_keeps_its_place(run: Run, *, kept: bool) -> None:
    """Passed again it stands before those who came later; a fresh one behind."""

    async def main() -> list[str]:
        tx, rx = mpsc.channel(1)
        stop_tx, stop = mpsc.channel(1)
        with tx, stop_tx:
            await tx.send("0")
            send = tx.send("mine")
            racing = await started(select(send, stop))
            behind = await started(tx.send("behind"))
            stop_tx.try_send("stop")
            await racing
            if not kept:
                send = tx.send("mine")
            racing = await started(select(send, stop))
            await rx.recv()
            received = [await rx.recv(), await rx.recv()]
            await racing
            await behind
            return received

    assert run(main) == (["mine", "behind"] if kept else ["behind", "mine"])


@pytest.mark.parametrize("woken", ["no", "receiver", "grant", "both"])
def test_a_cancelled_select_has_taken_nothing(run: Run, woken: str) -> None:
    """Cancelled before or after a branch was woken: no message, no place is lost."""

    async def main() -> tuple[list[object], int]:
        a_tx, a = mpsc.channel(2)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            await b_tx.send("0")
            racing = await started(select(a.recv(), b_tx.send("lost")))
            received = []
            if woken in ("receiver", "both"):
                a_tx.try_send("kept")
            if woken in ("grant", "both"):
                received.append(b.try_recv())
            assert await cancelled(racing)
            await turns()
            received += [rx.try_recv() for rx in (a, b) for _ in range(len(rx))]
            return sorted(received), a_tx.capacity + b_tx.capacity

    expected = ["0", "kept"] if woken in ("receiver", "both") else ["0"]

    assert run(main) == (expected, 3)


def test_a_branch_whose_source_is_closed_raises_with_its_name(run: Run) -> None:
    """Closed comes out of select, and tells the branch; waiting or not."""

    async def main() -> list[object]:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with b_tx:
            racing = await started(select(a=a, b=b))
            a_tx.close()
            with pytest.raises(Closed) as waiting:
                await racing
            with pytest.raises(Closed) as ready:
                await select(b, a, biased=True)
            with pytest.raises(Closed) as alone:
                await a
            return [e.value.branch for e in (waiting, ready, alone)]

    assert run(main) == ["a", 1, None]


def test_an_operation_can_be_selected_again(run: Run) -> None:
    """The loser waits again, alone or in another select."""

    async def main() -> list[object]:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            told: list[object] = []
            for n in range(3):
                racing = await started(select(a, b))
                a_tx.try_send(n)
                told.append(await racing)
            receiving = await started(b.recv())
            b_tx.try_send("b")
            return [*told, await receiving]

    assert run(main) == [(0, 0), (0, 1), (0, 2), "b"]


def test_another_task_that_is_quicker_lets_select_wait_on(run: Run) -> None:
    """Woken in vain, it goes on waiting, and the others count still."""

    async def main() -> tuple[object, object]:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            racing = await started(select(a, b))
            a_tx.try_send("stolen")
            stolen = a.try_recv()
            await turns()
            assert not racing.done()
            b_tx.try_send("b")
            return stolen, await racing

    assert run(main) == ("stolen", (1, "b"))


# Futures and tasks.


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


# Coroutines.


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


class Awaited:
    """An awaitable that is neither a coroutine nor a future."""

    def __await__(self) -> Generator[object, None, str]:
        yield from asyncio.sleep(0).__await__()
        return "awaited"


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


# Bad use.


def test_no_branch_is_refused() -> None:
    """There would be nothing to wait for."""
    with pytest.raises(TypeError, match="at least one branch"):
        select()
    with pytest.raises(TypeError, match="one or more"):
        select.loop()


def test_positions_and_names_do_not_mix() -> None:
    """Told at the call; the coroutines are closed, and nobody complains of them."""
    with pytest.raises(TypeError, match="by position or by name"):
        select(value_of(1), b=value_of(2))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="by position or by name"):
        select.loop(value_of(1), b=value_of(2))

    gc.collect()


@pytest.mark.parametrize("thing", [42, None, "rx", object, value_of])
def test_what_cannot_be_awaited_is_refused(run: Run, thing: Awaitable[int]) -> None:
    """The message names the branch and the value; coroutines are closed."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(1)
            with pytest.raises(TypeError, match="branch 3"):
                await select(rx, value_of(1), Awaited(), thing)
            with pytest.raises(TypeError, match="branch 'bad'"):
                await select(good=value_of(1), bad=thing)
            with pytest.raises(TypeError, match="branch 'bad'"):
                select.loop(good=rx, bad=thing)
            assert await rx.recv() == 1

    run(main)
    gc.collect()


def test_one_object_twice_is_refused(run: Run) -> None:
    """A coroutine runs once, an operation waits once."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            coroutine = value_of(1)
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(coroutine, coroutine)
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(rx, rx.recv())
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(a=rx, b=value_of(1), c=rx.recv())
            with pytest.raises(MisuseError, match="two of its branches"):
                select.loop(rx, rx)
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(future, future)
            source = Flags()
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(source, source.operation())

    run(main)
    gc.collect()


def test_an_operation_that_another_task_awaits_is_refused(run: Run) -> None:
    """The select leaves its other branches as they were."""

    async def main() -> object:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            receiving = await started(b.recv())
            with pytest.raises(BusyError):
                await select(a, b)
            with pytest.raises(BusyError):
                await select(a, Recorder().wait(), b)
            racing = await started(select(a))
            a_tx.try_send("a")
            b_tx.try_send("b")
            return await racing, await receiving

    assert run(main) == ((0, "a"), "b")


@pytest.mark.parametrize(
    "make", [lambda: value_of(1), Awaited], ids=["coroutine", "awaitable"]
)
def test_a_loop_refuses_what_runs_once(
    run: Run, make: Callable[[], Awaitable[object]]
) -> None:
    """A coroutine is done after its first turn."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx, pytest.raises(TypeError, match="only once"):
            select.loop(rx, value_of(2), make())

    run(main)
    gc.collect()


# select.loop.


def test_a_loop_drops_branches_that_close_and_ends_with_the_last(run: Run) -> None:
    """Every message of every branch is given, each by its name."""

    async def main() -> list[tuple[str, int]]:
        a_tx, a = mpsc.channel(10)
        b_tx, b = mpsc.channel(10)
        await a_tx.send_many([1, 2])
        await b_tx.send_many([3, 4, 5])
        a_tx.close()

        async def close_later() -> None:
            await turns(20)
            await b_tx.send(6)
            b_tx.close()

        closing = asyncio.create_task(close_later())
        given = [pair async for pair in select.loop(a=a, b=b)]
        await closing
        return given

    given = run(main)

    assert [value for name, value in given if name == "a"] == [1, 2]
    assert [value for name, value in given if name == "b"] == [3, 4, 5, 6]
    assert len(given) == 6


def test_a_loop_by_position_keeps_its_numbers(run: Run) -> None:
    """The index is that of the call, also after a branch was dropped."""

    async def main() -> list[tuple[int, int]]:
        channels = [mpsc.channel(4) for _ in range(3)]
        for n, (tx, _) in enumerate(channels):
            await tx.send_many([n] * (n + 1))
            tx.close()
        return [
            pair async for pair in select.loop(*(rx for _, rx in channels), biased=True)
        ]

    assert run(main) == [(0, 0), (1, 1), (1, 1), (2, 2), (2, 2), (2, 2)]


def test_a_loop_gives_a_future_once(run: Run) -> None:
    """A task or future is delivered once, then dropped."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        await tx.send_many([1, 2])
        task = asyncio.create_task(value_of("task"))
        given = []
        async for pair in select.loop(msg=rx, task=task):
            given.append(pair)
            if len(given) == 3:
                tx.close()
        return sorted(given, key=str)

    assert run(main) == [("msg", 1), ("msg", 2), ("task", "task")]


@pytest.mark.parametrize("error", [ValueError("failed"), Closed("elsewhere")])
def test_a_loop_gives_the_error_of_a_task_once(run: Run, error: Exception) -> None:
    """It is raised, not swallowed, and the loop can be taken up again."""

    async def fail() -> None:
        raise error

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        task = asyncio.create_task(fail())
        await turns()
        loop = select.loop(msg=rx, task=task)
        with pytest.raises(type(error)):
            await anext(loop)
        await tx.send(1)
        tx.close()
        return [pair async for pair in loop]

    assert run(main) == [("msg", 1)]


def test_a_cancelled_loop_can_be_taken_up_again(run: Run) -> None:
    """A turn that is cancelled takes nothing."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        loop = select.loop(rx)
        turn = await started(anext(loop))
        tx.try_send(1)
        assert await cancelled(turn)
        tx.close()
        return [pair async for pair in loop]

    assert run(main) == [(0, 1)]


def test_repr_of_a_loop_tells_its_branches(run: Run) -> None:
    """Names, and whether it is biased."""

    async def main() -> str:
        tx, rx = mpsc.channel(1)
        with tx:
            return repr(select.loop(msg=rx, stop=tx.closed(), biased=True))

    assert run(main) == "<SelectLoop msg, stop, biased>"


# Operations and sources of one's own.


class Flag(Operation[str]):
    """An operation as a user writes one: done once it is set."""

    def __init__(self) -> None:
        self.is_set = False
        self.future: asyncio.Future[object] | None = None

    def set(self) -> None:
        """Set it."""
        self.is_set = True
        if self.future is not None and not self.future.done():
            self.future.set_result(self)

    def poll(self) -> str | Literal[Pending.PENDING]:
        """Look."""
        return "set" if self.is_set else PENDING

    def arm(self, future: asyncio.Future[object]) -> object:
        """Wait."""
        self.future = future
        return self

    def disarm(self) -> None:
        """Wait no more."""
        self.future = None


class Flags(Source[str]):
    """A source as a user writes one."""

    def __init__(self) -> None:
        self.flag = Flag()

    def operation(self) -> Operation[str]:
        """Give the flag."""
        return self.flag


def test_a_source_gives_its_operation(run: Run) -> None:
    """In select and in the loop."""

    async def main() -> list[object]:
        source = Flags()
        told: list[object] = []
        racing = await started(select(source))
        source.flag.set()
        told.append(await racing)
        async for pair in select.loop(flag=source):
            told.append(pair)
            break
        return [*told, source.flag.future]

    assert run(main) == [(0, "set"), ("flag", "set"), None]


class Listener:
    """Tells what is waited for."""

    def __init__(self) -> None:
        self.waits = 0
        self.calls = 0

    def created(self, thing: object) -> None:
        """Do nothing."""

    def waiting(self, operation: object) -> None:
        """Count."""
        self.waits += 1
        self.calls += 1

    def resumed(self, operation: object) -> None:
        """Count."""
        self.waits -= 1

    def acquired(self, thing: object, guard: object) -> None:
        """Do nothing."""

    def released(self, thing: object, guard: object) -> None:
        """Do nothing."""


def test_an_observer_is_told_of_each_wait_and_its_end(run: Run) -> None:
    """However a select ends, what began to wait is told to have stopped."""
    listener = Listener()

    async def main() -> int:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            racing = await started(select(a, b))
            a_tx.try_send(1)
            await racing
            racing = await started(select(a, value_of(1), Recorder().wait()))
            await racing
            racing = await started(select(a, Recorder().wait()))
            await cancelled(racing)
            racing = await started(select(a, b))
            with pytest.raises(BusyError):
                await select(a, b)
            await cancelled(racing)
            receiving = await started(of(a))
            with pytest.raises(BusyError):
                await of(a)
            await cancelled(receiving)
            return listener.calls

    before = hooks.observe(listener)
    try:
        calls = run(main)
    finally:
        hooks.observe(before)

    assert calls >= 7
    assert listener.waits == 0
