"""The page of each room: what stands on it, and what it has to tell."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.house.checkers.findings import Finding, Module, public_functions

__all__ = ("HEADINGS", "check_cancels", "check_pages")

HEADINGS = ("Which when", "What a cancel does", "Pitfalls")
"""What each page has, in this order, and a program besides."""

_HEADING = re.compile(r"(?m)^## (.+)\n")
_NOT_SAFE = re.compile(r"(?m)^Cancel safety:\n +Not safe\b")


def _page(docs: Path, room: str) -> Path:
    return docs / "rooms" / f"{room}.md"


def _sections(page: Path) -> dict[str, str]:
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, *parts = _HEADING.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def check_pages(rooms: Iterable[str], docs: Path) -> Iterator[Finding]:
    """Find pages of rooms that lack a section, or a program."""
    for room in rooms:
        page = _page(docs, room)
        sections = _sections(page)
        found = [heading for heading in sections if heading in HEADINGS]
        if found != list(HEADINGS):
            yield Finding(
                page, 1, f"has the sections {found}; it needs {list(HEADINGS)}"
            )
        if not any("```python\n" in text for text in sections.values()):
            yield Finding(page, 1, "shows no program")


def check_cancels(
    modules: Iterable[Module], rooms: Iterable[str], docs: Path
) -> Iterator[Finding]:
    """Find calls that lose something when cancelled, which the page does not tell."""
    tables = {room: _sections(_page(docs, room)).get(HEADINGS[1], "") for room in rooms}
    for module in modules:
        room = module.parts[1] if len(module.parts) > 1 else ""
        if room not in tables or not module.is_public:
            continue
        for function, _ in public_functions(module):
            name = function.name
            if _NOT_SAFE.search(ast.get_docstring(function) or "") and not re.search(
                rf"\b{name}\b", tables[room]
            ):
                yield module.finding(
                    function.lineno,
                    f"{name} is not safe to cancel: tell what is lost in "
                    f"docs/rooms/{room}.md, under {HEADINGS[1]!r}",
                )
