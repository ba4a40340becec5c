"""What is written: the lines of the processes, and what happens to them.

Everything goes through one task and a thread of its own, so that a terminal that
stands still stops neither the loop nor the supervision: lines wait in a queue with a
bound, and when that is full the processes wait, as they would on the terminal itself.
"""

import json
import os
import select as polling
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias, final

from sumida import CancellationToken
from sumida.channels import mpsc
from sumida.errors import Closed, Empty
from sumida.runtime.blocking import BlockingPool
from sumida.sync import Semaphore

__all__ = (
    "MAX_EVENTS",
    "MAX_WAITING",
    "Event",
    "Fact",
    "Form",
    "JsonForm",
    "Output",
    "StreamName",
    "TextForm",
    "write_to",
)

Fact: TypeAlias = str | int | float | bool | list[str] | None
"""What a field of an event can be."""

StreamName: TypeAlias = Literal["stdout", "stderr"]
"""Where a process wrote a line."""

MAX_WAITING: Final = 1 << 20
"""How many bytes of lines may wait for the terminal."""

MAX_EVENTS: Final = 10_000
"""How many events may wait for the terminal; more are counted, and told later."""

_BATCH = 256
_ESCAPE = "\x1b["
_RESET = "\x1b[0m"
_COLORS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_OWN_NAME = "sumida"


@final
@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a process, or to all.

    Attributes:
        kind: One word, for programs that read it.
        text: A few words, for people; none if they need not know.
        process: Which process; None for all.
        facts: What else is known.
    """

    kind: str
    text: str
    process: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])


class Form(Protocol):
    """How lines and events look."""

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Show lines of a process, with a line feed between two."""
        ...

    def event(self, event: Event) -> str | None:
        """Show an event, or nothing."""
        ...


_encode_json = json.JSONEncoder(ensure_ascii=False).encode


def _now() -> str:
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    return moment.replace("+00:00", "Z")


@final
class JsonForm:
    """One JSON object a line."""

    __slots__ = ()

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Show lines of a process.

        Args:
            process: Its name.
            stream: Where it wrote them.
            texts: What it wrote.

        Returns:
            Objects of the event `line`.
        """
        head = _encode_json(
            {"time": _now(), "event": "line", "process": process, "stream": stream}
        )
        head = f'{head.removesuffix("}")}, "text": '
        return "\n".join([f"{head}{_encode_json(text)}}}" for text in texts])

    def event(self, event: Event) -> str:
        """Show an event.

        Args:
            event: What happened.

        Returns:
            An object with its kind, its process and its facts.
        """
        head = {"time": _now(), "event": event.kind, "process": event.process}
        return _encode_json({**head, **event.facts, "text": event.text})


@final
class TextForm:
    """A prefix and the text, for people.

    Args:
        names: The processes, for the width of the prefix.
        is_colored: Whether each process has a colour.
    """

    __slots__ = ("_colors", "_is_colored", "_width")

    def __init__(self, names: tuple[str, ...], *, is_colored: bool) -> None:
        self._width = max(map(len, (*names, _OWN_NAME)))
        self._is_colored = is_colored
        self._colors: dict[str, int] = {}
        for name in names:
            self._color(name)

    def __repr__(self) -> str:
        return f"<TextForm {len(self._colors)} processes, width {self._width}>"

    def _color(self, name: str) -> int:
        # One that comes by a reload has the next colour.
        return self._colors.setdefault(name, _COLORS[len(self._colors) % len(_COLORS)])

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Show lines of a process.

        Args:
            process: Its name.
            stream: Where it wrote them; not shown.
            texts: What it wrote.

        Returns:
            For each the prefix and the text.
        """
        del stream
        self._width = max(self._width, len(process))
        prefix = f"{process:{self._width}} | "
        if not self._is_colored:
            return "\n".join([prefix + text for text in texts])
        prefix = f"{_ESCAPE}{self._color(process)}m{prefix}{_RESET}"
        # What the process coloured and did not end must not run on into the next.
        return "\n".join(
            [f"{prefix}{text}{_RESET if _ESCAPE in text else ''}" for text in texts]
        )

    def event(self, event: Event) -> str | None:
        """Show an event.

        Args:
            event: What happened.

        Returns:
            The prefix and what happened, bold if there are colours; None if it has no
            text.
        """
        if not event.text:
            return None
        what = event.text if event.process is None else f"{event.process} {event.text}"
        prefix = f"{_OWN_NAME:{self._width}} | "
        if not self._is_colored:
            return prefix + what
        return f"{_ESCAPE}1m{prefix}{what}{_RESET}"


@final
class Output:
    """The one way out for lines and events.

    Args:
        write: Writes all of what it is given, and may block.
        form: How lines and events look.
        max_waiting: How many bytes of lines may wait.
    """

    __slots__ = (
        "_events",
        "_form",
        "_lost",
        "_max",
        "_pool",
        "_room",
        "_rx",
        "_tx",
        "_write",
        "broken",
    )

    def __init__(
        self,
        write: Callable[[bytes], object],
        form: Form,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._form = form
        self._max = max_waiting
        # Lines wait for room, events never; so the channel itself has no bound. Each
        # item is what to write, and the room that it takes: none for an event.
        self._room = Semaphore(max_waiting)
        tx: mpsc.UnboundedSender[tuple[bytes, int]]
        rx: mpsc.Receiver[tuple[bytes, int]]
        tx, rx = mpsc.unbounded_channel()
        self._tx, self._rx = tx, rx
        self._events = 0
        self._lost = 0
        self._write = write
        # Of its own: the end of the program does not wait for it, as it may never come.
        self._pool = BlockingPool(1, name="sumida-output")
        self.broken = CancellationToken()

    def __repr__(self) -> str:
        waiting = self._max - self._room.available_permits
        return f"<Output {waiting}/{self._max} bytes, {self._events} events waiting>"

    def tell(self, event: Event) -> None:
        """Write an event; never waits.

        Args:
            event: What happened.
        """
        if self._events >= MAX_EVENTS:
            self._lost += 1
            return
        text = self._form.event(event)
        if text is not None:
            with suppress(Closed):
                self._tx.send((self._encode(text), 0))
                self._events += 1

    async def lines(
        self, process: str, stream: StreamName, texts: Sequence[str]
    ) -> None:
        """Write lines of a process, waiting while too much waits already.

        Args:
            process: Its name.
            stream: Where it wrote them.
            texts: What it wrote; a few at a time, as they are shown in one go.

        Cancel safety:
            Safe: a cancelled call has written nothing.
        """
        data = self._encode(self._form.lines(process, stream, texts))
        size = min(len(data), self._max)
        permit = await self._room.acquire(size)
        try:
            self._tx.send((data, size))
        except Closed:
            permit.release()
        else:
            # The room is given back when the lines are written.
            permit.forget()

    @staticmethod
    def _encode(text: str) -> bytes:
        return text.encode(errors="backslashreplace") + b"\n"

    def close(self) -> None:
        """Take no more; `run` ends when all is written."""
        self._tx.close()

    async def run(self) -> None:
        """Write until the end. If nobody reads any more, throw away from then on.

        Cancel safety:
            Not safe: what waits is lost, and a write that hangs goes on.
        """
        try:
            while batch := await self._rx.recv_many(_BATCH):
                await self._write_batch(batch)
        finally:
            self._rx.close()
            # Nobody will write what is left, and nobody has to be warned of that.
            with suppress(Empty, Closed):
                while True:
                    self._rx.try_recv()
            await self._pool.shutdown(0)

    async def _write_batch(self, batch: list[tuple[bytes, int]]) -> None:
        data = b"".join(item for item, _ in batch)
        if self._lost:
            lost, self._lost = self._lost, 0
            text = f"could not show {lost} events, the terminal stood still"
            event = Event("lost", text, facts={"events": lost})
            data += self._encode(self._form.event(event) or "")
        if not self.broken.is_cancelled:
            try:
                await self._pool.run(self._write, data)
            except OSError as error:
                self.broken.cancel(f"the output cannot be written: {error}")
        self._events -= sum(not size for _, size in batch)
        self._room.add_permits(sum(size for _, size in batch))


def write_to(fd: int) -> Callable[[bytes], object]:
    """Make the function that writes all of its argument to a descriptor.

    Args:
        fd: The descriptor; its flags are left as they are.

    Returns:
        The function; it blocks, and raises what the system says.
    """

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                # Somebody who shares the terminal has made it so.
                poll = polling.poll()
                poll.register(fd, polling.POLLOUT)
                poll.poll()

    return write
