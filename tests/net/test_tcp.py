"""TCP: connecting, accepting, options, TLS."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable

import pytest

from sumida import select, sleep
from sumida.errors import Closed, ConnectError, Disconnected, Elapsed
from sumida.io import Stream
from sumida.net import TcpListener, TcpStream, _connect
from sumida.net._options import TcpOptions
from sumida.testing import turns
from sumida.testing.cancel import Outcome, cancel_everywhere
from tests.net.certificates import client_context, server_context
from tests.support import Run

LOCAL = "127.0.0.1"


async def pair(listener: TcpListener, **options: bool) -> tuple[TcpStream, TcpStream]:
    """Connect a client to a listener."""
    accepting = asyncio.create_task(_accept(listener))
    client = await TcpStream.connect(LOCAL, listener.port, **options)  # type: ignore[arg-type]  # a dict
    return client, await accepting


async def _accept(listener: TcpListener) -> TcpStream:
    return await listener.accept()


def test_a_client_and_a_server_talk(run: Run) -> None:
    """Both know each other's address; small messages are sent at once."""

    async def main() -> bytes:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            client, server = await pair(listener)
            async with client, server:
                assert client.peer_address == listener.address
                assert client.local_address == server.peer_address
                assert client.nodelay
                assert server.nodelay
                assert client.tls is None
                assert f"TcpStream {LOCAL}:{listener.port} open" in repr(client)
                await client.write_all(b"hello")
                return await server.read()

    assert run(main) == b"hello"


def test_options_reach_the_socket(run: Run) -> None:
    """Nagle, keep-alive, linger, buffers."""

    async def main() -> None:
        async with await TcpListener.bind(
            LOCAL, 0, nodelay=False, keepalive=30, linger=2, receive_buffer=65536
        ) as listener:
            client, server = await pair(listener, nodelay=False)
            async with client, server:
                sock = server._socket
                assert not client.nodelay
                assert not server.nodelay
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
                client.nodelay = True
                assert client.nodelay
        for option in ("send_buffer", "receive_buffer"):
            with pytest.raises(ValueError, match=f"{option} must be 1 byte or more"):
                await TcpStream.connect(LOCAL, 1, **{option: 0})  # type: ignore[arg-type]  # a dict
        with pytest.raises(ValueError, match="linger"):
            await TcpStream.connect(LOCAL, 1, linger=-1)
        with pytest.raises(ValueError, match="connect_timeout"):
            await TcpStream.connect(LOCAL, 1, connect_timeout=0)
        with pytest.raises(ValueError, match="port must be 0 to 65535, not 70000"):
            await TcpStream.connect(LOCAL, 70_000)
        with pytest.raises(ValueError, match="backlog"):
            await TcpListener.bind(LOCAL, 0, backlog=0)

    run(main)


def test_a_refused_connection_says_what_was_tried(run: Run) -> None:
    """Each address and its reason."""

    async def main() -> str:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            port = listener.port
        with pytest.raises(ConnectError) as caught:
            await TcpStream.connect(LOCAL, port)
        assert isinstance(caught.value, ConnectionError)
        return str(caught.value).replace(str(port), "PORT")

    text = run(main)
    assert text.startswith(f"cannot reach {LOCAL}:PORT: {LOCAL}:PORT: ")
    assert "refused" in text


def test_a_name_is_looked_up_off_the_loop(run: Run) -> None:
    """And an unknown one is an error of its own."""

    async def main() -> None:
        async with await TcpListener.bind("localhost", 0) as listener:
            client, server = await pair(listener)
            client.close()
            server.close()
            await server.wait_closed()
        with pytest.raises(ConnectError, match=r"no-such-host\.invalid"):
            await TcpStream.connect("no-such-host.invalid", 1)

    run(main)


def test_the_next_address_is_tried_when_one_refuses(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families in turn; the first that answers wins, and the others are closed."""

    async def main() -> str:
        async with await TcpListener.bind(LOCAL, 0) as listener:

            async def two(_host: str, port: int) -> list[_connect.Address]:
                return [
                    (socket.AF_INET6, ("::1", port)),
                    (socket.AF_INET, ("127.0.0.2", port)),
                    (socket.AF_INET, (LOCAL, port)),
                ]

            monkeypatch.setattr(_connect, "resolve", two)
            accepting = asyncio.create_task(_accept(listener))
            async with await TcpStream.connect("both", listener.port) as client:
                server = await accepting
                server.close()
                return client.peer_address[0]

    assert run(main) == LOCAL


def test_when_all_refuse_all_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order in which they were tried."""

    async def main() -> tuple[str, ...]:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            port = listener.port

        async def two(_host: str, port: int) -> list[_connect.Address]:
            return [
                (socket.AF_INET, (LOCAL, port)),
                (socket.AF_INET, ("127.0.0.2", port)),
            ]

        monkeypatch.setattr(_connect, "resolve", two)
        with pytest.raises(ConnectError) as caught:
            await TcpStream.connect("both", port)
        return caught.value.failures

    failures = run(main)
    assert [failure.split(":")[0] for failure in failures] == [LOCAL, "127.0.0.2"]


def test_connecting_has_a_deadline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, addresses and handshake together."""

    async def main() -> str:
        async def never(_host: str, _port: int) -> list[_connect.Address]:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        monkeypatch.setattr(_connect, "resolve", never)
        with pytest.raises(Elapsed) as caught:
            await TcpStream.connect("slow", 80, connect_timeout=0.01)
        return caught.value.what

    assert run(main) == "a connection to slow:80"


class Accepting:
    """A world in which one task accepts."""

    def __init__(self, listener: TcpListener) -> None:
        self.listener = listener
        self.clients: list[socket.socket] = []

    async def subject(self) -> TcpStream:
        """Accept."""
        return await self.listener.accept()

    def wakes(self) -> list[Callable[[], object]]:
        """Let a client connect."""

        def connect() -> None:
            # At once: the kernel answers for the listener.
            self.clients.append(socket.create_connection(self.listener.address))

        return [connect]

    async def check(self, outcome: Outcome) -> None:
        """Find each connection with the caller, or with the next call."""
        left = len(self.clients)
        if outcome.returned:
            left -= 1
            assert isinstance(outcome.value, TcpStream)
            outcome.value.abort()
        for _ in range(left):
            index, stream = await select(self.listener.accept(), sleep(60))
            assert index == 0
            assert isinstance(stream, TcpStream)
            stream.abort()
        for client in self.clients:
            client.close()


def test_a_cancelled_accept_takes_nothing(run: Run) -> None:
    """The connection is the next call's, also within a select."""

    async def main() -> int:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            runs = await cancel_everywhere(lambda: Accepting(listener))
            await turns()
            return runs

    assert run(main) > 5


def test_a_listener_is_iterated_until_it_is_closed(run: Run) -> None:
    """Who waits is told."""

    async def main() -> int:
        count = 0
        listener = await TcpListener.bind(LOCAL, 0)
        assert "TcpListener 127.0.0.1" in repr(listener)

        async def connect() -> None:
            for _ in range(3):
                async with await TcpStream.connect(LOCAL, listener.port) as stream:
                    await stream.read()
            listener.close()
            listener.close()

        connecting = asyncio.create_task(connect())
        async for stream in listener:
            count += 1
            stream.close()
        await connecting
        assert listener.is_closed
        assert repr(listener) == "<TcpListener closed>"
        with pytest.raises(Closed):
            await listener.accept()
        return count

    assert run(main) == 3


def test_sockets_of_others_are_taken_over(run: Run) -> None:
    """With the same guarantees; one that is not connected is refused."""

    async def main() -> bytes:
        async with await TcpListener.bind(LOCAL, 0) as listener:
            accepting = asyncio.create_task(_accept(listener))
            sock = socket.socket()
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, listener.address)
            client = await TcpStream.from_socket(sock, nodelay=False)
            server = await accepting
            async with client, server:
                assert not client.nodelay
                await client.write_all(b"x")
                with pytest.raises(OSError, match="not connected"):
                    await TcpStream.from_socket(socket.socket())
                return await server.read()

    assert run(main) == b"x"


@pytest.mark.parametrize("host", [None, "::1"])
def test_all_families_are_served(run: Run, host: str | None) -> None:
    """None is all of this machine."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")

    async def main() -> None:
        async with await TcpListener.bind(host, 0) as listener:
            hosts = [LOCAL, "::1"] if host is None else [host]
            for each in hosts:
                accepting = asyncio.create_task(_accept(listener))
                async with await TcpStream.connect(each, listener.port):
                    (await accepting).close()

    run(main)


# TLS


async def secure_pair(
    listener: TcpListener, version: ssl.TLSVersion | None = None
) -> tuple[TcpStream, TcpStream]:
    """Connect with TLS."""
    context = client_context()
    if version is not None:
        context.maximum_version = version
    accepting = asyncio.create_task(_accept(listener))
    try:
        client = await TcpStream.connect("localhost", listener.port, tls=context)
    finally:
        context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    return client, await accepting


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_carries_everything(run: Run, version: ssl.TLSVersion) -> None:
    """More than a record, both ways."""
    size = 300_000

    async def main() -> tuple[bytes, bytes]:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            client, server = await secure_pair(listener, version)
            async with client, server:
                assert client.tls is not None
                assert client.tls.version() == version.name.replace("_", ".")
                writing = asyncio.create_task(client.write_all(b"x" * size))
                got = await server.read_exact(size)
                await writing
                await server.write_all(b"thanks")
                return got, await client.read()

    got, thanks = run(main)
    assert (len(got), thanks) == (size, b"thanks")


def test_tls_half_close_leaves_the_way_back(run: Run) -> None:
    """A close_notify ends one side; asyncio's own TLS cannot."""

    async def main() -> tuple[bytes, bytes]:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            client, server = await secure_pair(listener)
            async with client, server:
                await client.write_all(b"question")
                await client.shutdown()
                question = await server.read_to_end()
                await server.write_all(b"answer")
                await server.shutdown()
                return question, await client.read_to_end()

    assert run(main) == (b"question", b"answer")


def test_a_name_that_does_not_fit_is_refused(run: Run) -> None:
    """With the reason that the certificate gives."""

    async def main() -> str:
        async with await TcpListener.bind(LOCAL, 0, tls=server_context()) as listener:
            accepting = asyncio.create_task(_accept(listener))
            with pytest.raises(Disconnected) as caught:
                await TcpStream.connect(LOCAL, listener.port, tls=client_context())
            # That client was none: the listener still waits for the first.
            assert not accepting.done()
            accepting.cancel()
            await turns()
            return str(caught.value)

    assert "certificate is not valid for '127.0.0.1'" in run(main)


def test_an_end_without_notice_is_no_end(run: Run) -> None:
    """It might be an attacker who cut it off."""

    async def main() -> None:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            client, server = await secure_pair(listener)
            async with server:
                await client.write_all(b"half a mess")
                await client.flush()
                client.abort()
                with pytest.raises(Disconnected, match=r"close_notify|reset"):
                    await server.read_to_end()

    run(main)


def test_a_plain_client_of_a_tls_server_is_told_off(run: Run) -> None:
    """And the server goes on."""

    async def main() -> None:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            async with await TcpStream.connect("localhost", listener.port) as plain:
                await plain.write_all(b"GET / HTTP/1.0\r\n\r\n")
                await _read_away(plain)
            client = await TcpStream.connect(
                "localhost", listener.port, tls=client_context()
            )
            server = await accepting
            server.close()
            client.close()
            await server.wait_closed()
            await client.wait_closed()

    run(main)


async def _read_away(stream: Stream) -> None:
    try:
        await stream.read_to_end()
    except Disconnected:
        return


def test_a_handshake_that_hangs_has_a_deadline(run: Run) -> None:
    """On either side."""

    async def main() -> None:
        async with await TcpListener.bind(LOCAL, 0) as mute:
            accepting = asyncio.create_task(_accept(mute))
            with pytest.raises(Elapsed):
                await TcpStream.connect(
                    LOCAL, mute.port, tls=client_context(), connect_timeout=0.05
                )
            (await accepting).close()
        async with await TcpListener.bind(
            LOCAL, 0, tls=server_context(), handshake_timeout=0.05
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            async with await TcpStream.connect(LOCAL, listener.port) as client:
                await _read_away(client)
            assert not accepting.done()
            accepting.cancel()
            await turns()

    run(main)


def test_what_is_set_is_what_the_kernel_has(run: Run) -> None:
    """On both ends: keep-alive, linger rounded up, sizes of buffers, reuse."""

    def seen(stream: TcpStream) -> dict[str, object]:
        get = stream._socket.getsockopt
        return {
            "nodelay": bool(get(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
            "keepalive": get(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            "idle": get(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            "linger": struct.unpack("ii", get(socket.SOL_SOCKET, socket.SO_LINGER, 8)),
            # Linux keeps, and tells, twice as much.
            "send": get(socket.SOL_SOCKET, socket.SO_SNDBUF),
            "receive": get(socket.SOL_SOCKET, socket.SO_RCVBUF),
        }

    async def main() -> list[dict[str, object]]:
        options: TcpOptions = {
            "keepalive": 7.4,
            "linger": 0.5,
            "send_buffer": 20_000,
            "receive_buffer": 30_000,
        }
        async with await TcpListener.bind(
            LOCAL, 0, reuse_port=True, **options
        ) as listener:
            second = await TcpListener.bind(LOCAL, listener.port, reuse_port=True)
            second.close()
            client = await TcpStream.connect(LOCAL, listener.port, **options)
            server = await listener.accept()
            async with client, server:
                return [seen(client), seen(server)]

    for found in run(main):
        assert found == {
            "nodelay": True,
            "keepalive": 1,
            "idle": 7,
            "linger": (1, 1),
            "send": 40_000,
            "receive": 60_000,
        }
