"""Find out when a process is ready: a port answers, a line appears, a command succeeds.

None of these has a deadline of its own: who waits sets one.
"""

import re
from contextlib import suppress
from typing import Final, assert_never, final

from sumida import CancellationToken, Elapsed, sleep
from sumida.apps.supervise.settings import (
    CommandReady,
    ExitReady,
    LineReady,
    PortReady,
    Settings,
)
from sumida.errors import ConnectError, SpawnError
from sumida.net import TcpStream
from sumida.process import Command

__all__ = ("ATTEMPT_TIMEOUT", "PAUSE", "Readiness")

PAUSE: Final = 0.1
"""How long to wait before a port or a command is tried again, in seconds."""

ATTEMPT_TIMEOUT: Final = 5.0
"""How long a port may take to answer before it is asked again, in seconds."""


@final
class Readiness:
    """The readiness of one start of a process.

    Args:
        settings: The process.
    """

    __slots__ = ("_line_seen", "_pattern", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        ready = settings.ready
        self._pattern: re.Pattern[str] | None = None
        if isinstance(ready, LineReady):
            self._pattern = re.compile(ready.pattern)
        self._line_seen = CancellationToken()

    def __repr__(self) -> str:
        return f"<Readiness of {self._settings.name}: {self._settings.ready}>"

    def feed(self, line: str) -> None:
        """Look at a line that the process has written.

        Args:
            line: Without its end.
        """
        if self._pattern is not None and self._pattern.search(line):
            self._pattern = None
            self._line_seen.cancel()

    async def wait(self) -> None:
        """Wait until the process is ready.

        Cancel safety:
            Safe: nothing is left open or running.
        """
        ready = self._settings.ready
        match ready:
            case None:
                pass
            case PortReady():
                await _port_answers(ready)
            case LineReady():
                await self._line_seen.cancelled()
            case CommandReady():
                await _command_succeeds(ready.command, self._settings)
            case ExitReady():
                # It is ready when it has ended, and who waits for that sees it.
                await CancellationToken().cancelled()
            case _:
                assert_never(ready)


async def _port_answers(ready: PortReady) -> None:
    while True:
        try:
            stream = await TcpStream.connect(
                ready.host, ready.port, connect_timeout=ATTEMPT_TIMEOUT
            )
        except (ConnectError, Elapsed):
            await sleep(PAUSE)
            continue
        async with stream:
            # A port of the ephemeral range that nobody listens on may be the one that
            # the system gave to this very attempt: it is then connected to itself.
            if stream.local_address != stream.peer_address:
                return
        await sleep(PAUSE)


async def _command_succeeds(words: tuple[str, ...], settings: Settings) -> None:
    command = (
        Command(*words)
        .cwd(settings.cwd)
        .env(dict(settings.env))
        .stdout("null")
        .stderr("null")
        # When the deadline passes it is killed at once.
        .grace(0)
    )
    while True:
        # If it cannot be started it may be that it is not there yet.
        with suppress(SpawnError):
            async with command.spawn() as child:
                status = await child.wait()
            if status.is_success:
                return
        await sleep(PAUSE)
