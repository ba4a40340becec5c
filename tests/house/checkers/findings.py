"""What a checker reads, and what it finds.

A checker is a function from files to findings. It is given the files, so that it can
be shown a small wrong one, and be seen to notice.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, final

__all__ = ("Finding", "Function", "Module", "modules", "public_functions", "report")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the house wants it.

    Attributes:
        path: The file.
        line: The line in it, from 1.
        message: What is wrong, and the way out.
    """

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def report(findings: Iterable[Finding], root: Path) -> str:
    """Write findings one a line, with paths as seen from the root; "" if none."""
    lines = [
        f"{finding.path.relative_to(root)}:{finding.line}: {finding.message}"
        for finding in findings
    ]
    return "\n".join(sorted(lines))


@final
class Module:
    """A source file, read and parsed once.

    Args:
        path: Where it is.
        root: The folder that holds its top package.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        parts = path.relative_to(root).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.parts = parts[:-1] if self.is_package else parts
        self.name = ".".join(self.parts)

    @property
    def is_public(self) -> bool:
        """Whether a user may import it."""
        return not any(part.startswith("_") for part in self.parts)

    @cached_property
    def text(self) -> str:
        """What stands in it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text, str(self.path))

    def finding(self, line: int, message: str) -> Finding:
        """Make a finding in this file."""
        return Finding(self.path, line, message)


def modules(root: Path) -> list[Module]:
    """Read every module below a folder, such as `src`."""
    return [
        Module(path, root)
        for path in sorted(root.rglob("*.py"))
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]


def public_functions(module: Module) -> Iterator[tuple[Function, ast.ClassDef | None]]:
    """Walk the functions and methods a user may call, and `__init__`, with their class.

    Overloads are left out: the implementation below them has the docstring.
    """
    yield from _functions(module.tree.body, None)


def _functions(
    body: Sequence[ast.stmt], owner: ast.ClassDef | None
) -> Iterator[tuple[Function, ast.ClassDef | None]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_public = not node.name.startswith("_") or node.name == "__init__"
            if is_public and not _is_overload(node):
                yield node, owner
        elif isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                yield from _functions(node.body, node)
        elif isinstance(node, ast.If):
            yield from _functions(node.body, owner)
            yield from _functions(node.orelse, owner)


def _is_overload(node: Function) -> bool:
    return any(
        isinstance(mark, ast.Name) and mark.id == "overload"
        for mark in node.decorator_list
    )
