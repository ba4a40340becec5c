"""Carry one output of a process, line by line, to those who want it."""

from collections.abc import Callable
from typing import Final, final

from sumida import CancellationToken, Elapsed, select, timeout
from sumida.apps.supervise.lines import Lines
from sumida.apps.supervise.output import Output, StreamName
from sumida.errors import Disconnected
from sumida.process import PipeReader

__all__ = ("LINGER", "Pump")

LINGER: Final = 0.5
"""How long an output is read on when all of the group is gone and nothing comes, in
seconds: only what has left the group can still hold it open."""

_CHUNK: Final = 16_384
"""Read at once, in bytes: of the shortest lines they are 8,192, which take 5 ms."""

_BATCH: Final = 64
"""Lines written at once; between two others may run."""

_PIPE: Final = 1 << 20
"""The most that a pipe can hold on Linux, in bytes: what is read after the end of the
group beyond that is of others, who may go on for ever."""


@final
class Pump:
    """One output of one start of a process.

    Args:
        process: The name of the process.
        stream: Which output.
        pipe: Where it is read.
        output: Where its lines go.
    """

    __slots__ = ("_output", "_pipe", "_process", "_stream")

    def __init__(
        self, process: str, stream: StreamName, pipe: PipeReader, output: Output
    ) -> None:
        self._process = process
        self._stream: StreamName = stream
        self._pipe = pipe
        self._output = output

    def __repr__(self) -> str:
        return f"<Pump {self._stream} of {self._process}>"

    async def run(
        self, on_line: Callable[[str], object], gone: CancellationToken
    ) -> None:
        """Carry lines until the output has ended.

        Args:
            on_line: Told of each line before it is written, and never late: a terminal
                that stands still must not hold up what waits for a line.
            gone: Cancelled when all of the group is gone.

        Cancel safety:
            Not safe: what was read and not written is lost.
        """
        lines = Lines()
        rest = _PIPE
        while data := await self._read(gone):
            await self._write(lines.feed(data), on_line)
            if gone.is_cancelled:
                rest -= len(data)
                if rest <= 0:
                    break
        await self._write(lines.finish(), on_line)

    async def _write(self, lines: list[str], on_line: Callable[[str], object]) -> None:
        for line in lines:
            on_line(line)
        for first in range(0, len(lines), _BATCH):
            some = lines[first : first + _BATCH]
            await self._output.lines(self._process, self._stream, some)

    async def _read(self, gone: CancellationToken) -> bytes:
        try:
            match await select(self._pipe.read(_CHUNK), gone.cancelled(), biased=True):
                case (0, data):
                    return data
                case _:
                    pass
            async with timeout(LINGER):
                return await self._pipe.read(_CHUNK)
        except (Disconnected, Elapsed):
            return b""
