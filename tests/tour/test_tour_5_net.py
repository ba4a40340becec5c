"""The tour, section 5, as it stands: sockets and files."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import assert_type

import pytest

from sumida import io
from sumida.net import (
    Framed,
    LengthDelimitedCodec,
    LinesCodec,
    Pool,
    TcpListener,
    TcpStream,
    serve,
)
from tests.support import Run


async def echo(stream: TcpStream) -> None:
    """Give back each line."""
    async for line in Framed(stream, LinesCodec(max_length=8192)):
        await stream.write_all(line.encode() + b"\n")


def test_section_5_sockets_run(run: Run) -> None:
    """A server, a client with two halves, and the end of both."""

    async def main() -> None:
        async with await serve(echo, "127.0.0.1", 0, max_connections=1000) as server:
            stream = await TcpStream.connect(
                "127.0.0.1", server.port, connect_timeout=5
            )
            assert_type(stream, TcpStream)
            reader, writer = stream.split()
            await writer.write_all(b"hi\n")
            await writer.flush()
            await writer.shutdown()
            assert await reader.read_to_end() == b"hi\n"
            await stream.close_gracefully(timeout=5)

    run(main)


def test_section_5_pools_and_copies_run(run: Run) -> None:
    """A pool of connections, and a proxy of one line."""

    async def main() -> tuple[int, int]:
        async with await serve(echo, "127.0.0.1", 0) as server:
            host, port = "127.0.0.1", server.port
            pool = Pool(
                lambda: TcpStream.connect(host, port), max_size=10, idle_timeout=60
            )
            async with pool:  # noqa: SIM117  # as the tour has it
                async with pool.acquire() as conn:
                    frames = Framed(conn, LinesCodec(max_length=8192))
                    await frames.send("hello")
                    assert await frames.recv() == "hello"

            async with await TcpListener.bind(host, 0) as listener:
                user = await TcpStream.connect(host, listener.port)
                client = await listener.accept()
            upstream = await TcpStream.connect(host, port)
            async with user, client, upstream:
                copying = asyncio.create_task(io_copy(client, upstream))
                await user.write_all(b"through\n")
                await user.shutdown()
                assert await user.read_to_end() == b"through\n"
                sent, received = await copying
                return sent, received

    assert run(main) == (8, 8)
    assert LengthDelimitedCodec().encode(b"x")


async def io_copy(client: TcpStream, upstream: TcpStream) -> tuple[int, int]:
    """Be a proxy."""
    sent, received = await io.copy_bidirectional(client, upstream)
    return sent, received


def test_section_5_files_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines and chunks, off the loop and in constant memory."""
    monkeypatch.chdir(tmp_path)
    Path("access.log").write_text("one\ntwo\n", encoding="utf-8")
    Path("disk.img").write_bytes(os.urandom(1 << 20))

    async def main() -> tuple[list[object], str]:
        lines: list[object] = []
        async with await io.open("access.log") as file:
            async for line in file.lines():
                lines.append(line)  # as the tour has it
        hasher = hashlib.sha256()
        async for chunk in io.read_chunks("disk.img", size=1 << 20):
            hasher.update(chunk)
        return lines, hasher.hexdigest()

    lines, digest = run(main)
    assert [str(line).strip() for line in lines] in (
        ["one", "two"],
        [r"b'one\n'", r"b'two\n'"],
    )
    assert digest == hashlib.sha256(Path("disk.img").read_bytes()).hexdigest()
