"""A listener at work, without the rest of the proxy."""

from sumida import JoinSet
from sumida.apps.proxy.front import Front
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.metrics import Gauges, Metrics
from sumida.net import TcpStream
from tests.apps.proxy.support import LOCAL, backends, listener, loaded
from tests.support import Run


def test_a_port_is_open_before_it_serves(run: Run) -> None:
    """A client that comes in between waits, and is served."""

    async def main() -> None:
        async with backends("a") as (a,):
            (config,) = loaded(listener(a, name="web")).config.listeners
            journal = Journal("off")
            front = await Front.bind(config, None, Metrics(), journal)
            stream = await TcpStream.connect(LOCAL, front.port)
            async with JoinSet[object]() as tasks, stream:
                front.start(tasks)
                assert await stream.read_exact(1) == b"a"
                assert front.connections == 1
                assert front.is_well
                assert front.address == f"{LOCAL}:{front.port}"
                assert "web" in repr(front)
                (gauges,) = front.gauges()
                assert gauges == Gauges("web", a.address, 1, is_healthy=True)
                report = await front.stop(0.0)
                assert report.cancelled == 1
            journal.close()

    run(main)


def test_one_that_never_served_is_closed(run: Run) -> None:
    """As when another port of the same reload cannot be had."""

    async def main() -> None:
        async with backends("a") as (a,):
            (config,) = loaded(listener(a)).config.listeners
            journal = Journal("off")
            front = await Front.bind(config, None, Metrics(), journal)
            front.close()
            front.close()
            assert (await front.stop()).finished == 0
            journal.close()

    run(main)
