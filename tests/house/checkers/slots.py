"""`__slots__` in every class of a line, or in none: one without makes them useless."""

import enum
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

__all__ = ("all_classes", "all_modules", "check_slots")


def all_modules(package: ModuleType) -> list[ModuleType]:
    """Import a package and everything in it."""
    names = [
        found.name
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith("__main__")
    ]
    return [package, *(importlib.import_module(name) for name in names)]


def all_classes(modules: Iterable[ModuleType]) -> list[type]:
    """Give each class that is defined in these modules, also inside of a class."""
    found: dict[type, None] = {}
    for module in modules:
        for value in vars(module).values():
            _gather(value, module.__name__, found)
    return list(found)


def _gather(value: object, home: str, found: dict[type, None]) -> None:
    if not isinstance(value, type) or value.__module__ != home or value in found:
        return
    found[value] = None
    for inner in vars(value).values():
        _gather(inner, home, found)


def check_slots(classes: Iterable[type]) -> Iterator[str]:
    """Find classes that declare `__slots__` and whose instances have a `__dict__`."""
    for cls in classes:
        if issubclass(cls, BaseException | enum.Enum):
            # An exception has a `__dict__` from birth, and a member is made once.
            continue
        line = cls.__mro__[:-1]
        slotted = [base for base in line if "__slots__" in vars(base)]
        own = [base for base in slotted if base.__module__.startswith(_top(cls))]
        loose = [base for base in line if "__dict__" in vars(base)]
        if own and loose:
            yield (
                f"{cls.__module__}.{cls.__qualname__}: {_names(own)} declare "
                f"__slots__, and {_names(loose)} give each instance a __dict__ all the "
                "same; declare them in every class of the line, or in none"
            )


def _top(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _names(classes: Iterable[type]) -> str:
    return ", ".join(cls.__qualname__ for cls in classes)
