"""Types that say something: no `Any` to the user, a reason for each exception."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

from tests.house.checkers.findings import Finding, Function, Module, public_functions

__all__ = ("check_any", "check_ignores")

_IGNORE = re.compile(r"#\s*(type|pyright):\s*ignore")
_GOOD_IGNORE = re.compile(r"#\s*(type|pyright):\s*ignore\[[\w, -]+\]\s+#\s*\S")


def check_any(modules: Iterable[Module]) -> Iterator[Finding]:
    """Find public signatures that contain `Any`."""
    for module in modules:
        if not module.is_public:
            continue
        for function, _ in public_functions(module):
            for annotation in _annotations(function):
                if any(_is_any(node) for node in ast.walk(annotation)):
                    yield module.finding(
                        annotation.lineno,
                        f"{function.name} has Any in its signature; "
                        "object, a type variable or a protocol says more",
                    )


def _annotations(function: Function) -> Iterator[ast.expr]:
    arguments = function.args
    everything = (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    for argument in everything:
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if function.returns is not None:
        yield function.returns


def _is_any(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="Any") | ast.Attribute(attr="Any"):
            return True
        case ast.Constant(value=str() as text):
            return re.search(r"\bAny\b", text) is not None
        case _:
            return False


def check_ignores(modules: Iterable[Module]) -> Iterator[Finding]:
    """Find places where the type checker is silenced and nobody says why."""
    for module in modules:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type != tokenize.COMMENT or not _IGNORE.search(token.string):
                continue
            if not _GOOD_IGNORE.search(token.string):
                yield module.finding(
                    token.start[0],
                    "write `type: ignore[code]  # reason`, with both of them",
                )
