"""The waiting room: order, tickets, grants, loops."""

import asyncio
import contextvars
from collections.abc import Generator
from types import coroutine

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida._core.waiters import Waiter, WaiterQueue
from sumida.errors import BusyError, WrongLoopError
from tests.core.support import of, started, turns
from tests.support import Run


def future() -> asyncio.Future[object]:
    """Make a future of the running loop."""
    return asyncio.get_running_loop().create_future()


def joined(queue: WaiterQueue, needed: int = 1) -> Waiter:
    """Make a waiter that waits."""
    waiter = Waiter(needed)
    queue.join(waiter, future(), "test")
    return waiter


def is_awake(waiter: Waiter) -> bool:
    """Whether it was woken."""
    assert waiter.future is not None
    return waiter.future.done()


def test_waiters_are_served_first_come_first_served(run: Run) -> None:
    """The first who joined is the first who is served."""

    async def main() -> list[list[bool]]:
        queue = WaiterQueue()
        waiters = [joined(queue) for _ in range(3)]
        states = []
        while queue.serve_first():
            states.append([is_awake(waiter) for waiter in waiters])
        return states

    assert run(main) == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_served_waiters_have_their_grant_and_are_in_no_queue(run: Run) -> None:
    """The value does not travel in the future: the waiter is what it was woken with."""

    async def main() -> tuple[int, int, bool, object]:
        queue = WaiterQueue()
        waiter = joined(queue, 3)
        assert queue.first() is waiter
        queue.serve(waiter)
        assert waiter.future is not None
        result = waiter.future.result()
        return len(queue), waiter.granted, waiter.linked, result is waiter

    assert run(main) == (0, 3, False, True)


def test_leaving_gives_what_was_granted_and_forgets_it(run: Run) -> None:
    """Who leaves has to use the grant or give it back; the ticket stays."""

    async def main() -> tuple[int, int, int, bool]:
        queue = WaiterQueue()
        waiter = joined(queue)
        ticket = waiter.ticket
        queue.serve_first()
        first, second = queue.leave(waiter), queue.leave(waiter)
        return first, second, waiter.granted, waiter.ticket == ticket

    assert run(main) == (1, 0, 0, True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["join", "leave", "again", "serve"]), st.integers(0, 9)
        ),
        max_size=40,
    )
)
def test_the_line_is_always_in_the_order_of_tickets(
    steps: list[tuple[str, int]],
) -> None:
    """Whoever joins, leaves and comes back, the line is what a sorted list says."""

    async def main() -> None:
        queue = WaiterQueue()
        waiting: list[Waiter] = []
        away: list[Waiter] = []
        for step, which in steps:
            if step == "join":
                waiting.append(joined(queue))
            elif step == "leave" and waiting:
                waiter = waiting.pop(which % len(waiting))
                assert queue.leave(waiter) == 0
                away.append(waiter)
            elif step == "again" and away:
                waiter = away.pop(which % len(away))
                queue.join(waiter, future(), "test")
                waiting.append(waiter)
            elif step == "serve":
                waiting.sort(key=lambda waiter: waiter.ticket)
                assert queue.serve_first() == bool(waiting)
                if waiting:
                    assert is_awake(waiting.pop(0))
            waiting.sort(key=lambda waiter: waiter.ticket)
            line = []
            waiter_in_line = queue.head
            while waiter_in_line is not None:
                line.append(waiter_in_line)
                waiter_in_line = waiter_in_line.after
            assert line == waiting
            assert len(queue) == len(waiting)
            assert queue.last() is (waiting[-1] if waiting else None)
            assert queue.first() is (waiting[0] if waiting else None)

    asyncio.run(main())


def test_who_left_for_good_is_the_last_next_time(run: Run) -> None:
    """A ticket of 0 means a new one."""

    async def main() -> bool:
        queue = WaiterQueue()
        first, second = joined(queue), joined(queue)
        queue.leave(first)
        first.ticket = 0
        queue.join(first, future(), "test")
        return queue.first() is second and queue.last() is first

    assert run(main)


def test_where_all_are_woken_at_once_no_place_is_kept(run: Run) -> None:
    """To come back costs no walk past those who waited longer: it is last."""

    async def main() -> list[Waiter | None]:
        queue = WaiterQueue(in_order=False)
        first, second, third = (joined(queue) for _ in range(3))
        queue.leave(first)
        queue.join(first, future(), "test")
        line = [queue.head]
        while (waiter := line[-1]) is not None:
            line.append(waiter.after)
        assert line == [second, third, first, None]
        assert queue.wake_all() == 3
        return [waiter for waiter in (first, second, third) if not is_awake(waiter)]

    assert run(main) == []


def test_those_who_no_longer_wait_are_passed_over(run: Run) -> None:
    """A cancelled future is forgotten by all that look for somebody to wake."""

    async def main() -> list[object]:
        queue = WaiterQueue()
        waiters = [joined(queue) for _ in range(4)]
        for dead in (waiters[0], waiters[3]):
            assert dead.future is not None
            dead.future.cancel()
        told: list[object] = [queue.first() is waiters[1], queue.last() is waiters[2]]
        told += [queue.serve_first(), queue.wake_all(), queue.serve_first()]
        told += [queue.wake_all(), queue.first(), queue.last(), len(queue)]
        return told

    assert run(main) == [True, True, True, 1, False, 0, None, None, 0]


def test_wake_all_grants_nothing(run: Run) -> None:
    """Each looks for itself."""

    async def main() -> tuple[int, list[int], list[bool]]:
        queue = WaiterQueue()
        waiters = [joined(queue, n) for n in (1, 2, 3)]
        count = queue.wake_all()
        return (
            count,
            [waiter.granted for waiter in waiters],
            [is_awake(waiter) for waiter in waiters],
        )

    assert run(main) == (3, [0, 0, 0], [True] * 3)


def test_permits_go_to_the_first_until_it_has_enough(run: Run) -> None:
    """A big request is not starved by the small ones behind it."""

    async def main() -> list[tuple[int, list[int], int]]:
        queue = WaiterQueue()
        waiters = [joined(queue, needed) for needed in (3, 1, 2)]
        states = []
        for permits in (2, 1, 2, 9):
            left = queue.assign(permits)
            states.append((left, [waiter.granted for waiter in waiters], len(queue)))
        return states

    assert run(main) == [
        (0, [2, 0, 0], 3),
        (0, [3, 0, 0], 2),
        (0, [3, 1, 1], 1),
        (8, [3, 1, 2], 0),
    ]


def test_permits_of_one_that_no_longer_waits_go_on(run: Run) -> None:
    """What a cancelled waiter was assigned so far is handed to those behind it."""

    async def main() -> tuple[int, int, int, bool]:
        queue = WaiterQueue()
        big, small = joined(queue, 3), joined(queue, 1)
        queue.assign(2)
        assert big.future is not None
        big.future.cancel()
        left = queue.assign(1)
        return left, big.granted, queue.leave(big), is_awake(small)

    assert run(main) == (2, 0, 0, True)


def test_waiting_twice_with_one_waiter_is_refused(run: Run) -> None:
    """The message names what is waited for."""

    async def main() -> None:
        queue = WaiterQueue()
        waiter = joined(queue)
        with pytest.raises(BusyError, match="'the lock'"):
            queue.join(waiter, future(), "the lock")
        queue.serve_first()
        with pytest.raises(BusyError):
            queue.join(waiter, future(), "the lock")

    run(main)


def test_waking_from_elsewhere_is_refused_and_changes_nothing(run: Run) -> None:
    """Each method that wakes checks the thread first."""

    async def main() -> tuple[int, int, bool]:
        queue = WaiterQueue()
        waiter = joined(queue, 2)

        def abroad() -> None:
            for wake in (queue.check_loop, queue.serve_first, queue.wake_all):
                with pytest.raises(WrongLoopError):
                    wake()
            with pytest.raises(WrongLoopError):
                queue.assign(1)

            async def on_another_loop() -> None:
                with pytest.raises(WrongLoopError):
                    queue.wake_all()
                with pytest.raises(WrongLoopError, match="two event loops"):
                    joined(queue)

            asyncio.run(on_another_loop())

        await asyncio.to_thread(abroad)
        return len(queue), waiter.granted, is_awake(waiter)

    assert run(main) == (1, 0, False)


def test_a_queue_in_which_nobody_waits_may_be_used_from_anywhere(run: Run) -> None:
    """Nothing is woken, so nothing can hang; and the next loop may use it."""
    queue = WaiterQueue()

    async def main() -> None:
        waiter = joined(queue)
        assert queue.loop is asyncio.get_running_loop()
        queue.leave(waiter)

    run(main)
    queue.check_loop()

    assert queue.serve_first() is False
    assert queue.wake_all() == 0
    assert queue.assign(3) == 3
    run(main)


@pytest.mark.parametrize("how", ["serve_first", "wake_all", "assign", "join", "check"])
def test_waiters_of_a_closed_loop_are_forgotten(how: str) -> None:
    """Their tasks never run again: they neither hold up nor break the next loop."""
    queue = WaiterQueue()
    loop = asyncio.new_event_loop()
    for _ in range(2):
        queue.join(Waiter(), loop.create_future(), "test")
    loop.close()

    async def main() -> int:
        if how == "serve_first":
            assert queue.serve_first() is False
        elif how == "wake_all":
            assert queue.wake_all() == 0
        elif how == "assign":
            assert queue.assign(3) == 3
        elif how == "check":
            queue.check_loop()
        else:
            waiter = joined(queue)
            assert queue.serve_first()
            assert is_awake(waiter)
        return len(queue)

    assert asyncio.run(main()) == 0


def test_repr_tells_the_state(run: Run) -> None:
    """Of a queue how many wait; of a waiter its turn and what it has."""

    async def main() -> list[str]:
        queue = WaiterQueue()
        told = [repr(queue), repr(Waiter(2))]
        waiter = joined(queue, 2)
        queue.assign(1)
        told += [repr(queue), repr(waiter)]
        queue.assign(1)
        return [*told, repr(waiter)]

    assert run(main) == [
        "<WaiterQueue 0 waiting>",
        "<Waiter #0 0/2 apart>",
        "<WaiterQueue 1 waiting>",
        "<Waiter #1 1/2 linked>",
        "<Waiter #1 2/2 apart>",
    ]


@coroutine
def asleep(queue: WaiterQueue) -> Generator[object, None, Waiter]:
    """Sleep on a waiter of its own until it is served."""
    waiter = Waiter()
    waiter.sleep_on(asyncio.get_running_loop())
    queue.join(waiter, waiter, "test")
    try:
        yield waiter
    except BaseException:
        queue.leave(waiter)
        raise
    return waiter


@pytest.mark.parametrize("in_batches", [False, True])
def test_who_sleeps_on_a_waiter_goes_on_when_served(run: Run, in_batches: bool) -> None:
    """In their order, in the next turn, each as its own task in its own context."""
    who = contextvars.ContextVar("who", default=-1)

    async def main() -> list[int]:
        queue = WaiterQueue(in_batches=in_batches)
        order: list[int] = []

        async def sleep(n: int) -> None:
            task = asyncio.current_task()
            who.set(n)
            waiter = await asleep(queue)
            assert asyncio.current_task() is task
            assert who.get() == n
            assert waiter.granted == 1
            order.append(n)
            # Who is served now goes on one turn later.
            assert queue.assign(1) == (n > 1)

        tasks = [await started(sleep(n)) for n in range(4)]
        assert queue.assign(2) == 0
        assert order == []
        await turns(1)
        assert order == [0, 1]
        await turns(1)
        assert order == [0, 1, 2, 3]
        await asyncio.wait(tasks)
        return order

    assert run(main) == [0, 1, 2, 3]


def test_who_is_cancelled_asleep_on_a_waiter_leaves(run: Run) -> None:
    """With the message; and one who was served keeps its grant until it has left."""

    async def main() -> tuple[int, tuple[object, ...]]:
        queue = WaiterQueue(in_batches=True)
        first, second, third = [await started(asleep(queue)) for _ in range(3)]
        first.cancel("enough")
        assert queue.assign(1) == 0
        assert second.cancel()
        await turns(2)
        assert second.cancelled()
        assert not third.done()
        assert queue.assign(1) == 0
        await third
        with pytest.raises(asyncio.CancelledError) as caught:
            await first
        return len(queue), caught.value.args

    assert run(main) == (0, ("enough",))


def test_one_that_ends_the_loop_takes_nobody_along() -> None:
    """Those who were served with it go on when the loop does."""
    loop = asyncio.new_event_loop()
    queue = WaiterQueue(in_batches=True)

    async def interrupted() -> None:
        await asleep(queue)
        raise KeyboardInterrupt

    async def start() -> list[asyncio.Task[object]]:
        return [await started(coro) for coro in (interrupted(), of(asleep(queue)))]

    first, second = loop.run_until_complete(start())
    queue.assign_here(2)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert not second.done()
    loop.run_until_complete(second)
    loop.close()

    assert isinstance(first.exception(), KeyboardInterrupt)


def test_who_was_served_goes_on_where_it_slept() -> None:
    """Also if the queue has gone to another loop meanwhile."""
    queue = WaiterQueue(in_batches=True)
    loops = [asyncio.new_event_loop() for _ in range(2)]

    tasks = []
    for loop in loops:
        tasks.append(loop.run_until_complete(started(asleep(queue))))
        queue.assign_here(1)
    for loop, task in zip(loops, tasks, strict=True):
        assert not task.done()
        loop.run_until_complete(task)
        loop.close()

    assert len(queue) == 0
