"""One line for each thing that happened, written without holding up the loop.

`format_line` is pure. A `Journal` has a bounded queue and a thread that writes: when
the reader of the log is too slow, lines are dropped and counted, not connections.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TextIO, TypeAlias, final

from sumida import Full, spawn_blocking
from sumida.channels import mpsc

__all__ = ("Journal", "Value", "format_line")

Value: TypeAlias = str | int | float | bool | None
"""What a field may be; None is left out."""

_QUEUE: Final = 4096
"""Lines that may wait: some tenths of a second of a busy proxy."""

_BATCH: Final = 256
"""Lines in one write."""


def format_line(
    style: str, when: float, event: str, fields: Mapping[str, Value]
) -> str:
    """Write a line.

    Args:
        style: "json", or "text" for key=value.
        when: Seconds since 1970.
        event: What happened.
        fields: What there is to know of it, in this order.

    Returns:
        The line, without its end.
    """
    moment = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
    moment = moment.replace("+00:00", "Z")
    known = {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in fields.items()
        if value is not None
    }
    if style == "json":
        return _json({"time": moment, "event": event, **known})
    words = [moment, f"event={event}"]
    words += (f"{key}={_quoted(value)}" for key, value in known.items())
    return " ".join(words)


def _quoted(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    is_plain = text.isascii() and text.isprintable()
    if text and is_plain and not any(letter in ' "=\\' for letter in text):
        return text
    return _json(text)


def _json(value: object) -> str:
    # The one control character that may stand in JSON as it is.
    return json.dumps(value).replace("\x7f", "\\u007f")


@final
class Journal:
    """Where lines go; run `write` as a task, and `close` at the end.

    Args:
        style: As in `format_line`; "off" for no lines.
        target: Where to write; standard output by default.
        clock: Gives the seconds since 1970.

    Attributes:
        style: As above; may be set.
        dropped: Lines that were lost because the target was too slow.
    """

    __slots__ = ("_clock", "_rx", "_target", "_told", "_tx", "dropped", "style")

    def __init__(
        self,
        style: str,
        target: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self.style = style
        self.dropped = 0
        self._told = 0
        self._target = target
        self._tx: mpsc.Sender[tuple[float, str, Mapping[str, Value]]]
        self._rx: mpsc.Receiver[tuple[float, str, Mapping[str, Value]]]
        self._tx, self._rx = mpsc.channel(_QUEUE)

    def __repr__(self) -> str:
        return f"<Journal {self.style}, {len(self._rx)} lines to write>"

    def tell(self, event: str, /, **fields: Value) -> None:
        """Write a line soon; never waits.

        Args:
            event: As in `format_line`.
            **fields: As in `format_line`.
        """
        if self.style == "off" or self._tx.is_closed:
            return
        try:
            self._tx.try_send((self._clock(), event, fields))
        except Full:
            self.dropped += 1

    async def write(self) -> None:
        """Write what was told, until `close`, and then the rest.

        Cancel safety:
            Not safe: lines that were being written may be written or not.
        """
        while batch := await self._rx.recv_many(_BATCH):
            lines = [format_line(self.style, *each) for each in batch]
            if self.dropped > self._told:
                lost = self.dropped - self._told
                self._told = self.dropped
                lines.append(
                    format_line(self.style, batch[-1][0], "dropped", {"lines": lost})
                )
            await spawn_blocking(self._put, "\n".join(lines) + "\n")

    def _put(self, text: str) -> None:
        target = self._target or sys.stdout
        try:
            target.write(text)
            target.flush()
        except (OSError, ValueError):
            # Nobody reads it any more; the connections matter more.
            self.style = "off"

    def close(self) -> None:
        """Take no more lines; twice does no harm."""
        self._tx.close()
