"""finalize: on the waiters' loop, in a turn of its own; else at once."""

import asyncio
from typing import NoReturn

import pytest

from sumida._core.finalize import Net, finalize
from sumida._core.waiters import Waiter, WaiterQueue
from tests.core.support import turns
from tests.support import Run


async def used_queue() -> WaiterQueue:
    """Make a queue in which somebody waited on this loop."""
    queue = WaiterQueue()
    waiter = Waiter()
    queue.join(waiter, asyncio.get_running_loop().create_future(), "test")
    queue.leave(waiter)
    return queue


def test_where_nobody_ever_waited_it_is_done_at_once() -> None:
    """There is no loop to do it on, and nobody to wake."""
    done: list[str] = []

    finalize(WaiterQueue(), lambda: done.append("done"), WaiterQueue())

    assert done == ["done"]


def test_it_is_done_in_a_turn_of_its_own(run: Run) -> None:
    """The collector may have interrupted the very method that it would call."""

    async def main() -> tuple[list[str], list[str]]:
        queue = await used_queue()
        done: list[str] = []
        finalize(queue, lambda: done.append("done"))
        before = done.copy()
        await turns(2)
        return before, done

    assert run(main) == ([], ["done"])


def test_the_loop_of_any_of_the_queues_will_do(run: Run) -> None:
    """What it may wake is in several queues, and one of them knows the loop."""

    async def main() -> tuple[list[str], list[str]]:
        queue = await used_queue()
        done: list[str] = []
        finalize(WaiterQueue(), lambda: done.append("done"), queue)
        before = done.copy()
        await turns(2)
        return before, done

    assert run(main) == ([], ["done"])


def test_from_another_thread_it_is_done_on_the_loop(run: Run) -> None:
    """A finaliser runs on any thread, its action only on the one of the loop."""

    async def main() -> bool:
        queue = await used_queue()
        loops: list[asyncio.AbstractEventLoop] = []
        await asyncio.to_thread(
            finalize, queue, lambda: loops.append(asyncio.get_running_loop())
        )
        await turns(2)
        return loops == [asyncio.get_running_loop()]

    assert run(main)


def test_for_a_closed_loop_it_is_done_at_once() -> None:
    """Nobody waits there any more."""
    queue = asyncio.run(used_queue())
    done: list[str] = []

    finalize(queue, lambda: done.append("done"))

    assert done == ["done"]


class ClosingLoop(asyncio.SelectorEventLoop):
    """A loop that its own thread closes just after it was seen to be open."""

    def call_soon_threadsafe(self, *_: object, **__: object) -> NoReturn:
        """Be closed already."""
        self.close()
        raise RuntimeError("Event loop is closed")


def test_a_loop_that_closes_meanwhile_does_not_lose_it() -> None:
    """The places it gives back are not lost for the next loop."""
    loop = ClosingLoop()
    queue = WaiterQueue()
    waiter = Waiter()
    queue.join(waiter, asyncio.Future(loop=loop), "test")
    queue.leave(waiter)
    done: list[str] = []

    finalize(queue, lambda: done.append("done"))

    assert done == ["done"]


def test_a_net_gives_back_what_was_collected_while_held() -> None:
    """And names it, so that it can be found."""
    done: list[str] = []
    net = Net("the guard", WaiterQueue(), lambda: done.append("given back"))
    assert repr(net) == "<Net set>"
    with pytest.warns(ResourceWarning, match="the guard was collected while held"):
        del net

    assert done == ["given back"]


def test_a_net_that_was_cleared_does_nothing() -> None:
    """What it held was released as it should be."""
    done: list[str] = []
    net = Net("the guard", WaiterQueue(), lambda: done.append("given back"))
    net.clear()
    assert repr(net) == "<Net empty>"
    del net

    assert done == []
