"""Carry bytes from one socket to another inside the kernel (Linux).

`splice` moves pages from a socket to a pipe and from the pipe to the other socket; the
bytes never come to Python. The transports keep their sockets and are told to read
nothing; this works on duplicates of the descriptors. A pipe is held only while bytes
are in it.
"""

import contextlib
import fcntl
import os
from asyncio import AbstractEventLoop, Future
from typing import Final, final

from sumida.errors import Disconnected
from sumida.io._engine import Engine
from sumida.io._relay import loss

__all__ = ("CAN_SPLICE", "SplicePump", "drop_pipes")

CAN_SPLICE: Final = hasattr(os, "splice")

_PIPE_SIZE: Final = 1024 * 1024
"""Bytes that a pipe is asked to hold: what Linux grants to anybody."""

_SHORT: Final = 4 * 1024
"""Bytes below which a move has taken all there was."""

_ROUNDS: Final = 8
"""Moves in one callback, before other connections have their turn."""

_KEPT: Final = 32
"""Empty pipes that are kept for the next one who needs one."""

_pipes: Final[list[tuple[int, int]]] = []


def _take_pipe() -> tuple[int, int]:
    if _pipes:
        return _pipes.pop()
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # A smaller one does as well, only slower.
    with contextlib.suppress(OSError):
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return ends


def _leave_pipe(pipe: tuple[int, int], *, is_empty: bool) -> None:
    if is_empty and len(_pipes) < _KEPT:
        _pipes.append(pipe)
    else:
        _close(pipe)


def _close(pipe: tuple[int, int]) -> None:
    for end in pipe:
        os.close(end)


def drop_pipes() -> None:
    """Close the empty pipes that are kept: a test that counts descriptors may ask."""
    while _pipes:
        _close(_pipes.pop())


@final
class SplicePump:
    """One direction.

    Args:
        loop: The event loop.
        source: Where bytes come from: a plain socket's engine, which reads nothing.
        target: Where they go: another, to which nothing is being written.
        descriptors: Duplicates of the two sockets' descriptors.
        done: Set when the source has ended, or with the error that broke either.
        head: Bytes that go before all others.

    Attributes:
        count: Bytes that are with the target.
    """

    __slots__ = (
        "_done",
        "_head",
        "_in_pipe",
        "_loop",
        "_pipe",
        "_reads",
        "_source",
        "_source_fd",
        "_target",
        "_target_fd",
        "_writes",
        "count",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # made in one place
        self,
        loop: AbstractEventLoop,
        source: Engine,
        target: Engine,
        descriptors: tuple[int, int],
        done: Future[None],
        head: bytes = b"",
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._source_fd, self._target_fd = descriptors
        self._done = done
        self._head = head
        self._pipe: tuple[int, int] | None = None
        self._in_pipe = 0
        self._reads = False
        self._writes = False
        self.count = 0

    def __repr__(self) -> str:
        names = f"{self._source.what} to {self._target.what}"
        return f"<SplicePump {names}, {self.count} bytes, {self._in_pipe} in the pipe>"

    def start(self) -> None:
        """Begin."""
        source, target = self._source, self._target
        # The transports see a reset, too, and may be the first.
        source.sink = target.target_of = self
        source.is_unusual = True
        for engine in (source, target):
            if engine.is_lost or engine.transport.is_closing():
                self.lose(engine.error, engine.what)
                return
        if self._head:
            self._watch_target()
        elif source.at_eof:
            self._end()
        else:
            self._watch_source()

    def stop(self) -> None:
        """Forget the descriptors and the pipe; twice does no harm."""
        self._source.sink = self._target.target_of = None
        self._forget_source()
        self._forget_target()
        self._give_pipe_back()

    def _watch_source(self) -> None:
        if not self._reads:
            self._reads = True
            self._loop.add_reader(self._source_fd, self._move)

    def _forget_source(self) -> None:
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._source_fd)

    def _watch_target(self) -> None:
        if not self._writes:
            self._writes = True
            self._loop.add_writer(self._target_fd, self._move)

    def _forget_target(self) -> None:
        if self._writes:
            self._writes = False
            self._loop.remove_writer(self._target_fd)

    def _move(self) -> None:
        """Move what there is, and see to what is missing."""
        side = self._target
        try:
            if self._head and not self._send_head():
                return
            for _ in range(_ROUNDS):
                side = self._source
                if not self._in_pipe and not self._fill():
                    return
                side = self._target
                size = self._in_pipe
                if not self._empty():
                    return
                if size < _SHORT:
                    # That was all, most likely, and the loop will tell of more.
                    self._give_pipe_back()
                    return
        except OSError as error:
            self.lose(error, side.what)

    def _send_head(self) -> bool:
        """Send what goes first; return whether all of it has gone."""
        try:
            moved = os.write(self._target_fd, self._head)
        except BlockingIOError:
            return False
        self.count += moved
        self._head = self._head[moved:]
        if self._head:
            return False
        self._forget_target()
        self._watch_source()
        return True

    def _give_pipe_back(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            _leave_pipe(pipe, is_empty=not self._in_pipe)

    def feed(self, data: bytes) -> None:
        """Refuse: the transport reads nothing."""
        raise AssertionError(f"{len(data)} bytes came past {self!r}")

    def go_on(self) -> None:
        """Do nothing: the transport writes nothing."""

    def end(self) -> None:
        """Do nothing: the end is seen by `splice`."""

    def lose(self, error: BaseException | None, what: str) -> None:
        """Tell that one of the two broke."""
        self.stop()
        if not self._done.done():
            self._done.set_exception(loss(error, what))

    def _fill(self) -> bool:
        """Take from the source; return whether anything came."""
        pipe = self._pipe
        if pipe is None:
            pipe = self._pipe = _take_pipe()
        try:
            moved = os.splice(
                self._source_fd,
                pipe[1],
                _PIPE_SIZE,
                flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE,
            )
        except BlockingIOError:
            self._give_pipe_back()
            return False
        if moved:
            self._in_pipe = moved
            return True
        self.stop()
        self._source.at_eof = True
        self._end()
        return False

    def _end(self) -> None:
        """Carry the end of the source across."""
        target = self._target
        if not target.has_ended_writing and not target.is_lost:
            # Nothing waits in the transport, so this is at once.
            try:
                target.end_writing()
            except Disconnected as error:
                self.lose(error, target.what)
                return
        if not self._done.done():
            self._done.set_result(None)

    def _empty(self) -> bool:
        """Give to the target; return whether it took all."""
        assert self._pipe is not None
        try:
            moved = os.splice(
                self._pipe[0],
                self._target_fd,
                self._in_pipe,
                flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE,
            )
        except BlockingIOError:
            moved = 0
        self.count += moved
        self._in_pipe -= moved
        if self._in_pipe:
            # The source waits, too: back-pressure.
            self._forget_source()
            self._watch_target()
            return False
        self._forget_target()
        self._watch_source()
        return True
