"""What a module offers is what its `__all__` says, and its name is its own."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.house.checkers.findings import Finding, Module

__all__ = ("check_documented", "check_exports", "check_names", "exported")

# Users look for files in a room called `io`; inside a package it hides nothing.
_STDLIB_NAMES_KEPT = {"io"}
_MAKERS_OF_TYPE_VARIABLES = {"TypeVar", "ParamSpec", "TypeVarTuple"}


def exported(module: Module) -> tuple[int, tuple[str, ...]] | None:
    """Read the line and the names of `__all__`; None if it is no tuple of literals."""
    for node in module.tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            if not isinstance(node.value, ast.Tuple):
                return None
            names = [
                item.value
                for item in node.value.elts
                if isinstance(item, ast.Constant) and isinstance(item.value, str)
            ]
            return node.lineno, tuple(names)
    return None


def check_exports(modules: Iterable[Module]) -> Iterator[Finding]:
    """Find public modules whose `__all__` is not the sorted tuple of what is public."""
    for module in modules:
        if not module.is_public:
            continue
        found = exported(module)
        if found is None:
            yield module.finding(1, "no tuple `__all__`; list the public names in one")
            continue
        line, names = found
        wanted = tuple(sorted(set(names), key=_place))
        if names != wanted:
            yield module.finding(line, f"`__all__` is not sorted, or twofold: {wanted}")
        defined = set(_public(_defined(module.tree.body)))
        imported = set(_public(_imported(module.tree.body)))
        known = defined | imported
        if module.is_package:
            below = {path.stem for path in module.path.parent.iterdir()}
            known |= below
        for name in sorted(set(names) - known):
            yield module.finding(line, f"`__all__` has {name!r}, which is not there")
        for name in sorted(defined - set(names)):
            yield module.finding(
                line,
                f"{name!r} is public and not in `__all__`; add it, or call it _{name}",
            )


def _place(name: str) -> tuple[bool, bool, str]:
    """Sort as ruff's RUF022 does: constants, classes, the rest."""
    is_constant = len(name) > 1 and name.isupper()
    return not is_constant, not name[:1].isupper(), name


def _public(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not name.startswith("_"))


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if not _makes_type_variable(value):
                    yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If() if not _is_type_checking(node):
                yield from _defined(node.body)
                yield from _defined(node.orelse)
            case _:
                pass


def _makes_type_variable(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in _MAKERS_OF_TYPE_VARIABLES
    )


def _is_type_checking(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imported(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _imported(node.body)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "sumida"
        ):
            yield from (item.asname or item.name for item in node.names)


def check_names(modules: Iterable[Module]) -> Iterator[Finding]:
    """Find modules with the name of one of the standard library's."""
    for module in modules:
        name = module.parts[-1]
        if name in sys.stdlib_module_names and name not in _STDLIB_NAMES_KEPT:
            yield module.finding(
                1, f"{name!r} is a module of the standard library; take another name"
            )


def check_documented(
    modules: Iterable[Module], rooms: Iterable[str], docs: Path
) -> Iterator[Finding]:
    """Find public names of a room that its page does not mention."""
    pages: dict[str, str] = {}
    for room in rooms:
        page = docs / "rooms" / f"{room}.md"
        pages[room] = page.read_text(encoding="utf-8") if page.exists() else ""
    for module in modules:
        room = module.parts[1] if len(module.parts) > 1 else ""
        found = exported(module)
        if room not in pages or not module.is_public or found is None:
            continue
        line, names = found
        missing = [name for name in names if not _mentions(pages[room], name)]
        if missing:
            yield module.finding(
                line, f"docs/rooms/{room}.md does not mention {', '.join(missing)}"
            )


def _mentions(page: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", page) is not None
