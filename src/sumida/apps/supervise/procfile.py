"""Read a file of processes: a Procfile, or TOML for what a Procfile cannot say.

A Procfile has lines of the form `name: command`, where the command is a line for the
shell. What is wrong is refused with the place, the value, the limit and the way out,
before anything is started.
"""

import re
from pathlib import Path

from sumida.apps.supervise import tables
from sumida.apps.supervise.plan import check
from sumida.apps.supervise.settings import ProcessFile, RestartPolicy, Settings

__all__ = ("load", "parse_procfile")

_LINE = re.compile(r"([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*)")


def load(path: Path, restart: RestartPolicy = "on-failure") -> ProcessFile:
    """Read a file of processes. Blocks: call it on a thread.

    Args:
        path: The file; TOML if its name ends in `.toml`, else a Procfile.
        restart: For the processes that say nothing of their own.

    Returns:
        What it says.

    Raises:
        ValueError: It cannot be read, or is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read, {error.strerror}; give the path of a Procfile "
            "or of a .toml file"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line}: byte {error.object[error.start]:#04x} is no UTF-8; save "
            "the file as UTF-8"
        ) from error
    parse = tables.parse_toml if path.suffix == ".toml" else parse_procfile
    file = parse(text, str(path), path.absolute().parent, restart)
    try:
        check({process.name: process.depends_on for process in file.processes})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return file


def parse_procfile(
    text: str, source: str, folder: Path, restart: RestartPolicy = "on-failure"
) -> ProcessFile:
    """Read the text of a Procfile.

    Args:
        text: What stands in it.
        source: What the file is called in errors.
        folder: Where its processes are started.
        restart: The policy of all.

    Returns:
        What it says.

    Raises:
        ValueError: A line is none of `name: command`, a comment or empty; a name is
            there twice; there is no process.
    """
    found: dict[str, tuple[int, Settings]] = {}
    # By the line feed alone: `splitlines` would also split at what a command may hold.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"{source}:{number}: {_shorten(line)!r} is not `name: command`, where "
                "the name has letters, digits, _ and - only; begin comments with #"
            )
        name, command = match[1], match[2]
        if not command:
            raise ValueError(
                f"{source}:{number}: {name!r} has no command; write `{name}: command`"
            )
        if "\0" in command:
            raise ValueError(
                f"{source}:{number}: the command of {name!r} has a NUL byte, which no "
                "command can have; remove it"
            )
        if name in found:
            raise ValueError(
                f"{source}:{number}: {name!r} stands on line {found[name][0]} already; "
                "give each process a name of its own"
            )
        settings = Settings(name, tables.shell(command), folder, restart=restart)
        found[name] = number, settings
    if not found:
        raise ValueError(
            f"{source}: has no process; write lines of the form `name: command`"
        )
    return ProcessFile(tuple(settings for _, settings in found.values()))


def _shorten(line: str, limit: int = 60) -> str:
    return line if len(line) <= limit else f"{line[:limit]}..."
