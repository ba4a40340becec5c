"""A proxy's copy both ways against one written with asyncio's streams.

    python bench/bench_copy.py

A sender and a receiver, raw and blocking, are processes of their own; the proxy
between them is the contender. The time of the whole and the CPU time of the proxy's
process alone are taken.
"""

import asyncio
import importlib.util
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from unittest import mock

from harness import Row, show

from sumida.io import copy_bidirectional, copying
from sumida.net import TcpListener, TcpStream

SIZE = 1 << 30
ROUNDS = 3
CHUNK = 1 << 18
LOCAL = "127.0.0.1"

Proxy = Callable[[socket.socket, int], Awaitable[None]]


def _send(port: int) -> None:
    data = bytes(CHUNK)
    with socket.create_connection((LOCAL, port)) as sock:
        for _ in range(SIZE // CHUNK):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(CHUNK):
            pass


def _receive(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    buffer = bytearray(CHUNK)
    count = 0
    with sock:
        while size := sock.recv_into(buffer):
            count += size
        sock.sendall(b"thanks")
    if count != SIZE:
        raise SystemExit(1)


async def ours(listening: socket.socket, upstream: int) -> None:
    """Copy with `copy_bidirectional`."""
    listener = TcpListener.from_socket(listening)
    async with (
        await listener.accept() as a,
        await TcpStream.connect(LOCAL, upstream) as b,
    ):
        await copy_bidirectional(a, b)
    listener.close()


async def by_hand(listening: socket.socket, upstream: int) -> None:
    """Do the same with the kernel left out."""
    with mock.patch.object(copying, "CAN_SPLICE", new=False):
        await ours(listening, upstream)


async def streams(listening: socket.socket, upstream: int) -> None:
    """Copy with asyncio's streams, as everybody writes it."""
    done = asyncio.get_running_loop().create_future()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        other_reader, other_writer = await asyncio.open_connection(LOCAL, upstream)
        tasks = [
            asyncio.ensure_future(pipe(reader, other_writer)),
            asyncio.ensure_future(pipe(other_reader, writer)),
        ]
        for task in tasks:
            await task
        writer.close()
        other_writer.close()
        done.set_result(None)

    server = await asyncio.start_server(handler, sock=listening)
    await done
    server.close()


def measure(
    proxy: Proxy, factory: Callable[[], asyncio.AbstractEventLoop] | None
) -> tuple[float, float]:
    """Copy once.

    Returns:
        Seconds in all, and seconds of CPU time of this process.
    """
    context = multiprocessing.get_context("fork")
    target = socket.create_server((LOCAL, 0))
    listening = socket.create_server((LOCAL, 0))
    receiver = context.Process(target=_receive, args=(target,))
    receiver.start()
    sender = context.Process(target=_send, args=(listening.getsockname()[1],))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop()
        before = os.times()
        start = time.perf_counter()
        sender.start()
        runner.run(proxy(listening, target.getsockname()[1]))  # type: ignore[arg-type]  # coroutines all
        seconds = time.perf_counter() - start
        after = os.times()
    for process in (sender, receiver):
        process.join()
        if process.exitcode:
            raise SystemExit(f"{process!r} failed")
    target.close()
    return seconds, after.user + after.system - before.user - before.system


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"asyncio": None}
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415  # an optional dependency

        loops["uvloop"] = uvloop.new_event_loop
    found = []
    for name, factory in loops.items():
        best: dict[Proxy, list[float]] = {}
        for _ in range(ROUNDS):
            for proxy in (ours, by_hand, streams):
                times = best.setdefault(proxy, [float("inf")] * 2)
                times[:] = map(min, times, measure(proxy, factory))
        for proxy, label, floors in (
            (ours, "splice", (1.4, 2.0)),
            (by_hand, "by hand", (None, None)),
        ):
            for index, what in enumerate(("time", "CPU time")):
                found.append(  # clearer so
                    Row(
                        f"1 GiB through a proxy, {what}, {label}, {name}",
                        best[proxy][index] * 1e3,
                        "asyncio streams",
                        best[streams][index] * 1e3,
                        "ms",
                        floors[index],
                    )
                )
    return found


if __name__ == "__main__":
    show("copy", rows())
    sys.stdout.flush()
