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
| a deadline for each write: one who does not read is sent away | `listen` |
| Ctrl-C drains: what was said is heard by all | `_Client._drain` |
"""

import argparse
import contextlib
import logging
import sys
from typing import Final, TypeAlias, final

import sumida
from sumida import CancellationToken, Closed, Elapsed, JoinSet, Lagged, select, sleep
from sumida.channels import broadcast, mpsc, watch
from sumida.errors import ConnectError, Disconnected, FrameError, NoPermits
from sumida.net import FramedRead, FramedWrite, LinesCodec, TcpListener, TcpStream
from sumida.sync import Semaphore

__all__ = ("DRAIN", "MAX_LINE", "Chat", "listen", "main")

MAX_LINE: Final = 1024
"""The longest line that is read, in bytes; the client is told of a longer one."""

DRAIN: Final = 5.0
"""How long a client has to take a line, and all of them after the stop, in seconds."""

_Line: TypeAlias = str | None
"""What a client wrote; None for a line that is too long, or no text."""

_log = logging.getLogger(__name__)


async def listen(host: str, port: int) -> TcpListener:
    """Listen for clients, who may be silent, but not deaf.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Returns:
        The listener.

    Cancel safety:
        Safe.
    """
    return await TcpListener.bind(host, port, read_timeout=None, write_timeout=DRAIN)


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

    async def serve(self, listener: TcpListener) -> None:
        """Serve until the stop, then let every client take what was said.

        Args:
            listener: Where clients connect; see `listen`. It is closed at the end.

        Cancel safety:
            Safe: every client's task is aborted and awaited.
        """
        async with JoinSet[None]() as clients:
            # The room itself has nothing to say; it is over when the last client has
            # said what it had to.
            with listener, self.news, self.topic:
                while not self.stop.is_cancelled:
                    try:
                        await self._accept(listener, clients)
                    except OSError as error:
                        # No descriptor is free: who waits is taken when one is.
                        _log.warning("cannot accept: %s", error)
                        await sleep(0.1)

    async def _accept(self, listener: TcpListener, clients: JoinSet[None]) -> None:
        async for _, stream in select.loop(self.stop, listener.accept(), biased=True):
            if stream is None:
                return  # it is the stop that came
            clients.spawn(self._welcome(stream))
            while clients.try_join_next() is not None:
                pass  # who has left; the set would keep their results

    async def _welcome(self, stream: TcpStream) -> None:
        try:
            async with stream:
                try:
                    permit = self._slots.try_acquire()
                except NoPermits:
                    await stream.write_all(b"* the room is full, come back later\n")
                    return
                with permit, _Client(self, stream) as client:
                    await client.run()
        except (Disconnected, Elapsed, Closed):
            pass  # the client is gone, or deaf, or came when the room closed
        except Exception:  # noqa: BLE001  # must not end the room for the others
            _log.exception("the task of %s failed", stream.peer_address)


@final
class _Client:
    """One client: its lines both ways, its view of the room."""

    __slots__ = ("_chat", "_lines", "_name", "_news", "_out")

    def __init__(self, chat: Chat, stream: TcpStream) -> None:
        self._chat = chat
        # While a client has its sender, there may be more to hear for the others.
        self._news = chat.news.clone()
        self._name = "{}:{}".format(*stream.peer_address[:2])
        reader, writer = stream.split()
        self._lines = FramedRead(reader, LinesCodec(MAX_LINE))
        self._out = FramedWrite(writer, LinesCodec())

    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._news.close()

    async def run(self) -> None:
        """Serve this client until it leaves or the server stops."""
        tx: mpsc.Sender[_Line]
        rx: mpsc.Receiver[_Line]
        tx, rx = mpsc.channel(16)
        with self._news.subscribe() as heard:
            async with JoinSet[None]() as tasks:
                tasks.spawn(self._read_lines(tx), name=f"read {self._name}")
                if await self._talk(rx, heard):
                    tasks.abort_all()
                    await self._drain(rx, heard)
                tasks.abort_all()

    async def _read_lines(self, tx: mpsc.Sender[_Line]) -> None:
        """Read lines into the queue; while it is full the socket is not read."""
        # A client that is gone, a receiver that left: the end.
        with tx, contextlib.suppress(Disconnected, Closed):
            while True:
                try:
                    line: _Line = await self._lines.recv()
                except FrameError:
                    line = None  # the next one may be good
                await tx.send(line)

    async def _talk(
        self, rx: mpsc.Receiver[_Line], heard: broadcast.Receiver[str]
    ) -> bool:
        """Go back and forth between client and room; whether the server stops."""
        with self._chat.topic.subscribe() as topic:
            await self._write(f"* hello {self._name}; topic: {topic.borrow()}")
            while True:
                try:
                    match await select(
                        stop=self._chat.stop,
                        topic=topic,
                        heard=heard,
                        line=rx,
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
                            await self._obey(line)
                except Lagged as lag:
                    await self._write(f"* you missed {lag.missed} messages")
                except Closed as closed:
                    # The client hung up, unless it is the room that closes.
                    return closed.branch != "line"

    async def _obey(self, line: _Line) -> None:
        """Do what a client's line says."""
        if line is None:
            await self._write(f"* not taken: over {MAX_LINE} bytes, or no text")
        elif line.startswith("/topic "):
            with contextlib.suppress(Closed):
                self._chat.topic.send(line.removeprefix("/topic "))
        else:
            self._news.send(f"{self._name}> {line}")

    async def _drain(
        self, rx: mpsc.Receiver[_Line], heard: broadcast.Receiver[str]
    ) -> None:
        """Say what the client had sent, then hear all that is said."""
        rx.close()
        async for line in rx:
            await self._obey(line)
        self._news.close()
        with contextlib.suppress(Elapsed):
            async with sumida.timeout(DRAIN):
                while True:
                    try:
                        async for message in heard:
                            await self._write(message)
                        break
                    except Lagged as lag:
                        await self._write(f"* you missed {lag.missed} messages")
                await self._write("* the server stops, good bye")

    async def _write(self, line: str) -> None:
        await self._out.send(line)


async def main(host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Cancel safety:
        Safe.
    """
    listener = await listen(host, port)
    sys.stdout.write(f"listening on port {listener.port}\n")
    sys.stdout.flush()
    await Chat(sumida.shutdown_token()).serve(listener)


def _start() -> None:
    parser = argparse.ArgumentParser(description="A TCP chat server.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=7000)
    chosen = parser.parse_args()
    try:
        sumida.run(main, chosen.host, chosen.port)
    except (ConnectError, OSError, ValueError) as error:
        # A port that is taken, a name that is not known, a number that is no port.
        sys.exit(f"chat: {error}")


if __name__ == "__main__":
    _start()
