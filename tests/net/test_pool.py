"""A pool: who gets which connection, what comes back, what is thrown away."""

import asyncio
import gc
import logging

import pytest

from sumida import TaskLocal, select, sleep
from sumida.errors import BusyError, Closed, MisuseError, ReleasedError
from sumida.net import Lease, Pool, PoolStatus
from sumida.testing import turns
from tests.net.wires import Maker, Wire
from tests.support import Run


def test_a_connection_is_used_again(run: Run) -> None:
    """Made once, and closed with the pool."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=2) as pool:
            numbers = []
            for _ in range(3):
                async with pool.acquire() as wire:
                    numbers.append(wire.number)
            assert numbers == [1, 1, 1]
            assert pool.status == PoolStatus(1, 0, 0, 0, 1, 0)
            async with pool.acquire() as one, pool.acquire() as two:
                assert {one.number, two.number} == {1, 2}
        assert not maker.open
        assert pool.is_closed

    run(main)


def test_a_connection_whose_user_raised_is_thrown_away(run: Run) -> None:
    """Whatever was raised."""

    async def main() -> int:
        maker = Maker()
        async with Pool(maker, max_size=1) as pool:
            with pytest.raises(KeyError):
                async with pool.acquire():
                    raise KeyError
            async with pool.acquire() as wire:
                assert len(maker.open) == 1
                return wire.number

    assert run(main) == 2


def test_a_connection_whose_user_was_cancelled_is_thrown_away(run: Run) -> None:
    """Half a reply may be under way."""

    async def main() -> int:
        maker = Maker()
        async with Pool(maker, max_size=1) as pool:

            async def use() -> None:
                async with pool.acquire():
                    await sleep(60)

            task = asyncio.create_task(use())
            await turns()
            task.cancel()
            await asyncio.wait([task])
            async with pool.acquire() as wire:
                return wire.number

    assert run(main) == 2


def test_who_waits_longest_is_served_first(run: Run) -> None:
    """Nobody goes before one who waits, not even when a connection has just come."""

    async def main() -> list[str]:
        async with Pool(Maker(), max_size=1) as pool:
            served: list[str] = []

            async def use(name: str) -> None:
                async with pool.acquire():
                    served.append(name)
                    await turns(3)

            async with pool.acquire():
                tasks = [asyncio.create_task(use(name)) for name in "abc"]
                await turns()
                assert pool.status.waiting == 3
            # It came back in this very turn, and is promised to the first.
            await use("late")
            await asyncio.wait(tasks)
            return served

    assert run(main) == ["a", "b", "c", "late"]


def test_the_number_is_limited(run: Run) -> None:
    """Also while they are made."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=3) as pool:

            async def use() -> None:
                async with pool.acquire():
                    await turns(2)

            tasks = [asyncio.create_task(use()) for _ in range(10)]
            await turns()
            assert (maker.begun, pool.status.making) == (3, 3)
            for _ in range(3):
                maker.let()
            await asyncio.wait(tasks)
            assert (maker.begun, maker.most) == (3, 3)

    run(main)


def test_what_comes_back_serves_before_what_is_made(run: Run) -> None:
    """Who waits for a new one takes an old one; the new one is the next one's."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=2) as pool:
            first = await pool.acquire()
            maker.waits = True
            waiting = asyncio.ensure_future(pool.acquire())
            await turns()
            first.release()
            with await waiting as wire:
                assert wire.number == 1
                maker.let()
                await turns()
                assert pool.status.idle == 1
                async with pool.acquire() as other:
                    assert other.number == 2

    run(main)


def test_a_failure_is_for_the_first_who_waits(run: Run) -> None:
    """It takes no place; the next one tries again."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1) as pool:
            first = asyncio.ensure_future(pool.acquire())
            second = asyncio.ensure_future(pool.acquire())
            await turns()
            assert maker.begun == 1
            maker.fail()
            await turns()
            with pytest.raises(ConnectionRefusedError):
                await first
            assert maker.begun == 2
            maker.let()
            (await second).release()
            assert pool.status == PoolStatus(1, 0, 0, 0, 1, 0)

    run(main)


def test_failures_never_use_up_the_places(run: Run) -> None:
    """However many."""

    async def main() -> None:
        async def refuse() -> Wire:
            raise ConnectionRefusedError

        async with Pool(refuse, max_size=2) as pool:
            for _ in range(10):
                with pytest.raises(ConnectionRefusedError):
                    await pool.acquire()
            assert pool.status == PoolStatus(0, 0, 0, 0, 0, 0)

    run(main)


def test_what_was_made_for_one_who_left_is_the_next_ones(run: Run) -> None:
    """Making goes on when its caller is cancelled."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1) as pool:
            task = asyncio.ensure_future(pool.acquire())
            await turns()
            task.cancel()
            await asyncio.wait([task])
            assert pool.status.making == 1
            maker.let()
            await turns()
            assert pool.status == PoolStatus(1, 0, 0, 0, 1, 0)
            async with pool.acquire() as wire:
                assert wire.number == 1

    run(main)


def test_a_failure_for_one_who_left_is_told_to_the_log(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """And to nobody else."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1) as pool:
            task = asyncio.ensure_future(pool.acquire())
            await turns()
            task.cancel()
            await asyncio.wait([task])
            maker.fail()
            await turns()

    run(main)
    assert "that nobody waits for failed: ConnectionRefusedError" in caplog.text


def test_a_pool_that_is_closed_tells_all_who_wait(run: Run) -> None:
    """Whether they wait for a place, or for a connection to be made or handed over."""

    async def main() -> None:
        maker = Maker()
        pool = Pool(maker, max_size=2)
        held = await pool.acquire()
        promised_from = await pool.acquire()
        promised = asyncio.ensure_future(pool.acquire())
        waiting = asyncio.ensure_future(pool.acquire())
        await turns()
        promised_from.release()
        # In this turn: it is on its way to the first, whose task has not run.
        await pool.close()
        for task in (promised, waiting):
            with pytest.raises(Closed, match="pool is closed"):
                await task
        assert maker.open == {held.connection}
        held.release()
        assert not maker.open
        with pytest.raises(Closed):
            await pool.acquire()
        with pytest.raises(Closed):
            async with pool.acquire():
                pass
        await pool.close()

    run(main)


def test_closing_ends_what_is_being_made(run: Run) -> None:
    """A connection that comes all the same is closed; one that never began, too."""

    async def main() -> None:
        maker = Maker(waits=True)
        pool = Pool(maker, max_size=3)
        tasks = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
        await turns()
        maker.let()
        # Not one turn: the first is ready in its task, the others are not.
        await pool.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Closed] * 3
        assert not maker.open
        assert not maker.gates

    run(main)


def test_a_connection_that_comes_after_the_end_is_closed(run: Run) -> None:
    """One whose making ignores that it is cancelled."""

    async def main() -> None:
        maker = Maker()

        async def stubborn() -> Wire:
            try:
                await sleep(60)
            except asyncio.CancelledError:
                await turns(3)
            return await maker()

        pool = Pool(stubborn, max_size=1)
        task = asyncio.ensure_future(pool.acquire())
        await turns()
        await pool.close()
        assert maker.made == 1
        assert not maker.open
        with pytest.raises(Closed):
            await task

    run(main)


def test_select_takes_a_lease(run: Run) -> None:
    """The loser holds nothing."""

    async def main() -> None:
        async with Pool(Maker(), max_size=1) as pool:
            index, lease = await select(pool.acquire(), sleep(60))
            assert index == 0
            assert isinstance(lease, Lease)
            assert await select(pool.acquire(), asyncio.sleep(0)) == (1, None)
            with lease as wire:
                assert wire.number == 1
            assert pool.status.idle == 1

    run(main)


def test_a_lease_is_a_guard(run: Run) -> None:
    """Given back once, by `with` or by hand; then it can be used again."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=1) as pool:
            lease = pool.acquire()
            assert repr(lease) == f"<Lease empty of {pool!r}>"
            with pytest.raises(ReleasedError):
                _ = lease.connection
            assert await lease is lease
            assert lease.is_held
            assert lease.connection.number == 1
            assert repr(lease) == "<Lease wire 1>"
            with pytest.raises(MisuseError, match="while in use"):
                await lease
            lease.release()
            lease.release()
            lease.discard()
            assert pool.status.idle == 1
            with pytest.raises(KeyError), await lease:
                raise KeyError
            assert not maker.open
            async with await lease as wire:
                assert wire.number == 2

    run(main)


def test_a_lease_is_waited_for_by_one_task(run: Run) -> None:
    """The second is refused."""

    async def main() -> None:
        async with Pool(Maker(), max_size=1) as pool, pool.acquire():
            lease = pool.acquire()
            first = asyncio.ensure_future(lease)
            await turns()
            assert "waiting" in repr(lease)
            with pytest.raises(BusyError):
                await lease
            first.cancel()
            await asyncio.wait([first])

    run(main)


def test_a_lost_lease_is_told_and_its_place_is_free(run: Run) -> None:
    """With the name of who had it; the connection is thrown away."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=1) as pool:
            lease = await asyncio.create_task(_await(pool.acquire()), name="borrower")
            with pytest.warns(
                ResourceWarning, match="of borrower was collected in use"
            ):
                del lease
                await turns()  # the loop lets go of the task, whose result it was
                gc.collect()
            async with pool.acquire() as wire:
                assert wire.number == 2
                assert len(maker.open) == 1

    run(main)


async def _await(lease: Lease[Wire]) -> Lease[Wire]:
    return await lease


def test_connections_know_nothing_of_the_request_they_are_made_for(run: Run) -> None:
    """They outlive it."""

    async def main() -> None:
        request: TaskLocal[str] = TaskLocal("request")
        seen: list[str] = []

        async def connect() -> Wire:
            seen.append(request.get("none"))
            return await Maker()()

        async with Pool(connect, max_size=1) as pool:
            with request.scope("r-1"):
                async with pool.acquire():
                    pass
        assert seen == ["none"]

    run(main)


def test_many_users_share_few_connections(run: Run) -> None:
    """Each one has one user at a time."""

    async def main() -> None:
        maker = Maker()

        async def use(number: int, pool: Pool[Wire]) -> None:
            for step in range(20):
                async with pool.acquire() as wire:
                    assert wire.user is None
                    wire.user = number
                    await turns((number + step) % 4)
                    wire.user = None

        async with Pool(maker, max_size=4) as pool:
            users = [asyncio.create_task(use(n, pool)) for n in range(20)]
            await asyncio.gather(*users)
            assert (maker.made, maker.most) == (4, 4)

    run(main)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_size": 0}, "max_size must be 1 or more, not 0"),
        ({"max_size": 2, "min_idle": 3}, "min_idle must be 0 to 2, not 3"),
        ({"max_size": 2, "idle_timeout": 0}, "idle_timeout must be more than 0"),
        ({"max_size": 2, "max_lifetime": -1}, "max_lifetime must be more than 0"),
        ({"max_size": 2, "acquire_timeout": 0}, "acquire_timeout must be more than"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, int], words: str) -> None:
    """With the value."""
    with pytest.raises(ValueError, match=words):
        Pool(Maker(), **settings)  # type: ignore[arg-type]  # that is the point


def test_a_pool_shows_its_state(run: Run) -> None:
    """How many of how many."""

    async def main() -> None:
        async with Pool(Maker(), max_size=2) as pool:
            async with pool.acquire():
                assert repr(pool) == "<Pool 1 of 2 in use, 0 idle, 0 waiting>"
            assert pool.max_size == 2
        assert repr(pool) == "<Pool closed, 0 of 2 in use, 0 idle, 0 waiting>"

    run(main)


def test_what_cannot_be_closed_is_told(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """And takes no place."""

    async def main() -> None:
        async def connect() -> object:
            return object()

        async with Pool(connect, max_size=1) as pool:
            async with pool.acquire():
                pass
            (await pool.acquire()).discard()
            async with pool.acquire():
                pass

    caplog.set_level(logging.ERROR)
    run(main)
    assert "has neither aclose() nor close(); pass close= to the pool" in caplog.text
