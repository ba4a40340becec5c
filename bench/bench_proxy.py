"""The proxy beside haproxy, nginx, socat, and one on asyncio's streams.

    python bench/bench_proxy.py

Each runs as one process with one thread, between a client and a server that are the
same for all. Processor time is what the kernel counted for the proxy while the bytes
went through.
"""

import asyncio
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from harness import Row, show

HOST: Final = "127.0.0.1"
GIB: Final = 1 << 30
CHUNK: Final = 256 * 1024
ROUNDS: Final = 3

PING: Final = b"x" * 64
PINGS: Final = 12_000
AT_ONCE: Final = 8
CONNECTIONS: Final = 600
CLIENTS: Final = 4

SINK: Final = b"s"
ECHO: Final = b"e"
"""What a client says first: read all and count, or send back."""

STREAMS: Final = "asyncio streams"
HAPROXY: Final = "haproxy, splice"
HERE: Final = Path(__file__).resolve()


# The server: one process for all contenders.


def serve() -> None:
    """Be the server: a thread for each connection, as nothing is simpler or quicker."""
    with socket.create_server((HOST, 0), backlog=1024) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_answer, args=[sock], daemon=True).start()


def _answer(sock: socket.socket) -> None:
    with sock, suppress(ConnectionError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.recv(1) == SINK:
            count = 0
            buffer = bytearray(1 << 20)
            # Thrown away by the kernel (Linux): reading is not what is measured.
            while size := sock.recv_into(buffer, len(buffer), socket.MSG_TRUNC):
                count += size
            sock.sendall(count.to_bytes(8, "big"))
            return
        while data := sock.recv(65536):
            sock.sendall(data)


# The plain proxy on asyncio's streams.


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _streams(port: int, target: int) -> None:
    # A protocol of asyncio knows its reader, and so who waits for that, weakly only: a
    # connection whose client has sent its last byte could be collected as it waits.
    alive: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alive.add(asyncio.current_task())
        try:
            await carry_both(reader, writer)
        finally:
            alive.discard(asyncio.current_task())

    async def carry_both(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection(HOST, target)
        with suppress(OSError):
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        for each in (writer, up_writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    server = await asyncio.start_server(carry, HOST, port, backlog=1024)
    await server.serve_forever()


def plain_proxy(port: int, target: int, *, is_uvloop: bool) -> None:
    """Be the plain proxy."""
    if is_uvloop:
        import uvloop  # noqa: PLC0415  # an optional dependency

        uvloop.run(_streams(port, target))
    else:
        asyncio.run(_streams(port, target))


# The contenders.


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy that runs.

    Attributes:
        name: What it is called in the table.
        pid: Its process.
        port: Where it listens.
    """

    name: str
    pid: int
    port: int

    def cpu(self) -> float:
        """Tell what it has used of the processor so far, in seconds.

        What runs to the nanosecond, children that have ended to 10 ms.
        """
        return _cpu(self.pid)


def _cpu(pid: int) -> float:
    total = 0.0
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
            for child in (task / "children").read_text().split():
                total += _cpu(int(child))
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(words[13]) + int(words[14])
        total += ticks / os.sysconf("SC_CLK_TCK")
    return total


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _haproxy(port: int, target: int, folder: Path) -> Sequence[str]:
    path = folder / "haproxy.cfg"
    path.write_text(
        "global\n  nbthread 1\n  maxconn 2000\n"
        "defaults\n  mode tcp\n  option splice-auto\n  timeout connect 5s\n"
        "  timeout client 60s\n  timeout server 60s\n"
        f"listen it\n  bind {HOST}:{port}\n  server one {HOST}:{target}\n"
    )
    return ("haproxy", "-db", "-f", str(path))


def _nginx(port: int, target: int, folder: Path) -> Sequence[str]:
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    load = f"load_module {module};\n" if module.exists() else ""
    path = folder / "nginx.conf"
    path.write_text(
        f"{load}daemon off; master_process off; pid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log crit;\n"
        "events { worker_connections 2000; }\n"
        f"stream {{ server {{ listen {HOST}:{port} backlog=1024;\n"
        f"  proxy_pass {HOST}:{target}; proxy_half_close on; }} }}\n"
    )
    return ("nginx", "-c", str(path), "-p", str(folder))


def _socat(port: int, target: int, _folder: Path) -> Sequence[str]:
    listen = f"TCP-LISTEN:{port},bind={HOST},fork,reuseaddr,nodelay,backlog=1024"
    return ("socat", "-b", str(CHUNK), listen, f"TCP:{HOST}:{target},nodelay")


def _ours(port: int, target: int, *more: str) -> Sequence[str]:
    options = ("--log", "off", "--check-interval", "0", *more)
    own = (f"{HOST}:{port}", f"{HOST}:{target}")
    return (sys.executable, "-m", "sumida", "proxy", *own, *options)


def _plain(port: int, target: int, loop: str) -> Sequence[str]:
    return (sys.executable, str(HERE), "proxy", str(port), str(target), loop)


def _command(name: str, port: int, target: int, folder: Path) -> Sequence[str]:
    commands: dict[str, Callable[[], Sequence[str]]] = {
        "sumida": lambda: _ours(port, target),
        "sumida, asyncio": lambda: _ours(port, target, "--asyncio"),
        STREAMS: lambda: _plain(port, target, "asyncio"),
        f"{STREAMS}, uvloop": lambda: _plain(port, target, "uvloop"),
        HAPROXY: lambda: _haproxy(port, target, folder),
        "nginx stream": lambda: _nginx(port, target, folder),
        "socat": lambda: _socat(port, target, folder),
    }
    return commands[name]()


UVLOOP: Final = ("sumida", f"{STREAMS}, uvloop")
NAMES: Final = (
    "sumida, asyncio",
    STREAMS,
    *(UVLOOP if find_spec("uvloop") is not None else ()),
    HAPROXY,
    "nginx stream",
    "socat",
)


@contextmanager
def _process(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run a command; end it and its children in any case."""
    process = subprocess.Popen(  # noqa: S603  # named above
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextmanager
def contenders() -> Iterator[list[Contender]]:
    """Run all that are here, before one server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(_process((sys.executable, str(HERE), "server")))
        assert server.stdout is not None
        target = int(server.stdout.readline())
        running: list[Contender] = []
        for name in NAMES:
            port = _free_port()
            command = _command(name, port, target, folder)
            if shutil.which(command[0]) is None:
                sys.stderr.write(f"{command[0]} is not here: left out\n")
                continue
            process = stack.enter_context(_process(command))
            running.append(Contender(name, process.pid, port))
            _wait_for(running[-1], process)
        yield running


def _wait_for(contender: Contender, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            _connect(contender, ECHO).close()
        except ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _connect(contender: Contender, kind: bytes) -> socket.socket:
    sock = socket.create_connection((HOST, contender.port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(kind)
    return sock


# What is measured.


def bulk(contender: Contender, size: int = GIB) -> tuple[float, float]:
    """Send a GiB through: milliseconds, and milliseconds of processor time."""
    chunk = bytes(CHUNK)
    before = contender.cpu()
    started = time.perf_counter()
    with _connect(contender, SINK) as sock:
        for _ in range(size // CHUNK):
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        count = int.from_bytes(sock.recv(8), "big")
        sock.recv(1)
    seconds = time.perf_counter() - started
    assert count == size, f"{contender.name} carried {count} of {size} bytes"
    time.sleep(0.05)  # a child that ends is counted with its parent
    return seconds * 1e3, (contender.cpu() - before) * 1e3


def ping(contender: Contender) -> tuple[float, float, float]:
    """Send 64 bytes back and forth over 8 connections.

    Microseconds a request, its median delay, and its processor time.
    """
    delays: list[float] = []
    since: dict[int, float] = {}
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(AT_ONCE):
            sock = stack.enter_context(_connect(contender, ECHO))
            selector.register(sock, selectors.EVENT_READ, sock)
            sock.sendall(PING)
            since[sock.fileno()] = time.perf_counter()
        before = contender.cpu()
        started = time.perf_counter()
        while len(delays) < PINGS:
            for key, _ in selector.select():
                sock = key.data
                missing = len(PING)
                while missing:
                    missing -= len(sock.recv(missing)) or GIB
                now = time.perf_counter()
                delays.append(now - since[key.fd])
                since[key.fd] = now
                sock.sendall(PING)
        seconds = time.perf_counter() - started
        cpu = contender.cpu() - before
    count = len(delays)
    return seconds / count * 1e6, median(delays) * 1e6, cpu / count * 1e6


def connections(contender: Contender) -> tuple[float, float]:
    """Connect, say a word, hear it, close, from 4 threads.

    Microseconds a connection, and its processor time.
    """

    def client() -> None:
        for _ in range(CONNECTIONS // CLIENTS):
            with _connect(contender, ECHO + b"!") as sock:
                assert sock.recv(1) == b"!"
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    before = contender.cpu()
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    time.sleep(0.05)
    cpu = contender.cpu() - before
    return seconds / CONNECTIONS * 1e6, cpu / CONNECTIONS * 1e6


@dataclass(slots=True)
class Figures:
    """The best of what was measured of one contender."""

    bulk: float = float("inf")
    cpu: float = float("inf")
    request: float = float("inf")
    delay: float = float("inf")
    request_cpu: float = float("inf")
    connection: float = float("inf")
    connection_cpu: float = float("inf")

    def take(self, contender: Contender) -> None:
        """Measure once more."""
        new = Figures(*bulk(contender), *ping(contender), *connections(contender))
        for each in fields(self):
            best = min(getattr(self, each.name), getattr(new, each.name))
            setattr(self, each.name, best)


def measure() -> dict[str, Figures]:
    """Measure all contenders in turn."""
    with contenders() as running:
        figures = {each.name: Figures() for each in running}
        for _ in range(ROUNDS):
            for each in running:
                figures[each.name].take(each)
    return figures


def _compare(loop: str, ours: Figures, peer: str, theirs: Figures) -> Iterator[Row]:
    """Make the rows for one peer."""
    is_streams, is_haproxy = peer.startswith(STREAMS), peer == HAPROXY
    yield Row(
        f"1 GiB, {loop}",
        ours.bulk,
        peer,
        theirs.bulk,
        unit="ms",
        floor=1.4 if is_streams else None,
    )
    yield Row(
        f"processor time for 1 GiB, {loop}",
        ours.cpu,
        peer,
        theirs.cpu,
        unit="ms",
        floor=2.0 if is_streams else 1 / 1.5 if is_haproxy else None,
    )
    for case, name in (
        ("64 bytes there and back, 8 connections", "request"),
        ("delay of those, median", "delay"),
        ("processor time of those", "request_cpu"),
        ("a connection, 4 clients", "connection"),
        ("processor time of those", "connection_cpu"),
    ):
        own, other = getattr(ours, name), getattr(theirs, name)
        yield Row(f"{case}, {loop}", own, peer, other, unit="µs")


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    figures = measure()
    pairs = [("asyncio", "sumida, asyncio", STREAMS)]
    if UVLOOP[0] in figures:
        pairs.append(("uvloop", *UVLOOP))
    others = [each for each in (HAPROXY, "nginx stream", "socat") if each in figures]
    return [
        row
        for loop, own, same in pairs
        for peer in (same, *others)
        for row in _compare(loop, figures[own], peer, figures[peer])
    ]


def main(arguments: Sequence[str]) -> None:
    """Measure, or be one of the processes."""
    match arguments:
        case ["server"]:
            serve()
        case ["proxy", port, target, loop]:
            plain_proxy(int(port), int(target), is_uvloop=loop == "uvloop")
        case _:
            show("proxy", rows())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:])
