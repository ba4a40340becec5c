"""TLS: both ends of it, half-close, certificates, the ways in which it fails."""

import asyncio
import ssl

import pytest

from sumida.errors import Closed, Disconnected
from sumida.net import TcpListener, TcpStream
from sumida.testing import turns
from tests.net.certificates import client_context, mutual_contexts, server_context
from tests.support import Run

SIZE = 500_000


async def secure(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[TcpStream, TcpStream]:
    """Connect a client and a server."""
    async with await TcpListener.bind("localhost", 0, tls=server) as listener:
        accepting = asyncio.create_task(_accept(listener))
        try:
            near = await TcpStream.connect("localhost", listener.port, tls=client)
        except BaseException:
            accepting.cancel()
            await turns()
            raise
        return near, await accepting


async def _accept(listener: TcpListener) -> TcpStream:
    return await listener.accept()


def contexts(version: ssl.TLSVersion) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give two contexts that speak one version."""
    server, client = mutual_contexts(has_certificate=True)
    server.maximum_version = client.maximum_version = version
    return server, client


VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
)


@VERSIONS
@pytest.mark.parametrize("first", ["client", "server"])
def test_half_close_in_both_versions(
    run: Run, version: ssl.TLSVersion, first: str
) -> None:
    """Who has ended still gets an answer of any length, and then its end."""

    async def main() -> tuple[int, int]:
        client, server = await secure(*contexts(version))
        one, other = (client, server) if first == "client" else (server, client)
        async with client, server:
            await one.write_all(b"q" * SIZE)
            ending = asyncio.create_task(one.shutdown())
            question = await other.read_to_end()
            await ending
            with pytest.raises(Closed):
                await one.write_all(b"more")
            assert other.at_eof
            assert not one.at_eof
            answering = asyncio.create_task(_answer(other))
            answer = await one.read_to_end()
            await answering
            return len(question), len(answer)

    assert run(main) == (SIZE, SIZE)


async def _answer(stream: TcpStream) -> None:
    await stream.write_all(b"a" * SIZE)
    await stream.shutdown()


@VERSIONS
def test_a_close_is_told_with_notice(run: Run, version: ssl.TLSVersion) -> None:
    """The peer reads to the end, and does not take it for an attack."""

    async def main() -> bytes:
        client, server = await secure(*contexts(version))
        async with client:
            async with server:
                await server.write_all(b"goodbye")
            return await client.read_to_end()

    assert run(main) == b"goodbye"


def test_graceful_close_waits_for_the_peer(run: Run) -> None:
    """It reads what is under way, as over TCP."""

    async def main() -> bytes:
        client, server = await secure(server_context(), client_context())
        closing = asyncio.create_task(client.close_gracefully())
        assert await server.read_to_end() == b""
        await server.write_all(b"x" * SIZE)
        await server.shutdown()
        await closing
        server.close()
        await server.wait_closed()
        return b"done" if client.is_closed else b""

    assert run(main) == b"done"


def test_protocols_are_agreed_on(run: Run) -> None:
    """And each side knows the other's certificate where it was asked for."""

    async def main() -> tuple[str | None, object, object]:
        server_side, client_side = mutual_contexts(has_certificate=True)
        client, server = await secure(server_side, client_side)
        async with client, server:
            assert client.tls is not None
            assert server.tls is not None
            protocol = server.tls.selected_alpn_protocol()
            known = server.tls.getpeercert()
            assert known is not None
            names = known["subjectAltName"]
            return protocol, client.tls.selected_alpn_protocol(), names

    protocol, same, names = run(main)
    assert protocol == same == "http/1.1"
    assert names == (("DNS", "somebody"),)


def test_a_client_without_a_certificate_is_refused(run: Run) -> None:
    """With TLS 1.3 it learns that when it reads: a typed error, with the alert."""

    async def main() -> str:
        server_side, client_side = mutual_contexts(has_certificate=False)
        async with await TcpListener.bind("localhost", 0, tls=server_side) as listener:
            accepting = asyncio.create_task(_accept(listener))
            async with await TcpStream.connect(
                "localhost", listener.port, tls=client_side
            ) as client:
                with pytest.raises(Disconnected) as caught:
                    await client.read()
            assert not accepting.done()
            accepting.cancel()
            await turns()
        return str(caught.value).lower().replace("_", " ")

    assert "certificate required" in run(main)


def test_a_refusal_names_its_cause(run: Run) -> None:
    """The library's own error is the cause, for those who want to know it all."""

    async def main() -> tuple[str, BaseException | None]:
        async with await TcpListener.bind(
            "127.0.0.1", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            with pytest.raises(Disconnected) as caught:
                await TcpStream.connect(
                    "127.0.0.1", listener.port, tls=client_context()
                )
            accepting.cancel()
            await turns()
            return caught.value.direction, caught.value.__cause__

    direction, cause = run(main)
    assert direction == "handshake"
    assert isinstance(cause, ssl.SSLCertVerificationError)


def test_a_mute_client_holds_up_no_accept(run: Run) -> None:
    """Handshakes are made side by side while somebody waits."""

    async def main() -> bytes:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context(), handshake_timeout=3600
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            mute = await TcpStream.connect("localhost", listener.port)
            await turns(10)
            client = await TcpStream.connect(
                "localhost", listener.port, tls=client_context()
            )
            server = await accepting
        async with mute, client, server:
            await client.write_all(b"served")
            return await server.read()

    assert run(main) == b"served"


def test_an_accept_goes_on_after_a_handshake_that_failed(run: Run) -> None:
    """The next connection is taken in its place, also one that came meanwhile."""

    async def main() -> bytes:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_accept(listener))
            for _ in range(3):
                async with await TcpStream.connect("localhost", listener.port) as bad:
                    await bad.write_all(b"no handshake at all\r\n\r\n")
                    with pytest.raises(Disconnected):
                        while await bad.read():
                            pass
                        raise Disconnected("it", "read", "ended in order")
            client = await TcpStream.connect(
                "localhost", listener.port, tls=client_context()
            )
            server = await accepting
        async with client, server:
            await client.write_all(b"served")
            return await server.read()

    assert run(main) == b"served"


def test_rubbish_after_the_handshake_is_an_error(run: Run) -> None:
    """It ends the connection, on both sides, with the reason."""

    async def main() -> str:
        client, server = await secure(server_context(), client_context())
        client._engine.transport.write(b"\x17\x03\x03\x00\x20" + b"?" * 32)
        with pytest.raises(Disconnected) as caught:
            await server.read()
        with pytest.raises(Disconnected):
            await client.read()
        for stream in (client, server):
            stream.close()
            await stream.wait_closed()
        return str(caught.value)

    assert "read" in run(main)


def test_a_cancelled_connect_leaves_nothing_open(run: Run) -> None:
    """In the middle of a handshake, at every step."""

    async def main() -> int:
        async with await TcpListener.bind(
            "localhost", 0, tls=server_context()
        ) as listener:
            accepting = asyncio.create_task(_drop_all(listener))
            ended = 0
            for steps in range(1, 40):
                connecting = asyncio.create_task(
                    TcpStream.connect("localhost", listener.port, tls=client_context())
                )
                await turns(steps)
                connecting.cancel()
                try:
                    (await connecting).abort()
                except asyncio.CancelledError:
                    ended += 1
            listener.close()
            await accepting
            await turns(5)
            return ended

    assert run(main) > 0


async def _drop_all(listener: TcpListener) -> None:
    async for stream in listener:
        stream.abort()
