"""Files and functions that one can keep in the head."""

import ast
from collections.abc import Iterable, Iterator

from tests.house.checkers.findings import Finding, Module

__all__ = ("FILE_LINES", "FUNCTION_LINES", "check_sizes")

FILE_LINES = 500
FUNCTION_LINES = 60


def check_sizes(modules: Iterable[Module]) -> Iterator[Finding]:
    """Find files and functions that are too long.

    A function's docstring does not count: nobody should shorten what it tells.
    """
    for module in modules:
        lines = module.text.count("\n")
        if lines > FILE_LINES:
            yield module.finding(
                FILE_LINES + 1,
                f"{lines} lines, at most {FILE_LINES}; split it by responsibility",
            )
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = _length(node)
                if length > FUNCTION_LINES:
                    yield module.finding(
                        node.lineno,
                        f"{node.name} has {length} lines, at most {FUNCTION_LINES}; "
                        "name its parts",
                    )


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total
