"""One client's connection, from its first byte to its line in the log."""

import errno
import time
from dataclasses import dataclass
from typing import Final, final

from sumida import Elapsed, io, sleep, timeout
from sumida.apps.proxy import preamble
from sumida.apps.proxy.balancer import Upstream
from sumida.apps.proxy.config import Address, ListenerConfig
from sumida.apps.proxy.dispatch import Dispatcher
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.metrics import Metrics
from sumida.errors import Disconnected
from sumida.io import CopyCounts
from sumida.net import TcpStream

__all__ = ("RETRY_PAUSE", "Connection", "Desk")

RETRY_PAUSE: Final = 0.1
"""Seconds before upstreams that have all failed are tried once more."""

_SHORTAGES: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
"""What a connect fails with when it is this machine that has run out of something."""


@final
@dataclass(frozen=True, slots=True)
class Desk:
    """What all connections of a listener share.

    Attributes:
        dispatcher: Gives them their upstreams.
        metrics: Where they are counted.
        journal: Where they are told of.
    """

    dispatcher: Dispatcher
    metrics: Metrics
    journal: Journal


@final
class Connection:
    """Carry a client's bytes to an upstream and back.

    Args:
        number: Tells it from all others, in the log.
        client: Accepted; closed by whoever accepted it.
        config: Of the listener, as it was when the client came.
        desk: What it shares.
    """

    __slots__ = (
        "_client",
        "_client_address",
        "_config",
        "_connect_seconds",
        "_counts",
        "_desk",
        "_number",
        "_outcome",
        "_retries",
        "_upstream",
    )

    def __init__(
        self, number: int, client: TcpStream, config: ListenerConfig, desk: Desk
    ) -> None:
        self._number = number
        self._client = client
        # Now: it is gone with the socket.
        self._client_address = Address(*client.peer_address)
        self._config = config
        self._desk = desk
        self._counts = CopyCounts()
        self._upstream: Upstream | None = None
        self._retries = 0
        self._connect_seconds: float | None = None
        self._outcome = "cancelled"

    def __repr__(self) -> str:
        return f"<Connection {self._number} of {self._client!r}>"

    async def run(self) -> None:
        """Do all of it.

        Cancel safety:
            Safe: both sides are closed, and the line is told.
        """
        started = time.monotonic()
        try:
            async with timeout(self._config.max_lifetime or None):
                self._outcome = await self._serve()
        except Elapsed:
            self._outcome = "lifetime"
        except Exception:
            self._outcome = "failed"
            raise
        finally:
            self._tell(time.monotonic() - started)

    async def _serve(self) -> str:
        """Connect, carry, and say how it ended."""
        try:
            server = await self._connect()
        except Elapsed:
            return "full"
        if server is None:
            return "unreachable"
        upstream = self._upstream
        assert upstream is not None
        try:
            async with server:
                return await self._carry(server)
        finally:
            self._desk.dispatcher.release(upstream)

    async def _carry(self, server: TcpStream) -> str:
        client, config = self._client, self._config
        header = preamble.encode(
            config.send_proxy, _pair(self._client_address), client.local_address
        )
        try:
            if header:
                await server.write_all(header)
            await io.copy_bidirectional(
                client,
                server,
                idle_timeout=config.idle_timeout or None,
                counts=self._counts,
            )
        except Elapsed:
            return "idle"
        except Disconnected:
            return "reset"
        return "done"

    async def _connect(self) -> TcpStream | None:
        """Connect to one upstream after the other; None if the bound is reached."""
        tried: set[Address] = set()
        for attempt in range(1 + self._config.retries):
            if attempt:
                self._retries = attempt
                self._desk.metrics.retries[self._config.name] += 1
            server = await self._try_once(tried)
            if server is not None:
                return server
        return None

    async def _try_once(self, tried: set[Address]) -> TcpStream | None:
        dispatcher, config = self._desk.dispatcher, self._config
        upstream = await dispatcher.take(tried, config.connect_timeout)
        if upstream is None:
            # Each has failed once; one that is being restarted needs a moment.
            tried.clear()
            await sleep(RETRY_PAUSE)
            upstream = await dispatcher.take(tried, config.connect_timeout)
            assert upstream is not None
        started = time.monotonic()
        try:
            server = await TcpStream.connect(
                *_pair(upstream.address), connect_timeout=config.connect_timeout
            )
        except OSError as error:
            # Refused, late, or gone before it could be used.
            dispatcher.release(upstream)
            self._note_failure(upstream, error)
            tried.add(upstream.address)
            return None
        except BaseException:
            dispatcher.release(upstream)
            raise
        self._upstream = upstream
        self._connect_seconds = time.monotonic() - started
        self._desk.metrics.connected(config.name, self._connect_seconds)
        dispatcher.balancer.succeeded(upstream)
        return server

    def _note_failure(self, upstream: Upstream, error: OSError) -> None:
        desk, name = self._desk, self._config.name
        desk.metrics.failures[name, str(upstream.address)] += 1
        desk.journal.tell(
            "connect-failed",
            id=self._number,
            listener=name,
            upstream=str(upstream.address),
            error=str(error),
        )
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and cause.errno in _SHORTAGES:
            return  # which says nothing about the upstream
        desk.dispatcher.balancer.failed(upstream, time.monotonic())

    def _tell(self, seconds: float) -> None:
        name = self._config.name
        upstream = self._upstream
        address = "" if upstream is None else str(upstream.address)
        counts = self._counts
        metrics = self._desk.metrics
        metrics.connections[name, address, self._outcome] += 1
        if upstream is not None:
            metrics.sent[name, address] += counts.sent
            metrics.received[name, address] += counts.received
        self._desk.journal.tell(
            "connection",
            id=self._number,
            listener=name,
            client=str(self._client_address),
            upstream=address or None,
            sent=counts.sent,
            received=counts.received,
            seconds=seconds,
            connect_seconds=self._connect_seconds,
            retries=self._retries,
            outcome=self._outcome,
        )


def _pair(address: Address) -> tuple[str, int]:
    return address.host, address.port
