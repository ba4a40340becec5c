"""The transport of our own, over each way of watching."""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from sumida.errors import Disconnected
from sumida.io._poller import EpollPoller, LoopPoller, Poller
from sumida.io._sockets import SocketTransport
from sumida.net import TcpStream, _attach
from tests.support import LOOP_KINDS, Run, Runs

MakePoller = Callable[[asyncio.AbstractEventLoop], Poller]

LOCAL = "127.0.0.1"
POLLERS = [LoopPoller, *([EpollPoller] if sys.platform == "linux" else [])]


@pytest.fixture(autouse=True, params=POLLERS)
def make_poller(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> MakePoller:
    """Watch sockets in each way in turn."""
    chosen: MakePoller = request.param
    monkeypatch.setattr(_attach, "poller_of", chosen)
    return chosen


@pytest.fixture
def run() -> Run:
    """Run on asyncio's loop: others have transports of their own."""
    return Runs(next(kind for kind in LOOP_KINDS if kind.name == "asyncio"))


async def pair(size: int | None = None) -> tuple[TcpStream, socket.socket]:
    """Make a stream, and the plain socket that is its peer.

    Args:
        size: Of the peer's receive buffer; the system's default when None.
    """
    with socket.socket() as listener:
        if size is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        listener.bind((LOCAL, 0))
        listener.listen()
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    stream = await TcpStream.from_socket(one)
    assert isinstance(stream._engine.transport, SocketTransport)
    return stream, other


def test_both_ways_and_both_ends(run: Run) -> None:
    """The peer ends first, and is still written to; then this side ends."""

    async def main() -> tuple[bytes, bytes, bytes]:
        stream, peer = await pair()
        with peer:
            async with stream:
                peer.sendall(b"question")
                asked = await stream.read()
                peer.shutdown(socket.SHUT_WR)
                end = await stream.read()
                await stream.write_all(b"answer")
                await stream.shutdown()
                answer = peer.recv(100)
                assert peer.recv(100) == b""
            return asked, end, answer

    assert run(main) == (b"question", b"", b"answer")


def test_more_than_the_kernel_takes_arrives_in_order(run: Run) -> None:
    """In pieces that are cut anywhere, while the peer sends as well."""
    pieces = [bytes([n % 256]) * (n % 7001) for n in range(3000)]

    async def main() -> tuple[bytes, bytes]:
        stream, peer = await pair(size=4096)

        def talk() -> bytes:
            peer.sendall(b"x" * 1_000_000)
            received = bytearray()
            while data := peer.recv(100_000):
                received += data
            return bytes(received)

        async def write() -> None:
            for piece in pieces:
                await stream.write_all(piece)
            await stream.shutdown()

        with peer:
            async with stream:
                talking = asyncio.get_running_loop().run_in_executor(None, talk)
                writing = asyncio.create_task(write())
                heard = await stream.read_exact(1_000_000)
                await writing
                return heard, await talking

    heard, received = run(main)
    assert heard == b"x" * 1_000_000
    assert received == b"".join(pieces)


def test_what_was_written_goes_out_before_the_end(run: Run) -> None:
    """A close, and a shutdown, wait until the peer has taken all."""

    async def main(*, is_close: bool) -> int:
        stream, peer = await pair(size=4096)
        count = 0
        with peer:
            stream._engine.write(bytes(3_000_000))
            assert stream.unsent
            if is_close:
                stream.close()
            else:
                stream._engine.end_writing()
            peer.setblocking(False)
            loop = asyncio.get_running_loop()
            while data := await loop.sock_recv(peer, 1_000_000):
                count += len(data)
            stream.close()
            await stream.wait_closed()
        return count

    for is_close in (True, False):
        assert run(lambda way=is_close: main(is_close=way)) == 3_000_000


def test_a_reset_is_told_to_who_reads_and_who_writes(run: Run) -> None:
    """Also where it is a write that meets it first, and to the writes after that."""

    async def main() -> None:
        for is_reading in (True, False):
            stream, peer = await pair()
            hard = struct.pack("ii", 1, 0)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
            peer.close()
            with pytest.raises(Disconnected):
                if is_reading:
                    await stream.read()
                # The first may be the one that meets it, and is lost.
                for _ in range(3):
                    await stream.write_all(b"x")
            with pytest.raises(Disconnected):
                await stream.read()
            stream.close()
            await stream.wait_closed()

    run(main)


def test_a_hang_up_wakes_nobody_while_reading_is_held_back(run: Run) -> None:
    """An error is told unasked, again and again: nothing may be watched then."""

    async def main() -> int:
        stream, peer = await pair()
        transport = stream._engine.transport
        transport.pause_reading()
        hard = struct.pack("ii", 1, 0)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        peer.close()
        selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # asyncio's own
        ready = len(selector.select(0))
        transport.resume_reading()
        with pytest.raises(Disconnected):
            await stream.read()
        stream.close()
        await stream.wait_closed()
        return ready

    assert run(main) == 0


def test_addresses_are_known_after_the_end(run: Run) -> None:
    """A log is written when it is over."""

    async def main() -> bool:
        stream, peer = await pair()
        with peer:
            known = stream.peer_address, stream.local_address
            assert known == (peer.getsockname(), peer.getpeername())
            stream.close()
            await stream.wait_closed()
            return known == (stream.peer_address, stream.local_address)

    assert run(main)


def test_a_fault_within_is_told_and_ends_this_one(run: Run) -> None:
    """Not the others, which are served in the same call."""

    class Broken:
        def feed(self, data: bytes) -> None:
            raise RuntimeError(f"cannot take {len(data)} bytes")

        def end(self) -> None:
            """Take the end."""

        def lose(self, error: BaseException | None, what: str) -> None:
            """Take the loss."""

        def go_on(self) -> None:
            """Take note of room."""

    async def main() -> tuple[bytes, list[object]]:
        told: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        bad, bad_peer = await pair()
        good, good_peer = await pair()
        with bad_peer, good_peer:
            bad._engine.sink = Broken()
            bad_peer.send(b"x")
            good_peer.send(b"y")
            data = await good.read()
            await bad.wait_closed()
            bad.close()
            async with good:
                return data, told

    data, told = run(main)
    assert data == b"y"
    assert [str(each) for each in told] == ["cannot take 1 bytes"]


def test_no_memory_for_watching_ends_it(
    run: Run, make_poller: MakePoller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an error of the connection, wherever it is noticed."""

    def refuse(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        monkeypatch.setattr(make_poller, "watch", refuse)
        stream, peer = await pair()
        with peer:
            with pytest.raises(Disconnected, match="No space left"):
                await stream.read()
            stream.close()
            await stream.wait_closed()

    run(main)


def test_a_repr_tells_the_state(run: Run) -> None:
    """And what waits."""

    async def main() -> list[str]:
        stream, peer = await pair()
        transport = stream._engine.transport
        seen = [repr(transport)]
        stream._engine.write(bytes(10_000_000))
        unsent = stream.unsent
        stream.close()
        seen.append(repr(transport).replace(f" {unsent} ", " n "))
        stream.abort()
        seen.append(repr(transport))
        await stream.wait_closed()
        peer.close()
        return [" ".join(text.split()[2:]) for text in seen]

    assert run(main) == [
        "open, 0 bytes unsent>",
        "closing, n bytes unsent>",
        "lost, 0 bytes unsent>",
    ]
