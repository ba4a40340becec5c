"""Room 1, the runtime (rules async-*): run, tasks, select, timers, blocking work.

Import from `sumida` what most programs need, and what few do from the module that
defines it: `sumida.runtime.blocking`, `cpu`, `dump`, `strict`, `watchdog`.
"""

__all__ = ()
