"""The times of a pool: how long one waits, how old a connection gets; and checks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from sumida import sleep
from sumida.errors import Elapsed
from sumida.net import Pool, PoolStatus
from sumida.testing import run_paused, turns
from tests.net.wires import Maker, Wire
from tests.support import Run


def test_waiting_has_an_end() -> None:
    """It says who holds the connections; the place in the line is given up."""

    async def main() -> None:
        async with Pool(Maker(), max_size=1, acquire_timeout=3) as pool:

            async def hold() -> None:
                async with pool.acquire():
                    await sleep(5)

            task = asyncio.create_task(hold(), name="borrower")
            await turns()
            with pytest.raises(Elapsed, match=r"after 3 s.*: held by borrower") as late:
                await pool.acquire()
            assert late.value.after == 3
            assert pool.status.waiting == 0
            # Two seconds on, there it is.
            async with pool.acquire():
                pass
            await task

    run_paused(main)


def test_making_is_part_of_the_wait() -> None:
    """A peer that does not answer holds no place for longer than that."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1, acquire_timeout=3) as pool:
            with pytest.raises(Elapsed, match="held by nobody, 1 being made"):
                await pool.acquire()
            await turns()
            assert pool.status == PoolStatus(0, 0, 0, 0, 0, 0)
            assert maker.gates == []

    run_paused(main)


def test_one_who_came_later_waits_as_long() -> None:
    """Another is made for it when the first takes too long."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1, acquire_timeout=3) as pool:
            first = asyncio.ensure_future(pool.acquire())
            await sleep(2)
            second = asyncio.ensure_future(pool.acquire())
            await sleep(2)
            assert first.done()
            with pytest.raises(Elapsed):
                await first
            assert (maker.begun, second.done()) == (2, False)
            maker.let()
            with await second as wire:
                assert wire.number == 1

    run_paused(main)


def test_none_waits_for_ever() -> None:
    """If it is asked for."""

    async def main() -> None:
        maker = Maker(waits=True)
        async with Pool(maker, max_size=1, acquire_timeout=None) as pool:
            task = asyncio.ensure_future(pool.acquire())
            await sleep(1e6)
            maker.let()
            (await task).release()

    run_paused(main)


def test_a_late_answer_of_connect_is_an_error_of_its_own() -> None:
    """What `connect` raises is given as it is, `Elapsed`, too."""

    async def main() -> None:
        async def connect() -> Wire:
            raise Elapsed(1.0, "an answer")

        async with Pool(connect, max_size=1) as pool:
            with pytest.raises(Elapsed, match="after 1 s, waiting for an answer"):
                await pool.acquire()

    run_paused(main)


def test_what_is_idle_for_long_is_closed() -> None:
    """By itself, save `min_idle` of them."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=3, min_idle=1, idle_timeout=10) as pool:
            leases = [await pool.acquire() for _ in range(3)]
            for lease in leases:
                lease.release()
                await sleep(1)
            assert pool.status.idle == 3
            await sleep(7.5)
            assert pool.status.idle == 2
            await sleep(1)
            assert pool.status.idle == 1
            await sleep(100)
            assert [wire.number for wire in maker.open] == [3]
            # Kept in spite of its age, and so it is used.
            async with pool.acquire() as wire:
                assert wire.number == 3

    run_paused(main)


def test_what_is_old_is_closed() -> None:
    """Idle or when it comes back; `min_idle` of them are made anew."""

    async def main() -> None:
        maker = Maker()
        async with Pool(
            maker, max_size=2, min_idle=1, idle_timeout=None, max_lifetime=10
        ) as pool:
            await turns()
            assert maker.made == 1
            await sleep(11)
            assert [wire.number for wire in maker.open] == [2]
            held = await pool.acquire()
            await turns()
            assert maker.made == 3
            await sleep(11)
            held.release()
            async with pool.acquire() as wire:
                assert wire.number == 4
            assert all(wire.number >= 4 for wire in maker.open)

    run_paused(main)


def test_an_old_one_is_not_handed_on() -> None:
    """Not even straight from one user to the next."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=1, max_lifetime=10) as pool:
            held = await pool.acquire()
            waiting = asyncio.ensure_future(pool.acquire())
            await sleep(11)
            held.release()
            with await waiting as wire:
                assert wire.number == 2
            assert maker.most == 1

    run_paused(main)


def test_some_are_made_ahead(run: Run) -> None:
    """And others for those that are taken, or thrown away; never above the limit."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=3, min_idle=2) as pool:
            await turns()
            assert pool.status == PoolStatus(2, 0, 0, 0, 2, 0)
            one = await pool.acquire()
            await turns()
            assert pool.status == PoolStatus(2, 1, 0, 0, 3, 0)
            two = await pool.acquire()
            await turns()
            assert pool.status == PoolStatus(1, 2, 0, 0, 3, 0)
            one.discard()
            await turns()
            assert pool.status == PoolStatus(2, 1, 0, 0, 4, 1)
            two.release()
            assert maker.most == 3

    run(main)


def test_failures_to_make_ahead_are_not_repeated_at_once(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The next use tries again."""

    async def main() -> int:
        tries = 0

        async def refuse() -> Wire:
            nonlocal tries
            tries += 1
            raise ConnectionRefusedError

        async with Pool(refuse, max_size=3, min_idle=2):
            await turns(50)
            return tries

    assert run(main) == 2
    assert "nobody waits for" in caplog.text


Check = Callable[[Wire], bool | Awaitable[bool]]


def by_flag(wire: Wire) -> bool:
    """Say no to the first two."""
    return wire.number > 2


def by_raising(wire: Wire) -> bool:
    """Say no by an error."""
    if wire.number <= 2:
        raise ConnectionResetError
    return True


async def by_ping(wire: Wire) -> bool:
    """Say no after a wait."""
    await turns(2)
    return wire.number > 2


async def by_failing_ping(wire: Wire) -> bool:
    """Say no by an error, after a wait."""
    await turns(2)
    return by_raising(wire)


def by_hidden_ping(wire: Wire) -> Awaitable[bool]:
    """Wait, and do not look like it."""
    return by_ping(wire)


@pytest.mark.parametrize(
    "check", [by_flag, by_raising, by_ping, by_failing_ping, by_hidden_ping]
)
@pytest.mark.parametrize("waits", [False, True], ids=["idle", "handed on"])
def test_what_is_not_good_any_more_is_thrown_away(
    run: Run, check: Check, *, waits: bool
) -> None:
    """From the shelf, or on its way from one user to the next."""

    async def main() -> None:
        maker = Maker()
        async with Pool(maker, max_size=2, check=check) as pool:
            leases = [await pool.acquire() for _ in range(2)]
            tasks = [asyncio.ensure_future(pool.acquire()) for _ in range(2 * waits)]
            await turns()
            for lease in leases:
                lease.release()
            tasks += [
                asyncio.ensure_future(pool.acquire()) for _ in range(2 - len(tasks))
            ]
            numbers = {(await task).connection.number for task in tasks}
            assert numbers == {3, 4}
            assert maker.most == 2
            for task in tasks:
                task.result().release()
            async with pool.acquire() as wire:
                assert wire.number > 2
                assert wire.number <= 4

    run(main)


def test_a_check_that_hangs_is_given_up() -> None:
    """The connection is closed and the place is free; the next caller has another."""

    async def main() -> None:
        maker = Maker()

        async def hang(wire: Wire) -> bool:
            await sleep(1e6)
            return wire.is_closed

        async with Pool(maker, max_size=1, check=hang, acquire_timeout=3) as pool:
            async with pool.acquire():
                pass
            with suppress(Elapsed):
                # The check and the wait have the same deadline.
                (await pool.acquire()).release()
            await sleep(1)
            async with pool.acquire():
                assert maker.most == 1

    run_paused(main)


def test_a_check_is_not_the_callers(run: Run) -> None:
    """Who leaves meanwhile leaves a connection that is good to the next."""

    async def main() -> None:
        maker = Maker()
        asked = 0

        async def check(wire: Wire) -> bool:
            nonlocal asked
            asked += 1
            await turns(5)
            return not wire.is_closed

        async with Pool(maker, max_size=1, check=check) as pool:
            async with pool.acquire():
                pass
            task = asyncio.ensure_future(pool.acquire())
            await turns(2)
            task.cancel()
            await turns()
            assert pool.status.idle == 1
            async with pool.acquire() as wire:
                assert (wire.number, asked) == (1, 2)

    run(main)


def test_closing_a_pool_ends_a_check(run: Run) -> None:
    """One that never began, too; the connection is closed."""

    async def main() -> None:
        maker = Maker()
        pool = Pool(maker, max_size=2, check=by_hidden_ping)
        leases = [await pool.acquire() for _ in range(2)]
        for lease in leases:
            lease.release()
        tasks = [asyncio.ensure_future(pool.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        await pool.close()
        assert not maker.open
        await asyncio.wait(tasks)
        assert all(task.exception() for task in tasks)

    run(main)


def test_closing_may_take_a_wait_and_holds_its_place() -> None:
    """Until it is done, or five seconds; so there are never more than `max_size`."""

    async def main() -> None:
        maker = Maker()

        async def close(wire: Wire) -> None:
            await sleep(2 if wire.number == 1 else 1e6)
            wire.close()

        async with Pool(maker, max_size=1, close=close) as pool:
            loop = asyncio.get_running_loop()
            start = loop.time()
            (await pool.acquire()).discard()
            (await pool.acquire()).discard()
            assert loop.time() - start == pytest.approx(2)
            assert maker.most == 1
            (await pool.acquire()).release()
            assert loop.time() - start == pytest.approx(7)

    run_paused(main)


def test_a_close_that_fails_is_told_to_the_log(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """And frees the place."""

    async def main() -> None:
        def close(wire: Wire) -> None:
            wire.close()
            raise OSError("twice")

        async def aclose(wire: Wire) -> None:
            close(wire)

        for way in (close, aclose):
            async with Pool(Maker(), max_size=1, close=way) as pool:
                (await pool.acquire()).discard()
                async with pool.acquire() as wire:
                    assert wire.number == 2

    run(main)
    assert caplog.text.count("closing wire 1 failed") == 2
