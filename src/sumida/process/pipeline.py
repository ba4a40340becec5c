"""Several programs, each reading what the one before it writes.

`Command("zcat", name) | Command("sort")`: the kernel carries the bytes from one to the
other, and all end together.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Literal, Self, final

from sumida.errors import MisuseError
from sumida.io.stream import READ_TO_END_LIMIT
from sumida.operation import PENDING, Operation, Pending
from sumida.process._collect import Collector
from sumida.process._handle import ProcessHandle, WaitForExit
from sumida.process._joint import JointOperation
from sumida.process._options import Options
from sumida.process.child import Child
from sumida.process.spawning import Spawning
from sumida.process.status import ExitStatus
from sumida.process.streams import PipeReader, PipeWriter
from sumida.runtime.joinset import JoinSet

__all__ = ("Pipeline", "PipelineOutput", "RunningPipeline")


@final
@dataclass(frozen=True, slots=True)
class PipelineOutput:
    """What a pipeline wrote, and how each of its children ended.

    Attributes:
        statuses: How each ended, in order.
        stdout: What the last one wrote; empty where that went elsewhere.
        commands: What was started.
    """

    statuses: tuple[ExitStatus, ...]
    stdout: bytes
    commands: tuple[str, ...]

    def check(self) -> bytes:
        """Give what the last one wrote, if all were a success.

        One that ended by SIGPIPE, because the next read no more, is no failure.

        Returns:
            `stdout`.

        Raises:
            ExitError: One was none; the first that failed is told.
        """
        last = len(self.statuses) - 1
        for place, status in enumerate(self.statuses):
            if place == last or status.signal != signal.SIGPIPE:
                status.check(self.commands[place])
        return self.stdout


@final
class Pipeline:
    """Commands that are to be started together; made by `Command | Command`.

    Attributes:
        stages: What is started, in order.
    """

    __slots__ = ("stages",)

    def __init__(self, stages: tuple[Options, ...]) -> None:
        self.stages = stages

    def __repr__(self) -> str:
        return f"<Pipeline {' | '.join(' '.join(stage.argv) for stage in self.stages)}>"

    def spawn(self) -> "Spawning[RunningPipeline]":
        """Start all of them; if one cannot be started, those before it are killed.

        Returns:
            What gives the `RunningPipeline` when awaited, or at the head of an
            `async with`.

        Raises:
            SpawnError: When awaited: one of them cannot be started.
            MisuseError: When awaited: a stream between two of them leads elsewhere.

        Cancel safety:
            Safe: it does not wait.
        """
        return _spawn(self.stages)

    async def output(
        self,
        input: bytes | None = None,  # noqa: A002  # the word that fits
        *,
        limit: int = READ_TO_END_LIMIT,
    ) -> PipelineOutput:
        """Start all, write to the first, and keep what the last writes.

        Args:
            input: What the first reads; None for what its `stdin` says.
            limit: Bytes that are kept in memory, 0 or more.

        Returns:
            What the last wrote, and how each ended.

        Raises:
            SpawnError: One of them cannot be started.
            OutputLimitError: There was more than `limit`; all were killed.
            ValueError: `limit` is negative.

        Cancel safety:
            Not safe: all are ended, and what they wrote is lost.
        """
        if limit < 0:
            raise ValueError(f"limit must be 0 bytes or more, not {limit}")
        first, *middle, last = self.stages
        if input is not None:
            first = replace(first, stdin="pipe")
        if last.stdout is None:
            last = replace(last, stdout="pipe")
        async with _spawn((first, *middle, last)) as running:
            out = Collector(running.stdout, limit, running.kill)
            if running.stdin is not None:
                if input:
                    running.stdin.put(input)
                running.stdin.close()
            await out.wait()
            statuses = await running.wait()
        names = tuple(stage.name for stage in self.stages)
        return PipelineOutput(statuses, out.check(last.name, "stdout"), names)


@final
class RunningPipeline:
    """Children that run, each reading what the one before it writes.

    Leave it by `async with`: all groups are then ended together, as for one `Child`.

    Attributes:
        children: In order.
    """

    __slots__ = ("children",)

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = tuple(children)

    def __repr__(self) -> str:
        return f"<RunningPipeline {' | '.join(map(repr, self.children))}>"

    @property
    def stdin(self) -> PipeWriter | None:
        """What the first reads, where that is a pipe."""
        return self.children[0].stdin

    @property
    def stdout(self) -> PipeReader | None:
        """What the last writes, where that is a pipe."""
        return self.children[-1].stdout

    def wait(self) -> Operation[tuple[ExitStatus, ...]]:
        """Wait until all have ended; a piped stdin of the first is closed before.

        Returns:
            An operation that gives how each ended, in order.

        Cancel safety:
            Safe: they run on.
        """
        first, *_ = self.children
        handles = [child._handle for child in self.children]
        return _WaitForAll(handles, first)

    def kill(self) -> bool:
        """Kill all groups at once.

        Returns:
            Whether anybody was still there.
        """
        # All of them, not the first that is there.
        return sum(child.kill() for child in self.children) > 0

    async def stop(self, grace: float | None = None) -> tuple[ExitStatus, ...]:
        """End all groups together: ask all, and kill what has not ended in time.

        Args:
            grace: As for `Child.stop`, in seconds.

        Returns:
            How each ended, in order.

        Raises:
            ValueError: `grace` is negative.

        Cancel safety:
            Safe: a cancelled call has killed all groups.
        """
        if grace is not None and not grace >= 0:
            raise ValueError(f"grace must be 0 seconds or more, not {grace}")
        try:
            async with JoinSet[ExitStatus]() as stops:
                for child in self.children:
                    stops.spawn(child.stop(grace), name=f"stop {child.name}")
                return tuple(await stops.join_all())
        finally:
            # A task that was cancelled before its first step has stopped nothing.
            self.kill()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.children[0]._close_stdin()
            await self.stop()
        finally:
            for child in self.children:
                child.close_streams()


def _spawn(stages: Sequence[Options]) -> Spawning[RunningPipeline]:
    name = " | ".join(stage.name for stage in stages)
    return Spawning(lambda: RunningPipeline(_start_all(stages)), name)


def _start_all(stages: Sequence[Options]) -> list[Child]:
    for before, after in pairwise(stages):
        if before.stdout is not None or after.stdin is not None or before.pty:
            raise MisuseError(
                f"a stream between {before.name!r} and {after.name!r} leads elsewhere",
                "leave stdout and stdin of what a pipeline connects as they are",
            )
    children: list[Child] = []
    read_end = -1
    try:
        for place, stage in enumerate(stages):
            now = stage if read_end < 0 else replace(stage, stdin=read_end)
            next_end = write_end = -1
            if place + 1 < len(stages):
                next_end, write_end = os.pipe()
                now = replace(now, stdout=write_end)
            try:
                children.append(Child(now))
            finally:
                _close(read_end)
                _close(write_end)
                read_end = next_end
    except BaseException:
        _close(read_end)
        for child in children:
            child._handle.abandon()
            child.close_streams()
        raise
    return children


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


@final
class _WaitForAll(JointOperation[tuple[ExitStatus, ...]]):
    """Wait until several children have ended.

    Args:
        handles: Theirs.
        first: The one whose stdin is closed before.
    """

    __slots__ = ("_first", "_handles")

    def __init__(self, handles: Sequence[ProcessHandle], first: Child) -> None:
        JointOperation.__init__(self)
        self._handles = handles
        self._first = first

    def __repr__(self) -> str:
        return f"<end of {len(self._handles)} processes>"

    def waiting_parts(self) -> Sequence[Operation[object]]:
        """Wait for the first that has not ended; see `JointOperation`."""
        running = [handle for handle in self._handles if handle.status is None]
        return [WaitForExit(running[0], None)]

    def poll(self) -> tuple[ExitStatus, ...] | Literal[Pending.PENDING]:
        """See whether all have ended; see `Operation.poll`."""
        statuses = [handle.status for handle in self._handles]
        if None in statuses:
            self._first._close_stdin()
            return PENDING
        self.disarm()
        return tuple(status for status in statuses if status is not None)

    def is_ready(self) -> bool:
        """Tell whether all have ended; see `Operation.is_ready`."""
        return all(handle.status is not None for handle in self._handles)
