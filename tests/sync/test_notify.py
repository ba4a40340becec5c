"""Notifications: one, the last, all; at most one is kept."""

import asyncio

import pytest

from sumida.errors import BusyError, WrongLoopError
from sumida.sync import Notify
from sumida.testing import cancel_everywhere, turns
from tests.core.support import started
from tests.support import Run
from tests.sync.worlds import TwoWaiters


def test_a_notification_is_kept_once(run: Run) -> None:
    """However often it was sent while nobody waited."""

    async def main() -> list[str]:
        notify = Notify()
        notify.notify_one()
        notify.notify_one()
        seen = [repr(notify)]
        await notify.notified()
        task = asyncio.ensure_future(notify.notified())
        await turns()
        assert not task.done()
        notify.notify_one()
        await task
        return [*seen, repr(notify)]

    assert run(main) == ["<Notify 0 waiting, one stored>", "<Notify 0 waiting>"]


def test_the_first_and_the_last_are_served(run: Run) -> None:
    """In their order."""

    async def main() -> list[int]:
        notify = Notify()
        order: list[int] = []

        async def wait(n: int) -> None:
            await notify.notified()
            order.append(n)

        tasks = [asyncio.create_task(wait(n)) for n in range(3)]
        await turns()
        notify.notify_last()
        await turns()
        notify.notify_one()
        await turns()
        notify.notify_waiters()
        await asyncio.wait(tasks)
        return order

    assert run(main) == [2, 0, 1]


def test_the_last_is_kept_too_where_nobody_waits(run: Run) -> None:
    """Once, and for whoever comes."""

    async def main() -> str:
        notify = Notify()
        notify.notify_last()
        notify.notify_last()
        await notify.notified()
        return repr(notify)

    assert run(main) == "<Notify 0 waiting>"


def test_what_the_last_did_not_take_goes_to_the_last_again(run: Run) -> None:
    """If it was cancelled in the same turn; and then is kept."""

    async def main() -> list[object]:
        notify = Notify()
        first, second, third = [await started(notify.notified()) for _ in range(3)]
        notify.notify_last()
        third.cancel()
        await turns()
        seen: list[object] = [task.done() for task in (first, second, third)]
        notify.notify_last()
        first.cancel()
        await turns()
        return [*seen, first.cancelled(), repr(notify)]

    assert run(main) == [False, True, True, True, "<Notify 0 waiting, one stored>"]


@pytest.mark.parametrize("which", ["notify_one", "notify_last", "notify_waiters"])
def test_another_thread_is_refused(run: Run, which: str) -> None:
    """Nobody is woken, and nothing is kept."""

    async def main() -> list[object]:
        notify = Notify()
        before = notify.notified()
        waiting = await started(notify.notified())
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(getattr(notify, which))
        waiting_too = await started(before)
        seen = [waiting.done(), waiting_too.done(), repr(notify)]
        notify.notify_waiters()
        await asyncio.wait([waiting, waiting_too])
        return seen

    assert run(main) == [False, False, "<Notify 2 waiting>"]


def test_all_counts_from_the_call_of_notified(run: Run) -> None:
    """One that was made before sees it, one made after does not; nothing is kept."""

    async def main() -> bool:
        notify = Notify()
        before = notify.notified()
        notify.notify_waiters()
        after = asyncio.ensure_future(notify.notified())
        await before
        await turns()
        waits = not after.done()
        notify.notify_one()
        await after
        return waits

    assert run(main)


def test_all_does_not_eat_what_is_meant_for_one(run: Run) -> None:
    """The stored notification is there for the next."""

    async def main() -> str:
        notify = Notify()
        waiting = notify.notified()
        notify.notify_one()
        notify.notify_waiters()
        await waiting
        return repr(notify)

    assert run(main) == "<Notify 0 waiting, one stored>"


def test_enabled_counts_as_waiting(run: Run) -> None:
    """It keeps its place until it is awaited, and gives it up when it is dropped."""

    async def main() -> list[bool]:
        notify = Notify()
        first = notify.notified()
        seen = [first.enable(), first.enable()]
        second = asyncio.ensure_future(notify.notified())
        await turns()
        notify.notify_one()
        seen.append(first.enable())
        await first
        assert not second.done()
        dropped = notify.notified()
        dropped.enable()
        notify.notify_one()
        del dropped
        await second
        return seen

    assert run(main) == [False, False, True]


def test_one_operation_serves_one_task(run: Run) -> None:
    """The second is refused; awaited again it waits for the next."""

    async def main() -> bool:
        notify = Notify()
        waiting = notify.notified()
        task = asyncio.ensure_future(waiting)
        await turns()
        with pytest.raises(BusyError):
            await waiting
        notify.notify_one()
        await task
        again = asyncio.ensure_future(waiting)
        await turns()
        waits = not again.done()
        notify.notify_waiters()
        await again
        return waits

    assert run(main)


@pytest.mark.parametrize("which", ["notify_one", "notify_last"])
def test_a_cancelled_waiter_passes_the_notification_on(run: Run, which: str) -> None:
    """Wherever it strikes; `notify_last` serves the second first."""

    def world() -> TwoWaiters:
        notify = Notify()
        grant = getattr(notify, which)
        world = TwoWaiters(notify.notified, grant, lambda _got: grant())
        if which == "notify_last":
            world.follow = lambda: None  # type: ignore[method-assign]  # alone
        return world

    assert run(cancel_everywhere, world) == 8
