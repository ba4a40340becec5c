"""The one command of a developer.

    python check.py         everything: format, lint, types, tests on each interpreter
    python check.py fast    what takes less than half a minute: no pyright, and of the
                            tests those of the house and of what is not committed yet
    python check.py fix     format, and mend what can be mended by machine
    python check.py ci      the checks, and the tests on the newest other interpreter

Each step runs whatever the others say; what failed is told again at the end, and is
the exit code. The tests hold the house rules and the programs of the docs too.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
PYTHON: Final = sys.executable
CODE: Final = ("src", "tests", "bench", "examples", "check.py")

LAYERS: Final = (
    ("_version", "errors"),
    ("_core",),
    ("operation",),
    ("sync",),
    ("channels",),
    ("runtime",),
    ("io",),
    ("net", "process"),
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
"""The interpreters that the suite runs on, as far as they are here."""

TOOLS: Final = ("ruff", "mypy", "pyright", "pytest", "xdist")
PATIENCE: Final = 1800
"""Seconds after which a step counts as hung. The longest takes ten minutes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to find out.

    Attributes:
        name: What it is called in the summary.
        commands: The command lines; one that fails ends the step.
    """

    name: str
    commands: tuple[Sequence[str], ...]


def step(name: str, *command: str) -> Step:
    """Plan one call of a tool of this environment."""
    return Step(name, ((PYTHON, "-m", *command),))


FORMAT: Final = step("format", "ruff", "format", "--check", "--quiet", *CODE)
LINT: Final = step("lint", "ruff", "check", "--quiet", *CODE)
TYPES: Final = (
    step("mypy", "mypy", "src", "tests", "check.py"),
    # Apart: they are scripts, and import each other as such.
    step("mypy bench", "mypy", "bench"),
    step("mypy examples", "mypy", "examples"),
    # It would look at the first Python of the path.
    step("pyright", "pyright", "--warnings", "--pythonpath", PYTHON),
)
# A test waits as long as it computes: twice as many workers as cores.
WORKERS: Final = f"-n{2 * (os.cpu_count() or 1)}"
TESTS: Final = step("tests", "pytest", "-q", WORKERS)
STEPS: Final[dict[tuple[str, ...], tuple[Step, ...]]] = {
    (): (FORMAT, LINT, *TYPES, TESTS),
    ("ci",): (FORMAT, LINT, *TYPES),
    ("fast",): (
        FORMAT,
        LINT,
        step("mypy", "mypy", "src"),
    ),
    ("fix",): (
        step("lint", "ruff", "check", "--fix", *CODE),
        step("format", "ruff", "format", *CODE),
        step("tables of docs/from_tokio.md", "tests.house.from_tokio"),
    ),
}
"""What each form of the command does, in this order."""

ON_EACH_INTERPRETER: Final = {(), ("ci",)}


def candidates(version: str) -> Iterator[Path]:
    """Walk what may be this interpreter: pyenv's, the newest first, then the path's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = (pyenv / "versions").glob(f"{version}.*/bin/python{version}")
    yield from sorted(
        found,
        key=lambda path: [int(n) for n in re.findall(r"\d+", path.parts[-3])],
        reverse=True,
    )
    # Each folder by itself: the first may hold a shim that does not start.
    for folder in os.get_exec_path():
        path = shutil.which(f"python{version}", path=folder)
        if path is not None:
            yield Path(path)


def interpreter(version: str) -> tuple[str, str] | None:
    """Find an interpreter that starts: its path, and its full version."""
    question = "import sys; print(sys.implementation.name, sys.version.split()[0])"
    for path in candidates(version):
        answer = subprocess.run(
            [path, "-c", question], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0 and answer.stdout.startswith(f"cpython {version}."):
            return str(path), answer.stdout.split()[1]
    return None


def tests_elsewhere(*, only_newest: bool) -> Iterator[Step]:
    """Plan the tests on the other interpreters, each in an environment of its own."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = 0
    for version in reversed(VERSIONS):
        python = None if version == own else interpreter(version)
        if python is not None:
            found += 1
            if only_newest and found > 1:
                return
            yield Step(
                f"tests on {python[1]}",
                (
                    *environment(version, *python),
                    (str(place(version) / "bin/python"), "-m", "pytest", "-q", WORKERS),
                ),
            )
        elif version != own:
            say(f"!! CPython {version} is not here: nothing is tested on it")
    if not found:
        say("!! THIS INTERPRETER IS THE ONLY ONE: the suite runs on no other")


def place(version: str) -> Path:
    """Name the folder of the virtual environment for a version."""
    return ROOT / ".venvs" / version


def environment(version: str, python: str, full: str) -> Iterator[Sequence[str]]:
    """Plan a virtual environment: nothing, if it is there and up to date."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = [
        requirement
        for requirement in tomllib.loads(text)["project"]["optional-dependencies"][
            "dev"
        ]
        if not re.match("ruff|mypy|pyright|coverage", requirement)
    ]
    folder = place(version)
    # Written last, so that one that was interrupted is made again.
    done = folder / f"{full}-{sha256(repr(wanted).encode()).hexdigest()[:12]}"
    if not done.exists():
        own = str(folder / "bin/python")
        yield python, "-m", "venv", "--clear", str(folder)
        yield own, "-m", "pip", "install", "--quiet", *wanted
        yield own, "-c", f"import pathlib; pathlib.Path({str(done)!r}).touch()"


def quick_tests() -> Step:
    """Plan the tests of the house, and of each module that is not committed yet."""
    listing = subprocess.run(
        ["git", "status", "--porcelain", "--no-renames", "--untracked-files=all"],  # noqa: S607  # git is found on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = {"tests/house/test_from_tokio.py", "tests/house/test_house.py"}
    for line in listing.splitlines():
        path = Path(line[3:])
        if path.parts[:2] == ("src", "sumida"):
            folder = ROOT / "tests" / Path(*path.parts[2:-1])
            # A private module is tested through the public ones beside it.
            pattern = "test_*" if path.stem.startswith("_") else f"test_{path.stem}*"
            found = folder.glob(f"{pattern}.py")
            files |= {str(each.relative_to(ROOT)) for each in found}
        elif path.match("tests/**/test_*.py") and (ROOT / path).exists():
            files.add(str(path))
    only = ("-m", "not slow", "-k", "not uvloop and not eager")
    return step("quick tests", "pytest", "-q", "-n2", *only, *sorted(files))


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def succeeds(command: Sequence[str]) -> bool:
    """Run a command; whether it ended well, and in time."""
    # The other interpreters have no installed package, and scripts none at all.
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    try:
        code = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        say(f"   has not ended within {PATIENCE} s: {' '.join(command)}")
        return False
    return code == 0


def run(steps: Sequence[Step]) -> int:
    """Run the steps; the exit code of the whole."""
    summary: list[str] = []
    failed: list[str] = []
    for step_ in steps:
        say(f"-- {step_.name}")
        started = time.monotonic()
        is_good = all(succeeds(command) for command in step_.commands)
        took = time.monotonic() - started
        if not is_good:
            failed.append(step_.name)
        summary.append(
            f"   {'ok    ' if is_good else 'FAILED'} {took:6.1f} s  {step_.name}"
        )
        say(summary[-1])
    say("\n".join(["== summary", *summary]))
    say(f"FAILED: {', '.join(failed)}" if failed else "all is well")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    chosen = tuple(arguments)
    if chosen not in STEPS:
        say(str(__doc__))
        return 2
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        say(f"not installed: {', '.join(missing)}; run: pip install -e '.[dev]'")
        return 2
    if chosen == ("fast",):
        return run([*STEPS[chosen], quick_tests()])
    if chosen not in ON_EACH_INTERPRETER:
        return run(STEPS[chosen])
    # CI has half an hour; each interpreter takes ten minutes of it.
    elsewhere = tests_elsewhere(only_newest=chosen == ("ci",))
    return run([*STEPS[chosen], *elsewhere])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
