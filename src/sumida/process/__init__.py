"""Room 6: signals, the end of a program, child processes.

`Command` starts a program; `Child` is what runs, with its streams and its end.
`signal` gives a stream of signals. How a whole program stops is told to `sumida.run`.
"""

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
