"""The page of each room tells where to import what the room itself does not give."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import sumida

PAGES = Path(__file__).resolve().parents[2] / "docs" / "rooms"
ROOMS = sorted(page.stem for page in PAGES.glob("*.md"))
ROW = re.compile(r"(?m)^\| `(sumida\.[\w.]+)` \| (.+) \|$")


def at_hand(room: ModuleType) -> set[str]:
    """Find what `sumida`, the room, or a module that the room shows, gives."""
    names = {*sumida.__all__, *room.__all__}
    for name in room.__all__:
        shown = getattr(room, name)
        if isinstance(shown, ModuleType):
            names.update(shown.__all__)
    return names


def modules(room: ModuleType) -> Iterator[ModuleType]:
    """Import the public modules of a room, the outer ones first."""
    for info in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            yield import_module(info.name)


def elsewhere(room: ModuleType) -> dict[str, list[str]]:
    """Find the rest, by module; a package's modules add nothing to what it gives."""
    known = at_hand(room)
    found: dict[str, list[str]] = {}
    for module in modules(room):
        rest = [name for name in module.__all__ if name not in known]
        package, _, _ = module.__name__.rpartition(".")
        rest = [name for name in rest if name not in found.get(package, ())]
        if rest:
            found[module.__name__] = rest
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_tells_the_module(room: str) -> None:
    """A name that has to be guessed is not found."""
    page = (PAGES / f"{room}.md").read_text(encoding="utf-8")
    told = {
        module: re.findall(r"`(\w+)`", names) for module, names in ROW.findall(page)
    }
    wanted = elsewhere(import_module(f"sumida.{room}"))

    assert told == wanted, "\n".join(
        f"| `{module}` | {', '.join(f'`{name}`' for name in names)} |"
        for module, names in wanted.items()
    )
