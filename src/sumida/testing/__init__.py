"""What programs that use this library test themselves with."""

from sumida.testing.cancel import Order, Outcome, World, cancel_everywhere
from sumida.testing.clock import PausedLoop, advance, run_paused
from sumida.testing.drive import turns
from sumida.testing.streams import Script, ScriptReader, ScriptWriter

__all__ = (
    "Order",
    "Outcome",
    "PausedLoop",
    "Script",
    "ScriptReader",
    "ScriptWriter",
    "World",
    "advance",
    "cancel_everywhere",
    "run_paused",
    "turns",
)
