"""Row 27: a half-close goes through the proxy, where a plain one loses the answer."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from sumida.net import TcpStream, serve
from tests.apps.proxy.support import LOCAL, listener, loaded, proxying
from tests.support import Run


async def _count(stream: TcpStream) -> None:
    """Answer when the client has ended: how many bytes there were."""
    data = await stream.read_to_end()
    await stream.write_all(b"%d bytes" % len(data))


async def _ask(port: int, tls: ssl.SSLContext | None = None) -> bytes:
    name = "localhost" if tls else None
    async with await TcpStream.connect(
        LOCAL, port, tls=tls, server_hostname=name
    ) as stream:
        await stream.write_all(b"x" * 1000)
        await stream.shutdown()
        return await stream.read_to_end()


def test_the_usual_proxy_loses_the_answer(run: Run) -> None:
    """It closes both sides when one has ended, as most examples do."""

    async def main() -> bytes:
        async with await serve(_count, LOCAL, 0) as server:

            async def pump(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                while data := await reader.read(65536):
                    writer.write(data)
                writer.close()

            async def carry(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                up_reader, up_writer = await asyncio.open_connection(LOCAL, server.port)
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(reader, up_writer))
                    group.create_task(pump(up_reader, writer))

            proxy = await asyncio.start_server(carry, LOCAL, 0)
            async with proxy:
                return await _ask(proxy.sockets[0].getsockname()[1])

    assert run(main) == b""


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_row_27_a_half_close_goes_through(
    run: Run, tmp_path: Path, *, is_tls: bool
) -> None:
    """Also where the client speaks TLS, and its end is a close_notify."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pem = tmp_path / "web.pem"
    issued = authority.issue_cert("localhost")
    pem.write_bytes(issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes())
    tls = {"tls": {"certificate": str(pem)}} if is_tls else {}

    async def main() -> bytes:
        async with await serve(_count, LOCAL, 0) as server:
            table = listener(f"{LOCAL}:{server.port}", **tls)
            async with proxying(loaded(table)) as running:
                return await _ask(running.port, context if is_tls else None)

    assert run(main) == b"1000 bytes"
