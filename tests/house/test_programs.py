"""The programs in README.md and docs/ run as they stand there."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.checkers.texts import Program, programs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = list(programs(page for page in PAGES if page.exists()))
SECONDS = 60
LATE = re.compile(
    r"^Executing <.*> took [\d.]+ seconds\n|^the event loop of .*\n(?: .*\n)*\n?",
    re.MULTILINE,
)
"""What asyncio's debug mode and the watchdog tell where others take the processor."""


def where(program: Program) -> str:
    """Name a program by its page and line."""
    return f"{program.path.relative_to(ROOT)}:{program.line}"


@pytest.mark.parametrize("program", PROGRAMS, ids=where)
def test_program_runs(program: Program, tmp_path: Path) -> None:
    """A program of the docs ends without an error; one marked as not run compiles."""
    code = compile(program.padded, where(program), "exec", dont_inherit=True)
    assert code is not None
    if not program.is_run:
        return
    # A file, because a process pool imports it again.
    file = tmp_path / "program.py"
    file.write_text(program.padded, encoding="utf-8")
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603  # the repository's own program
        [sys.executable, "-X", "dev", "-W", "error", str(file)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, f"{where(program)}:\n{done.stdout}{done.stderr}"
    complaints = LATE.sub("", done.stderr)
    assert complaints == "", f"{where(program)} complains:\n{complaints}"


@pytest.mark.parametrize("program", PROGRAMS, ids=where)
def test_program_uses_what_it_imports(program: Program) -> None:
    """A reader looks for each name that is imported."""
    nodes = list(ast.walk(ast.parse(program.text)))
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    used = {node.id for node in nodes if isinstance(node, ast.Name)}

    assert imported - used == set()


@pytest.mark.slow
def test_programs_are_typed_right(tmp_path: Path) -> None:
    """As far as they say what they take and give; all of them in one run of mypy."""
    pytest.importorskip("mypy")
    files = []
    for number, program in enumerate(PROGRAMS):
        file = tmp_path / f"{program.path.stem}_{program.line}_{number}.py"
        file.write_text(program.padded, encoding="utf-8")
        files.append(file.name)
    done = subprocess.run(  # noqa: S603  # the repository's own programs
        [
            *(sys.executable, "-m", "mypy", "--check-untyped-defs"),
            *("--config-file", "", "--python-executable", sys.executable),
            *files,
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_lateness_is_forgiven() -> None:
    """A warning beside it is not."""
    told = (
        "Executing <Task pending name='Task-1' coro=<main()>> took 0.141 seconds\n"
        "the event loop of MainThread has been blocked for 0.207 s by task 'Task-1'; "
        "move that to spawn_blocking or spawn_cpu:\n"
        '  File "program.py", line 3, in main\n'
        "    return total\n"
        "\n"
    )

    assert LATE.sub("", told) == ""
    assert LATE.sub("", f"{told}x.py:3: ResourceWarning: y\n{told}") == (
        "x.py:3: ResourceWarning: y\n"
    )


def test_there_are_programs() -> None:
    """The README holds one at least."""
    assert any(program.path.name == "README.md" for program in PROGRAMS)
