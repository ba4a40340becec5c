"""`sumida chat`: the chat server, with clients of its own, and what was measured.

It starts the server, lets clients talk through real sockets, stops it in the middle
of the talk, and counts: every message that the server took is heard by everybody, or
the demo fails. Others may join meanwhile, with `nc`.
"""

import argparse
import asyncio
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final, final

import sumida
from sumida import (
    CancellationToken,
    Interval,
    JoinSet,
    select,
    spawn_blocking,
    timeout,
)
from sumida.apps._arguments import at_least_one, port_number, some_seconds
from sumida.apps._telling import exit_code_of, tell
from sumida.apps.chat import Chat, listen
from sumida.channels import oneshot

__all__ = ("MARK", "Report", "add_arguments", "main", "start")

MARK: Final = "demo"
"""What the demo's own lines begin with; others' are not counted."""

_PATIENCE: Final = 5.0
"""How long a client may wait to be let in, in seconds."""


@dataclass(slots=True)
class Report:
    """What the clients saw.

    Attributes:
        sent: Lines that clients wrote, and heard back.
        heard: Lines that clients read, their own and the others'.
        gaps: Lines that a client did not hear, although it heard later ones.
        delays: From write to read, in seconds, one for each line heard.
        upto: For each client, how many of each speaker's lines it is past.
    """

    sent: int = 0
    heard: int = 0
    gaps: int = 0
    delays: "array[float]" = field(default_factory=lambda: array("d"))
    upto: dict[int, Counter[int]] = field(default_factory=dict)

    def hear(self, listener: int, speaker: int, number: int, delay: float) -> None:
        """Count a line; each speaker's are numbered from 0, and come in order.

        Args:
            listener: Who heard it.
            speaker: Who said it.
            number: Of the line.
            delay: From write to read, in seconds.
        """
        past = self.upto[listener]
        self.gaps += number - past[speaker]
        past[speaker] = number + 1
        self.heard += 1
        self.delays.append(delay)

    def lost(self) -> int:
        """Count lines that one client heard and another did not.

        Returns:
            How many; 0 if all is well.
        """
        most = Counter[int]()
        for past in self.upto.values():
            most |= past
        return self.gaps + sum((most - past).total() for past in self.upto.values())

    def delay_ms(self) -> tuple[float, float]:
        """Compute the median and the 99th percentile of the delays.

        Returns:
            Both, in milliseconds.
        """
        cuts = quantiles(self.delays, n=100) if len(self.delays) > 1 else [0.0] * 99
        return cuts[49] * 1e3, cuts[98] * 1e3


@final
class _Talker:
    """One client of the demo: says a line, hears it back, says the next."""

    __slots__ = ("_me", "_port", "_report")

    def __init__(self, me: int, port: int, report: Report) -> None:
        self._me = me
        self._port = port
        self._report = report

    async def run(self, arrived: oneshot.Sender[None], go: CancellationToken) -> None:
        """Talk until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        report = self._report
        report.upto[self._me] = Counter()
        number = 0
        try:
            await reader.readline()  # the greeting: from now on nothing is missed
            arrived.send(None)
            await go.cancelled()
            self._say(writer, number)
            while line := await reader.readline():
                words = line.decode().split()
                if words[1:2] != [MARK]:
                    continue
                speaker = int(words[2])
                delay = time.perf_counter() - float(words[4])
                report.hear(self._me, speaker, int(words[3]), delay)
                if speaker == self._me:
                    report.sent += 1
                    number += 1
                    self._say(writer, number)
        except ConnectionError:
            pass  # the server closed while a line was on its way to it
        finally:
            writer.close()

    def _say(self, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(f"{MARK} {self._me} {number} {time.perf_counter()}\n".encode())


async def _talk(
    report: Report, clients: int, seconds: float, stop: CancellationToken, port: int
) -> None:
    """Let the clients talk for a while, then stop the server under them."""
    go = CancellationToken()
    async with JoinSet[None]() as talkers:
        for me in range(clients):
            arrived, seated = oneshot.channel()
            talker = _Talker(me, port, report)
            task = talkers.spawn(talker.run(arrived, go), name=f"{me}")
            # Not the seat alone: one who cannot connect will never have it. Nor will
            # one whom the server cannot accept, for lack of descriptors.
            async with timeout(_PATIENCE):
                await select(seated, task)
        tell(f"{clients} clients are in the room and start to talk")
        go.cancel()
        started = time.monotonic()
        async for source, _ in select.loop(
            stop=sumida.shutdown_token(), tick=Interval(1.0, missed="skip"), biased=True
        ):
            elapsed = time.monotonic() - started
            if source == "stop" or elapsed >= seconds:
                break
            tell(f"  {elapsed:3.0f} s: {report.heard:7} messages heard")
        tell("stopping the server in the middle of the talk; it drains")
        stop.cancel("demo is over")


async def main(clients: int = 10, seconds: float = 5.0, port: int = 0) -> int:
    """Run the demo.

    Args:
        clients: How many talk, 1 or more.
        seconds: For how long.
        port: Where to listen; 0 for any that is free.

    Returns:
        The exit code: 0 if nothing was lost.

    Cancel safety:
        Safe: every task ends with this one.
    """
    stop = CancellationToken()
    report = Report()
    chat = Chat(stop, max_clients=clients + 10)
    async with await listen("127.0.0.1", port) as listener, JoinSet[None]() as tasks:
        tasks.spawn(chat.serve(listener), name="chat")
        port = listener.port
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        tell(f"chat server on 127.0.0.1:{port} ({loop}); join it: nc 127.0.0.1 {port}")
        await _talk(report, clients, seconds, stop, port)
    # Off the loop: it looks at every message once more.
    middle, high = await spawn_blocking(report.delay_ms)
    lost = report.lost()
    tell(
        f"sent {report.sent}, received {report.heard}, lost {lost}\n"
        f"delay from write to read: median {middle:.2f} ms, 99 % below {high:.2f} ms\n"
        f"{'all was heard by all' if not lost else 'MESSAGES WERE LOST'}; bye"
    )
    return 1 if lost or not report.heard else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may stand on the command line.

    Args:
        parser: Of this command.
    """
    add = parser.add_argument
    add("--clients", type=at_least_one, default=10, help="how many talk (default: 10)")
    add("--seconds", type=some_seconds, default=5.0, help="for how long (default: 5)")
    add("--port", type=port_number, default=0, help="where to listen (default: any)")
    add("--asyncio", action="store_true", help="use asyncio's loop even with uvloop")


def start(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: What stood on the command line.

    Returns:
        The exit code.
    """
    uvloop = False if options.asyncio else None
    given = (options.clients, options.seconds, options.port)
    return exit_code_of("sumida chat", lambda: sumida.run(main, *given, uvloop=uvloop))
