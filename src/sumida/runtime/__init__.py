"""Room 1, the runtime (rules async-*): run, tasks, select, timers, blocking work.

Import from `sumida` what most programs need, or from here what few do.
"""

__all__ = ()
