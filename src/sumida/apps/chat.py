"""A TCP chat server: one small whole program, written to be read.

    python examples/chat.py 127.0.0.1 7000      then, elsewhere: nc 127.0.0.1 7000

What is typed is said to all; `/topic WORDS` sets the topic, `/quit` leaves.

| pattern | where |
|---|---|
| one task per client, owned by a `JoinSet` | `Chat.serve` |
| a limit on clients, by a `Semaphore` | `Chat._welcome` |
| each line goes to all, by a `broadcast` channel | `_Client._obey` |
| the topic is state, so it is a `watch` channel | `_Client._obey` |
| a bounded `mpsc` per client: one who floods is not read | `_Client._read_lines` |
| a biased `select`: the stop first, the client's own lines last | `_Client._talk` |
| Ctrl-C drains: what was said is heard by all | `_Client._drain` |
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Final, final

import sumida
from sumida import CancellationToken, Closed, JoinSet, Lagged, select, timeout
from sumida.channels import broadcast, mpsc, watch
from sumida.errors import NoPermits
from sumida.sync import Semaphore

__all__ = ("DRAIN", "MAX_LINE", "Chat", "main")

MAX_LINE: Final = 1024
"""The longest line that is read, in bytes; a client that sends more is cut off."""

DRAIN: Final = 5.0
"""How long a client has, after the stop, to take what was said, in seconds."""


@final
class Chat:
    """A room and those who are in it.

    Args:
        stop: Ends the server when it is cancelled.
        max_clients: How many may be in the room at once; others are sent away.
        history: How many messages a slow client may be behind before it loses some.
    """

    __slots__ = ("_slots", "news", "stop", "topic")

    def __init__(
        self, stop: CancellationToken, *, max_clients: int = 100, history: int = 1024
    ) -> None:
        self.stop = stop
        self.news: broadcast.Sender[str] = broadcast.channel(history)
        self.topic: watch.Sender[str] = watch.channel("anything goes")[0]
        self._slots = Semaphore(max_clients)

    async def serve(
        self, host: str, port: int, on_ready: Callable[[int], object]
    ) -> None:
        """Serve until the stop, then let every client take what was said.

        Args:
            host: The address to listen on.
            port: The port; 0 for any that is free.
            on_ready: Called once with the port that is listened on.

        Cancel safety:
            Safe: every client's task is aborted and awaited.
        """
        async with JoinSet[None]() as clients:

            def welcome(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                clients.spawn(self._welcome(reader, writer))

            server = await asyncio.start_server(welcome, host, port, limit=MAX_LINE)
            try:
                on_ready(server.sockets[0].getsockname()[1])
                await self.stop.cancelled()
            finally:
                server.close()
                # The room itself has nothing more to say; it is over when the last
                # client has said what it had to.
                self.news.close()
                self.topic.close()

    async def _welcome(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with self._slots.try_acquire(), _Client(self, reader, writer) as client:
                await client.run()
        except (NoPermits, Closed):
            writer.write(b"* the room is full or closing, come back later\n")
        except ConnectionError:
            pass  # the client is gone, and its task with it
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@final
class _Client:
    """One client: its socket, its queue of lines, its view of the room."""

    __slots__ = ("_chat", "_name", "_news", "_reader", "_writer")

    def __init__(
        self, chat: Chat, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._chat = chat
        self._reader = reader
        self._writer = writer
        self._name = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        # While a client has its sender, there may be more to hear for the others.
        self._news = chat.news.clone()

    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._news.close()

    async def run(self) -> None:
        """Serve this client until it leaves or the server stops."""
        tx: mpsc.Sender[str]
        rx: mpsc.Receiver[str]
        tx, rx = mpsc.channel(16)
        heard = self._chat.news.subscribe()
        async with JoinSet[None]() as tasks:
            tasks.spawn(self._read_lines(tx), name=f"read {self._name}")
            if await self._talk(rx, heard):
                tasks.abort_all()
                await self._drain(rx, heard)
            tasks.abort_all()

    async def _read_lines(self, tx: mpsc.Sender[str]) -> None:
        """Read lines into the queue; while it is full the socket is not read."""
        async with tx:
            # A reset, a line that is too long, a receiver that left: the end.
            with contextlib.suppress(ConnectionError, ValueError, Closed):
                while line := await self._reader.readline():
                    await tx.send(line.decode(errors="replace").rstrip("\r\n"))

    async def _talk(
        self, rx: mpsc.Receiver[str], heard: broadcast.Receiver[str]
    ) -> bool:
        """Go back and forth between client and room; whether the server stops."""
        topic = self._chat.topic.subscribe()
        await self._write(f"* hello {self._name}; topic: {topic.borrow()}")
        while True:
            try:
                match await select(
                    stop=self._chat.stop.cancelled(),
                    topic=topic.changed(),
                    heard=heard.recv(),
                    line=rx.recv(),
                    biased=True,
                ):
                    case ("stop", _):
                        return True
                    case ("topic", _):
                        await self._write(f"* topic: {topic.borrow_and_update()}")
                    case ("heard", message):
                        await self._write(message)
                    case ("line", "/quit"):
                        return False
                    case ("line", line):
                        self._obey(line)
            except Lagged as lag:
                await self._write(f"* you missed {lag.missed} messages")
            except Closed as closed:
                # The client hung up, unless it is the room that closes.
                return closed.branch != "line"

    def _obey(self, line: str) -> None:
        """Do what a client's line says."""
        if line.startswith("/topic "):
            with contextlib.suppress(Closed):
                self._chat.topic.send(line.removeprefix("/topic "))
        else:
            self._news.send(f"{self._name}> {line}")

    async def _drain(
        self, rx: mpsc.Receiver[str], heard: broadcast.Receiver[str]
    ) -> None:
        """Say what the client had sent, then hear all that is said."""
        rx.close()
        async for line in rx:
            self._obey(line)
        self._news.close()
        with contextlib.suppress(sumida.Elapsed):
            async with timeout(DRAIN):
                while True:
                    try:
                        async for message in heard:
                            await self._write(message)
                        break
                    except Lagged as lag:
                        await self._write(f"* you missed {lag.missed} messages")
                await self._write("* the server stops, good bye")

    async def _write(self, line: str) -> None:
        self._writer.write(line.encode() + b"\n")
        await self._writer.drain()


def _announce(port: int) -> None:
    sys.stdout.write(f"listening on port {port}\n")
    sys.stdout.flush()


async def main(host: str = "127.0.0.1", port: str = "7000") -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        host: The address to listen on.
        port: The port; "0" for any that is free.

    Cancel safety:
        Safe.
    """
    chat = Chat(sumida.shutdown_token())
    await chat.serve(host, int(port), _announce)


if __name__ == "__main__":
    sumida.run(main, *sys.argv[1:])
