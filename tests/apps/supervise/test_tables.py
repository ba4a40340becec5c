"""The TOML form: every key, and every way to get it wrong."""

import signal
from pathlib import Path

import pytest

from sumida.apps.supervise.settings import (
    BackOff,
    CommandReady,
    ExitReady,
    LineReady,
    PortReady,
    ProcessFile,
    Settings,
)
from sumida.apps.supervise.tables import parse_toml

HERE = Path("/srv/app")

EVERYTHING = """
exit = "all"

[process.db]
command = "exec postgres -D data"

[process.web]
command = ["python", "-m", "web", ""]
cwd = "site"
env = { PORT = "8000", EMPTY = "" }
restart = "always"
back_off = { first = 0.1, factor = 3, max = 5 }
stable_after = 20
max_restarts = 7
depends_on = ["db"]
ready = { port = 8000, host = "::1" }
ready_timeout = 3.5
stop_signal = "SIGINT"
stop_grace = 0
"""


def parse(text: str) -> ProcessFile:
    """Read the text of a file called `F`."""
    return parse_toml(text, "F", HERE)


def one(lines: str) -> Settings:
    """Read a file with one process, which has these lines."""
    return parse(f'[process.web]\ncommand = "a"\n{lines}\n').processes[0]


def test_every_key_is_read() -> None:
    """And none is lost."""
    db, web = parse(EVERYTHING).processes

    assert parse(EVERYTHING).exit == "all"
    assert db == Settings("db", ("/bin/sh", "-c", "exec postgres -D data"), HERE)
    assert web == Settings(
        name="web",
        command=("python", "-m", "web", ""),
        cwd=HERE / "site",
        env=(("PORT", "8000"), ("EMPTY", "")),
        restart="always",
        back_off=BackOff(0.1, 3.0, 5.0),
        stable_after=20.0,
        max_restarts=7,
        depends_on=("db",),
        ready=PortReady(8000, "::1"),
        ready_timeout=3.5,
        stop_signal=signal.SIGINT,
        stop_grace=0.0,
    )


def test_the_kinds_of_readiness_are_read() -> None:
    """Each has a key of its own."""
    assert one("ready = { port = 1 }").ready == PortReady(1)
    assert one("ready = { line = 'up \\d' }").ready == LineReady("up \\d")
    assert one('ready = { command = ["a", "b"] }').ready == CommandReady(("a", "b"))
    assert one("ready = { exit = true }").ready == ExitReady()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stop_grac = 1", "stop_grac = 1: is not known; write stop_grace (known are"),
        ("zzz = 1", "zzz = 1: is not known; remove it"),
        ("cwd = 3", "cwd = 3: must be a text"),
        ('cwd = "\\u0000"', "NUL byte"),
        ('env = "A=b"', "env = 'A=b': must be a table"),
        ("env = { A = 1 }", "process.web.env.A = 1: must be a text"),
        ('env = { "A=B" = "1" }', "has no = in it"),
        ('restart = "sometimes"', 'must be one of "never", "on-failure", "always"'),
        ("restart = 1", "restart = 1: must be one of"),
        ("back_off = 3", "back_off = 3: must be a table"),
        ("back_off = { first = -1 }", "back_off.first = -1: must be a number of secon"),
        ("back_off = { factor = 0.5 }", "factor = 0.5: must be a number from 1 to 100"),
        ("back_off = { max = nan }", "max = nan: must be a number"),
        ("back_off = { max = inf }", "max = inf: must be a number"),
        ("back_off = { first = 9, max = 1 }", "above max, which is 1"),
        ("back_off = { last = 1 }", "last = 1: is not known"),
        ("stable_after = true", "stable_after = True: must be a number of seconds"),
        ('stable_after = "1"', "without quotes"),
        ("max_restarts = 1.5", "must be a whole number"),
        ("max_restarts = -1", "must be from 0 to 1000000"),
        ('depends_on = "db"', "depends_on = 'db': must be a list of texts"),
        ("depends_on = [1]", "depends_on = [1]: must be a text"),
        ('depends_on = ["web", "web"]', "names a process twice"),
        ("ready = true", "ready = True: must be a table"),
        ("ready = {}", "exactly one of port, line, command and exit"),
        ("ready = { port = 1, line = 'x' }", "exactly one of port, line"),
        ("ready = { port = 0 }", "port = 0: must be from 1 to 65535"),
        ("ready = { port = 70000 }", "port = 70000: must be from 1 to 65535"),
        ('ready = { port = "80" }', "must be a whole number"),
        ("ready = { line = '(' }", "is no regular expression"),
        ("ready = { line = 'x', host = 'y' }", "host = 'y': is not known"),
        ("ready = { command = [] }", "must be a line for the shell, or the list"),
        ("ready = { exit = false }", "exit = False: can only be true"),
        (
            "ready_timeout = 0",
            "ready_timeout = 0: must be a number of seconds from 0.0",
        ),
        ("ready_timeout = 1e9", "from 0.001 to 86400"),
        ('stop_signal = "STOP"', 'must be one of "TERM", '),
        ("stop_signal = 15", "stop_signal = 15: must be one of"),
        ("stop_grace = -0.1", "stop_grace = -0.1: must be a number of seconds from 0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(line: str, said: str) -> None:
    """The error has the file, the key, the value, the limit and the way out."""
    with pytest.raises(ValueError, match=r"^F: process\.web\.") as told:
        one(line)

    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "F: has no process; write a table [process.name]"),
        ("[process]", "has no process"),
        ("process = 3", "F: process = 3: must be a table; write [process]"),
        ("[process]\nweb = 3", "F: process.web = 3: must be a table"),
        ('[process.web]\ncwd = "x"', "F: process.web.command: is missing"),
        ("[process.web]\ncommand = []", "must be a line for the shell"),
        ("[process.web]\ncommand = 3", "command = 3: must be a line for the shell"),
        ('[process.web]\ncommand = ["", "a"]', "must be a text that is not empty"),
        ('[process.web]\ncommand = ["a", 1]', "must be a text that is not empty"),
        ('[process."a b"]\ncommand = "a"', "F: process.a b: a process's name has"),
        ('[proces.web]\ncommand = "a"', "is not known; write process (known are"),
        ('exit = "never"\n[process.web]\ncommand = "a"', 'must be one of "first-fai'),
        ("[process.web", "F: is no TOML: Expected ']'"),
        ("a = 1\na = 2", "F: is no TOML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, said: str) -> None:
    """With the place, and what to write."""
    with pytest.raises(ValueError, match=r"^F: ") as told:
        parse(text)

    assert said in str(told.value)
