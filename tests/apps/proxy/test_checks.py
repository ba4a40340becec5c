"""Checks find out which upstreams are down, and which are up again."""

import asyncio

from sumida import JoinSet
from sumida.apps.proxy import preamble
from sumida.apps.proxy.balancer import Balancer
from sumida.apps.proxy.checks import Checks
from sumida.apps.proxy.config import ListenerConfig
from tests.apps.proxy.support import (
    ask,
    backends,
    listener,
    loaded,
    proxying,
    until,
)
from tests.support import Run

QUICK = {"interval": 0.01, "timeout": 1.0, "rise": 2, "fall": 2}


def parts(table: dict[str, object]) -> tuple[ListenerConfig, Balancer]:
    """Make what the checks of a listener need."""
    (config,) = loaded(table).config.listeners
    return config, Balancer(config.upstreams, config.balance, config.health)


def test_fall_and_rise_are_found_without_a_client(run: Run) -> None:
    """By checks in a row; the log tells, and clients go elsewhere meanwhile."""

    async def main() -> None:
        async with backends("ab") as (a, b):
            port = b.server.port
            table = listener(a, b, health=QUICK)
            async with proxying(loaded(table)) as running:
                (front,) = running.proxy.fronts.values()

                def states() -> list[bool]:
                    return [each.is_healthy for each in front.gauges()]

                assert states() == [True, True]
                await b.stop()
                await until(lambda: states() == [True, False])
                assert [await ask(running) for _ in range(4)] == [b"a"] * 4
                await b.start(port)
                await until(lambda: states() == [True, True])
                assert {await ask(running) for _ in range(4)} == {b"a", b"b"}
            (down,) = running.events("upstream-down")
            (up,) = running.events("upstream-up")

        assert down["upstream"] == up["upstream"] == b.address
        assert running.proxy.metrics.failures == {}

    run(main)


def test_a_check_counts_once_for_each_upstream(run: Run) -> None:
    """All are asked at the same time."""

    async def main() -> None:
        async with backends("ab") as (a, b):
            config, balancer = parts(listener(a, b, "127.0.0.1:1"))
            await Checks(balancer, lambda: config).check_all()
            assert [each.failures for each in balancer.upstreams] == [0, 0, 1]
            await until(lambda: a.connections == b.connections == 1)

    run(main)


def test_a_check_says_that_it_is_none_of_a_client(run: Run) -> None:
    """Where servers wait for the PROXY protocol."""

    async def main() -> None:
        async with backends("a") as (a,):
            config, balancer = parts(listener(a, send_proxy="v2"))
            await Checks(balancer, lambda: config).check_all()
            await until(lambda: a.heard)
            assert bytes(a.heard) == preamble.encode_local("v2")

    run(main)


def test_checks_begin_when_a_reload_says_so(run: Run) -> None:
    """A listener without them looks at its configuration all the same."""

    async def main() -> None:
        async with backends("a") as (a,):
            table = listener(a)
            async with proxying(loaded(table)) as running:
                await running.reload(loaded({**table, "health": QUICK}))
                await until(lambda: a.connections)

    run(main)


def test_cancelled_checks_leave_nothing(run: Run) -> None:
    """Whatever they are doing."""

    async def main() -> None:
        async with backends("a") as (a,):
            config, balancer = parts(listener(a, health=QUICK))
            for turns in range(20):
                async with JoinSet[None]() as tasks:
                    task = tasks.spawn(Checks(balancer, lambda: config).run())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
            await until(lambda: not a.server.connections)
            assert balancer.upstreams[0].failures == 0

    run(main)
