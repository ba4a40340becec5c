"""The lines of a child's two streams as one stream, each with the name of its own."""

from collections.abc import Sequence
from typing import Final, Literal, Self, TypeAlias, final

from sumida.errors import Closed, LimitExceededError
from sumida.io._waits import ReadUntil
from sumida.operation import PENDING, Operation, Pending, Source
from sumida.process._joint import JointOperation
from sumida.process.streams import PipeReader

__all__ = ("LINE_LIMIT", "Lines", "StreamName", "TaggedLine")

StreamName: TypeAlias = Literal["stdout", "stderr"]

TaggedLine: TypeAlias = tuple[StreamName, str]
"""Where it was written, and the line without its end."""

LINE_LIMIT: Final = 64 * 1024
"""Bytes in a line, unless told otherwise; a longer one comes in pieces."""


@final
class Lines(JointOperation[TaggedLine], Source[TaggedLine]):
    """What `Child.lines` gives: iterate over it, call `recv`, or pass it to `select`.

    It is itself the operation of `recv`. The lines of one stream come in order; of two
    that are there, the streams take turns, for nobody knows which was written first.
    What is no UTF-8 is shown by U+FFFD.

    Args:
        streams: The streams by their names.
        limit: Bytes in a line; a longer one comes in pieces of that size.
    """

    __slots__ = ("_limit", "_reads", "_turn")

    def __init__(
        self, streams: Sequence[tuple[StreamName, PipeReader]], limit: int
    ) -> None:
        JointOperation.__init__(self)
        self._limit = limit
        self._turn = 0
        self._reads: list[tuple[StreamName, PipeReader, ReadUntil]] = [
            (name, stream, ReadUntil(stream._engine, b"\n", limit, is_line=True))
            for name, stream in streams
        ]

    def __repr__(self) -> str:
        return (
            f"<Lines of {', '.join(name for name, _, _ in self._reads) or 'nothing'}>"
        )

    def waiting_parts(self) -> Sequence[Operation[object]]:
        """Give the reads of both streams; see `JointOperation`."""
        return [read for _, _, read in self._reads]

    def poll(self) -> TaggedLine | Literal[Pending.PENDING]:
        """Take the next line, if there is one; see `Operation.poll`.

        Returns:
            The line and where it was written, or `PENDING`.

        Raises:
            Closed: Both streams have ended.
        """
        self._turn += 1
        for place in range(len(self._reads)):
            name, stream, read = self._reads[(place + self._turn) % len(self._reads)]
            try:
                line = read.poll()
            except LimitExceededError:
                line = stream._engine.take(self._limit)
            if line is PENDING:
                continue
            if not line:
                self._reads = [item for item in self._reads if item[0] != name]
                return self.poll()
            self.disarm()
            return name, line.removesuffix(b"\n").decode("utf-8", "replace")
        if not self._reads:
            self.disarm()
            raise Closed("lines of the child")
        return PENDING

    def recv(self) -> Operation[TaggedLine]:
        """Take the next line.

        Returns:
            An operation that gives where it was written, and the line.

        Raises:
            Closed: When awaited: both streams have ended.

        Cancel safety:
            Safe: a cancelled call has taken nothing.
        """
        return self

    def operation(self) -> Operation[TaggedLine]:
        """Give what `select.loop` waits for; see `Source`."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TaggedLine:
        try:
            return await self
        except Closed:
            raise StopAsyncIteration from None
