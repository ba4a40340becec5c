"""Imports that point downwards only, and to where a thing is defined."""

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from tests.house.checkers.findings import Finding, Module

__all__ = ("check_layers",)

_CHAPTERS = frozenset({"sumida.errors"})
"""Packages that are one module in several files: names are imported from the whole."""


def check_layers(
    modules: Iterable[Module],
    layers: Sequence[Sequence[str]],
    exceptions: Collection[tuple[str, str]] = (),
    outsiders: Collection[str] = (),
) -> Iterator[Finding]:
    """Find imports that point up or sideways, or that go through a package.

    Args:
        modules: All modules of one top package.
        layers: The names below the top package, from the lowest line up; those that
            share a line do not know each other.
        exceptions: Pairs of a module and what it imports all the same, without the
            name of the top package.
        outsiders: Those that use the library as its users do: public names only, from
            wherever users import them.
    """
    everything = list(modules)
    packages = {module.name for module in everything if module.is_package}
    known = {module.name for module in everything}
    level = {name: number for number, line in enumerate(layers) for name in line}
    for module in everything:
        if len(module.parts) == 1 or module.parts[-1] == "__main__":
            # The top package and its command stand above every layer.
            continue
        own = module.parts[1]
        if own not in level:
            yield module.finding(1, f"{own!r} is in no layer; add it in check.py")
            continue
        for line, target, name in _imports(module, known):
            parts = target.split(".")
            is_user = own in outsiders
            if len(parts) == 1:
                if not is_user:
                    yield module.finding(
                        line, f"imports from {target}; import from where it is defined"
                    )
                continue
            other = parts[1]
            pair = (".".join(module.parts[1:]), ".".join(parts[1:]))
            if is_user and any(part.startswith("_") for part in parts):
                if other != own:
                    yield module.finding(
                        line, f"imports {target}, which no user may; use what is public"
                    )
            elif other != own and level.get(other, -1) >= level[own]:
                if pair not in exceptions:
                    yield module.finding(
                        line,
                        f"{own} imports {other}, which does not stand below it; "
                        "move what is shared down",
                    )
            elif target in packages - _CHAPTERS and not (is_user or module.is_package):
                yield module.finding(
                    line,
                    f"imports {name} from the package {target}; "
                    "import it from where it is defined",
                )


def _imports(module: Module, known: Collection[str]) -> Iterator[tuple[int, str, str]]:
    """Walk the imports of the own top package: line, module, name."""
    top = module.parts[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name.split(".")[0] == top:
                    yield node.lineno, item.name, item.name
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level or source.split(".")[0] != top:
                continue
            for item in node.names:
                inner = f"{source}.{item.name}"
                yield node.lineno, inner if inner in known else source, item.name
