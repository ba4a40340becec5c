"""Read the TOML form of a file of processes, key by key.

    exit = "first-failure"

    [process.web]
    command = ["python", "-m", "http.server", "8000"]
    depends_on = ["db"]
    ready = { port = 8000 }

Every key is checked, and one that is not known is refused: a misspelt `stop_grace`
would otherwise be found when something is killed too early.
"""

import difflib
import re
import signal
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, TypeAlias, TypeVar, cast, final

from sumida.apps.supervise.settings import (
    EXIT_POLICIES,
    RESTART_POLICIES,
    BackOff,
    CommandReady,
    ExitPolicy,
    ExitReady,
    LineReady,
    PortReady,
    ProcessFile,
    Ready,
    RestartPolicy,
    Settings,
)

__all__ = ("DAY", "parse_toml", "shell")

T = TypeVar("T")

DAY: Final = 86_400.0
"""The longest time that is accepted, in seconds; more is a slip of the pen."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MAX_FACTOR = 100.0
_MAX_PORT = 65_535
_MAX_RESTARTS = 1_000_000
_STOP_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL")


def shell(line: str) -> tuple[str, ...]:
    """Make the command that runs a line through the shell.

    Args:
        line: What stands behind the name in a Procfile.

    Returns:
        The program and its arguments.
    """
    return ("/bin/sh", "-c", line)


@final
class _Table:
    """One table of the file: its keys are taken one by one, and none may be left.

    Args:
        values: What stands there.
        source: The file.
        path: The names of the tables down to this one, as in `process.web`.
    """

    __slots__ = ("_asked", "_values", "path", "source")

    def __init__(self, values: Mapping[str, object], source: str, path: str) -> None:
        self._values = values
        self._asked: list[str] = []
        self.source = source
        self.path = path

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._values

    def fault(self, key: str, problem: str) -> ValueError:
        """Make the error for a key; `problem` says limit and way out."""
        where = f"{self.path}.{key}" if self.path else key
        if key in self._values:
            where = f"{where} = {_show(self._values[key])}"
        return ValueError(f"{self.source}: {where}: {problem}")

    def take(self, key: str, read: "Callable[[_Table, str, object], T]", or_: T) -> T:
        """Read a key, or give what it is without being told."""
        self._asked.append(key)
        if key not in self._values:
            return or_
        return read(self, key, self._values[key])

    def table(self, key: str) -> "_Table | None":
        """Take a table inside of this one."""
        self._asked.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            path = f"{self.path}.{key}" if self.path else key
            raise self.fault(key, f"must be a table; write [{path}] or {key} = {{...}}")
        inner = f"{self.path}.{key}" if self.path else key
        return _Table(cast("dict[str, object]", value), self.source, inner)

    def names(self) -> Collection[str]:
        """Give the keys that stand there."""
        return self._values.keys()

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                close = difflib.get_close_matches(key, self._asked, n=1)
                hint = f"write {close[0]}" if close else "remove it"
                raise self.fault(
                    key, f"is not known; {hint} (known are {', '.join(self._asked)})"
                )


def _show(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _text(table: _Table, key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise table.fault(key, "must be a text that is not empty; put it in quotes")
    if "\0" in value:
        raise table.fault(key, "has a NUL byte, which the system refuses; remove it")
    return value


def _texts(table: _Table, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise table.fault(key, 'must be a list of texts; write ["a", "b"]')
    return tuple(_text(table, key, item) for item in cast("list[object]", value))


def _number(
    low: float, high: float, unit: str
) -> Callable[[_Table, str, object], float]:
    def read(table: _Table, key: str, value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Written so that nan is refused.
        if not is_number or not low <= cast("float", value) <= high:
            raise table.fault(
                key,
                f"must be a number{unit} from {low:g} to {high:g}; "
                "write it without quotes",
            )
        return float(cast("float", value))

    return read


_seconds = _number(0, DAY, " of seconds")
# A deadline of nothing could never be kept.
_deadline = _number(0.001, DAY, " of seconds")


def _integer(low: int, high: int) -> Callable[[_Table, str, object], int]:
    def read(table: _Table, key: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise table.fault(
                key, f"must be a whole number from {low} to {high}, without quotes"
            )
        if not low <= value <= high:
            raise table.fault(key, f"must be from {low} to {high}; choose one of these")
        return value

    return read


def _one_of(choices: tuple[T, ...]) -> Callable[[_Table, str, object], T]:
    def read(table: _Table, key: str, value: object) -> T:
        for choice in choices:
            if choice == value:
                return choice
        known = ", ".join(f'"{choice}"' for choice in choices)
        raise table.fault(key, f"must be one of {known}; choose one of these")

    return read


_Reader: TypeAlias = Callable[[_Table, str, object], T]
_exit_policy: _Reader[ExitPolicy] = _one_of(EXIT_POLICIES)
_restart_policy: _Reader[RestartPolicy] = _one_of(RESTART_POLICIES)


def _command(table: _Table, key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return shell(_text(table, key, value))
    if not isinstance(value, list) or not value:
        raise table.fault(
            key,
            "must be a line for the shell, or the list of a program and its "
            'arguments; write command = ["program", "argument"]',
        )
    program, *arguments = cast("list[object]", value)
    # An argument may be empty, the program may not.
    texts = ["" if item == "" else _text(table, key, item) for item in arguments]
    return (_text(table, key, program), *texts)


def _environment(table: _Table) -> tuple[tuple[str, str], ...]:
    env = table.table("env")
    if env is None:
        return ()
    found: list[tuple[str, str]] = []
    for name in env.names():
        value = env.take(name, _env_value, "")
        if not name or "=" in name or "\0" in name:
            raise env.fault(
                name, "a variable's name is not empty and has no = in it; rename it"
            )
        found.append((name, value))
    return tuple(found)


def _env_value(table: _Table, key: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise table.fault(
            key,
            "must be a text without NUL bytes, as all of the environment is; "
            f'write {key} = "..." in quotes',
        )
    return value


def _pattern(table: _Table, key: str, value: object) -> str:
    pattern = _text(table, key, value)
    try:
        re.compile(pattern)
    except re.error as error:
        raise table.fault(
            key, f"is no regular expression: {error}; quote special characters with \\"
        ) from None
    return pattern


def _signal(table: _Table, key: str, value: object) -> signal.Signals:
    name = value.removeprefix("SIG") if isinstance(value, str) else value
    if name not in _STOP_SIGNALS:
        known = ", ".join(f'"{name}"' for name in _STOP_SIGNALS)
        raise table.fault(key, f"must be one of {known}; choose one of these")
    return signal.Signals[f"SIG{name}"]


def _yes(table: _Table, key: str, value: object) -> bool:
    if value is not True:
        raise table.fault(key, "can only be true; leave `ready` out otherwise")
    return True


def _back_off(table: _Table) -> BackOff:
    inner = table.table("back_off")
    usual = BackOff()
    if inner is None:
        return usual
    back_off = BackOff(
        first=inner.take("first", _seconds, usual.first),
        factor=inner.take("factor", _number(1, _MAX_FACTOR, ""), usual.factor),
        max=inner.take("max", _seconds, usual.max),
    )
    inner.finish()
    if back_off.first > back_off.max:
        raise inner.fault(
            "first",
            f"is {back_off.first:g}, above max, which is {back_off.max:g}; "
            "lower first or raise max",
        )
    return back_off


def _ready(table: _Table) -> Ready | None:
    inner = table.table("ready")
    if inner is None:
        return None
    kinds = [kind for kind in ("port", "line", "command", "exit") if inner.has(kind)]
    if len(kinds) != 1:
        raise table.fault(
            "ready",
            "must have exactly one of port, line, command and exit; "
            "write for example { port = 8000 }",
        )
    (kind,) = kinds
    ready: Ready
    if kind == "port":
        port = inner.take("port", _integer(1, _MAX_PORT), 0)
        ready = PortReady(port, inner.take("host", _text, "127.0.0.1"))
    elif kind == "line":
        ready = LineReady(inner.take("line", _pattern, ""))
    elif kind == "command":
        ready = CommandReady(inner.take("command", _command, ()))
    else:
        inner.take("exit", _yes, or_=True)
        ready = ExitReady()
    inner.finish()
    return ready


def _process(
    table: _Table, name: str, folder: Path, restart: RestartPolicy
) -> Settings:
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"{table.source}: {table.path}: a process's name has letters, digits, "
            "_ and - only; rename it"
        )
    if not table.has("command"):
        raise table.fault(
            "command", 'is missing; write command = ["program", "argument"]'
        )
    usual = Settings(name, (), folder)
    settings = Settings(
        name=name,
        command=table.take("command", _command, ()),
        cwd=folder / table.take("cwd", _text, ""),
        env=_environment(table),
        restart=table.take("restart", _restart_policy, restart),
        back_off=_back_off(table),
        stable_after=table.take("stable_after", _seconds, usual.stable_after),
        max_restarts=table.take("max_restarts", _integer(0, _MAX_RESTARTS), None),
        depends_on=table.take("depends_on", _texts, ()),
        ready=_ready(table),
        ready_timeout=table.take("ready_timeout", _deadline, usual.ready_timeout),
        stop_signal=table.take("stop_signal", _signal, usual.stop_signal),
        stop_grace=table.take("stop_grace", _seconds, usual.stop_grace),
    )
    table.finish()
    if isinstance(settings.ready, ExitReady) and settings.restart == "always":
        raise table.fault(
            "restart", 'is "always", and `ready` waits for the end; write "on-failure"'
        )
    if len(set(settings.depends_on)) < len(settings.depends_on):
        raise table.fault("depends_on", "names a process twice; name each once")
    return settings


def parse_toml(
    text: str, source: str, folder: Path, restart: RestartPolicy = "on-failure"
) -> ProcessFile:
    """Read the text of a TOML file.

    Args:
        text: What stands in it.
        source: What the file is called in errors.
        folder: What `cwd` is relative to, and what it is if nothing is said.
        restart: The policy of the processes that have none.

    Returns:
        What it says.

    Raises:
        ValueError: It is no TOML, or a key or value of it is wrong.
    """
    try:
        values: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: is no TOML: {error}; mend it there") from None
    top = _Table(values, source, "")
    policy: ExitPolicy = top.take("exit", _exit_policy, EXIT_POLICIES[0])
    table = top.table("process")
    top.finish()
    processes: list[Settings] = []
    if table is not None:
        for name in table.names():
            inner = table.table(name)
            if inner is not None:
                processes.append(_process(inner, name, folder, restart))
    if not processes:
        raise ValueError(f"{source}: has no process; write a table [process.name]")
    return ProcessFile(tuple(processes), policy)
