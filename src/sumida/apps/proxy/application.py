"""The whole proxy: does what the configuration says, also when it changes."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import final

from sumida import CancellationToken, JoinSet, select, yield_now
from sumida.apps.proxy.config import Address, Config, ListenerConfig
from sumida.apps.proxy.front import Front
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded
from sumida.apps.proxy.metrics import Gauges, Metrics, render
from sumida.apps.proxy.scrape import Answer, Scrape
from sumida.channels import watch
from sumida.errors import ConnectError
from sumida.net import StopReport

__all__ = ("CannotListenError", "Proxy")


@final
class CannotListenError(Exception):
    """A port of the configuration cannot be had.

    Args:
        where: Which.
        reason: What the system said.

    Attributes:
        where: As above.
        reason: As above.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"cannot listen on {self.where}: {self.reason}; "
            "free the port, or take another"
        )


@final
class Proxy:
    """Serves the listeners of a configuration.

    Args:
        configs: The configuration, and each that replaces it.
        journal: Where it tells what happens; somebody else writes it.

    Attributes:
        config: What it serves.
        fronts: The listeners at work, by the address that was asked for.
        is_draining: Whether it is being stopped.
        metrics: What it counts.
    """

    __slots__ = (
        "_configs",
        "_journal",
        "_retired",
        "_scrape",
        "_tasks",
        "config",
        "fronts",
        "is_draining",
        "metrics",
    )

    def __init__(self, configs: watch.Receiver[Loaded], journal: Journal) -> None:
        self._configs = configs
        self._journal = journal
        self._scrape: Scrape | None = None
        self._retired: set[Front] = set()
        self.is_draining = False
        self._tasks: JoinSet[object] = JoinSet()
        self.metrics = Metrics()
        self.config: Config | None = None
        self.fronts: dict[Address, Front] = {}

    def __repr__(self) -> str:
        return f"<Proxy {list(self.fronts.values())!r}>"

    @property
    def metrics_port(self) -> int:
        """Where /metrics is answered; 0 if nowhere."""
        return 0 if self._scrape is None else self._scrape.port

    async def run(self, stop: CancellationToken) -> StopReport:
        """Serve until the stop, then drain.

        Args:
            stop: Ends it.

        Returns:
            How the connections ended that there were at the stop.

        Raises:
            CannotListenError: A port of the first configuration cannot be had.

        Cancel safety:
            Safe: every connection is cancelled and every port closed.
        """
        async with self._tasks:
            try:
                await self._apply(self._configs.borrow_and_update())
                async for name, _ in select.loop(
                    stop=stop, config=self._configs, biased=True
                ):
                    if name == "stop":
                        break
                    await self._reload(self._configs.borrow_and_update())
                return await self._drain()
            finally:
                self._tasks.abort_all()
                # All have stopped already, unless this is an error or a cancel.
                for front in self._all_fronts():
                    await front.stop(0.0)
                if self._scrape is not None:
                    await self._scrape.stop()

    async def _reload(self, loaded: Loaded) -> None:
        """Take another configuration, or keep the old one if that cannot be done."""
        before = set(self.fronts)
        try:
            await self._apply(loaded)
        except CannotListenError as error:
            self.metrics.reloads["refused"] += 1
            self._journal.tell("reload", result="refused", error=str(error))
            return
        self.metrics.reloads["applied"] += 1
        self._journal.tell(
            "reload",
            result="applied",
            listeners=len(self.fronts),
            opened=len(self.fronts.keys() - before),
            closed=len(before - self.fronts.keys()),
            connections=self._connections,
        )

    async def _apply(self, loaded: Loaded) -> None:
        """Open what is new, change what stays, close what is gone, in this order.

        Until all ports are open nothing has changed, so that a refusal changes nothing.
        """
        config = loaded.config
        wanted = {each.listen: each for each in config.listeners}
        new = [each for each in config.listeners if each.listen not in self.fronts]
        opened: list[Front] = []
        scrape = self._scrape
        try:
            for each in new:
                opened.append(await self._bind(each, loaded))  # noqa: PERF401  # those before a failure are closed
            if self.config is None or config.metrics != self.config.metrics:
                scrape = await self._bind_scrape(config.metrics)
        except BaseException:
            for front in opened:
                front.close()
            raise
        for address in self.fronts.keys() - wanted.keys():
            self._retire(self.fronts.pop(address))
        for address, front in self.fronts.items():
            each = wanted[address]
            front.update(each, loaded.contexts[each.tls] if each.tls else None)
        for front in opened:
            self.fronts[front.config.listen] = front
            front.start(self._tasks)
        if scrape is not self._scrape:
            self._replace_scrape(scrape)
        self._journal.style = config.log
        self.config = config

    async def _bind(self, config: ListenerConfig, loaded: Loaded) -> Front:
        tls = loaded.contexts[config.tls] if config.tls else None
        try:
            return await Front.bind(config, tls, self.metrics, self._journal)
        except (OSError, ConnectError) as error:
            reason = error.strerror or str(error)
            raise CannotListenError(str(config.listen), reason) from error

    async def _bind_scrape(self, address: Address | None) -> Scrape | None:
        if address is None:
            return None
        try:
            return await Scrape.bind(address, self._page)
        except (OSError, ConnectError) as error:
            reason = error.strerror or str(error)
            raise CannotListenError(str(address), reason) from error

    def _retire(self, front: Front) -> None:
        """Close a port now; its connections go on."""
        self._journal.tell(
            "closed", listener=front.config.name, connections=front.connections
        )
        self._retired.add(front)
        self._tasks.spawn(self._see_off(front), name=f"end of {front.config.name}")

    async def _see_off(self, front: Front) -> None:
        await front.stop()
        self._retired.discard(front)

    def _replace_scrape(self, scrape: Scrape | None) -> None:
        if self._scrape is not None:
            self._tasks.spawn(self._scrape.stop(), name="end of the metrics port")
        self._scrape = scrape
        if scrape is not None:
            scrape.start()
            self._journal.tell("metrics", port=scrape.port)

    async def _drain(self) -> StopReport:
        """Close all ports, and let the connections end."""
        self.is_draining = True
        seconds = self.config.drain if self.config is not None else 0.0
        async with JoinSet[StopReport]() as stops:
            for front in self._all_fronts():
                stops.spawn(front.stop(seconds), name=f"drain {front.config.name}")
            # Who reads the line may believe that the ports are closed.
            await yield_now()
            self._journal.tell(
                "draining", connections=self._connections, seconds=seconds
            )
            reports = await stops.join_all()
        finished = sum(each.finished for each in reports)
        cancelled = sum(each.cancelled for each in reports)
        stuck = tuple(name for each in reports for name in each.stuck)
        self._journal.tell(
            "stopped", finished=finished, cancelled=cancelled, stuck=len(stuck)
        )
        return StopReport(finished, cancelled, stuck)

    def _all_fronts(self) -> list[Front]:
        return [*self.fronts.values(), *self._retired]

    @property
    def _connections(self) -> int:
        return sum(front.connections for front in self._all_fronts())

    def _page(self, path: str) -> Answer | None:
        """Answer a request for the state of the proxy."""
        if path == "/metrics":
            body, kind = render(self.metrics, self._gauges, self._journal.dropped)
            return HTTPStatus.OK, kind, body
        if path != "/healthz":
            return None
        status, text = HTTPStatus.OK, "ok"
        if self.is_draining:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "draining"
        elif not all(front.is_well for front in self.fronts.values()):
            ill = [
                each.config.name for each in self.fronts.values() if not each.is_well
            ]
            text = f"no upstream is up: {', '.join(ill)}"
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return status, "text/plain; charset=utf-8", text.encode() + b"\n"

    def _gauges(self) -> Iterator[Gauges]:
        for front in self._all_fronts():
            yield from front.gauges()
