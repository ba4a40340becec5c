"""What the tests of the supervisor share: real processes, and a log to wait on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from sumida import CancellationToken, JoinSet, timeout
from sumida.apps.supervise.output import Event, Fact, Output, StreamName
from sumida.apps.supervise.settings import BackOff, ExitPolicy, ProcessFile, Settings
from sumida.apps.supervise.supervisor import Supervisor
from sumida.channels import watch
from sumida.errors import Closed

__all__ = ("HERE", "QUICK", "Seen", "Stage", "alive", "shell_of", "zombies")

HERE = Path("/")
QUICK = BackOff(first=0.01, max=0.02)
PATIENCE = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """An event or a line, as the log shows it.

    Attributes:
        kind: Of the event; `line` for a line.
        process: Its process.
        text: Its text.
        facts: Its facts.
    """

    kind: str
    process: str | None
    text: str
    facts: dict[str, Fact] = field(default_factory=dict[str, Fact])

    @property
    def pid(self) -> int:
        """The process id that it tells of."""
        pid = self.facts["pid"]
        assert isinstance(pid, int)
        return pid


class Stage:
    """A supervisor that writes its log here.

    Attributes:
        mark: Stands in the environment of all that is started.
        log: All that was told, in order.
        code: The exit code, at the end.
    """

    def __init__(self, exit_policy: ExitPolicy = "all") -> None:
        self.mark = uuid4().hex
        self.log: list[Seen] = []
        self.code: int | None = None
        self.stop = CancellationToken()
        self.exit_policy: ExitPolicy = exit_policy
        self.output = Output(lambda _: None, self)
        self._count, self._counted = watch.channel(0)
        self.supervisor: Supervisor | None = None

    # The form of the output, which sees everything first.

    def lines(self, process: str, stream: StreamName, texts: Sequence[str]) -> str:
        """Take lines."""
        for text in texts:
            self._add(Seen("line", process, text, {"stream": stream}))
        return "\n".join(texts)

    def event(self, event: Event) -> str:
        """Take an event."""
        self._add(Seen(event.kind, event.process, event.text, dict(event.facts)))
        return event.text

    def _add(self, seen: Seen) -> None:
        self.log.append(seen)
        with suppress(Closed):
            self._count.send(len(self.log))

    # What a test says.

    def file(self, *processes: Settings) -> ProcessFile:
        """Make a file of these, marked so that what is left of them can be found."""
        marked = (("MARK", self.mark),)
        return ProcessFile(
            tuple(replace(process, env=process.env + marked) for process in processes),
            self.exit_policy,
        )

    @asynccontextmanager
    async def runs(self, *processes: Settings) -> AsyncIterator["Stage"]:
        """Run these for the length of the block, or until they end by themselves."""
        self.supervisor = Supervisor(self.file(*processes), self.output)
        try:
            async with JoinSet[None]() as tasks, timeout(PATIENCE):
                tasks.spawn(self.output.run())
                run = tasks.spawn(self._run())
                yield self
                await run
                self.output.close()  # so that its task ends
        finally:
            self.close()

    def close(self) -> None:
        """Take no more."""
        self.output.close()
        self._count.close()

    async def _run(self) -> None:
        assert self.supervisor is not None
        self.code = await self.supervisor.run(self.stop)

    def reload(self, *processes: Settings) -> None:
        """Go over to these."""
        assert self.supervisor is not None
        self.supervisor.reload(self.file(*processes))

    async def until(
        self, kind: str, process: str | None = None, *, since: int = 0
    ) -> Seen:
        """Wait for such an entry of the log, of any process if none is named."""
        while True:
            self._counted.mark_unchanged()
            for seen in self.log[since:]:
                if seen.kind == kind and process in {None, seen.process}:
                    return seen
            since = len(self.log)
            await self._counted.changed()

    def order(self, *kinds: str) -> list[str]:
        """Give what happened of these kinds, as `kind process`."""
        return [
            f"{seen.kind} {seen.process}" for seen in self.log if seen.kind in kinds
        ]

    def texts(self, process: str) -> list[str]:
        """Give the lines of a process."""
        return [
            seen.text
            for seen in self.log
            if seen.kind == "line" and seen.process == process
        ]

    def members(self) -> list[int]:
        """Give the processes that run now and their children: cheaper than `left`."""
        leaders = {
            seen.process: seen.pid for seen in self.log if seen.kind == "started"
        }
        found = list(leaders.values())
        for pid in leaders.values():
            with suppress(OSError):  # it has just gone
                text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
                found += map(int, text.split())
        return found

    def left(self) -> list[int]:
        """Give the processes that are still there of all that was started."""
        return alive(self.mark)


def alive(mark: str) -> list[int]:
    """Find the processes that have this in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue  # it has just gone, or is another user's
            if mark.encode() in environment:
                found.append(int(folder.name))
    return found


def zombies(parent: int) -> list[int]:
    """Find the children of a process that have ended and were not reaped."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            state, ppid = stat.rpartition(")")[2].split()[:2]
            if state == "Z" and int(ppid) == parent:
                found.append(int(folder.name))
    return found


def shell_of(name: str, line: str, **more: object) -> Settings:
    """Make a process that runs a line of shell; restarts, if any, are quick."""
    settings = {"restart": "never", "back_off": QUICK, **more}
    return Settings(name, ("/bin/sh", "-c", line), HERE, **settings)  # type: ignore[arg-type]  # each test gives what belongs there
