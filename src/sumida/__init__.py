"""Building blocks for event-driven systems on asyncio, with Tokio's semantics.

The names that most programs need; each is loaded when it is first used. The rooms
have the rest: `sumida.runtime`, `sumida.channels`, `sumida.sync`, `sumida.net`,
`sumida.io`, `sumida.process`, `sumida.testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sumida._version import __version__ as __version__

if TYPE_CHECKING:
    from sumida.errors import (
        AccessError,
        Closed,
        Elapsed,
        Empty,
        Full,
        Lagged,
        SumidaError,
    )
    from sumida.operation import Operation
    from sumida.program import run, shutdown_phase, shutdown_token
    from sumida.runtime.blocking import spawn_blocking
    from sumida.runtime.cpu import spawn_cpu
    from sumida.runtime.interval import Interval
    from sumida.runtime.joinset import JoinSet
    from sumida.runtime.local import TaskLocal
    from sumida.runtime.selection import select
    from sumida.runtime.timeouts import timeout, timeout_at
    from sumida.runtime.timers import sleep, sleep_until
    from sumida.runtime.tracker import TaskTracker
    from sumida.runtime.yielding import yield_now
    from sumida.sync.cancellation import CancellationToken

__all__ = (
    "AccessError",
    "CancellationToken",
    "Closed",
    "Elapsed",
    "Empty",
    "Full",
    "Interval",
    "JoinSet",
    "Lagged",
    "Operation",
    "SumidaError",
    "TaskLocal",
    "TaskTracker",
    "run",
    "select",
    "shutdown_phase",
    "shutdown_token",
    "sleep",
    "sleep_until",
    "spawn_blocking",
    "spawn_cpu",
    "timeout",
    "timeout_at",
    "yield_now",
)

_HOMES = {
    "AccessError": "sumida.errors",
    "CancellationToken": "sumida.sync.cancellation",
    "Closed": "sumida.errors",
    "Elapsed": "sumida.errors",
    "Empty": "sumida.errors",
    "Full": "sumida.errors",
    "Interval": "sumida.runtime.interval",
    "JoinSet": "sumida.runtime.joinset",
    "Lagged": "sumida.errors",
    "Operation": "sumida.operation",
    "SumidaError": "sumida.errors",
    "TaskLocal": "sumida.runtime.local",
    "TaskTracker": "sumida.runtime.tracker",
    "run": "sumida.program",
    "select": "sumida.runtime.selection",
    "shutdown_phase": "sumida.program",
    "shutdown_token": "sumida.program",
    "sleep": "sumida.runtime.timers",
    "sleep_until": "sumida.runtime.timers",
    "spawn_blocking": "sumida.runtime.blocking",
    "spawn_cpu": "sumida.runtime.cpu",
    "timeout": "sumida.runtime.timeouts",
    "timeout_at": "sumida.runtime.timeouts",
    "yield_now": "sumida.runtime.yielding",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sumida' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    # Found at once from now on.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
