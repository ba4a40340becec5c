"""What happens when a process has ended: pure, with the time as an argument.

`Restarts` decides for one process, `Outcome` for all of them together.
"""

from dataclasses import dataclass
from typing import TypeAlias, final

from sumida.apps.supervise.settings import ExitPolicy, Settings

__all__ = ("Again", "Decision", "Finished", "Outcome", "Restarts")


@final
@dataclass(frozen=True, slots=True)
class Again:
    """Start the process again.

    Attributes:
        delay: After how many seconds.
        attempt: Which restart it is since it was stable, from 1.
    """

    delay: float
    attempt: int


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """Let it be.

    Attributes:
        is_success: Whether it ended well.
        reason: Why it is not started again.
    """

    is_success: bool
    reason: str


Decision: TypeAlias = Again | Finished
"""What is done about a process that has ended."""


@final
class Restarts:
    """Decide whether and when one process is started again.

    Args:
        settings: The process.
    """

    __slots__ = ("_attempts", "_next_delay", "_settings", "_started")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: float | None = None
        self._attempts = 0
        self._next_delay = settings.back_off.first

    def __repr__(self) -> str:
        return f"<Restarts of {self._settings.name}: {self._attempts} in a row>"

    def on_start(self, now: float) -> None:
        """Note that the process was started.

        Args:
            now: When, in seconds.
        """
        self._started = now

    def on_end(self, now: float, *, is_success: bool) -> Decision:
        """Decide about a process that has ended, or that could not be started.

        Args:
            now: When, in seconds.
            is_success: Whether it ended with 0, of itself.

        Returns:
            What to do.
        """
        settings = self._settings
        started, self._started = self._started, None
        if started is not None and now - started >= settings.stable_after:
            self._attempts = 0
            self._next_delay = settings.back_off.first
        if settings.restart == "never":
            return Finished(is_success, "it is never restarted")
        if is_success and settings.restart == "on-failure":
            return Finished(is_success=True, reason="it has done its work")
        limit = settings.max_restarts
        if limit is not None and self._attempts >= limit:
            return Finished(
                is_success, f"it was restarted {self._attempts} times in a row"
            )
        self._attempts += 1
        delay = self._next_delay
        # Step by step, and never above the ceiling: the power would overflow.
        self._next_delay = min(delay * settings.back_off.factor, settings.back_off.max)
        return Again(delay, self._attempts)


@final
class Outcome:
    """Decide when the whole ends, and with which exit code.

    Args:
        policy: `first-failure`: the first process that ends with failure and is not
            restarted ends all. `all`: nothing is ended for the sake of another.
    """

    __slots__ = ("_first_failure", "policy")

    def __init__(self, policy: ExitPolicy) -> None:
        self.policy: ExitPolicy = policy
        self._first_failure: int | None = None

    def __repr__(self) -> str:
        return f"<Outcome {self.policy}, code {self.code}>"

    @property
    def code(self) -> int:
        """The exit code: that of the first failure, or 0."""
        return self._first_failure or 0

    def on_finished(self, code: int) -> bool:
        """Note that a process has ended for good.

        Args:
            code: Its exit code; 128 + the signal if one killed it.

        Returns:
            Whether the others are to be stopped.
        """
        if code == 0 or self._first_failure is not None:
            return False
        self._first_failure = code
        return self.policy == "first-failure"
