"""The chat server, with clients that really connect."""

import asyncio
import gc
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sumida import CancellationToken, JoinSet
from sumida.apps.chat import MAX_LINE, Chat, listen
from sumida.net import Framed, LinesCodec, TcpListener, TcpStream
from tests.support import Run

Lines = Framed[str, str]


@asynccontextmanager
async def served(
    listener: TcpListener | None = None, *, max_clients: int = 10
) -> AsyncIterator[tuple[Chat, int]]:
    """Serve a room while the block lasts; it ends by the stop."""
    stop = CancellationToken()
    chat = Chat(stop, max_clients=max_clients)
    listener = listener or await listen("127.0.0.1", 0)
    port = listener.port
    async with JoinSet[None]() as tasks:
        tasks.spawn(chat.serve(listener))
        with stop.drop_guard():
            yield chat, port


@asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[Lines, str]]:
    """Connect; gives what is said, and the greeting."""
    async with await TcpStream.connect("127.0.0.1", port) as stream:
        lines: Lines = Framed(stream, LinesCodec())
        yield lines, await lines.recv()


def test_a_client_can_talk_and_set_the_topic(run: Run) -> None:
    """The topic is told, lines reach all, and who quits is gone."""

    async def main() -> list[str]:
        async with served(max_clients=1) as (_, port), client(port) as (lines, hello):
            async with client(port) as (_, full):
                pass
            await lines.send_many(["/topic ships", "hi there"])
            said = [await lines.recv() for _ in range(2)]
            await lines.send("/quit")
            assert [line async for line in lines] == []
        return [hello, full, *sorted(said)]

    hello, full, topic, line = run(main)

    assert "topic: anything goes" in hello
    assert "full" in full
    assert topic == "* topic: ships"
    assert line.endswith("> hi there")


def test_a_line_that_is_no_good_is_told_and_the_next_one_taken(run: Run) -> None:
    """One that is too long, and one that is no text."""

    async def main() -> list[str]:
        async with (
            served() as (_, port),
            await TcpStream.connect("127.0.0.1", port) as stream,
        ):
            lines: Lines = Framed(stream, LinesCodec())
            await lines.recv()
            await stream.write_all(b"x" * (MAX_LINE + 1) + b"\n\xff\xfe\ngood\n")
            return [await lines.recv() for _ in range(3)]

    long, binary, good = run(main)

    assert long == binary == f"* not taken: over {MAX_LINE} bytes, or no text"
    assert good.endswith("> good")


def test_the_stop_lets_all_be_heard(run: Run) -> None:
    """What was taken before it, and a good bye."""

    async def main() -> list[str]:
        async with (
            served() as (chat, port),
            client(port) as (ann, _),
            client(port) as (bob, _),
        ):
            await ann.send("last words")
            await ann.recv()
            chat.stop.cancel()
            return [line async for line in bob]

    words, bye = run(main)

    assert words.endswith("> last words")
    assert bye == "* the server stops, good bye"


def test_one_who_resets_the_connection_harms_nobody(run: Run) -> None:
    """Before it is welcomed, which is when its address cannot be asked for."""

    async def main() -> str:
        async with served() as (_, port):
            for _ in range(5):
                rude = socket.create_connection(("127.0.0.1", port))
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                rude.close()
            async with client(port) as (lines, _):
                await lines.send("all is well")
                return await lines.recv()

    assert run(main).endswith("> all is well")


def test_who_left_is_forgotten(run: Run) -> None:
    """A server that runs for a year does not keep a task for each client it had."""

    async def main() -> int:
        async with served() as (_, port):
            for _ in range(10):
                async with client(port) as (lines, _):
                    await lines.send("/quit")
                    assert [line async for line in lines] == []
            async with client(port):
                tasks = [each for each in gc.get_objects() if is_welcome(each)]
                return len(tasks)

    assert run(main) <= 3


def test_one_who_does_not_read_is_sent_away(run: Run) -> None:
    """And so it holds up neither the room nor the stop."""

    async def main() -> int:
        listener = await TcpListener.bind(
            "127.0.0.1", 0, read_timeout=None, write_timeout=0.05, send_buffer=4096
        )
        async with (
            served(listener) as (chat, port),
            client(port),
            client(port) as (lines, _),
        ):
            while chat.news.receiver_count > 1:
                await lines.send("x" * 1000)
                await lines.recv()
            return chat.news.receiver_count

    assert run(main) == 1


def test_a_fault_of_one_is_logged_and_ends_nobody_else(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The room is there for the others."""

    async def main() -> str:
        async with served() as (_, port):
            with monkeypatch.context() as broken:
                broken.setattr("sumida.apps.chat._Client.run", fail)
                async with await TcpStream.connect("127.0.0.1", port) as stream:
                    assert await stream.read_to_end() == b""
            async with client(port) as (_, hello):
                return hello

    assert run(main).startswith("* hello")
    assert "no memory of it" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["127.0.0.1", "70000"], 1, "chat: port must be 0 to 65535, not 70000\n"),
        (["127.0.0.1", "x"], 2, "invalid int value: 'x'\n"),
        (["127.0.0.1", "0", "0"], 2, "unrecognized arguments: 0\n"),
    ],
)
def test_the_example_refuses_nonsense(
    arguments: list[str], code: int, told: str
) -> None:
    """With a sentence."""
    done = subprocess.run(  # noqa: S603  # the repository's own program
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )

    assert done.returncode == code
    assert done.stderr.endswith(told)
    assert "Traceback" not in done.stderr


def test_the_example_serves_until_a_ctrl_c() -> None:
    """It says where, and who is there is told good bye."""
    with subprocess.Popen(  # noqa: S603  # the repository's own program
        [sys.executable, str(EXAMPLE), "127.0.0.1", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(" ")[2])
        with socket.create_connection(("127.0.0.1", port)) as peer:
            lines = peer.makefile("r", encoding="utf-8")
            assert lines.readline().startswith("* hello")
            process.send_signal(signal.SIGINT)
            said = lines.read()
        code = process.wait(60)

    assert said == "* the server stops, good bye\n"
    assert code == 130


ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "chat.py"
LINGER = struct.pack("ii", 1, 0)


async def fail(_client: object) -> None:
    """Raise what nobody expects."""
    raise LookupError("no memory of it")


def is_welcome(thing: object) -> bool:
    """Whether it is the task of a client."""
    if not isinstance(thing, asyncio.Task):
        return False
    return getattr(thing.get_coro(), "__name__", "") == "_welcome"
