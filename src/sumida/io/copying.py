"""Copy from one stream to another, one way or both.

`copy_bidirectional` is a whole proxy: it carries the end of each side across while the
other direction goes on, and tells how many bytes went each way.
"""

import asyncio
import os
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Final, Protocol, TypeAlias, final

from sumida.errors import Elapsed
from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.io._relay import Relay
from sumida.io._splice import CAN_SPLICE, SplicePump
from sumida.io.stream import Stream

__all__ = ("CopyCounts", "Readable", "Writable", "copy", "copy_bidirectional")

_CHUNK: Final = 256 * 1024
"""Bytes read at once."""

_TICKS: Final = 4
"""How often it is looked within the idle timeout, which is so exact to a quarter."""

_IDLE: Final = -1.0
"""Stands for the streams' own timeouts."""


class Readable(Protocol):
    """What `copy` reads from: a stream, a half, a file."""

    def read(self, limit: int) -> Awaitable[bytes]:
        """Give up to `limit` bytes; none at the end.

        Cancel safety:
            Safe: as `Stream.read`.
        """
        ...


class Writable(Protocol):
    """What `copy` writes to."""

    def write_all(self, data: bytes) -> Awaitable[object]:
        """Write all of `data`.

        Cancel safety:
            Not safe: as `Stream.write_all`.
        """
        ...


@final
class CopyCounts:
    """How much `copy_bidirectional` has copied: while it runs, and however it ends."""

    __slots__ = ("_back", "_there")

    def __init__(self) -> None:
        self._there: _Pump | None = None
        self._back: _Pump | None = None

    def __repr__(self) -> str:
        return f"<CopyCounts {self.sent} there, {self.received} back>"

    @property
    def sent(self) -> int:
        """Bytes copied from `a` to `b`."""
        return 0 if self._there is None else self._there.count

    @property
    def received(self) -> int:
        """Bytes copied from `b` to `a`."""
        return 0 if self._back is None else self._back.count


async def copy(reader: Readable, writer: Writable, size: int = _CHUNK) -> int:
    """Copy all that comes until the reader's end.

    The writer is neither flushed nor ended: that is the caller's to say.

    Args:
        reader: Where bytes come from.
        writer: Where they go.
        size: Bytes read at once, 1 or more: as much is kept in memory.

    Returns:
        How many bytes were copied.

    Raises:
        ValueError: `size` is less than 1.

    Cancel safety:
        Not safe: what was read last may not have been written.

    Source:
        `tokio::io::copy`
    """
    if size < 1:
        raise ValueError(f"size must be 1 byte or more, not {size}")
    count = 0
    while data := await reader.read(size):
        await writer.write_all(data)
        count += len(data)
    return count


async def copy_bidirectional(
    a: Stream,
    b: Stream,
    *,
    idle_timeout: float | None = _IDLE,
    counts: CopyCounts | None = None,
) -> tuple[int, int]:
    """Copy both ways until both sides have ended.

    The end of one side ends the writing of the other, and the way back goes on. Two
    plain sockets on Linux are copied by the kernel (`splice`) once it is worth it;
    everything else is handed from transport to transport. Both streams are flushed,
    and left for the caller to close; an error or a cancel closes both at once.

    Args:
        a: One side.
        b: The other side.
        idle_timeout: How long no byte may move either way, in seconds; None for
            ever. The longer of the streams' read timeouts by default.
        counts: Kept up to date, for those who ask meanwhile, or after an error.

    Returns:
        Bytes copied from `a` to `b`, and from `b` to `a`.

    Raises:
        ValueError: `idle_timeout` is not more than 0, or `a` is `b`.
        BusyError: Another task reads from one of the two.
        Disconnected: One of the two broke; its `what` says which.
        Elapsed: Nothing moved for too long.

    Cancel safety:
        Not safe: a cancelled call has closed both streams.

    Source:
        `tokio::io::copy_bidirectional`
    """
    if idle_timeout == _IDLE:
        times = (a.read_timeout, b.read_timeout)
        known = [seconds for seconds in times if seconds is not None]
        idle_timeout = max(known) if len(known) == len(times) else None
    check_timeout("idle_timeout", idle_timeout)
    if a is b:
        raise ValueError(f"a and b must be two streams, not {a!r} twice")
    one, other = a._engine, b._engine
    one.check_free()
    other.check_free()
    try:
        result = await _run(one, other, idle_timeout, counts or CopyCounts())
        for engine in (one, other):
            if not engine.is_lost:
                await engine.flush()
    except BaseException:
        a.abort()
        b.abort()
        raise
    return result


_Pump: TypeAlias = Relay | SplicePump


async def _run(
    one: Engine,
    other: Engine,
    idle_timeout: float | None,
    counts: CopyCounts,
) -> tuple[int, int]:
    """Copy until both have ended, and give back what is borrowed."""
    loop = asyncio.get_running_loop()
    ends = (loop.create_future(), loop.create_future())
    finished: Future[None] = loop.create_future()

    for end in ends:
        end.add_done_callback(partial(_look, ends, finished))
    with ExitStack() as stack:
        relays = Relay(one, other, ends[0]), Relay(other, one, ends[1])
        counts._there, counts._back = relays
        if _can_splice(one) and _can_splice(other):
            for relay in relays:
                relay.grown = partial(_splice, (one, other), ends, counts, stack)
        stack.callback(relays[0].stop)
        relays[0].start()
        if counts._back is relays[1]:
            stack.callback(relays[1].stop)
            relays[1].start()
        stack.callback(_watch_idle(loop, counts, idle_timeout, finished))
        try:
            await finished
        finally:
            if finished.done() and not finished.cancelled():
                # Seen, also by one who was cancelled in the same turn.
                finished.exception()
        return counts.sent, counts.received


def _look(
    ends: tuple[Future[None], Future[None]],
    finished: Future[None],
    _: Future[None],
) -> None:
    """See whether a copy has finished, or failed."""
    done = [each for each in ends if each.done()]
    # Of all that are done: the other may have failed before this was called.
    failures = [error for each in done if (error := each.exception()) is not None]
    if finished.done():
        return
    if failures:
        finished.set_exception(failures[0])
    elif len(done) == len(ends):
        finished.set_result(None)


def _splice(  # noqa: PLR0913, PLR0917  # all that a copy consists of
    engines: tuple[Engine, Engine],
    ends: tuple[Future[None], Future[None]],
    counts: CopyCounts,
    stack: ExitStack,
    grown: Relay,
    data: bytes,
) -> bool:
    """Let the kernel go on with a copy both ways, if nothing waits in between.

    Args:
        engines: Of the two sides.
        ends: Of the two directions.
        counts: Where the relays are, and the pumps will be.
        stack: What gives back what is borrowed.
        grown: The relay that has carried enough.
        data: What it is to carry now.

    Returns:
        Whether the kernel does it, with `data` first.
    """
    if any(engine.unsent or engine.is_closing for engine in engines):
        return False
    relays = counts._there, counts._back
    fds: list[int] = []
    try:
        for engine in engines:
            fds.append(os.dup(engine.transport.get_extra_info("socket").fileno()))
            stack.callback(os.close, fds[-1])
    except OSError:
        # No descriptor is left: it goes on as it was.
        grown.grown = None
        return False
    loop = asyncio.get_running_loop()
    pumps = []
    for index, relay in enumerate(relays):
        assert isinstance(relay, Relay)
        relay.stop()
        engines[index].hold()
        source, target = engines[index], engines[1 - index]
        head = data if relay is grown else b""
        numbers = (fds[index], fds[1 - index])
        pump = SplicePump(loop, source, target, numbers, ends[index], head)
        pump.count = relay.count
        stack.callback(pump.stop)
        pumps.append(pump)
    counts._there, counts._back = pumps
    for pump in pumps:
        pump.start()
    return True


def _can_splice(engine: Engine) -> bool:
    """Tell whether nothing but the kernel stands between an engine and its peer."""
    if not CAN_SPLICE or type(engine) is not Engine or engine.is_lost:
        return False
    return engine.transport.get_extra_info("socket") is not None


def _watch_idle(
    loop: AbstractEventLoop,
    counts: CopyCounts,
    seconds: float | None,
    finished: Future[None],
) -> Callable[[], object]:
    """Fail `finished` when nothing has moved for so long; return what stops that."""
    if seconds is None:
        return int
    moved = (counts.sent, counts.received)
    idle = 0
    timer: TimerHandle

    def tick() -> None:
        nonlocal moved, idle, timer
        now = (counts.sent, counts.received)
        idle = idle + 1 if now == moved else 0
        moved = now
        if idle >= _TICKS:
            if not finished.done():
                finished.set_exception(Elapsed(seconds, f"bytes on {counts._there!r}"))
            return
        timer = loop.call_later(seconds / _TICKS, tick)

    def stop() -> None:
        timer.cancel()

    timer = loop.call_later(seconds / _TICKS, tick)
    return stop
