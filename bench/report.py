"""Run every benchmark and write the table of docs/benchmarks.md.

    python bench/report.py            prints the tables
    python bench/report.py --write    puts them into docs/benchmarks.md as well

The tables of an interpreter replace the ones that it wrote before.
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


def main() -> None:
    """Measure, print, and write if asked to."""
    key = ".".join(map(str, sys.version_info[:2]))
    parts = [f"## CPython {key}", "", machine() + ".", ""]
    for name in modules():
        module = importlib.import_module(name)
        rows: list[Row] = module.rows()
        show(name, rows)
        room = name.removeprefix("bench_")
        parts += [f"### {room} (`bench/{name}.py`)", "", table(rows), ""]
    if "--write" in sys.argv:
        text = PAGE.read_text(encoding="utf-8")
        pattern = rf"(?ms)^## CPython {re.escape(key)}$.*?(?=^## |\Z)"
        section = "\n".join(parts) + "\n"
        if re.search(pattern, text):
            text = re.sub(pattern, lambda _: section, text)
        else:
            text = text.rstrip() + "\n\n" + section
        PAGE.write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
