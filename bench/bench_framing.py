"""Messages over a stream, against what people write on asyncio's streams.

    python bench/bench_framing.py

Both ends are on one loop, connected by a real TCP socket. The frames of 100 bytes are
pipelined: many are under way. "Received" is with the bytes written in large pieces, so
that only finding and handing out the frames is told apart; "sent and received" is with
each frame written by itself.
"""

import asyncio
import gc
import importlib.util
import json
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine

from harness import Row, Runner, best_of, show, timed

from sumida.net import (
    Framed,
    FramedRead,
    JsonLinesCodec,
    LengthDelimitedCodec,
    LinesCodec,
    TcpListener,
    TcpStream,
)

FRAMES = 20_000
SIZE = 100
PIECE = 64 * 1024
BATCH = 64
LOCAL = "127.0.0.1"

FRAME = b"x" * SIZE
HEAD = struct.Struct(">I")
VALUE = {"id": 1, "method": "add", "params": [1, 2, 3], "note": "x" * 40}
LINE = "x" * (SIZE - 1)

Main = Callable[[], Coroutine[object, object, None]]


def pieces(message: bytes) -> list[bytes]:
    """Give all messages in the pieces in which they are written."""
    data = message * FRAMES
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


async def connected() -> tuple[TcpStream, TcpStream]:
    """Give the two ends of a connection of ours."""
    async with await TcpListener.bind(LOCAL, 0) as listener:
        client = await TcpStream.connect(LOCAL, listener.port)
        return client, await listener.accept()


def ours(message: bytes, codec: Callable[[], object]) -> Main:
    """Receive all messages with a `for` over a `FramedRead`."""
    data = pieces(message)

    async def main() -> None:
        client, server = await connected()

        async def write() -> None:
            for piece in data:
                await client.write_all(piece)
            await client.shutdown()

        async with client, server:
            writing = asyncio.create_task(write())
            count = 0
            async for _ in FramedRead(server, codec()):  # type: ignore[arg-type]  # a decoder
                count += 1
            assert count == FRAMES
            await writing

    return main


def ours_many(message: bytes) -> Main:
    """Receive all messages with `recv_many`."""
    data = pieces(message)

    async def main() -> None:
        client, server = await connected()

        async def write() -> None:
            for piece in data:
                await client.write_all(piece)
            await client.shutdown()

        async with client, server:
            writing = asyncio.create_task(write())
            frames = FramedRead(server, LengthDelimitedCodec())
            count = 0
            while messages := await frames.recv_many(1000):
                count += len(messages)
            assert count == FRAMES
            await writing

    return main


Receive = Callable[[asyncio.StreamReader], Awaitable[object]]


def streams(message: bytes, receive: Receive) -> Main:
    """Receive all messages from an asyncio stream, one by one."""
    data = pieces(message)

    async def main() -> None:
        done = asyncio.Event()

        async def handler(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            for _ in range(FRAMES):
                await receive(reader)
            writer.close()
            done.set()

        server = await asyncio.start_server(handler, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(LOCAL, port)
        for piece in data:
            writer.write(piece)
            await writer.drain()
        await done.wait()
        writer.close()
        await writer.wait_closed()
        server.close()

    return main


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Read a head, then the frame."""
    (size,) = HEAD.unpack(await reader.readexactly(HEAD.size))
    return await reader.readexactly(size)


async def read_line(reader: asyncio.StreamReader) -> str:
    """Read a line of text."""
    return (await reader.readline()).decode().rstrip("\r\n")


async def read_json(reader: asyncio.StreamReader) -> object:
    """Read a line of JSON."""
    return json.loads(await reader.readline())


def ours_both(how: str) -> Main:
    """Send each frame by itself, and receive it.

    Args:
        how: "send", "feed" or "send_many".
    """

    async def main() -> None:
        client, server = await connected()
        outgoing = Framed(client, LengthDelimitedCodec())
        incoming = Framed(server, LengthDelimitedCodec())

        async def write() -> None:
            if how == "send":
                for _ in range(FRAMES):
                    await outgoing.send(FRAME)
            elif how == "feed":
                for _ in range(FRAMES):
                    await outgoing.feed(FRAME)
            else:
                for _ in range(0, FRAMES, BATCH):
                    await outgoing.send_many([FRAME] * BATCH)
            await outgoing.shutdown()

        async with client, server:
            writing = asyncio.create_task(write())
            count = 0
            async for _ in incoming:
                count += 1
            await writing
            assert count >= FRAMES

    return main


async def streams_both() -> None:
    """Do the same with asyncio's streams, with a `drain` after each frame."""
    done = asyncio.Event()

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for _ in range(FRAMES):
            await read_frame(reader)
        writer.close()
        done.set()

    server = await asyncio.start_server(handler, LOCAL, 0)
    _, writer = await asyncio.open_connection(LOCAL, server.sockets[0].getsockname()[1])
    for _ in range(FRAMES):
        writer.write(HEAD.pack(SIZE) + FRAME)
        await writer.drain()
    await done.wait()
    writer.close()
    await writer.wait_closed()
    server.close()


def on_uvloop(main: Main) -> float:
    """Run `main` on uvloop and time it, in seconds."""
    import uvloop  # noqa: PLC0415  # may be missing

    async def inner() -> float:
        gc.collect()
        start = time.perf_counter()
        await main()
        return time.perf_counter() - start

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(inner())


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    loops: list[tuple[str, Runner]] = [("asyncio", timed)]
    if importlib.util.find_spec("uvloop") is not None:
        loops.append(("uvloop", on_uvloop))
    table = []
    for loop, runner in loops:
        contenders = [
            ours(HEAD.pack(SIZE) + FRAME, LengthDelimitedCodec),
            ours_many(HEAD.pack(SIZE) + FRAME),
            streams(HEAD.pack(SIZE) + FRAME, read_frame),
            ours_both("send"),
            ours_both("feed"),
            ours_both("send_many"),
            streams_both,
            ours(LINE.encode() + b"\n", LinesCodec),
            streams(LINE.encode() + b"\n", read_line),
            ours(json.dumps(VALUE).encode() + b"\n", JsonLinesCodec),
            streams(json.dumps(VALUE).encode() + b"\n", read_json),
        ]
        (
            frames,
            many,
            their_frames,
            sent,
            fed,
            sent_many,
            their_sent,
            lines,
            their_lines,
            values,
            their_values,
        ) = best_of(contenders, FRAMES, runners=[runner] * len(contenders), rounds=9)
        exactly = f"asyncio readexactly on {loop}"
        line = f"asyncio readline on {loop}"
        table += [
            Row("frames received", frames, exactly, their_frames, floor=3.0),
            Row("frames received by recv_many", many, exactly, their_frames, floor=3.0),
            Row("frames sent by send and received", sent, exactly, their_sent),
            Row("frames sent by feed and received", fed, exactly, their_sent),
            Row(
                "frames sent by send_many and received",
                sent_many,
                exactly,
                their_sent,
                floor=3.0,
            ),
            Row("lines received", lines, line, their_lines),
            Row("JSON lines received", values, f"{line} and json", their_values),
        ]
    return table


if __name__ == "__main__":
    show("framing", rows())
