"""Sockets against asyncio's streams, a raw Protocol, anyio and trio.

    python bench/bench_net.py

Both ends of each connection are the contender's, on one loop in one process. What is
taken is the CPU time of that one thread, so that others on the machine count less.
"""

import asyncio
import gc
import importlib.util
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from itertools import repeat
from pathlib import Path

import anyio
import trio
from harness import Row, Runner, best_of, show

from sumida.net import TcpListener, TcpStream, serve

CONNECTIONS = 8
MESSAGES = 1000
SIZE = 64
IDLE = 2_000
ROUNDS = 15
LOCAL = "127.0.0.1"

MESSAGE = b"x" * SIZE


async def ours() -> None:
    """Echo with `serve` and `TcpStream`."""

    async def handler(stream: TcpStream) -> None:
        while data := await stream.read():
            await stream.write_all(data)

    async def client(port: int) -> None:
        async with await TcpStream.connect(LOCAL, port) as stream:
            for _ in range(MESSAGES):
                await stream.write_all(MESSAGE)
                await stream.read()

    async with await serve(handler, LOCAL, 0) as server:
        await _all(client, server.port)


async def streams() -> None:
    """Do the same with asyncio's streams."""

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection(LOCAL, port)
        for _ in range(MESSAGES):
            writer.write(MESSAGE)
            await writer.drain()
            await reader.read(65536)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handler, LOCAL, 0)
    await _all(client, server.sockets[0].getsockname()[1])
    server.close()
    await asyncio.sleep(0.01)


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]  # a stream transport


class _Client(asyncio.Protocol):
    def __init__(self, done: "asyncio.Future[None]") -> None:
        self.done = done
        self.left = MESSAGES
        self.size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(MESSAGE)  # type: ignore[attr-defined]  # a stream transport

    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        if self.size < SIZE:
            return
        self.size = 0
        self.left -= 1
        if self.left:
            self.transport.write(MESSAGE)  # type: ignore[attr-defined]  # as above
        else:
            self.transport.close()
            self.done.set_result(None)


async def protocol() -> None:
    """Do the same in the transport's callbacks, without any task: the floor."""
    loop = asyncio.get_running_loop()

    async def client(port: int) -> None:
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda: _Client(done), LOCAL, port)
        await done

    server = await loop.create_server(_Echo, LOCAL, 0)
    await _all(client, server.sockets[0].getsockname()[1])
    server.close()
    await asyncio.sleep(0.01)


class _Wait:
    """A future that is used again: what a task asks of one, and nothing else."""

    __slots__ = ("_asyncio_future_blocking", "context", "get_loop", "result", "wakeup")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self.get_loop = repeat(loop).__next__
        self.result: Callable[[], object] = bool

    def add_done_callback(
        self, wakeup: Callable[[object], object], *, context: Context
    ) -> None:
        self.wakeup = wakeup
        self.context = context


class _Bare(asyncio.Protocol):
    """Awaited, it gives what comes: no limit, no deadline, no cancel, no error."""

    def __init__(self) -> None:
        self.wait = _Wait(asyncio.get_running_loop())
        self.is_waiting = False
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.write: Callable[[bytes], object] = transport.write  # type: ignore[attr-defined]  # a stream transport

    def data_received(self, data: bytes) -> None:
        self.data = data
        if self.is_waiting:
            self.is_waiting = False
            self.wait.context.run(self.wait.wakeup, self.wait)

    def eof_received(self) -> None:
        self.data_received(b"")

    def __await__(self) -> Generator[object, None, bytes]:
        data = self.data
        if not data:
            self.is_waiting = True
            self.wait._asyncio_future_blocking = True
            yield self.wait
            data = self.data
        self.data = b""
        return data


async def bare_tasks() -> None:
    """Do the same with a task for each side, and as little as a task can have."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    async def handle(bare: _Bare) -> None:
        while data := await bare:
            bare.write(data)
        bare.transport.close()

    class Served(_Bare):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            _Bare.connection_made(self, transport)
            tasks.append(asyncio.ensure_future(handle(self)))

    async def client(port: int) -> None:
        transport, bare = await loop.create_connection(_Bare, LOCAL, port)
        for _ in range(MESSAGES):
            bare.write(MESSAGE)
            await bare
        transport.close()

    server = await loop.create_server(Served, LOCAL, 0)
    await _all(client, server.sockets[0].getsockname()[1])
    server.close()
    for task in tasks:
        await task


async def _all(
    client: Callable[[int], Coroutine[object, object, None]], port: int
) -> None:
    tasks = [asyncio.ensure_future(client(port)) for _ in range(CONNECTIONS)]
    for task in tasks:
        await task


async def with_anyio() -> None:
    """Do the same with anyio."""

    async def handler(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                while True:
                    await stream.send(await stream.receive())
            except anyio.EndOfStream:
                pass

    async def client(port: int) -> None:
        async with await anyio.connect_tcp(LOCAL, port) as stream:
            for _ in range(MESSAGES):
                await stream.send(MESSAGE)
                await stream.receive()

    listener = await anyio.create_tcp_listener(local_host=LOCAL)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # no database
    async with anyio.create_task_group() as outer:
        outer.start_soon(listener.serve, handler)
        async with anyio.create_task_group() as inner:
            for _ in range(CONNECTIONS):
                inner.start_soon(client, port)
        outer.cancel_scope.cancel()


async def with_trio() -> None:
    """Do the same with trio."""

    async def handler(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some():
            await stream.send_all(data)

    async def client(port: int) -> None:
        async with await trio.open_tcp_stream(LOCAL, port) as stream:
            for _ in range(MESSAGES):
                await stream.send_all(MESSAGE)
                await stream.receive_some()

    listeners = await trio.open_tcp_listeners(0, host=LOCAL)
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as outer:
        outer.start_soon(trio.serve_listeners, handler, listeners)
        async with trio.open_nursery() as inner:
            for _ in range(CONNECTIONS):
                inner.start_soon(client, port)
        outer.cancel_scope.cancel()


def _timed_on(factory: Callable[[], asyncio.AbstractEventLoop] | None) -> Runner:
    def timed(main: Callable[[], Coroutine[object, object, None]]) -> float:
        gc.collect()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop()
            start = time.process_time()
            runner.run(main())
            return time.process_time() - start

    return timed


def _timed_on_trio(main: Callable[[], Coroutine[object, object, None]]) -> float:
    gc.collect()
    start = time.process_time()
    trio.run(main)
    return time.process_time() - start


def _loops() -> dict[str, Runner]:
    loops = {"asyncio": _timed_on(None)}
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415  # an optional dependency

        loops["uvloop"] = _timed_on(uvloop.new_event_loop)
    return loops


def echo_rows() -> list[Row]:
    """Measure the echo on each loop, in microseconds for a message there and back."""
    count = CONNECTIONS * MESSAGES
    found = []
    for name, run in _loops().items():
        contenders: list[Callable[[], Awaitable[None]]] = [
            ours,
            streams,
            protocol,
            bare_tasks,
            with_anyio,
            with_trio,
        ]
        runners = [run, run, run, run, run, _timed_on_trio]
        times = best_of(contenders, count, runners=runners, rounds=ROUNDS)
        own, *others = (each / 1000 for each in times)
        peers = ["asyncio streams", "a raw Protocol", "bare tasks", "anyio", "trio"]
        floors = [1.8, 0.85, None, None, None]
        found += [
            Row(
                f"echo of 64 bytes, 8 connections, {name}",
                own,
                peer,
                time_,
                "us",
                floor,
            )
            for peer, time_, floor in zip(peers, others, floors, strict=True)
        ]
    return found


async def _idle_ours(sockets: list[tuple[socket.socket, socket.socket]]) -> object:
    kept = []
    for one, _ in sockets:
        stream = await TcpStream.from_socket(one)
        kept.append((stream, asyncio.ensure_future(_read(stream))))
    await asyncio.sleep(0)
    return kept


async def _read(stream: TcpStream) -> None:
    await stream.read()


async def _idle_streams(sockets: list[tuple[socket.socket, socket.socket]]) -> object:
    kept = []
    for one, _ in sockets:
        reader, writer = await asyncio.open_connection(sock=one)
        kept.append((writer, asyncio.ensure_future(reader.read(65536))))
    await asyncio.sleep(0)
    return kept


async def _measure_idle(which: str) -> float:
    sockets = []
    with socket.create_server((LOCAL, 0), backlog=IDLE) as listener:
        for _ in range(IDLE):
            one = socket.create_connection(listener.getsockname())
            sockets.append((one, listener.accept()[0]))
    warm = await TcpListener.bind(LOCAL, 0)
    async with warm, await TcpStream.connect(LOCAL, warm.port):
        pass
    gc.collect()
    before = _resident()
    kept = await (_idle_ours if which == "ours" else _idle_streams)(sockets)
    gc.collect()
    grown = _resident() - before
    assert kept
    return grown / IDLE


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def _idle_in_child(which: str, loop: str) -> float:
    command = [sys.executable, __file__, "idle", which, loop]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # this file
    return float(done.stdout)


def idle_rows() -> list[Row]:
    """Measure the memory of an idle connection with a task that reads from it."""
    return [
        Row(
            f"memory of an idle connection, {loop}",
            min(_idle_in_child("ours", loop) for _ in range(3)),
            "asyncio streams",
            min(_idle_in_child("streams", loop) for _ in range(3)),
            "bytes",
            1.0,
        )
        for loop in _loops()
    ]


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    return echo_rows() + idle_rows()


def _idle_main(which: str, loop: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * IDLE)), hard))
    factory = None
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415  # an optional dependency

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        sys.stdout.write(f"{runner.run(_measure_idle(which))}\n")
        sys.stdout.flush()
        # Without closing each of them.
        os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["idle"]:
        _idle_main(*sys.argv[2:4])
    else:
        show("net", rows())
