"""The programs in README.md and docs/ run as they stand there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.checkers.texts import Program, programs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = list(programs(page for page in PAGES if page.exists()))
SECONDS = 60


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
    assert done.stderr == "", f"{where(program)} complains:\n{done.stderr}"


def test_there_are_programs() -> None:
    """The README holds one at least."""
    assert any(program.path.name == "README.md" for program in PROGRAMS)
