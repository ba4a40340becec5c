"""What users of other libraries suffer from is tested, row by row."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.house.checkers.findings import Finding, Module, modules
from tests.house.checkers.rows import check_rows
from tests.house.test_checkers import told, write
from tests.house.test_house import ROOT, SOURCE, nothing_found

PEERS = ROOT / "tests" / "peers"

NOT_USED = {
    "wait_for": "`timeout`: CPython 3.11 swallows a cancel",
    "shield": "an owner that waits: what it leaves behind is nobody's",
    "gather": "a JoinSet: what it leaves behind is nobody's",
    "Condition": "a primitive of our own: CPython 3.12 loses its wake-ups",
    "get_child_watcher": "`sumida.process`: watchers are gone in 3.14",
    "set_child_watcher": "`sumida.process`: watchers are gone in 3.14",
    "get_event_loop_policy": "`Runner(loop_factory=)`: policies go in 3.16",
    "set_event_loop_policy": "`Runner(loop_factory=)`: policies go in 3.16",
    "get_event_loop": "`get_running_loop`: it asks the policy",
    "new_event_loop": "`make_loop`, or a class of loop: it asks the policy",
}
"""Names of asyncio, and what is used in their place."""

ALLOWED = {"runtime/run.py": {"new_event_loop"}}
"""The one place that makes loops."""


def check_asyncio(sources: Iterable[Module]) -> Iterator[Finding]:
    """Find what is not used of asyncio, imported or as an attribute."""
    for module in sources:
        allowed = ALLOWED.get("/".join(module.path.parts[-2:]), set())
        for node in ast.walk(module.tree):
            for line, name in _names_of_asyncio(node):
                if name in NOT_USED and name not in allowed:
                    message = f"asyncio.{name} is not used: {NOT_USED[name]}"
                    yield module.finding(line, message)


def _names_of_asyncio(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.ImportFrom(module="asyncio", names=names, lineno=line):
            for alias in names:
                yield line, alias.name
        case ast.Attribute(value=ast.Name(id="asyncio"), attr=name, lineno=line):
            yield line, name


def test_each_row_has_its_tests() -> None:
    """As many as it takes to see all that it says."""
    nothing_found(check_rows(modules(ROOT / "tests"), PEERS))


def test_row_34_nothing_that_goes_away_is_used() -> None:
    """Neither policies nor watchers; nor what loses cancels and wake-ups (row 4)."""
    nothing_found(check_asyncio(SOURCE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import asyncio\nx = asyncio.shield", "2: asyncio.shield is not used"),
        ("from asyncio import wait_for", "1: asyncio.wait_for is not used"),
        ("import asyncio\nasyncio.set_event_loop_policy(None)", "2: asyncio.set_ev"),
    ],
)
def test_what_is_not_used_is_found(tmp_path: Path, text: str, message: str) -> None:
    """However it is imported."""
    found = told(check_asyncio(write(tmp_path, a=text)))

    assert len(found) == 1
    assert found[0].startswith(message)


def test_what_has_the_same_name_is_not(tmp_path: Path) -> None:
    """A method of ours may be called so."""
    text = "import asyncio\nasyncio.timeout(1)\nrx.wait_for(bool)\n"

    assert told(check_asyncio(write(tmp_path, a=text))) == []


def test_a_row_without_its_tests_is_found(tmp_path: Path) -> None:
    """Too few, and those of rows that there are not."""
    tests = write(
        tmp_path,
        a="def test_row_01_a(): ...\ndef test_row_02_a(): ...\ndef row_01_b(): ...\n",
        b="class T:\n    def test_row_09_a(self): ...\n",
    )
    rows = {1: (2, "it hurts"), 2: (1, "it aches")}

    assert sorted(told(check_rows(tests, tmp_path, rows))) == [
        "1: row 1 (it hurts) has 1 tests, not 2; name them test_row_01_...",
        "2: there is no row 9; see ROWS in checkers/rows.py",
    ]
