"""The table of docs/from_asyncio.md names what there is."""

import asyncio
import re
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_asyncio.md"
NAME = re.compile(r"`((?:asyncio|sumida)(?:\.\w+)+)`")


def exists(name: str) -> bool:
    """Whether it can be imported: a module's attribute, or one of that."""
    module, *rest = name.split(".")
    found: object = import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = import_module(module)
            except ImportError:
                return False
    return True


def test_each_name_exists() -> None:
    """On both sides, in the table and above it."""
    names = set(NAME.findall(PAGE.read_text(encoding="utf-8")))

    assert len(names) > 50
    assert [name for name in sorted(names) if not exists(name)] == []


def test_each_name_of_the_loop_exists() -> None:
    """`loop.call_later` and its like."""
    names = set(re.findall(r"`loop\.(\w+)", PAGE.read_text(encoding="utf-8")))

    assert names
    assert [
        name for name in names if not hasattr(asyncio.AbstractEventLoop, name)
    ] == []
