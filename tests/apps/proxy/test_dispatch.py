"""Places at upstreams, and the line of those who wait for one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from sumida import Elapsed, JoinSet
from sumida.apps.proxy.balancer import Upstream
from sumida.apps.proxy.config import Address, ListenerConfig, UpstreamConfig
from sumida.apps.proxy.dispatch import Dispatcher
from sumida.testing import Outcome, cancel_everywhere, run_paused, turns
from tests.support import Run


def config(*limits: int) -> ListenerConfig:
    """Make a listener with upstreams of these limits."""
    return ListenerConfig(
        name="x",
        listen=Address("", 1),
        upstreams=tuple(
            UpstreamConfig(address=Address("h", 1 + n), max_connections=limit)
            for n, limit in enumerate(limits)
        ),
    )


def quiet(*limits: int) -> Dispatcher:
    """Make a dispatcher that tells nobody."""
    return Dispatcher(config(*limits), lambda _upstream: None)


def test_one_place_serves_one_after_the_other(run: Run) -> None:
    """In the order in which they came."""

    async def main() -> list[int]:
        dispatcher = quiet(1)
        order: list[int] = []

        async def client(number: int) -> None:
            upstream = await dispatcher.take((), 60)
            assert upstream is not None
            order.append(number)
            await turns(2)
            assert upstream.active == 1
            dispatcher.release(upstream)

        async with JoinSet[None]() as tasks:
            for number in range(20):
                tasks.spawn(client(number))
                await turns(1)
        assert dispatcher.waiting == 0
        return order

    assert run(main) == list(range(20))


def test_a_place_that_comes_by_reload_or_health_wakes_all_it_can(run: Run) -> None:
    """One wakes the next while there is room."""

    async def main() -> list[int]:
        dispatcher = quiet(1)
        first = await dispatcher.take((), 60)
        assert first is not None
        counts: list[int] = []
        async with JoinSet[Upstream | None]() as tasks:
            for _ in range(9):
                tasks.spawn(dispatcher.take((), 60))
            await turns(5)
            counts.append(dispatcher.waiting)
            dispatcher.update(config(4))
            await turns(20)
            counts.append(dispatcher.waiting)
            dispatcher.update(config(4, 2))
            await turns(20)
            counts.append(dispatcher.waiting)
            dispatcher.update(config(0))
        return counts

    assert run(main) == [9, 6, 4]


def test_who_tried_all_is_told() -> None:
    """And who waits too long, too."""

    async def main() -> None:
        dispatcher = quiet(1)
        assert await dispatcher.take({Address("h", 1)}, 60) is None
        assert await dispatcher.take((), 60) is not None
        with pytest.raises(Elapsed):
            await dispatcher.take((), 60)
        assert dispatcher.waiting == 0

    run_paused(main)


class TakingWorld:
    """Two wait for the one place; the first is cancelled."""

    def __init__(self) -> None:
        self.dispatcher = quiet(1)
        held = self.dispatcher.balancer.pick(0.0)
        assert isinstance(held, Upstream)
        self.upstream = held
        self.second: asyncio.Task[Upstream | None] | None = None

    async def subject(self) -> Upstream | None:
        """Be the first in line."""
        asyncio.get_running_loop().call_soon(self.follow)
        return await self.dispatcher.take((), 60)

    def follow(self) -> None:
        """Let another come behind."""
        taking = self.dispatcher.take((), 60)
        self.second = asyncio.get_running_loop().create_task(taking)

    def free(self) -> None:
        """Give the place back that was taken first."""
        self.dispatcher.release(self.upstream)

    def wakes(self) -> Sequence[Callable[[], object]]:
        """One place."""
        return [self.free]

    async def check(self, outcome: Outcome) -> None:
        """The place is with one of them, and then with the other."""
        if self.second is None:
            self.follow()
        await turns()
        if not (outcome.is_woken or outcome.returned):
            self.free()
        if outcome.returned:
            assert self.upstream.active == 1
            self.free()
        await turns()
        assert self.second is not None
        assert self.second.done(), "the place is lost"
        assert self.upstream.active == 1
        assert self.dispatcher.waiting == 0


def test_a_cancelled_take_loses_no_place(run: Run) -> None:
    """Wherever it strikes, the next in line has it."""
    assert run(cancel_everywhere, TakingWorld) > 0
