"""Observation points: who waits for what, who holds what.

Nobody listens unless a tool sets `observer`; then each real wait, each lock taken
or given back and each object made is told to it. Where nobody listens a point costs
one look at a module global, and the paths on which nothing waits have no point at
all: what they would tell (the depth of a queue, the state of a lock) is read from
the object when somebody wants it.
"""

from typing import Protocol

__all__ = ("Observer", "observe", "observer")


class Observer(Protocol):
    """What a listener is told; each call is made on the loop's own thread."""

    def created(self, thing: object) -> None:
        """Note that a channel, lock or other primitive was made."""

    def waiting(self, operation: object) -> None:
        """Note that the running task begins to wait for `operation`."""

    def resumed(self, operation: object) -> None:
        """Note that the running task waits for `operation` no longer."""

    def acquired(self, thing: object, guard: object) -> None:
        """Note that the running task now holds `thing` through `guard`."""

    def released(self, thing: object, guard: object) -> None:
        """Note that `guard` gave `thing` back."""


observer: Observer | None = None


def observe(listener: Observer | None) -> Observer | None:
    """Make `listener` the one that is told, and return the one before it.

    Args:
        listener: The new listener; None for nobody.

    Returns:
        The listener that was told until now, so that it can be put back.
    """
    # The one switch of the process: a tool is on or off for all of it.
    global observer  # noqa: PLW0603
    before = observer
    observer = listener
    return before
