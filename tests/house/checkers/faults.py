"""Errors that form the tree drawn above them, and survive a pickle and a copy."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

__all__ = ("check_home", "check_survival", "check_tree", "drawn_tree", "sample")

_BRANCH = re.compile(
    r"^(?P<stem>[│ ]*)(?:[├└]── )?(?P<name>\w+)(?: \(also an? (?P<also>[\w, ]+)\))?$"
)
_INDENT = 4


def drawn_tree(text: str) -> dict[str, tuple[str, ...]]:
    """Read a tree of names drawn with box characters: each name and its bases.

    The root has no base here.
    """
    tree: dict[str, tuple[str, ...]] = {}
    path: list[str] = []
    lines = text.expandtabs().splitlines()
    drawn = [line for line in lines if "── " in line]
    if not drawn:
        return tree
    first = lines.index(drawn[0])
    root = lines[first - 1].strip()
    tree[root] = ()
    path = [root]
    margin = drawn[0].index("├") if "├" in drawn[0] else drawn[0].index("└")
    for line in drawn:
        match = _BRANCH.match(line[margin:])
        if match is None:
            tree[f"unreadable: {line.strip()}"] = ()
            continue
        depth = len(match["stem"]) // _INDENT + 1
        also = tuple((match["also"] or "").replace(" and ", ", ").split(", "))
        tree[match["name"]] = (path[depth - 1], *(name for name in also if name))
        path[depth:] = [match["name"]]
    return tree


def check_tree(module: ModuleType, root: type[Exception]) -> Iterator[str]:
    """Compare the tree drawn in a module's docstring with its classes."""
    drawn = drawn_tree(module.__doc__ or "")
    real = {
        cls.__name__: tuple(base.__name__ for base in cls.__bases__ if cls is not root)
        for cls in _errors(module, root)
    }
    for name in sorted(real.keys() - drawn.keys()):
        yield f"{name} is not in the tree drawn in the docstring of {module.__name__}"
    for name in sorted(drawn.keys() - real.keys()):
        yield f"{name} is drawn in the docstring of {module.__name__}, and is not there"
    for name in sorted(drawn.keys() & real.keys()):
        if drawn[name] != real[name]:
            yield f"{name} is drawn below {drawn[name]}, and is below {real[name]}"


def _errors(module: ModuleType, root: type[Exception]) -> list[type[Exception]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, root)
    ]


def check_home(classes: Iterable[type], module: ModuleType) -> Iterator[str]:
    """Find errors that live elsewhere."""
    for cls in classes:
        if not f"{cls.__module__}.".startswith(f"{module.__name__}."):
            yield (
                f"{cls.__module__}.{cls.__name__} lives outside of {module.__name__}, "
                "where users look for it"
            )


def sample(cls: type[Exception]) -> Exception:
    """Make an error with values of the right types."""
    values: dict[object, object] = {str: "a name", int: 3, float: 1.5, bool: True}
    arguments: list[object] = []
    if cls.__init__ is Exception.__init__:
        return cls()
    for parameter in inspect.signature(cls).parameters.values():
        value = values.get(parameter.annotation, ("any", "object"))
        if parameter.annotation == int | None:
            value = -9
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments.extend([value, "another"])
        else:
            arguments.append(value)
    return cls(*arguments)


def check_survival(classes: Iterable[type[Exception]]) -> Iterator[str]:
    """Find errors that come back from a pickle or a copy as something else."""
    for cls in classes:
        error = sample(cls)
        ways: dict[str, Callable[[Exception], Exception]] = {
            f"pickle protocol {protocol}": _through_pickle(protocol)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        } | {"copy": copy.copy, "deepcopy": copy.deepcopy}
        for way, survive in ways.items():
            try:
                again = survive(error)
            except Exception as reason:  # noqa: BLE001  # whatever it is, it is told
                yield f"{cls.__name__} does not survive {way}: {reason!r}"
                continue
            if _facts(again) != _facts(error):
                yield (
                    f"{cls.__name__} is changed by {way}: "
                    f"{_facts(error)} becomes {_facts(again)}"
                )
        if error.args and not str(error).strip():
            yield f"{cls.__name__} has no text; write the sentence in __str__"


def _through_pickle(protocol: int) -> Callable[[Exception], Exception]:
    def survive(error: Exception) -> Exception:
        again: Exception = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # made here
        return again

    return survive


def _facts(error: Exception) -> tuple[str, tuple[object, ...], dict[str, object], str]:
    return type(error).__name__, error.args, vars(error), str(error)
