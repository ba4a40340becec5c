"""Run the processes of a Procfile: `sumida supervise Procfile`.

| pattern | where |
|---|---|
| a parser and a table of checks, no I/O | `procfile`, `tables` |
| decisions as a pure state machine, time as an argument | `policy`, `plan` |
| one task per process, owned by a `JoinSet` | `supervisor` |
| the phase of a process is a `watch` channel; others wait for it | `lifecycle` |
| a stop is a token; `select` hears it wherever a process waits | `lifecycle` |
| a slow terminal slows the processes, never the loop | `output` |
"""

__all__ = ()
