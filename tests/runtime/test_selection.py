"""select over operations: one takes effect, the losers have taken nothing."""

import asyncio
from collections import Counter

import pytest

from sumida import CancellationToken, select
from sumida._core import hooks
from sumida.channels import mpsc
from sumida.errors import BusyError, Closed
from sumida.operation import BUDGET
from tests.core.support import TurnCounter, cancelled, of, started, turns
from tests.runtime.branches import Flags, Listener, Recorder, value_of
from tests.support import Run


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
    """Branches that are always ready win equally often, give or take a few."""

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
    assert max(wins.values()) - min(wins.values()) <= 3


@pytest.mark.parametrize("counts", [(2, 2), (2, 3), (2, 2, 2), (3, 3, 3, 1), (2, 1, 4)])
def test_no_branch_starves_where_selects_take_turns(
    run: Run, counts: tuple[int, ...]
) -> None:
    """Each of several selects is fair, however many come between."""

    async def main() -> list[Counter[int]]:
        channels = [[mpsc.unbounded_channel() for _ in range(n)] for n in counts]
        flat = [pair for some in channels for pair in some]
        for tx, _ in flat:
            for n in range(200):
                tx.send(n)
            tx.close()
        wins: list[Counter[int]] = [Counter() for _ in counts]
        for _ in range(100):
            for won, some in zip(wins, channels, strict=True):
                won[(await select(*(rx for _, rx in some)))[0]] += 1
        for _, rx in flat:
            await rx.recv_many(200)
        return wins

    for count, won in zip(counts, run(main), strict=True):
        assert min(won[branch] for branch in range(count)) >= 100 // count // 2


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
            await select(a, value_of(1), Recorder().wait())
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


@pytest.mark.parametrize("is_mixed", [True, False])
def test_a_select_that_never_waits_yields_once_in_a_while(
    run: Run, *, is_mixed: bool
) -> None:
    """Each counts as one operation of the budget, and no more."""

    async def main() -> int:
        tx, rx = mpsc.unbounded_channel()
        other_tx, other = mpsc.unbounded_channel()
        counter = TurnCounter()
        counting = asyncio.create_task(counter.count_on())
        await turns()
        with tx, other_tx:
            for n in range(BUDGET * 4):
                tx.send(n)
            counter.count = 0
            for _ in range(BUDGET * 4):
                await select(rx, CancellationToken() if is_mixed else other)
        count = counter.count
        await cancelled(counting)
        return count

    assert run(main) == 4


@pytest.mark.parametrize("biased", [True, False])
def test_futures_among_the_branches_have_their_turn(run: Run, *, biased: bool) -> None:
    """Or never, where the order is as written."""

    async def main() -> set[int]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        tx, rx = mpsc.unbounded_channel()
        with tx:
            for n in range(20):
                tx.send(n)
            won: set[int] = {
                (await select(rx, future, biased=biased))[0] for _ in range(10)
            }
            await rx.recv_many(20)
        return won

    assert run(main) == ({0} if biased else {0, 1})


@pytest.mark.parametrize("count", [7, 8, 9, 10])
def test_any_number_of_branches(run: Run, count: int) -> None:
    """The names of a few are made beforehand."""

    async def main() -> list[int]:
        channels = [mpsc.unbounded_channel() for _ in range(count)]
        seen = []
        for n, (tx, _) in enumerate(channels):
            tx.send(n)
            seen.append((await select(*(rx for _, rx in channels)))[0])
        for tx, _ in channels:
            tx.close()
        return seen

    assert run(main) == list(range(count))
