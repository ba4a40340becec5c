"""The one command of a developer.

    python check.py         everything: format, lint, types, tests on each interpreter
    python check.py fast    what takes less than half a minute
    python check.py fix     format, and mend what can be mended by machine
    python check.py ci      everything but the tests of this interpreter

Each step runs whatever the others say; what failed is told again at the end.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
PYTHON: Final = sys.executable
CODE: Final = ("src", "tests", "bench", "examples", "check.py")

LAYERS: Final = (
    ("errors",),
    ("_core",),
    ("operation",),
    ("sync",),
    ("channels",),
    ("runtime",),
    ("program",),
    ("apps", "testing"),
    ("cli",),
)
"""The packages of `sumida`, from the lowest up. One imports what stands below it, or
itself; those that share a line do not know each other. `_core` and `operation` are one
foundation in two parts: see EXCEPTIONS."""

EXCEPTIONS: Final = frozenset({("_core.bridge", "operation")})
"""Imports that point upwards all the same: a thread's way across carries operations."""

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to run.

    Attributes:
        name: What it is called in the summary.
        command: The command line.
    """

    name: str
    command: Sequence[str]


def tool(module: str, *arguments: str) -> tuple[str, ...]:
    """Name a tool of this environment."""
    return (PYTHON, "-m", module, *arguments)


FORMAT = Step("format", tool("ruff", "format", "--check", "--quiet", *CODE))
LINT = Step("lint", tool("ruff", "check", "--quiet", *CODE))
MYPY = Step("mypy", tool("mypy", "src", "tests", "check.py"))
MYPY_BENCH = Step("mypy bench", tool("mypy", "bench"))
MYPY_FAST = Step("mypy", tool("mypy", "src"))
PYRIGHT = Step("pyright", tool("pyright", "--warnings"))
HOUSE = Step("house", tool("pytest", "-q", "-x", "tests/house"))
QUICK = Step(
    "quick tests",
    tool("pytest", "-q", "-n2", "-m", "not slow", "-k", "not uvloop and not eager"),
)
TESTS = Step("tests", tool("pytest", "-q", "-n2"))


def interpreters() -> Iterator[tuple[str, str]]:
    """Find the other interpreters: by name on the path, and those of pyenv."""
    own = ".".join(map(str, sys.version_info[:2]))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        if version == own:
            continue
        candidates = [
            str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))
        ]
        on_path = shutil.which(f"python{version}")
        if on_path is not None:
            candidates.append(on_path)
        for python in candidates:
            found = subprocess.run(
                [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if found.returncode == 0 and found.stdout.strip() == version:
                yield version, python
                break


def environment(version: str, python: str) -> str:
    """Make, or find again, the virtual environment of another interpreter."""
    project = (ROOT / "pyproject.toml").read_bytes()
    key = sha256(project + python.encode()).hexdigest()[:12]
    folder = ROOT / ".venvs" / f"{version}-{key}"
    own = folder / "bin" / "python"
    if not own.exists():
        text = project.decode()
        block = re.search(r"(?s)^dev = \[(.*?)^\]", text, re.MULTILINE)
        wanted = re.findall(r'^\s+"(.*)",$', block[1] if block else "", re.MULTILINE)
        tests_need = [
            name for name in wanted if not re.match("ruff|mypy|pyright", name)
        ]
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        install = [str(own), "-m", "pip", "install", "--quiet", *tests_need]
        subprocess.run(install, check=True)
    return str(own)


def tests_elsewhere() -> Iterator[Step]:
    """Plan the tests on the other interpreters."""
    found = list(interpreters())
    if not found:
        say("NO OTHER INTERPRETER of 3.11 to 3.14 is here: tested on this one only")
    for version, python in found:
        own = environment(version, python)
        yield Step(f"tests on {version}", (own, "-m", "pytest", "-q", "-n2"))


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def run(steps: Sequence[Step]) -> int:
    """Run the steps; the exit code of the whole."""
    failed: list[str] = []
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    for step in steps:
        say(f"-- {step.name}")
        started = time.monotonic()
        code = subprocess.run(step.command, cwd=ROOT, check=False).returncode
        took = time.monotonic() - started
        say(f"   {step.name}: {'ok' if code == 0 else 'FAILED'} in {took:.1f} s")
        if code:
            failed.append(step.name)
    say(f"FAILED: {', '.join(failed)}" if failed else "all is well")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    missing = [
        name
        for name in ("ruff", "mypy", "pyright", "pytest")
        if subprocess.run(
            [PYTHON, "-c", f"import {name}"], capture_output=True, check=False
        ).returncode
    ]
    if missing:
        say(f"{', '.join(missing)} not found: pip install -e '.[dev]'")
        return 2
    types = [MYPY, MYPY_BENCH, PYRIGHT]
    match list(arguments):
        case []:
            return run([FORMAT, LINT, *types, TESTS, *tests_elsewhere()])
        case ["ci"]:
            return run([FORMAT, LINT, *types, *tests_elsewhere()])
        case ["fast"]:
            return run([FORMAT, LINT, MYPY_FAST, HOUSE, QUICK])
        case ["fix"]:
            fixes = tool("ruff", "check", "--fix", *CODE)
            return run(
                [Step("lint", fixes), Step("format", tool("ruff", "format", *CODE))]
            )
        case _:
            say(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
