"""One listener at work: its port, its upstreams, its connections."""

import math
import ssl
from asyncio import Task
from collections.abc import Iterator
from itertools import count
from typing import Final, Self, final

from sumida import JoinSet
from sumida.apps.proxy.balancer import Upstream
from sumida.apps.proxy.checks import Checks
from sumida.apps.proxy.config import ListenerConfig
from sumida.apps.proxy.connection import Connection, Desk
from sumida.apps.proxy.dispatch import Dispatcher
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.metrics import Gauges, Metrics
from sumida.net import Server, StopReport, TcpListener, TcpStream

__all__ = ("Front",)

_numbers: Final = count(1)


@final
class Front:
    """A listener and all behind it; made by `bind`, which opens the port.

    Args:
        config: As it is now.
        listener: Open.
        metrics: Where connections are counted.
        journal: Where connections are told of.

    Attributes:
        config: As above; connections keep the one that they came under.
    """

    __slots__ = ("_checking", "_checks", "_desk", "_listener", "_server", "config")

    def __init__(
        self,
        config: ListenerConfig,
        listener: TcpListener,
        metrics: Metrics,
        journal: Journal,
    ) -> None:
        self.config = config
        self._listener = listener
        dispatcher = Dispatcher(config, self._on_change)
        self._desk = Desk(dispatcher, metrics, journal)
        self._server: Server[TcpStream] = Server(
            self._serve, [listener], max_connections=config.max_connections
        )
        self._checks = Checks(dispatcher.balancer, lambda: self.config)
        self._checking: Task[object] | None = None

    def __repr__(self) -> str:
        return f"<Front {self.config.name} {self._server!r}>"

    @classmethod
    async def bind(
        cls,
        config: ListenerConfig,
        tls: ssl.SSLContext | None,
        metrics: Metrics,
        journal: Journal,
    ) -> Self:
        """Open the port; connections wait in the kernel until `start`.

        Args:
            config: Of the listener.
            tls: The certificate that clients see.
            metrics: As in the class.
            journal: As in the class.

        Returns:
            The front.

        Raises:
            OSError: The port cannot be had.

        Cancel safety:
            Safe: a cancelled call has opened nothing.
        """
        listen = config.listen
        listener = await TcpListener.bind(listen.host or None, listen.port, tls=tls)
        return cls(config, listener, metrics, journal)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        return self._server.addresses[0]

    @property
    def connections(self) -> int:
        """How many clients are served."""
        return self._server.connections

    @property
    def waiting(self) -> int:
        """How many of them wait for a place at an upstream."""
        return self._desk.dispatcher.waiting

    @property
    def is_well(self) -> bool:
        """Whether a client would be served."""
        return self._desk.dispatcher.balancer.has_healthy

    def start(self, tasks: JoinSet[object]) -> None:
        """Begin to serve, and to check the upstreams.

        Args:
            tasks: What is to own the checks; they end with `stop`.
        """
        self._server.start()
        name = f"checks of {self.config.name}"
        self._checking = tasks.spawn(self._checks.run(), name=name)
        self._desk.journal.tell(
            "listening",
            listener=self.config.name,
            address=self.address,
            upstreams=len(self.config.upstreams),
            tls=self.config.tls is not None,
        )

    def update(self, config: ListenerConfig, tls: ssl.SSLContext | None) -> None:
        """Serve what comes from now on as another configuration says.

        Args:
            config: Of the same address.
            tls: As in `bind`.
        """
        self.config = config
        self._listener.tls = tls
        self._server.max_connections = config.max_connections
        self._desk.dispatcher.update(config)
        self._checks.update()

    async def stop(self, drain: float = math.inf) -> StopReport:
        """Close the port, and wait for the connections that there are.

        Args:
            drain: How long they may go on, in seconds.

        Returns:
            How they ended.

        Cancel safety:
            Safe: a cancelled call has cancelled the connections.
        """
        if self._checking is not None:
            self._checking.cancel()
        return await self._server.stop(drain)

    def close(self) -> None:
        """Close a port that was bound and never started."""
        self._listener.close()

    def gauges(self) -> Iterator[Gauges]:
        """Tell the state of each upstream.

        Yields:
            One for each.
        """
        for each in self._desk.dispatcher.balancer.upstreams:
            yield Gauges(
                self.config.name, str(each.address), each.active, each.is_healthy
            )

    async def _serve(self, client: TcpStream) -> None:
        await Connection(next(_numbers), client, self.config, self._desk).run()

    def _on_change(self, upstream: Upstream) -> None:
        self._desk.journal.tell(
            "upstream-up" if upstream.is_healthy else "upstream-down",
            listener=self.config.name,
            upstream=str(upstream.address),
            failures=upstream.failures,
        )
