"""The files around the code: what they may say, what they are called, what runs."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tests.house.checkers.findings import Finding, Module

__all__ = (
    "Program",
    "check_changes",
    "check_shell_blocks",
    "check_tests_exist",
    "check_words",
    "programs",
    "repository_files",
)

_GENERATED = {"build", "dist", "node_modules", "__pycache__"}
_KEPT = {".ci", ".gitignore"}
_FRAGMENT = re.compile(
    r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|deprecated|fixed|removed)\.md"
)
_NOT_RUN = re.compile(r"<!-- not run: .*\S.* -->")

# How and where the work is done is nobody's business; the work is. A letter is written
# as a class here and there, so that the rule does not break itself.
_WORKPLACE = re.compile(
    r"(?<![\w.$}])/(root|work|home/\w+)(/|\b)"
    r"|\b(help[e]rs?(?! (process|thread))|as an A[I])\b"
    r"|\b(A[I][- ](generated|assisted)|language mod[e]l)\b"
    r"|\b(claud[e]|anthropi[c]|opena[i]|chatgp[t]|copilo[t])\b",
    re.IGNORECASE,
)


def repository_files(root: Path) -> Iterator[Path]:
    """Walk the files that a person wrote."""
    for path in sorted(root.iterdir()):
        name = path.name
        if name.startswith(".") and name not in _KEPT:
            continue
        if name in _GENERATED or name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from repository_files(path)
        elif path.is_file():
            yield path


def check_words(paths: Iterable[Path]) -> Iterator[Finding]:
    """Find text that speaks of where or by whom it was written."""
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = _WORKPLACE.search(line)
            if match is not None:
                yield Finding(
                    path, number, f"{match[0]!r} is of the workplace; say it without"
                )


def check_changes(folder: Path) -> Iterator[Finding]:
    """Find fragments of the changelog that are misnamed or empty."""
    for path in sorted(folder.iterdir()):
        if path.name == "README.md":
            continue
        if _FRAGMENT.fullmatch(path.name) is None:
            yield Finding(
                path, 1, "call it `<slug>.<kind>.md`; changes/README.md names the kinds"
            )
        elif not path.read_text(encoding="utf-8").strip():
            yield Finding(
                path, 1, "is empty; tell the user what changes, in a sentence"
            )


def check_shell_blocks(readme: Path, wanted: int) -> Iterator[Finding]:
    """Find a README that has not exactly so many shell blocks of one line each."""
    if not readme.exists():
        yield Finding(readme, 1, "is not there")
        return
    blocks = list(_blocks(readme, "sh"))
    if len(blocks) != wanted:
        yield Finding(
            readme,
            1,
            f"has {len(blocks)} ```sh blocks; .ci/run takes the {wanted} commands from "
            "them: use ```console for anything else",
        )
    for block in blocks:
        if len(block.text.strip().splitlines()) != 1:
            yield Finding(
                readme, block.line, "a ```sh block holds one line, for .ci/run"
            )


@final
@dataclass(frozen=True, slots=True)
class Program:
    """A fenced block of a page.

    Attributes:
        path: The page.
        line: The line of the page on which its first line stands.
        text: What stands in it.
        is_run: Whether it is executed; otherwise it is only compiled.
    """

    path: Path
    line: int
    text: str
    is_run: bool = True

    @property
    def padded(self) -> str:
        """The text, moved down so that tracebacks give the line of the page."""
        return "\n" * (self.line - 1) + self.text


def programs(paths: Iterable[Path]) -> Iterator[Program]:
    """Walk the Python programs of these pages.

    Raises:
        ValueError: A fence is left open, which would swallow the rest of the page.
    """
    for path in paths:
        yield from _blocks(path, "python")


def _blocks(path: Path, language: str) -> Iterator[Program]:
    before = ""
    fence: str | None = None
    start = 0
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence is None and line.startswith("```"):
            fence, start, lines = line[3:].strip(), number + 1, []
        elif fence is not None and line.rstrip() == "```":
            if fence == language:
                is_run = _NOT_RUN.fullmatch(before) is None
                yield Program(path, start, "\n".join(lines) + "\n", is_run)
            fence, before = None, ""
        elif fence is not None:
            lines.append(line)
        elif line.strip():
            before = line.strip()
    if fence is not None:
        raise ValueError(f"{path}:{start - 1}: this fence is never closed")


def check_tests_exist(modules: Iterable[Module], tests: Path) -> Iterator[Finding]:
    """Find modules without a file of tests in the same place below `tests`.

    A private module is tested through the public one, except in `_core`, where all is
    private. A module at the top is tested in `tests/` itself or in `tests/core`.
    """
    for module in modules:
        if module.is_package or module.parts[-1].startswith("_"):
            continue
        if module.parts[1] == "errors":
            continue  # chapters of one module, which tests/test_errors.py tests
        *folders, name = module.parts[1:]
        folder = tests.joinpath(*(part.removeprefix("_") for part in folders))
        places = [folder] if folders else [tests, tests / "core"]
        if not any((place / f"test_{name}.py").exists() for place in places):
            wanted = (places[0] / f"test_{name}.py").relative_to(tests.parent)
            yield module.finding(1, f"has no {wanted}")
