"""`sumida demo`: the proxy at work, things broken under it, and what was measured.

Three servers, the proxy before them, and clients that ask all the time. One server is
killed and replaced, the configuration is reloaded, also with a mistake in it, and then
all of it drains. A request that was sent and never answered is lost, and the demo
fails. One whose server was killed under it is asked again by its client, as it may be
because it changes nothing; how many those were is told.
"""

import argparse
import io
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final, final

import sumida
from sumida import CancellationToken, JoinSet, select, sleep, spawn_blocking, timeout
from sumida.apps._arguments import at_least_one, some_seconds
from sumida.apps._telling import exit_code_of, tell
from sumida.apps.proxy.application import Proxy
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded, load
from sumida.apps.proxy.reload import Reloader
from sumida.channels import watch
from sumida.errors import ConnectError, Disconnected
from sumida.net import Server, TcpStream, serve
from sumida.sync import Notify

__all__ = ("Report", "add_arguments", "main", "start")

_LOCAL: Final = "127.0.0.1"

_WORK: Final = 0.001
"""Seconds that a server has to do with each request."""

_BATCH: Final = 25
"""Requests that a client sends over one connection."""

_PATIENCE: Final = 5.0
"""Seconds after which a request counts as lost, and a step as failed."""

_TOLD: Final = ("upstream-down", "upstream-up", "reload", "draining", "stopped")
"""Events of the proxy's log that are shown."""


@dataclass(slots=True)
class Report:
    """What the clients saw.

    Attributes:
        sent: Requests that were sent, each counted once.
        answered: Requests whose right answer came.
        again: Requests that were sent a second time, over another connection.
        delays: From the first sending to the answer, in seconds.
        broken: Connections that broke while they were in use, by what was going on.
        phase: What is going on.
        held: Connections that were opened before a reload and are held through it.
        dropped: Those of them that did not answer after it.
    """

    sent: int = 0
    answered: int = 0
    again: int = 0
    delays: list[float] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    phase: str = "load"
    held: int = 0
    dropped: int = 0

    @property
    def lost(self) -> int:
        """Requests that were sent and never answered."""
        return self.sent - self.answered

    @property
    def is_good(self) -> bool:
        """Whether all went as it must: only the kill may break connections."""
        elsewhere = sum(self.broken.values()) - self.broken["kill"]
        return bool(self.answered) and not (self.lost or self.dropped or elsewhere)

    def delay_ms(self) -> tuple[float, float]:
        """Compute the median and the 99th percentile of the delays.

        Returns:
            Both, in milliseconds.
        """
        cuts = quantiles(self.delays, n=100) if len(self.delays) > 1 else [0.0] * 99
        return cuts[49] * 1e3, cuts[98] * 1e3


@final
class _Shown(io.StringIO):
    """Where the proxy's log goes: what matters here is shown."""

    def write(self, text: str) -> int:
        for line in text.splitlines():
            _, event, *rest = line.split(" ", 2)
            if event.removeprefix("event=") in _TOLD:
                words = " ".join([event.removeprefix("event="), *rest])
                tell(f"    proxy: {words}")
        return len(text)


@final
class _Backend:
    """A server that answers a line with its name and the line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.served = 0
        self._server: Server[TcpStream] | None = None

    async def start(self) -> None:
        self._server = await serve(self._answer, _LOCAL, 0)

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"{_LOCAL}:{self._server.port}"

    async def _answer(self, stream: TcpStream) -> None:
        is_counted = False
        while line := await stream.read_line():
            if not is_counted:
                # A health check connects, too, and asks nothing.
                is_counted = True
                self.served += 1
            await sleep(_WORK)
            await stream.write_all(self.name.encode() + b" " + line)

    async def stop(self) -> None:
        """Cut every connection, in the middle of whatever it does."""
        if self._server is not None:
            await self._server.stop(0.0)


@final
class _Client:
    """Asks, waits for the answer, asks the next; a new connection now and then."""

    def __init__(self, me: int, port: int, report: Report) -> None:
        self._me = me
        self._port = port
        self._report = report
        self._number = 0
        # Sent, and not answered: its connection broke.
        self._pending: bytes | None = None
        self._since = 0.0

    async def run(self) -> None:
        """Go on until the proxy takes no more connections."""
        report = self._report
        while True:
            try:
                stream = await TcpStream.connect(_LOCAL, self._port)
            except ConnectError:
                return
            try:
                async with stream, timeout(_PATIENCE):
                    for _ in range(_BATCH):
                        await self._ask(stream)
            except (Disconnected, EOFError):
                report.broken[report.phase] += 1
            except sumida.Elapsed:
                return  # what was asked last is lost

    async def _ask(self, stream: TcpStream) -> None:
        report = self._report
        if self._pending is None:
            self._number += 1
            self._pending = f"{self._me} {self._number}\n".encode()
            self._since = time.perf_counter()
            report.sent += 1
        else:
            report.again += 1
        await stream.write_all(self._pending)
        answer = await stream.read_line()
        if not answer.endswith(b" " + self._pending):
            raise EOFError(f"{answer!r} does not answer {self._pending!r}")
        self._pending = None
        report.answered += 1
        report.delays.append(time.perf_counter() - self._since)


def _toml(listen: str, backends: Iterable[_Backend], balance: str) -> str:
    upstreams = ", ".join(f'"{each.address}"' for each in backends)
    return (
        "[proxy]\ndrain = 5\n\n"
        f'[[listener]]\nname = "demo"\nlisten = "{listen}"\nbalance = "{balance}"\n'
        f"upstreams = [{upstreams}]\nconnect_timeout = 2\n"
        "health = { interval = 0.2, timeout = 0.2, rise = 1, fall = 2 }\n"
    )


@final
class _Demo:
    """The steps, one after the other."""

    def __init__(self, clients: int, seconds: float, folder: Path) -> None:
        self.report = Report()
        self.backends = [_Backend(name) for name in "abc"]
        self._clients = clients
        self._pause = seconds / 5
        self._path = folder / "proxy.toml"
        self._stop = CancellationToken()
        self._journal = Journal("text", _Shown())
        self._reloaded = Notify()
        self.proxy: Proxy | None = None

    async def run(self) -> None:
        """Do all of it, or less when it is stopped."""
        async with AsyncExitStack() as stack:
            for backend in self.backends:
                await backend.start()
                stack.push_async_callback(backend.stop)
            names = ", ".join(f"{each.name} {each.address}" for each in self.backends)
            tell(f"three servers: {names}")
            await self._write(f"{_LOCAL}:0", "round-robin")
            loaded = await spawn_blocking(load, self._path)
            async with JoinSet[object]() as tasks:
                writing = tasks.spawn(self._journal.write(), name="journal")
                try:
                    await self._with_proxy(loaded, stack)
                finally:
                    self._journal.close()
                    await writing

    async def _with_proxy(self, loaded: Loaded, stack: AsyncExitStack) -> None:
        configs, seen = watch.channel(loaded)
        proxy = self.proxy = Proxy(seen, self._journal)
        with configs, seen:
            async with JoinSet[object]() as tasks:
                serving = tasks.spawn(proxy.run(self._stop), name="proxy")
                reloader = Reloader(self._path, configs, proxy.metrics, self._journal)
                reloading = tasks.spawn(reloader.run(self._reloaded), name="reload")
                while not proxy.fronts:
                    await sleep(0.01)
                port = next(iter(proxy.fronts.values())).port
                tell(
                    f"the proxy on {_LOCAL}:{port}, round robin, "
                    f"{self._clients} clients that ask all the time"
                )
                asking = [
                    tasks.spawn(_Client(me, port, self.report).run(), name=f"{me}")
                    for me in range(self._clients)
                ]
                if await self._steps(port, stack):
                    tell("stopping the proxy in the middle of the load; it drains")
                self.report.phase = "drain"
                self._stop.cancel("demo is over")
                for task in (serving, *asking):
                    await task
                reloading.cancel()

    async def _steps(self, port: int, stack: AsyncExitStack) -> bool:
        """Break things; whether nobody stopped it meanwhile."""
        if not await self._load():
            return False
        await self._kill()
        if not await self._load():
            return False
        self.report.phase = "load"
        async with AsyncExitStack() as held:
            if not await self._through_reloads(held, port, stack):
                return False
        return await self._load()

    async def _through_reloads(
        self, held: AsyncExitStack, port: int, stack: AsyncExitStack
    ) -> bool:
        """Hold connections through the reloads; whether nobody stopped it meanwhile."""
        streams = [
            await held.enter_async_context(await TcpStream.connect(_LOCAL, port))
            for _ in range(10)
        ]
        await self._ask_all(streams)
        self.report.held = len(streams)
        if not (await self._replace(stack) and await self._mistake()):
            return False
        self.report.dropped = len(streams) - await self._ask_all(streams)
        tell(
            f"  {len(streams)} connections from before the reload: "
            f"{self.report.dropped} dropped"
        )
        return True

    async def _load(self) -> bool:
        """Let the clients ask for a while; whether nobody stopped it meanwhile."""
        await select(stop=sumida.shutdown_token().cancelled(), pause=sleep(self._pause))
        tell(f"  {self.report.answered:7} requests answered")
        return not sumida.shutdown_token().is_cancelled

    async def _kill(self) -> None:
        victim = self.backends[1]
        self.report.phase = "kill"
        tell(f"killing server {victim.name}; who waited for its answer asks again")
        await victim.stop()

    async def _replace(self, stack: AsyncExitStack) -> bool:
        """Put another server in the place of the dead one, by a reload."""
        self.report.phase = "reload"
        new = _Backend("d")
        await new.start()
        stack.push_async_callback(new.stop)
        self.backends.append(new)
        tell(f"server {new.name} {new.address} takes its place, by a reload")
        return await self._reload("least-connections", "applied")

    async def _mistake(self) -> bool:
        """Reload a file with a mistake in it, which must change nothing."""
        tell("a reload with a mistake in it")
        return await self._reload("fastest", "refused")

    async def _reload(self, balance: str, result: str) -> bool:
        proxy = self.proxy
        assert proxy is not None
        before = proxy.metrics.reloads[result]
        await self._write(f"{_LOCAL}:0", balance)
        async with timeout(_PATIENCE):
            while proxy.metrics.reloads[result] == before:
                await sleep(0.01)
        return await self._load()

    async def _write(self, listen: str, balance: str) -> None:
        living = [each for each in self.backends if each is not self._dead]
        text = _toml(listen, living, balance)
        await spawn_blocking(self._path.write_text, text, encoding="utf-8")

    @property
    def _dead(self) -> _Backend | None:
        """The one that was killed, once there is another in its place."""
        return self.backends[1] if len(self.backends) > 3 else None  # noqa: PLR2004  # a, b, c

    async def _ask_all(self, held: list[TcpStream]) -> int:
        """Ask over each of these connections; how many answered."""
        answered = 0
        for stream in held:
            try:
                async with timeout(_PATIENCE):
                    await stream.write_all(b"held\n")
                    answered += (await stream.read_line()).endswith(b" held\n")
            except (Disconnected, sumida.Elapsed):
                continue
        return answered

    def summary(self) -> str:
        """Say what was measured."""
        report, proxy = self.report, self.proxy
        assert proxy is not None
        middle, high = report.delay_ms()
        served = ", ".join(f"{each.name} {each.served}" for each in self.backends)
        ended = Counter[str]()
        for (_, _, outcome), count in proxy.metrics.connections.items():
            ended[outcome] += count
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
        kill = report.broken["kill"]
        elsewhere = sum(report.broken.values()) - kill
        return (
            f"requests: sent {report.sent}, answered {report.answered}, "
            f"lost {report.lost} ({report.again} asked again after the kill)\n"
            f"delay: p50 {middle:.2f} ms, p99 {high:.2f} ms "
            f"({_WORK * 1e3:.0f} ms of it the server's work)\n"
            f"connections per server: {served}; of the proxy: {outcomes}\n"
            f"connects retried elsewhere: {sum(proxy.metrics.retries.values())}\n"
            f"connections broken: {kill} by the kill, {elsewhere} otherwise\n"
            f"reload: {report.held} connections held, dropped {report.dropped}\n"
            f"{'nothing was lost' if report.is_good else 'SOMETHING WAS LOST'}; bye"
        )


async def main(clients: int = 20, seconds: float = 6.0) -> int:
    """Run the demo.

    Args:
        clients: How many ask, 1 or more.
        seconds: How long they ask, in seconds.

    Returns:
        The exit code: 0 if nothing was lost.

    Cancel safety:
        Safe: every task ends with this one.
    """
    folder = tempfile.TemporaryDirectory(prefix="sumida-demo-")
    try:
        demo = _Demo(clients, seconds, Path(folder.name))
        await demo.run()
        tell(await spawn_blocking(demo.summary))
    finally:
        await spawn_blocking(folder.cleanup)
    return 0 if demo.report.is_good else 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may stand on the command line.

    Args:
        parser: Of this command.
    """
    add = parser.add_argument
    add("--clients", type=at_least_one, default=20, help="how many ask (default: 20)")
    add("--seconds", type=some_seconds, default=6.0, help="for how long (default: 6)")
    add("--asyncio", action="store_true", help="use asyncio's loop even with uvloop")


def start(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: What stood on the command line.

    Returns:
        The exit code.
    """
    uvloop = False if options.asyncio else None
    given = (options.clients, options.seconds)
    return exit_code_of("sumida demo", lambda: sumida.run(main, *given, uvloop=uvloop))
