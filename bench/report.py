"""Run the benchmarks and write the tables of docs/benchmarks.md.

    python bench/report.py                 prints all tables
    python bench/report.py net copy        those of these rooms
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

from harness import Row, show

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PEERS = ("uvloop", "anyio", "trio")


def modules() -> list[str]:
    """Name the benchmarks beside this script."""
    return sorted(path.stem for path in HERE.glob("bench_*.py"))


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
        owed = "" if row.floor is None else f"{row.floor:g} x"
        missed = "" if row.is_met else " **missed**"
        lines.append(
            f"| {row.case} | {row.ours:,.1f} {row.unit} | {row.peer} "
            f"| {row.theirs:,.1f} {row.unit} | {row.ratio:.2f} x{missed} | {owed} |"
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
    for name in [f"bench_{each}" for each in wanted] or modules():
        rows: list[Row] = importlib.import_module(name).rows()
        show(name, rows)
        if "--write" in arguments and rows:
            room = name.removeprefix("bench_")
            put(key, room, f"### {room} (`bench/{name}.py`)\n\n{table(rows)}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
