"""The tables of docs/from_tokio.md, made of the `Source` sections of the docstrings.

`python check.py fix` runs this module, which writes them into the page.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, final

import sumida
from tests.house.checkers.slots import all_modules

__all__ = ("AREAS", "PAGE", "Entry", "entries", "fresh", "main", "references", "tables")

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "from_tokio.md"

AREAS: Final = {
    "Programs and tasks": (
        "#[tokio::main",
        "tokio::select!",
        "tokio::runtime::",
        "tokio::task::",
        "tokio::task_local!",
        "tokio_util::task::",
    ),
    "Time": ("tokio::time::",),
    "Channels": (
        "tokio::sync::mpsc::",
        "tokio::sync::oneshot::",
        "tokio::sync::broadcast::",
        "tokio::sync::watch::",
    ),
    "Locks and tokens": ("tokio::sync::", "tokio_util::sync::"),
    "Sockets and pipes": ("tokio::net::",),
    "Messages on a stream": ("tokio_util::codec::",),
    "Streams": ("tokio::io::", "tokio_util::io::", "std::io::"),
    "Files": ("tokio::fs::",),
    "Processes and signals": ("tokio::process::", "tokio::signal::", "std::process::"),
    "Threads": ("std::sync::", "parking_lot::"),
    "Tests": ("#[tokio::test", "tokio_test::"),
}
"""For each table how the names begin that stand in it; the first that fits has one."""

_BEGIN: Final = (
    "<!-- tables: `python check.py fix` writes them, from the docstrings -->\n"
)
_END: Final = "<!-- end of the tables -->\n"

_SECTION: Final = re.compile(r"^Source:\n((?: +.*\n?)+)", re.MULTILINE)
_LIST: Final = re.compile(r"`[^`]+`(?:,? (?:and )?`[^`]+`)*")


@final
@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One line of a table.

    Attributes:
        theirs: Tokio's name.
        ours: Ours, as it is imported.
        does: The first sentence of its docstring.
    """

    theirs: str
    ours: str
    does: str


def references(docstring: str) -> list[str]:
    """Read the items of Rust's libraries that a docstring has for its source.

    The first is a whole path; a bare name behind it stands in the same module.
    """
    section = _SECTION.search(inspect.cleandoc(docstring))
    if section is None:
        return []
    text = " ".join(section[1].split())
    head = _LIST.match(text)
    if head is None or "::" not in head[0]:
        return []  # a page of a manual, or of the web
    found: list[str] = []
    for name in re.findall(r"`([^`]+)`", head[0]):
        parent = found[-1].rpartition("::")[0] if found else ""
        found.append(name if "::" in name else f"{parent}::{name}")
    return found


def _sentence(docstring: str) -> str:
    paragraph = inspect.cleandoc(docstring).split("\n\n")[0].replace("\n", " ")
    first = re.match(r".+?[.!?](?= |$)", paragraph)
    return (first[0] if first else paragraph).replace("|", "\\|")


def _public(modules: Iterable[ModuleType]) -> Iterator[tuple[str, object]]:
    """Give each public thing with the shortest name by which it is imported."""
    names: dict[int, tuple[str, object]] = {}
    for module in modules:
        if any(part.startswith("_") for part in module.__name__.split(".")):
            continue
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            path = f"{module.__name__}.{name}"
            known = names.get(id(value), (path, value))[0]
            names[id(value)] = min(path, known, key=_length), value
    yield from (item for item in names.values() if callable(item[1]))


def _length(path: str) -> tuple[int, str]:
    return path.count("."), path


def _documented(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Give the docstrings of a thing, and of what is in it, with their names."""
    if not isinstance(value, type):
        call = value if inspect.isroutine(value) else type(value).__call__
        yield path, call.__doc__ or ""
        return
    yield path, vars(value).get("__doc__") or ""
    for name in dir(value):
        if not name.startswith("_"):
            # What a mixin has that is private itself is found in the class.
            method = inspect.getattr_static(value, name)
            yield f"{path}.{name}", method.__doc__ or ""


def entries(modules: Iterable[ModuleType]) -> list[Entry]:
    """Read what stands for what.

    Args:
        modules: Where to look; private ones are left out.

    Returns:
        One line for each of Tokio's names and each thing that stands for it. What
        several classes inherit stands there once: in the class that is called as
        Tokio's, or else in the first.
    """
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for path, value in _public(modules):
        for ours, docstring in _documented(path, value):
            for theirs in references(docstring):
                entry = Entry(theirs, ours, _sentence(docstring))
                found[theirs, entry.does].append(entry)
    return sorted(min(alike, key=_rank) for alike in found.values())


def _rank(entry: Entry) -> tuple[bool, str]:
    wanted, given = entry.theirs.split("::")[-2:], entry.ours.split(".")[-2:]
    return wanted != given, entry.ours


def tables(lines: Iterable[Entry]) -> str:
    """Write the lines, area by area.

    Raises:
        ValueError: A name fits in no area.
    """
    areas: dict[str, list[Entry]] = {area: [] for area in AREAS}
    for line in lines:
        fits = (each for each in AREAS if line.theirs.startswith(AREAS[each]))
        area = next(fits, None)
        if area is None:
            raise ValueError(f"{line.theirs} fits in no area; give it one in AREAS")
        areas[area].append(line)
    return "\n".join(
        f"### {area}\n\n| Tokio | sumida | what it does |\n|---|---|---|\n"
        + "".join(f"| `{it.theirs}` | `{it.ours}` | {it.does} |\n" for it in found)
        for area, found in areas.items()
        if found
    )


def fresh(page: str, text: str) -> str:
    """Put the tables into the page, in the place of those that are there."""
    head, _, rest = page.partition(_BEGIN)
    tail = rest.partition(_END)[2]
    return f"{head}{_BEGIN}\n{text}\n{_END}{tail}"


def main() -> None:
    """Write the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    text = tables(entries(all_modules(sumida)))
    PAGE.write_text(fresh(page, text), encoding="utf-8")


if __name__ == "__main__":
    main()
