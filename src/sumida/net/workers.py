"""A server in several processes: one loop for each core, and one to watch over them.

`serve_workers(handler, host, port)` listens once and starts the workers, which inherit
the socket and take turns at it. One that dies is replaced, and what waited for it in
the kernel is the others'; a stop lets all of them drain together. A handler that
computes in Python holds one loop only; for a handler that waits, `serve` is enough.

Processes share nothing: each has its own limit of connections, its own globals, and
imports the program anew, so the call stands below `if __name__ == "__main__"`.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pickle import PicklingError, dumps
from types import TracebackType
from typing import Any, Final, Self, Unpack, cast, final

from sumida._core.settle import cancel_and_wait
from sumida.errors import Elapsed, WorkerStartError
from sumida.net._connect import show_address
from sumida.net._options import CONNECT_TIMEOUT, TcpOptions
from sumida.net._worker import Setup, work
from sumida.net.server import OnDisconnect, Server
from sumida.net.tcp import TcpListener, TcpStream
from sumida.runtime.selection import select
from sumida.runtime.timeouts import timeout
from sumida.runtime.timers import sleep
from sumida.sync.cancellation import CancellationToken

__all__ = ("Workers", "WorkersReport", "serve_workers")

_logger: Final = logging.getLogger("sumida")

_KILL_AFTER: Final = 10.0
"""Seconds beyond the drain after which a worker that has not ended is killed."""

_HASTE: Final = 5.0
"""Seconds that workers have when the block is left by an error or a cancel."""

_START_TIMEOUT: Final = 60.0
"""Seconds in which a worker must have imported the program."""

_FIRST_BACK_OFF: Final = 0.1
_LAST_BACK_OFF: Final = 10.0
"""Seconds before a worker that died is replaced: from, to."""

_STABLE: Final = 30.0
"""Seconds after which a worker that dies counts as the first to do so."""


@final
@dataclass(frozen=True, slots=True)
class WorkersReport:
    """How the workers stopped.

    Attributes:
        ended: Workers that ended by themselves.
        killed: Process ids of those that had to be killed.
        restarts: How often one was replaced before.
    """

    ended: int
    killed: tuple[int, ...]
    restarts: int


@final
class _Worker:
    """One process, watched."""

    __slots__ = ("ended", "pid", "process", "ready")

    def __init__(self, process: SpawnProcess, ready: Connection) -> None:
        self.process = process
        self.pid = cast("int", process.pid)
        self.ready = ready
        # One for each thing that happens once, and can be waited for by anybody.
        self.ended = CancellationToken()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        # It has ended, so this waits for nothing, and leaves no zombie.
        self.process.join()
        self.ready.close()
        self.ended.cancel()

    @property
    def exit_code(self) -> int | None:
        """As of `multiprocessing.Process`."""
        return self.process.exitcode

    def ask(self) -> None:
        """Send SIGTERM: it drains."""
        if not self.ended.is_cancelled:
            self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        if not self.ended.is_cancelled:
            self.process.kill()

    async def wait_ready(self) -> bool:
        """Wait until it serves; False if it ended before."""
        loop = asyncio.get_running_loop()
        number = self.ready.fileno()
        told = CancellationToken()
        loop.add_reader(number, told.cancel)
        try:
            # The end of the process is the end of the pipe as well.
            await told.cancelled()
        finally:
            loop.remove_reader(number)
        try:
            self.ready.recv_bytes()
        except (EOFError, OSError):
            await self.ended.cancelled()
            return False
        return True


@final
class Workers:
    """Worker processes that serve one address; made by `serve_workers`.

    Leaving the block stops them; by an error or a cancel they have five seconds.

    Attributes:
        stopping: Cancelled when they begin to stop.
        restarts: How often a worker was replaced.
    """

    __slots__ = (
        "_address",
        "_drain",
        "_keepers",
        "_listener",
        "_report",
        "_setup",
        "_workers",
        "restarts",
        "stopping",
    )

    def __init__(self, listener: TcpListener, setup: Setup) -> None:
        self._listener = listener
        self._address = listener.address
        self._setup = setup
        self._drain = setup.drain
        self._workers: list[_Worker] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._report: WorkersReport | None = None
        self.restarts = 0
        self.stopping = CancellationToken()

    def __repr__(self) -> str:
        state = "stopping" if self.stopping.is_cancelled else "serving"
        place = show_address(self._address)
        return f"<Workers {place} {state}, {len(self.pids)} processes>"

    @property
    def port(self) -> int:
        """The port."""
        return self._address[1]

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that live."""
        return tuple(each.pid for each in self._workers if not each.ended.is_cancelled)

    async def _start(self, count: int) -> None:
        """Start the first workers, and see them serve."""
        try:
            for _ in range(count):
                self._workers.append(self._spawn())
            async with timeout(_START_TIMEOUT):
                for worker in self._workers:
                    await self._see_ready(worker)
        except BaseException:
            await self._end_all(self._workers, 0.0)
            self._listener.close()
            raise
        loop = asyncio.get_running_loop()
        for index, worker in enumerate(self._workers):
            name = f"keep worker {index} of {show_address(self._address)}"
            self._keepers.append(loop.create_task(self._keep(index, worker), name=name))

    async def _see_ready(self, worker: _Worker) -> None:
        if not await worker.wait_ready():
            raise WorkerStartError(_name(self._setup.handler), worker.exit_code)

    def _spawn(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=work,
            args=(self._setup, theirs),
            name=f"sumida-worker {show_address(self._address)}",
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Worker(process, ours)

    async def _keep(self, index: int, worker: _Worker) -> None:
        """Replace a worker when it has died, until all are to stop."""
        loop = asyncio.get_running_loop()
        back_off = _FIRST_BACK_OFF
        while True:
            began = loop.time()
            await worker.ended.cancelled()
            if self.stopping.is_cancelled:
                return
            if loop.time() - began >= _STABLE:
                back_off = _FIRST_BACK_OFF
            _logger.warning(
                "worker %d of %s died with exit code %s; another starts in %.1f s",
                worker.pid,
                show_address(self._address),
                worker.exit_code,
                back_off,
            )
            which, _ = await select(self.stopping.cancelled(), sleep(back_off))
            if which == 0:
                return
            back_off = min(2 * back_off, _LAST_BACK_OFF)
            worker = self._workers[index] = self._spawn()
            self.restarts += 1

    async def stop(self, drain: float | None = None) -> WorkersReport:
        """Stop: all drain together, and who has not ended in time is killed.

        Args:
            drain: How long to wait before the kill, in seconds; the drain of the
                workers and some seconds more by default.

        Returns:
            How it went; stopping twice gives the same.

        Raises:
            ValueError: `drain` is negative.

        Cancel safety:
            Safe: a cancelled call has killed the workers.
        """
        seconds = self._drain + _KILL_AFTER if drain is None else drain
        if not seconds >= 0:
            raise ValueError(f"drain must be 0 seconds or more, not {seconds}")
        self.stopping.cancel("the server stops")
        # The workers' copies are the last: when they go nobody can connect.
        self._listener.close()
        try:
            await cancel_and_wait(self._keepers)
            killed = await self._end_all(self._workers, seconds)
        except BaseException:
            for worker in self._workers:
                worker.kill()
            raise
        if self._report is None:
            ended = len(self._workers) - len(killed)
            self._report = WorkersReport(ended, killed, self.restarts)
        return self._report

    @staticmethod
    async def _end_all(workers: Iterable[_Worker], seconds: float) -> tuple[int, ...]:
        """Ask, wait, kill, and see them gone; return who was killed."""
        alive = [each for each in workers if not each.ended.is_cancelled]
        late: list[_Worker] = []
        try:
            for worker in alive:
                worker.ask()
            with suppress(Elapsed):
                async with timeout(seconds):
                    for worker in alive:
                        await worker.ended.cancelled()
        finally:
            late.extend(each for each in alive if not each.ended.is_cancelled)
            for worker in late:
                worker.kill()
        for worker in late:
            _logger.warning("worker %d did not end in time; it is killed", worker.pid)
            await worker.ended.cancelled()
        return tuple(each.pid for each in late)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop(None if exc_type is None else _HASTE)


def _name(function: Callable[..., object]) -> str:
    module = getattr(function, "__module__", "?")
    return f"{module}.{getattr(function, '__qualname__', repr(function))}"


def _check_importable(what: str, function: Callable[..., object]) -> None:
    try:
        dumps(function)
    except (PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{what} must be importable by its name in another process, not "
            f"{function!r}: {error}"
        ) from error


async def serve_workers(  # noqa: PLR0913  # one call configures the server
    handler: Callable[[TcpStream], Awaitable[object]],
    host: str | None,
    port: int,
    *,
    workers: int | None = None,
    max_connections: int = 10_000,
    drain: float = 10.0,
    on_disconnect: OnDisconnect = "finish",
    tls: Callable[[], ssl.SSLContext] | None = None,
    handshake_timeout: float | None = CONNECT_TIMEOUT,
    **options: Unpack[TcpOptions],
) -> Workers:
    """Serve a TCP address from several processes.

    Each worker is a `sumida.run` with a `Server` of its own. It gets its own copy of
    the handler, by name. SIGINT is the parent's business; when the parent is gone the
    workers drain and end.

    Args:
        handler: An async function of one stream, defined at the top of a module.
        host: As in `TcpListener.bind`.
        port: As in `TcpListener.bind`; 0 for a free one.
        workers: How many, 1 or more; as many as this process may use cores by default.
        max_connections: As in `Server`, for each worker.
        drain: As in `Server`, in seconds.
        on_disconnect: As in `Server`.
        tls: A function that makes the context in each worker, for a context cannot
            cross to another process; None for plain connections.
        handshake_timeout: As in `TcpListener.bind`, in seconds.
        **options: Of the connections; see `TcpOptions`.

    Returns:
        The workers, which serve; leave their block, or `stop` them.

    Raises:
        ValueError: An argument is out of range, or cannot be imported by name.
        ConnectError: The host's name is not known.
        OSError: The address is in use, or not of this machine.
        WorkerStartError: A worker ended before it could serve.
        Elapsed: A worker took more than a minute to start.

    Cancel safety:
        Safe: a cancelled call leaves no process.
    """
    count = _usable_cores() if workers is None else workers
    if count < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    _check_importable("handler", handler)
    if tls is not None:
        _check_importable("tls", tls)
    listener = await TcpListener.bind(host, port, **options)
    try:
        # What it refuses is refused here, and not by each worker.
        Server(
            handler,
            [listener],
            max_connections=max_connections,
            drain=drain,
            on_disconnect=on_disconnect,
        )
        setup = Setup(
            handler=handler,
            sockets=(listener._socket,),
            max_connections=max_connections,
            drain=drain,
            on_disconnect=on_disconnect,
            tls=tls,
            handshake_timeout=handshake_timeout,
            options=cast("dict[str, Any]", options),
        )
        made = Workers(listener, setup)
        await made._start(count)
    except BaseException:
        listener.close()
        raise
    return made


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
