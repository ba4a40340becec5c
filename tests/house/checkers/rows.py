"""Each fault of the list of what users of other libraries suffer has its test.

A test is named after the row: `test_row_07_...`. It first does it the usual way and
sees the fault, where the interpreter has it, and then does it with this library.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.house.checkers.findings import Finding, Module

__all__ = ("ROWS", "check_rows")

ROWS: Final[Mapping[int, tuple[int, str]]] = {
    1: (6, "waiting on two sources loses a message"),
    2: (2, "a cancelled request poisons a pooled connection"),
    3: (2, "a graceful shutdown never ends"),
    4: (3, "a cancel is swallowed"),
    5: (4, "a group drops or leaks a cancel"),
    6: (4, "the wrong process is killed, or a child left behind"),
    7: (3, "a blocking call freezes the loop, and nobody is told"),
    8: (2, "a cancel that cannot land spins"),
    9: (3, "a cancelled receiver loses its item"),
    10: (1, "a cancelled waiter takes a lock with it"),
    11: (4, "SIGTERM kills at once, and the second Ctrl-C is odd"),
    12: (3, "a blocked thread keeps the process"),
    13: (3, "tasks, or their errors, disappear"),
    14: (3, "a shield orphans work"),
    15: (1, "a handler is cut when its client goes away"),
    17: (1, "no virtual time in tests"),
    18: (5, "a queue cannot be closed or iterated, and has no bound"),
    19: (2, "no broadcast, no watch"),
    20: (3, "a stream's writer has traps"),
    21: (1, "streams copy"),
    22: (1, "no sendfile on uvloop"),
    23: (2, "one pool for all threads starves name lookups"),
    24: (2, "a deadlock is silent"),
    25: (3, "standard streams are left non-blocking"),
    26: (1, "a scope that is left elsewhere corrupts a cancel"),
    27: (2, "no half-close"),
    28: (2, "eager tasks change the order"),
    29: (1, "uvloop is not quite asyncio"),
    30: (1, "datagrams without back-pressure"),
    31: (3, "no lock for many readers"),
    32: (2, "no order of completion, no limit"),
    33: (2, "a group cannot be ended early"),
    34: (1, "policies and watchers go away"),
    35: (2, "threads inherit a context"),
    36: (4, "objects of a loop are used from a thread"),
}
"""What each row says, and how many tests it takes to see all of it.

Row 16, a plugin that fails a test for what it leaves behind, is not built."""

_NAMED: Final = re.compile(r"test_row_(\d\d)_\w+")


def _named_after_rows(modules: Iterable[Module]) -> Iterator[tuple[Module, int, int]]:
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef):
                found = _NAMED.fullmatch(node.name)
                if found is not None:
                    yield module, node.lineno, int(found[1])


def check_rows(
    modules: Iterable[Module],
    home: Path,
    rows: Mapping[int, tuple[int, str]] = ROWS,
) -> Iterator[Finding]:
    """Count the tests of each row.

    Args:
        modules: The tests.
        home: Where a test that is missing should go.
        rows: Number, count and text of each row.

    Yields:
        Rows with too few tests, and tests of rows that there are not.
    """
    counts = dict.fromkeys(rows, 0)
    for module, line, number in _named_after_rows(modules):
        if number in counts:
            counts[number] += 1
        else:
            yield module.finding(
                line, f"there is no row {number}; see ROWS in checkers/rows.py"
            )
    for number, (wanted, text) in rows.items():
        if counts[number] < wanted:
            yield Finding(
                home,
                1,
                f"row {number} ({text}) has {counts[number]} tests, not {wanted}; "
                f"name them test_row_{number:02}_...",
            )
