"""All processes of a file together: start, reload, stop, and the exit code."""

from typing import Final, final

from sumida import CancellationToken, Elapsed, JoinSet, select, timeout
from sumida.apps.supervise.lifecycle import Phase, Unit
from sumida.apps.supervise.output import Event, Fact, Output
from sumida.apps.supervise.plan import compare, start_order
from sumida.apps.supervise.policy import Outcome
from sumida.apps.supervise.settings import ProcessFile, Settings

__all__ = ("FLUSH", "Supervisor")

FLUSH: Final = 5.0
"""How long the last lines may take when all processes are gone, in seconds."""


@final
class Supervisor:
    """The processes of one file.

    Args:
        file: What to run.
        output: Where lines and events go; its `run` is the caller's task.

    Attributes:
        output: As above.
        is_cut: Whether last lines were given up, as they could not be written.
    """

    __slots__ = (
        "_file",
        "_is_stopping",
        "_live",
        "_outcome",
        "_over",
        "_tasks",
        "_units",
        "is_cut",
        "output",
    )

    def __init__(self, file: ProcessFile, output: Output) -> None:
        self.output = output
        self._file = file
        self._outcome = Outcome(file.exit)
        self._over = CancellationToken()
        self._is_stopping = False
        self.is_cut = False
        self._tasks: JoinSet[None] = JoinSet()
        # What a name means now, and all that are not gone: while a process is replaced
        # there are two of its name.
        self._units: dict[str, Unit] = {}
        self._live: dict[Unit, None] = {}

    def __repr__(self) -> str:
        return f"<Supervisor of {len(self._units)} processes, {len(self._live)} live>"

    @property
    def is_stopping(self) -> bool:
        """Whether all are asked to stop."""
        return self._is_stopping

    def current(self, name: str) -> Unit:
        """Give the unit that a name means now.

        Args:
            name: As in the file.

        Returns:
            The unit.
        """
        return self._units[name]

    def stopping_dependents(self, unit: Unit) -> list[Unit]:
        """Give those that depend on a unit, are asked to stop, and are not gone.

        Args:
            unit: What they depend on.

        Returns:
            The units.
        """
        return [
            other
            for other in self._live
            if unit.settings.name in other.settings.depends_on
            and other.stop.is_cancelled
            # It has no process, and will have none; it may even wait for this one.
            and other.phase is not Phase.WAITING
        ]

    def on_last(self, unit: Unit, code: int) -> None:
        """Note that a unit is gone for good.

        Args:
            unit: The unit.
            code: Its exit code; 0 if it was asked to stop.
        """
        del self._live[unit]
        if self._outcome.on_finished(code):
            self.stop(f"{unit.settings.name} has failed with code {code}")
        if not self._live:
            self._over.cancel()

    def stop(self, reason: str) -> None:
        """Ask all processes to stop, dependents first; the second time does nothing.

        Args:
            reason: Why, for the log.
        """
        if self._is_stopping:
            return
        self._is_stopping = True
        names = [unit.settings.name for unit in self._live]
        self.tell("stop", f"stops all: {reason}", reason=reason, processes=names)
        for unit in list(self._live):
            unit.stop.cancel(reason)

    def tell(self, kind: str, text: str, **facts: Fact) -> None:
        """Write an event that is of no process alone.

        Args:
            kind: One word, for programs.
            text: A few words, for people.
            **facts: What else is known.
        """
        self.output.tell(Event(kind, text, facts=facts))

    def reload(self, file: ProcessFile) -> None:
        """Go over to another file: what is the same runs on.

        Args:
            file: What is to run from now on.
        """
        if self._is_stopping:
            return
        change = compare(self._file, file)
        self._file = file
        self._outcome.policy = file.exit
        if not self._units:
            return  # nothing has begun
        self.tell(
            "reload",
            "has read the file again; "
            + (
                f"new: {_list(change.added)}, changed: {_list(change.changed)}, "
                f"gone: {_list(change.removed)}"
                if change
                else "nothing has changed"
            ),
            added=list(change.added),
            changed=list(change.changed),
            removed=list(change.removed),
        )
        old = [self._units[name] for name in change.stop]
        for name in change.removed:
            del self._units[name]
        # First the new ones, so that there is no moment without any; they wait until
        # their predecessors are gone.
        for settings in change.start:
            self._launch(settings)
        for unit in list(self._units.values()):
            if unit.phase is Phase.BLOCKED:
                # What it was in want of may be there now.
                self._launch(unit.settings)
        for unit in old:
            unit.stop.cancel("the file has changed")

    def _launch(self, settings: Settings) -> None:
        # Also one that an earlier reload took out and that is not gone yet.
        same = (u for u in reversed(self._live) if u.settings.name == settings.name)
        unit = Unit(settings, self, next(same, None))
        self._units[settings.name] = unit
        self._live[unit] = None
        self._tasks.spawn(unit.run(), name=f"process {settings.name}")

    async def run(self, stop: CancellationToken) -> int:
        """Run all until they have ended, or until they are to stop.

        Args:
            stop: Cancelled when all are to stop.

        Returns:
            The exit code.

        Cancel safety:
            Safe: every process is killed, with its group.
        """
        settings = {process.name: process for process in self._file.processes}
        graph = {name: process.depends_on for name, process in settings.items()}
        async with self._tasks:
            for name in start_order(graph):
                self._launch(settings[name])
            match await select(
                over=self._over.cancelled(),
                stop=stop.cancelled(),
                broken=self.output.broken.cancelled(),
                biased=True,
            ):
                case ("stop", _):
                    self.stop(stop.reason or "it was asked to")
                case ("broken", _):
                    self.stop(self.output.broken.reason or "")
                case _:
                    pass
            await self._over.cancelled()
            # All are gone; what they have said last may still wait for the terminal.
            try:
                async with timeout(FLUSH):
                    await self._tasks.join_all()
            except Elapsed:
                self.is_cut = True
                self._tasks.abort_all()
        code = self._outcome.code
        if self.output.broken.is_cancelled:
            code = code or 1
        if stop.is_cancelled and not code:
            # The signal has its own say in the exit code.
            self.tell("end", f"all have ended: {stop.reason or 'it was asked to'}")
        else:
            self.tell("end", f"all have ended, exit code {code}", code=code)
        return code


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
