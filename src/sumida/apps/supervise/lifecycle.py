"""One process from its first start to its end: a task, and the phase it is in.

The phase is a `watch` channel: those that depend on the process wait for it. The wish
to stop is a token: `select` hears it wherever the process waits.
"""

import asyncio
import signal
import sys
from collections.abc import Iterable
from enum import Enum
from typing import Final, Protocol, cast, final

from sumida import CancellationToken, Elapsed, JoinSet, select, sleep, timeout
from sumida.apps.supervise.output import Event, Fact, Output
from sumida.apps.supervise.policy import Again, Restarts
from sumida.apps.supervise.pump import Pump
from sumida.apps.supervise.readiness import Readiness
from sumida.apps.supervise.settings import Settings
from sumida.channels import watch
from sumida.process import Child, Command, ExitStatus

__all__ = ("FAULT", "NOT_READY", "NOT_STARTED", "Owner", "Phase", "Unit")

FAULT: Final = 70
"""The exit code when this program itself has a fault, as `sysexits.h` has it."""

NOT_STARTED: Final = 127
"""The exit code of a process that could not be started, as shells have it."""

NOT_READY: Final = 124
"""The exit code of a process that was not ready in time, as `timeout` has it."""


@final
class Phase(Enum):
    """Where a process is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    # The last ones: nothing follows.
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    STOPPED = "stopped"

    @property
    def is_last(self) -> bool:
        """Whether the process, and all of its group, is gone for good."""
        return self in _LAST

    @property
    def is_good(self) -> bool:
        """Whether those that depend on the process may start."""
        return self in {Phase.READY, Phase.DONE}


_LAST = frozenset({Phase.DONE, Phase.FAILED, Phase.BLOCKED, Phase.STOPPED})


class Owner(Protocol):
    """What a unit knows of the others."""

    @property
    def output(self) -> Output:
        """Where lines and events go."""
        ...

    def current(self, name: str) -> "Unit":
        """Give the unit that a name means now."""
        ...

    def stopping_dependents(self, unit: "Unit") -> Iterable["Unit"]:
        """Give those that depend on a unit, are asked to stop, and are not gone."""
        ...

    def on_last(self, unit: "Unit", code: int) -> None:
        """Note that a unit is gone for good."""
        ...


@final
class Unit:
    """One process of the file, started as often as its policy says.

    Args:
        settings: The process.
        owner: Who has the others.
        before: What had the same name before a reload; it has to be gone first.

    Attributes:
        settings: As above.
        stop: Cancel it to stop the process.
    """

    __slots__ = (
        "_before",
        "_owner",
        "_phase",
        "_restarts",
        "_watch",
        "settings",
        "stop",
    )

    def __init__(
        self, settings: Settings, owner: Owner, before: "Unit | None" = None
    ) -> None:
        self.settings = settings
        self.stop = CancellationToken()
        self._owner = owner
        self._before = before
        self._restarts = Restarts(settings)
        self._phase: watch.Sender[Phase]
        self._watch: watch.Receiver[Phase]
        self._phase, self._watch = watch.channel(Phase.WAITING)

    def __repr__(self) -> str:
        return f"<Unit {self.settings.name} {self.phase.value}>"

    @property
    def phase(self) -> Phase:
        """Where it is in its life."""
        return self._watch.borrow()

    async def wait_last(self) -> None:
        """Wait until the process and all of its group is gone for good.

        Cancel safety:
            Safe.
        """
        with self._watch.clone() as watcher:
            await watcher.wait_for(lambda phase: phase.is_last)

    async def _wait_good_or_last(self) -> Phase:
        with self._watch.clone() as watcher:
            return await watcher.wait_for(lambda phase: phase.is_good or phase.is_last)

    def _tell(self, kind: str, text: str, **facts: Fact) -> None:
        self._owner.output.tell(Event(kind, text, self.settings.name, facts))

    def _enter(self, phase: Phase) -> None:
        if not self._watch.borrow().is_last:
            self._phase.send(phase)

    def _end(self, phase: Phase, code: int = 0) -> None:
        """Enter the last phase, once; from now on others need not wait."""
        if not self.phase.is_last:
            self._phase.send(phase)
            self._owner.on_last(self, code)

    async def run(self) -> None:
        """Run the process until it is finished or stopped.

        Cancel safety:
            Safe: the process is killed, with its group.
        """
        try:
            await self._run()
        except Exception as error:
            self._tell("failed", f"met a fault of sumida: {error!r}", code=FAULT)
            raise
        finally:
            # Only if it was cancelled, or by such a fault.
            self._end(Phase.FAILED, FAULT)
            self._phase.close()
            self._watch.close()

    async def _run(self) -> None:
        if not await self._may_start():
            return
        while True:
            code = await self._once()
            if code is None:
                return
            now = asyncio.get_running_loop().time()
            decision = self._restarts.on_end(now, is_success=code == 0)
            if not isinstance(decision, Again):
                phase = Phase.DONE if code == 0 else Phase.FAILED
                text = f"is finished with code {code}: {decision.reason}"
                self._tell("finished", text, code=code, reason=decision.reason)
                self._end(phase, code)
                return
            self._enter(Phase.RESTARTING)
            delay, attempt = decision.delay, decision.attempt
            text = f"starts again in {delay:g} s (attempt {attempt})"
            self._tell("restarting", text, delay=delay, attempt=attempt)
            if await self._is_stopped_within(delay):
                self._tell("stopped", "is stopped; it was not running", killed=False)
                self._end(Phase.STOPPED)
                return

    async def _is_stopped_within(self, seconds: float) -> bool:
        # Also for a delay of nothing it is asked.
        name, _ = await select(
            stop=self.stop.cancelled(), time=sleep(seconds), biased=True
        )
        return name == "stop"

    async def _may_start(self) -> bool:
        """Wait for what has to be gone or ready; whether to start."""
        match await select(
            stop=self.stop.cancelled(), go=self._dependencies(), biased=True
        ):
            case ("go", None):
                return True
            case ("go", blocker):
                text = f"cannot be started, because {blocker} is not there for it"
                self._tell("blocked", text, by=blocker)
                self._end(Phase.BLOCKED, 1)
            case _:
                if self._before is not None:
                    # There is one process of this name as long as that one is there.
                    await self._before.wait_last()
                self._tell("stopped", "is stopped; it was not running", killed=False)
                self._end(Phase.STOPPED)
        return False

    async def _dependencies(self) -> str | None:
        """Wait until all dependencies are ready; the one that will never be."""
        if self._before is not None:
            await self._before.wait_last()
            self._before = None
        for name in self.settings.depends_on:
            unit = self._owner.current(name)
            if not unit.phase.is_good:
                self._tell("waiting", f"waits for {name}", dependency=name)
            while not (await unit._wait_good_or_last()).is_good:
                if unit is self._owner.current(name):
                    return name
                # A reload has put another in its place.
                unit = self._owner.current(name)
        return None

    async def _once(self) -> int | None:
        """Start it and see it to its end; its exit code, None if it was stopped."""
        self._enter(Phase.STARTING)
        try:
            child = await _command_of(self.settings).spawn()
        except OSError as error:
            text = f"cannot be started: {error}"
            self._tell("failed", text, code=NOT_STARTED, error=str(error))
            return NOT_STARTED
        self._restarts.on_start(asyncio.get_running_loop().time())
        self._tell("started", f"is started, pid {child.pid}", pid=child.pid)
        readiness = Readiness(self.settings)
        gone = CancellationToken()
        # The child inside: on a cancel it is killed before anything is waited for.
        async with JoinSet[None]() as pumps, child:
            for pump in self._pumps(child):
                pumps.spawn(_carry(pump, child, readiness, gone))
            code = await self._watched(child, readiness)
            gone.cancel()
            # Before its pipes are closed: what it has written last is still in them.
            await pumps.join_all()
        return code

    def _pumps(self, child: Child) -> tuple[Pump, Pump]:
        name, output = self.settings.name, self._owner.output
        assert child.stdout is not None
        assert child.stderr is not None
        return (
            Pump(name, "stdout", child.stdout, output),
            Pump(name, "stderr", child.stderr, output),
        )

    async def _watched(self, child: Child, readiness: Readiness) -> int | None:
        """See a running process to its end, and its group with it."""
        try:
            status = await self._status(child, readiness)
        except Elapsed:
            seconds = self.settings.ready_timeout
            text = f"is not ready after {seconds:g} s"
            self._tell("not-ready", text, seconds=seconds)
            await self._stop(child)
            return NOT_READY
        if status is None:
            for dependent in self._owner.stopping_dependents(self):
                await dependent.wait_last()
            await self._stop(child)
            # At once, and not when its last lines are written: that may take long, and
            # others wait to be stopped.
            self._end(Phase.STOPPED)
            return None
        self._enter(Phase.RESTARTING)
        name = None if status.signal is None else _signal_name(status.signal)
        self._tell("exited", f"has ended: {status}", code=status.code, signal=name)
        # What it has left behind would meet the next start.
        if not child.is_gone:
            await self._stop(child)
        return status.shell_code

    async def _status(self, child: Child, readiness: Readiness) -> ExitStatus | None:
        """Wait until it has ended, or is to stop: None then; tell when it is ready."""
        began = asyncio.get_running_loop().time()
        stop, ended = self.stop.cancelled(), child.wait()
        if self.settings.ready is not None:
            name, status = await select(
                stop=stop, ended=ended, ready=self._ready(readiness), biased=True
            )
            if name != "ready":
                return cast("ExitStatus | None", status)
        seconds = round(asyncio.get_running_loop().time() - began, 3)
        # What is ready by being started is no news to people.
        text = f"is ready after {seconds:g} s" if self.settings.ready else ""
        self._tell("ready", text, seconds=seconds)
        self._enter(Phase.READY)
        _, status = await select(stop, ended, biased=True)
        return status

    async def _ready(self, readiness: Readiness) -> None:
        async with timeout(self.settings.ready_timeout):
            await readiness.wait()

    async def _stop(self, child: Child) -> None:
        """Ask all of its group to stop, and kill what has not stopped in time."""
        number, grace = self.settings.stop_signal, self.settings.stop_grace
        text = f"is asked to stop by {number.name}"
        self._tell("stopping", text, signal=number.name, pid=child.pid)
        await child.stop(grace, first=number)
        if not child.is_gone:
            self._tell("stuck", "was killed, and is still there", pid=child.pid)
        elif child.was_killed:
            text = f"has not stopped within {grace:g} s, and was killed"
            self._tell("stopped", text, killed=True)
        else:
            self._tell("stopped", "has stopped", killed=False)


async def _carry(
    pump: Pump, child: Child, readiness: Readiness, gone: CancellationToken
) -> None:
    try:
        await pump.run(readiness.feed, gone)
    except Exception:
        # A fault of this program: nobody would read on, and the process would hang.
        child.kill()
        raise


def _command_of(settings: Settings) -> Command:
    command = (
        Command(*settings.command)
        .cwd(settings.cwd)
        .env(dict(settings.env))
        .stdout("pipe")
        .stderr("pipe")
        # Whoever leaves its block without having stopped it was told to be quick.
        .grace(0)
    )
    # A supervisor that is killed itself should not leave the ports taken.
    return command.die_with_parent() if sys.platform == "linux" else command


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
