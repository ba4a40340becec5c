"""A peer that follows a script, for code that reads and writes a stream.

The script says what the peer sends, what it expects, and when it stalls or breaks; the
code under test gets a reader and a writer like those of `asyncio.open_connection`. A
byte that was not expected is an error that shows where.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import Self, final

from sumida._core.arguments import check_count, is_at_least, refuse

__all__ = ("Script", "ScriptReader", "ScriptWriter")


@final
@dataclass(frozen=True, slots=True)
class _Step:
    """One line of a script: `kind` is give, fail_read, expect, fail_write or wait."""

    kind: str
    data: bytes = b""
    error: Exception | None = None
    seconds: float = 0.0
    end: float | None = None


@final
class Script:
    """What a peer does, step by step; build it with its methods, one after the other.

    Args:
        split: How what the peer sends is cut: None as it stands, 1 into single
            bytes, or an instance of `random.Random` at random places.

    Raises:
        TypeError: `split` is neither.
        ValueError: It is less than 1.

    Source:
        `tokio_test::io::Builder`
    """

    __slots__ = ("_split", "_steps", "_written")

    def __init__(self, split: int | random.Random | None = None) -> None:
        self._steps: deque[_Step] = deque()
        if split is not None and not isinstance(split, random.Random):
            check_count("split", split, least=1)
        self._split = split
        self._written = 0

    def __repr__(self) -> str:
        return f"<Script {len(self._steps)} steps left, {self._written} bytes written>"

    def read(self, data: bytes) -> Self:
        """Let the peer send `data`.

        Args:
            data: What the code under test reads.

        Returns:
            The script.
        """
        for part in self._cut(data):
            self._steps.append(_Step("give", part))
        return self

    def read_error(self, error: Exception) -> Self:
        """Let reading fail.

        Args:
            error: What is raised.

        Returns:
            The script.
        """
        self._steps.append(_Step("fail_read", error=error))
        return self

    def write(self, data: bytes) -> Self:
        """Expect that exactly `data` is written next, in any parts.

        Args:
            data: What the code under test writes.

        Returns:
            The script.
        """
        self._steps.append(_Step("expect", data))
        return self

    def write_error(self, error: Exception) -> Self:
        """Let writing fail.

        Args:
            error: What is raised by `drain`.

        Returns:
            The script.
        """
        self._steps.append(_Step("fail_write", error=error))
        return self

    def wait(self, seconds: float) -> Self:
        """Let the peer do nothing for a while.

        Args:
            seconds: How long, by the loop's clock, 0 or more.

        Returns:
            The script.

        Raises:
            TypeError: `seconds` is no number.
            ValueError: It is negative, or "not a number".
        """
        if not is_at_least(seconds, 0):
            refuse("seconds", seconds, "0 or more")
        self._steps.append(_Step("wait", seconds=seconds))
        return self

    def build(self) -> "tuple[ScriptReader, ScriptWriter]":
        """Make the two sides for the code under test.

        Returns:
            A reader and a writer.
        """
        return ScriptReader(self), ScriptWriter(self)

    def _cut(self, data: bytes) -> list[bytes]:
        if self._split is None:
            return [data]
        if isinstance(self._split, int):
            size = self._split
            return [data[at : at + size] for at in range(0, len(data), size)]
        parts = []
        while data:
            size = self._split.randint(1, len(data))
            parts.append(data[:size])
            data = data[size:]
        return parts

    def take(self, *kinds: str) -> _Step | None:
        """Take the next step if it is of one of these kinds.

        Args:
            *kinds: Which.

        Returns:
            The step; None if it is of another kind, or there is none.
        """
        if self._steps and self._steps[0].kind in kinds:
            return self._steps.popleft()
        return None

    @property
    def has_ended(self) -> bool:
        """Whether no step is left."""
        return not self._steps

    def give_back(self, data: bytes) -> None:
        """Put bytes back that were not wanted yet.

        Args:
            data: What was read too much.
        """
        if data:
            self._steps.appendleft(_Step("give", data))

    def be_silent_until(self, end: float) -> None:
        """Let a silence that has begun go on.

        Args:
            end: When the peer goes on, by the loop's clock.
        """
        self._steps.appendleft(_Step("wait", end=end))

    def check_written(self, data: bytes) -> None:
        """Compare what was written with what is expected.

        Args:
            data: What was written.

        Raises:
            AssertionError: It is something else, or nothing is expected.
            Exception: What the script says.
        """
        while data:
            failing = self.take("fail_write")
            if failing is not None and failing.error is not None:
                raise failing.error
            step = self.take("expect")
            if step is None:
                raise AssertionError(
                    f"at byte {self._written}: {data!r} was written, and the script "
                    f"expects nothing; it goes on with {list(self._steps)[:1]}"
                )
            size = min(len(step.data), len(data))
            if step.data[:size] != data[:size]:
                raise AssertionError(
                    f"at byte {self._written}: {data[:size]!r} was written, "
                    f"expected {step.data[:size]!r}"
                )
            if step.data[size:]:
                self._steps.appendleft(_Step("expect", step.data[size:]))
            self._written += size
            data = data[size:]

    def assert_done(self) -> None:
        """Fail if the script was not followed to its end.

        Raises:
            AssertionError: Steps are left.
        """
        if self._steps:
            raise AssertionError(f"steps of the script are left: {list(self._steps)}")


@final
class ScriptReader:
    """The incoming side of a script, as `asyncio.StreamReader`."""

    __slots__ = ("_script",)

    def __init__(self, script: Script) -> None:
        self._script = script

    def __repr__(self) -> str:
        return f"<ScriptReader of {self._script!r}>"

    def at_eof(self) -> bool:
        """Tell whether the peer has said all.

        Returns:
            Whether it has.
        """
        return self._script.has_ended

    async def read(self, limit: int = -1) -> bytes:
        """Read what the peer sends next.

        Args:
            limit: At most so many bytes; all to the end if negative.

        Returns:
            The bytes; none at the end.

        Raises:
            Exception: What the script says.

        Cancel safety:
            Safe: nothing was read.
        """
        if limit < 0:
            data = b""
            while part := await self._more(data, 1 << 30):
                data += part
            return data
        while (pause := self._script.take("wait")) is not None:
            await self._pause(pause)
        while True:
            step = self._script.take("give", "fail_read")
            if step is not None:
                break
            if self._script.has_ended:
                return b""
            # The peer waits for something to be written first.
            await asyncio.sleep(0)
        if step.error is not None:
            raise step.error
        self._script.give_back(step.data[limit:])
        return step.data[:limit]

    async def _more(self, data: bytes, limit: int) -> bytes:
        """Read on after `data`, which a cancel puts back."""
        try:
            return await self.read(limit)
        except asyncio.CancelledError:
            self._script.give_back(data)
            raise

    async def _pause(self, pause: _Step) -> None:
        """Let the peer be silent; a silence that has begun ends at its time."""
        now = asyncio.get_running_loop().time()
        end = now + pause.seconds if pause.end is None else pause.end
        try:
            await asyncio.sleep(end - now)
        except asyncio.CancelledError:
            self._script.be_silent_until(end)
            raise

    async def readexactly(self, size: int) -> bytes:
        """Read so many bytes.

        Args:
            size: How many.

        Returns:
            The bytes.

        Raises:
            IncompleteReadError: The peer ended before.

        Cancel safety:
            Safe: nothing was read.
        """
        data = b""
        while len(data) < size:
            part = await self._more(data, size - len(data))
            if not part:
                raise asyncio.IncompleteReadError(data, size)
            data += part
        return data

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Read to the next separator, which is included.

        Args:
            separator: What ends a message.

        Returns:
            The bytes.

        Raises:
            IncompleteReadError: The peer ended before.

        Cancel safety:
            Safe: nothing was read.
        """
        data = b""
        while separator not in data:
            part = await self._more(data, 1 << 30)
            if not part:
                raise asyncio.IncompleteReadError(data, None)
            data += part
        end = data.index(separator) + len(separator)
        self._script.give_back(data[end:])
        return data[:end]

    async def readline(self) -> bytes:
        """Read a line, with its end; what is left at the end of the script.

        Returns:
            The bytes.

        Cancel safety:
            Safe: nothing was read.
        """
        try:
            return await self.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial


@final
class ScriptWriter:
    """The outgoing side of a script, as `asyncio.StreamWriter`."""

    __slots__ = ("_error", "_is_closing", "_script")

    def __init__(self, script: Script) -> None:
        self._script = script
        self._is_closing = False
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<ScriptWriter of {self._script!r}>"

    def write(self, data: bytes) -> None:
        """Write; it must be what the script expects.

        Args:
            data: The bytes.

        Raises:
            AssertionError: The script expects something else.
        """
        try:
            self._script.check_written(data)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001  # raised by drain(), as asyncio does
            self._error = error

    def writelines(self, parts: list[bytes]) -> None:
        """Write several parts.

        Args:
            parts: The bytes.
        """
        for part in parts:
            self.write(part)

    async def drain(self) -> None:
        """Wait until the peer can take more.

        Raises:
            Exception: What the script says of writing.

        Cancel safety:
            Safe.
        """
        if self._error is not None:
            raise self._error
        await asyncio.sleep(0)

    def write_eof(self) -> None:
        """Say that nothing more will be written."""

    def is_closing(self) -> bool:
        """Tell whether it was closed.

        Returns:
            Whether it was.
        """
        return self._is_closing

    def close(self) -> None:
        """Close it."""
        self._is_closing = True

    async def wait_closed(self) -> None:
        """Wait until it is closed.

        Cancel safety:
            Safe.
        """
        await asyncio.sleep(0)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell of the connection.

        Args:
            name: "peername" or another of asyncio's.
            default: What to give for the others.

        Returns:
            What is known.
        """
        return ("127.0.0.1", 0) if name == "peername" else default
