"""Run the benchmarks and write the tables of docs/benchmarks.md.

    python bench/report.py                 prints all tables
    python bench/report.py net copy        those of these rooms
    python bench/report.py rules           those of the rules, which have a file a room
    python bench/report.py --write ...     puts them into docs/benchmarks.md as well

A table replaces the one that the same interpreter wrote before, as soon as it is made.
"""

import importlib
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness import Row, figure, show

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PEERS = ("uvloop", "anyio", "trio")


def modules(rooms: list[str]) -> list[str]:
    """Name the benchmarks beside this script that are of these rooms, or all.

    Raises:
        SystemExit: There are none of a room.
    """
    names = sorted(path.stem for path in HERE.glob("bench_*.py"))
    if not rooms:
        return names
    chosen: list[str] = []
    for room in rooms:
        own = f"bench_{room}"
        found = [name for name in names if name == own or name.startswith(f"{own}_")]
        if not found:
            raise SystemExit(f"there is no bench/{own}.py")
        chosen += found
    return chosen


def machine() -> str:
    """Say on what the figures were measured."""
    packages = []
    for name in PEERS:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"no {name}")
    cores = os.cpu_count()
    return (
        f"CPython {platform.python_version()}, {', '.join(packages)}; "
        f"{platform.system()} {platform.machine()}, {cores} cores"
    )


def table(rows: list[Row]) -> str:
    """Write rows as a Markdown table."""
    lines = [
        "| what | ours | peer | theirs | ratio | owed |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        ours, theirs = (
            f"{figure(value)} {row.unit}".rstrip() for value in (row.ours, row.theirs)
        )
        ratio = row.factor if row.is_met else f"{row.factor} **missed**".lstrip()
        lines.append(
            f"| {row.case} | {ours} | {row.peer} | {theirs} | {ratio} | {row.owed} |"
        )
    return "\n".join(lines)


def put(key: str, name: str, text: str) -> None:
    """Put a table into the page, in the place of the one before.

    Args:
        key: The interpreter's version.
        name: The benchmark.
        text: The table, with its heading.
    """
    page = PAGE.read_text(encoding="utf-8")
    head, *sections = re.split(r"(?m)^(?=## )", page)
    tables: dict[str, str] = {}
    others: dict[str, str] = {}
    for section in sections:
        title, *parts = re.split(r"(?m)^(?=### )", section)
        others[title.split("\n", 1)[0]] = section
        if title.startswith(f"## CPython {key}\n"):
            tables = {part.split(" ", 2)[1]: part for part in parts}
    tables[name] = text
    title = f"## CPython {key}"
    body = "".join(tables[each] for each in sorted(tables))
    others[title] = f"{title}\n\n{machine()}.\n\n{body}"
    whole = head + "".join(text.rstrip() + "\n\n" for text in others.values())
    PAGE.write_text(whole.rstrip() + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Measure, print, and write if asked to."""
    key = ".".join(map(str, sys.version_info[:2]))
    wanted = [each for each in arguments if not each.startswith("-")]
    for name in modules(wanted):
        rows: list[Row] = importlib.import_module(name).rows()
        show(name, rows)
        if "--write" in arguments and rows:
            room = name.removeprefix("bench_")
            put(key, room, f"### {room} (`bench/{name}.py`)\n\n{table(rows)}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
