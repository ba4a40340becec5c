"""Keep all that a child writes, while it is written to."""

from collections.abc import Callable
from io import BytesIO
from typing import final

from sumida.errors import OutputLimitError
from sumida.process._options import Options
from sumida.process.child import Child
from sumida.process.output import Output
from sumida.process.streams import PipeReader

__all__ = ("Collector", "collect")


@final
class Collector:
    """Takes all that arrives on one stream, up to a limit.

    Args:
        stream: The stream; None for one that is not there.
        limit: Bytes to keep.
        on_overflow: Called once when there is more.
    """

    __slots__ = ("_kept", "_limit", "_on_overflow", "_stream", "is_over")

    def __init__(
        self, stream: PipeReader | None, limit: int, on_overflow: Callable[[], object]
    ) -> None:
        self._stream = stream
        self._limit = limit
        self._on_overflow = on_overflow
        # It gives what was written as one bytes object without another copy, which
        # joining pieces cannot: 0.28 s instead of 0.45 for 256 MiB.
        self._kept = BytesIO()
        self.is_over = False
        if stream is not None:
            stream.collect_into(self)

    def __repr__(self) -> str:
        return f"<Collector {self._kept.tell()}/{self._limit} bytes>"

    def feed(self, data: bytes) -> None:
        """Keep `data`; see `Sink`."""
        if self.is_over:
            return
        self._kept.write(data)
        if self._kept.tell() > self._limit:
            self.is_over = True
            self._on_overflow()
            if self._stream is not None:
                self._stream.abort()

    def end(self) -> None:
        """Do nothing; see `Sink`."""

    def lose(self, error: BaseException | None, what: str) -> None:
        """Do nothing; see `Sink`."""

    def go_on(self) -> None:
        """Do nothing; see `Sink`."""

    async def wait(self) -> None:
        """Wait until the stream has ended.

        Cancel safety:
            Safe.
        """
        if self._stream is not None:
            await self._stream.wait_closed()

    def check(self, command: str, name: str) -> bytes:
        """Give what came.

        Args:
            command: What was started, for the message.
            name: The stream's, for the message.

        Returns:
            All of it.

        Raises:
            OutputLimitError: There was more than the limit.
        """
        kept = self._kept.getvalue()
        self._kept.close()
        if self.is_over:
            raise OutputLimitError(command, name, self._limit, kept[: self._limit])
        return kept


async def collect(options: Options, data: bytes | None, limit: int) -> Output:
    """Start a child, write `data` to it, and keep all that it writes.

    Args:
        options: What to start.
        data: What it reads; None for what `options` says.
        limit: Bytes of each stream.

    Returns:
        What it wrote.

    Cancel safety:
        Not safe: the child is ended, and what it wrote is lost.
    """
    child = Child(options)
    async with child:
        out = Collector(child.stdout, limit, child.kill)
        err = Collector(child.stderr, limit, child.kill)
        if child.stdin is not None:
            if data:
                child.stdin.put(data)
            child.stdin.close()
        await out.wait()
        await err.wait()
        status = await child.wait()
    stdout = out.check(options.name, "stdout")
    return Output(status, stdout, err.check(options.name, "stderr"), options.name)
