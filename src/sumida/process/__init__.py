"""Room 6: signals, the end of a program, child processes.

`Command` starts a program; `Child` is what runs, with its streams and its end.
`signal` gives a stream of signals. How a whole program stops is told to `sumida.run`.

Each name is loaded when it is first used: `sumida.run` needs a part of the room, and a
program without children should not wait for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sumida.process.child import Child
    from sumida.process.command import Command
    from sumida.process.orphans import adopt_orphans
    from sumida.process.output import Output
    from sumida.process.pipeline import Pipeline, RunningPipeline
    from sumida.process.signals import SignalStream, ctrl_c, signal
    from sumida.process.status import ExitStatus
    from sumida.process.streams import PipeReader, PipeWriter

__all__ = (
    "Child",
    "Command",
    "ExitStatus",
    "Output",
    "PipeReader",
    "PipeWriter",
    "Pipeline",
    "RunningPipeline",
    "SignalStream",
    "adopt_orphans",
    "ctrl_c",
    "signal",
)

_HOMES = {
    "Child": "child",
    "Command": "command",
    "ExitStatus": "status",
    "Output": "output",
    "PipeReader": "streams",
    "PipeWriter": "streams",
    "Pipeline": "pipeline",
    "RunningPipeline": "pipeline",
    "SignalStream": "signals",
    "adopt_orphans": "orphans",
    "ctrl_c": "signals",
    "signal": "signals",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    # Found at once from now on.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
