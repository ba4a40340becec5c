"""Docstrings that say what a caller has to know, in one order."""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from tests.house.checkers.findings import Finding, Function, Module, public_functions

__all__ = ("ORDER", "check_docstrings", "operation_classes")

ORDER = (
    "Args",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Cancel safety",
    "Source",
)
"""The sections, in the order in which they stand, each at most once."""

_SAFETY = re.compile(r"(Safe|Not safe)\b")
# They never wait, or wait as a thread, or are the door through which `select` comes.
_AT_ONCE = re.compile(r"try_|blocking_|operation$")
_HEADING = re.compile(r"([A-Z][A-Za-z]*(?: [a-z]+)?):")
# How else one may be tempted to call them.
_SLIPS = {
    "arguments": "Args",
    "cancellation safety": "Cancel safety",
    "cancellation": "Cancel safety",
    "cancel safe": "Cancel safety",
    "exceptions": "Raises",
    "parameters": "Args",
    "params": "Args",
    "raise": "Raises",
    "return": "Returns",
    "sources": "Source",
    "throws": "Raises",
    "yield": "Yields",
} | {name.lower(): name for name in ORDER}
# What an annotation says that can be awaited, besides the operations.
_AWAITABLES = {"Awaitable", "Coroutine"}


def operation_classes(modules: Iterable[Module]) -> frozenset[tuple[str, str]]:
    """Find the classes that derive from `Operation`, by whatever way: module, name."""
    bases: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for module in modules:
        homes = _homes(module)
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                heads = (_head(base) for base in node.bases)
                bases[module.name, node.name] = {
                    homes[head] for head in heads if head in homes
                }
    found = {name for name in bases if name[1] == "Operation"}
    while True:
        more = {name for name, above in bases.items() if above & found} - found
        if not more:
            return frozenset(found)
        found |= more


def _homes(module: Module) -> dict[str, tuple[str, str]]:
    """Tell of each name in a module where it was defined, by its imports."""
    homes: dict[str, tuple[str, str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for item in node.names:
                homes[item.asname or item.name] = (node.module or "", item.name)
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef):
            homes[node.name] = (module.name, node.name)
    return homes


def check_docstrings(
    modules: Iterable[Module],
    operations: Collection[tuple[str, str]] = (),
    at_once: Collection[str] = (),
) -> Iterator[Finding]:
    """Find public names whose docstring is absent, out of order or incomplete.

    Args:
        modules: The modules; private ones are left out.
        operations: The classes that are waited on: a function that returns one says
            what a cancel does, as an `async def` does.
        at_once: Functions, as `Class.name`, that return such a thing and do not wait,
            besides those called `try_...`, `blocking_...` and `operation`.
    """
    for module in modules:
        if not module.is_public:
            continue
        homes = _homes(module).items()
        awaitables = _AWAITABLES | {name for name, home in homes if home in operations}
        if ast.get_docstring(module.tree) is None:
            yield module.finding(1, "no docstring: what it is, when to reach for it")
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from _check_class(module, node)
        for function, owner in public_functions(module):
            yield from _check_text(module, function, owner)
            if _name(function, owner) not in at_once:
                yield from _check_safety(module, function, owner, awaitables)


def _check_class(module: Module, node: ast.ClassDef) -> Iterator[Finding]:
    text = ast.get_docstring(node)
    if text is None:
        yield module.finding(node.lineno, f"{node.name} has no docstring")
        return
    yield from _check_order(module, node.lineno, node.name, text)
    for inner in node.body:
        if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            yield from _check_class(module, inner)


def _name(node: Function, owner: ast.ClassDef | None) -> str:
    return f"{owner.name}.{node.name}" if owner else node.name


def _check_text(
    module: Module, node: Function, owner: ast.ClassDef | None
) -> Iterator[Finding]:
    name = _name(node, owner)
    is_constructor = node.name == "__init__"
    text = ast.get_docstring(owner if is_constructor and owner is not None else node)
    if text is None:
        if not is_constructor and not _is_setter(node):
            yield module.finding(node.lineno, f"{name} has no docstring")
        return
    if not is_constructor:
        yield from _check_order(module, node.lineno, name, text)
    told = _told_raises(_sections(text).get("Raises", ""))
    for line, error in _raised(node.body):
        if error not in told:
            yield module.finding(
                line,
                f"{name} raises {error}, and its docstring has no `{error}:` "
                "under Raises",
            )


def _check_safety(
    module: Module,
    node: Function,
    owner: ast.ClassDef | None,
    awaitables: Collection[str],
) -> Iterator[Finding]:
    name = _name(node, owner)
    waits = _head(node.returns) in awaitables and not _AT_ONCE.match(node.name)
    if not (waits or isinstance(node, ast.AsyncFunctionDef)):
        return
    safety = _sections(ast.get_docstring(node) or "").get("Cancel safety")
    if safety is None:
        yield module.finding(
            node.lineno, f"{name} can wait, and has no section `Cancel safety:`"
        )
    elif not _SAFETY.match(safety.strip()):
        yield module.finding(
            node.lineno,
            f"Cancel safety of {name} starts neither with Safe nor with Not safe",
        )


def _check_order(module: Module, line: int, name: str, text: str) -> Iterator[Finding]:
    headings = [heading for heading, _ in _blocks(text)]
    for heading in headings:
        meant = _SLIPS.get(heading.lower())
        if meant is not None and meant != heading:
            yield module.finding(line, f"{name}: `{heading}:` is called `{meant}:`")
    known = [heading for heading in headings if heading in ORDER]
    wanted = sorted(set(known), key=ORDER.index)
    if known != wanted:
        yield module.finding(
            line, f"{name}: sections are {known}, the order is {wanted}, each once"
        )


def _sections(text: str) -> dict[str, str]:
    return dict(_blocks(text))


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Split a docstring at its headings: lines that stand alone at the margin."""
    heading: str | None = None
    lines: list[str] = []
    for line in text.splitlines():
        match = _HEADING.fullmatch(line)
        if match is not None:
            if heading is not None:
                yield heading, "\n".join(lines)
            heading, lines = match[1], []
        elif line and not line.startswith(" "):
            if heading is not None:
                yield heading, "\n".join(lines)
            heading = None
        else:
            lines.append(line)
    if heading is not None:
        yield heading, "\n".join(lines)


def _told_raises(section: str) -> set[str]:
    lines = section.splitlines()
    margin = min(
        (len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0
    )
    told: set[str] = set()
    for line in lines:
        entry = line[margin:]
        if entry and not entry.startswith(" ") and ":" in entry:
            words = re.findall(r"[A-Za-z_.]+", entry.partition(":")[0])
            told.update(word.rpartition(".")[2] for word in words)
    return told


def _raised(body: Sequence[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Walk what is raised by class in these statements, not in functions within."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise):
            name = _head(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            # `raise error` raises again what was caught, or was made elsewhere; and
            # NotImplementedError is for those who write subclasses.
            if name[:1].isupper() and name != "NotImplementedError":
                yield node.lineno, name
        for inner in _bodies(node):
            yield from _raised(inner)


def _bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for child in (node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(child, field, None)
            if inner:
                yield inner


def _head(node: ast.expr | None) -> str:
    """The last name of `a.b.C`, `C[x]` or `"C[x]"`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _head(value)
        case ast.Constant(value=str() as text):
            return _head(ast.parse(text, mode="eval").body)
        case _:
            return ""


def _is_setter(node: Function) -> bool:
    return any(
        isinstance(mark, ast.Attribute) and mark.attr in {"setter", "deleter"}
        for mark in node.decorator_list
    )
