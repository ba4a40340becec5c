"""Servers, and a proxy before them, on real sockets."""

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import final

from sumida import CancellationToken, JoinSet, sleep, timeout
from sumida.apps.proxy.application import Proxy
from sumida.apps.proxy.config import Config, parse
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded, prepare
from sumida.channels import watch
from sumida.errors import Disconnected
from sumida.net import Server, StopReport, TcpStream, serve

__all__ = (
    "LOCAL",
    "Backend",
    "Running",
    "ask",
    "backends",
    "dead_address",
    "listener",
    "loaded",
    "proxying",
    "until",
)

LOCAL = "127.0.0.1"
PATIENCE = 20.0


@final
class Backend:
    """A server that greets each connection by its name, and echoes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.heard = bytearray()
        self._server: Server[TcpStream] | None = None
        self.address = ""

    @property
    def server(self) -> Server[TcpStream]:
        """What serves."""
        assert self._server is not None
        return self._server

    async def start(self, port: int = 0) -> None:
        """Serve from now on."""
        self._server = await serve(self._echo, LOCAL, port, drain=0.0)
        self.address = f"{LOCAL}:{self._server.port}"

    async def stop(self) -> None:
        """Cut all connections."""
        await self.server.stop(0.0)

    async def _echo(self, stream: TcpStream) -> None:
        self.connections += 1
        await stream.write_all(self.name.encode())
        while data := await stream.read():
            self.heard += data
            await stream.write_all(data)


@asynccontextmanager
async def backends(names: str) -> AsyncIterator[list[Backend]]:
    """Run one for each letter."""
    made = [Backend(name) for name in names]
    try:
        for backend in made:
            await backend.start()
        yield made
    finally:
        for backend in made:
            await backend.stop()


async def dead_address() -> str:
    """Give an address where nobody listens."""
    backend = Backend("x")
    await backend.start()
    address = backend.address
    await backend.stop()
    return address


def listener(*upstreams: object, **keys: object) -> dict[str, object]:
    """Make a listener's table: on any port, quiet, with `keys` as they are."""
    addresses = [
        each.address if isinstance(each, Backend) else each for each in upstreams
    ]
    quiet = {"interval": 0, "fall": 1, "retry_after": 1000}
    table = {"listen": f"{LOCAL}:0", "upstreams": addresses, "health": quiet}
    return {**table, **keys}


def loaded(*listeners: dict[str, object], **proxy: object) -> Loaded:
    """Make a configuration."""
    data = {"proxy": {"log": "json", **proxy}, "listener": list(listeners)}
    return prepare(parse(data, Path()))


@final
class Running:
    """A proxy at work."""

    def __init__(
        self, proxy: Proxy, configs: watch.Sender[Loaded], target: io.StringIO
    ) -> None:
        self.proxy = proxy
        self.configs = configs
        self.stop = CancellationToken()
        self.report: StopReport | None = None
        self._target = target

    @property
    def port(self) -> int:
        """Of the first listener."""
        return self.ports[0]

    @property
    def ports(self) -> list[int]:
        """Of all listeners."""
        return [front.port for front in self.proxy.fronts.values()]

    @property
    def config(self) -> Config:
        """What it serves now."""
        assert self.proxy.config is not None
        return self.proxy.config

    async def connect(self, index: int = 0) -> TcpStream:
        """Connect to a listener."""
        return await TcpStream.connect(LOCAL, self.ports[index])

    async def reload(self, new: Loaded) -> None:
        """Send another configuration, and wait until it was looked at."""
        metrics = self.proxy.metrics
        before = sum(metrics.reloads.values())
        self.configs.send(new)
        await until(lambda: sum(metrics.reloads.values()) > before)

    def outcomes(self) -> list[str]:
        """How each connection ended, in order."""
        return [str(each["outcome"]) for each in self.events("connection")]

    def events(self, name: str) -> list[dict[str, object]]:
        """Lines of the log, after the end."""
        lines = [json.loads(line) for line in self._target.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


@asynccontextmanager
async def proxying(first: Loaded) -> AsyncIterator[Running]:
    """Run a proxy; leaving stops it, and its log is whole."""
    target = io.StringIO()
    journal = Journal("json", target)
    configs, seen = watch.channel(first)
    with configs, seen:
        running = Running(Proxy(seen, journal), configs, target)

        async def serving() -> None:
            running.report = await running.proxy.run(running.stop)

        async with timeout(PATIENCE), JoinSet[None]() as tasks:
            tasks.spawn(journal.write(), name="journal")
            task = tasks.spawn(serving(), name="proxy")
            try:
                await until(lambda: bool(running.proxy.config) or task.done())
                yield running
                running.stop.cancel()
                await task
            finally:
                journal.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that only other tasks and sockets bring about."""
    while not condition():  # the outer timeout ends it
        await sleep(0.001)


async def ask(running: Running, data: bytes = b"", index: int = 0) -> bytes:
    """Make a connection, send, end, and give what came: nothing if it was refused."""
    async with await running.connect(index) as stream:
        with suppress(Disconnected):
            if data:
                await stream.write_all(data)
            await stream.shutdown()
            return await stream.read_to_end()
    return b""
