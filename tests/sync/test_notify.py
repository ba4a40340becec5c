"""Notifications: one, the last, all; at most one is kept."""

import asyncio

import pytest

from sumida import select
from sumida.errors import BusyError, WrongLoopError
from sumida.sync import Notified, Notify
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
        seen: list[object] = [waiting.done(), waiting_too.done(), repr(notify)]
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
    """Before those who come later, also when it waits itself."""

    async def main() -> list[object]:
        notify = Notify()
        first = notify.notified()
        seen: list[object] = [first.enable(), first.enable(), repr(notify)]
        second = await started(notify.notified())
        notify.notify_one()
        seen.append(first.enable())
        await first
        seen += [second.done(), first.enable()]
        third = await started(notify.notified())
        notify.notify_one()
        await second
        waiting = await started(first)
        with pytest.raises(BusyError):
            first.enable()
        notify.notify_one()
        await waiting
        seen.append(third.done())
        notify.notify_one()
        await third
        return [*seen, repr(notify)]

    assert run(main) == [
        False,
        False,
        "<Notify 1 waiting>",
        True,
        False,
        False,
        False,
        "<Notify 0 waiting>",
    ]


def test_what_was_enabled_before_can_wait(run: Run) -> None:
    """It is the task's then, and cannot be enabled."""

    async def main() -> bool:
        notify = Notify()
        waiting = notify.notified()
        waiting.enable()
        notify.notify_one()
        await waiting
        task = await started(waiting)
        with pytest.raises(BusyError):
            waiting.enable()
        notify.notify_one()
        await turns()
        return task.done()

    assert run(main)


def test_enabled_takes_what_is_stored(run: Run) -> None:
    """And has it until it is awaited."""

    async def main() -> list[object]:
        notify = Notify()
        notify.notify_one()
        first = notify.notified()
        seen: list[object] = [first.enable(), repr(notify)]
        second = await started(notify.notified())
        await first
        seen.append(second.done())
        notify.notify_one()
        await second
        return seen

    assert run(main) == [True, "<Notify 0 waiting>", False]


def test_enabled_sees_that_all_were_woken(run: Run) -> None:
    """What it was given besides goes on; and it can be used again."""

    async def main() -> list[object]:
        notify = Notify()
        first, made = notify.notified(), notify.notified()
        first.enable()
        notify.notify_one()
        notify.notify_waiters()
        seen: list[object] = [first.enable(), made.enable()]
        await made
        await first
        seen += [repr(notify), first.enable(), first.enable(), repr(notify)]
        await first
        seen += [first.enable(), made.enable()]
        notify.notify_one()
        seen += [first.enable(), made.enable()]
        notify.notify_waiters()
        await made
        await first
        return [*seen, repr(notify)]

    one = "<Notify 0 waiting, one stored>"
    assert run(main) == [
        *[True, True],
        *[one, True, True, "<Notify 0 waiting>"],
        *[False, False],
        *[True, False],
        one,
    ]


@pytest.mark.parametrize("is_served", [False, True])
def test_enabled_is_dropped_with_its_place(run: Run, *, is_served: bool) -> None:
    """By any thread: the notification goes to the next."""

    async def main() -> str:
        notify = Notify()
        dropped = [notify.notified()]
        dropped[0].enable()
        second = await started(notify.notified())
        if is_served:
            notify.notify_one()
        await asyncio.to_thread(dropped.clear)
        await turns()
        if not is_served:
            notify.notify_one()
        await second
        return repr(notify)

    assert run(main) == "<Notify 0 waiting>"


def test_who_comes_again_is_the_last(run: Run) -> None:
    """Though it had a place, which it lost to a branch of a select."""

    async def main() -> list[str]:
        notify = Notify()
        order: list[str] = []

        async def wait(name: str, waiting: Notified) -> None:
            await waiting
            order.append(name)

        for take in (notify.notify_one, notify.notify_waiters):
            again = notify.notified()
            won = await select(again, turns(1), biased=True)
            assert won[0] == 1
            take()
            await again
            tasks = [
                await started(wait("other", notify.notified())),
                await started(wait("again", again)),
            ]
            notify.notify_one()
            await turns()
            notify.notify_one()
            await asyncio.wait(tasks)
        return order

    assert run(main) == ["other", "again"] * 2


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
