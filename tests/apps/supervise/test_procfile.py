"""Procfiles, good and bad."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.apps.supervise.procfile import load, parse_procfile

HERE = Path("/srv/app")


def names(text: str) -> list[str]:
    """Give the names of the processes of a Procfile."""
    return [process.name for process in parse_procfile(text, "P", HERE).processes]


def test_a_procfile_names_lines_for_the_shell() -> None:
    """Comments and empty lines are passed over, the order is kept."""
    file = parse_procfile(
        "# all of it\n\nweb:  python -m http.server $PORT\n"
        "  work-er_2 :echo a:b # not a comment\r\n",
        "Procfile",
        HERE,
        "always",
    )

    web, worker = file.processes
    assert web.name == "web"
    assert web.command == ("/bin/sh", "-c", "python -m http.server $PORT")
    assert web.cwd == HERE
    assert web.restart == "always"
    assert worker.name == "work-er_2"
    assert worker.command[-1] == "echo a:b # not a comment"
    assert file.exit == "first-failure"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("web: a\nnonsense\n", 2, "'nonsense' is not `name: command`"),
        ("\n\nmy web: a\n", 3, "letters, digits, _ and - only"),
        ("wéb: a\n", 1, "letters, digits"),
        ("web:\n", 1, "'web' has no command"),
        ("web: a\n# x\nweb: b\n", 3, "stands on line 1 already"),
        ("web: a\0b\n", 1, "NUL byte"),
        ("x" * 500, 1, "x..."),
    ],
)
def test_a_bad_line_is_refused_with_its_number(text: str, line: int, said: str) -> None:
    """And with what to write instead."""
    with pytest.raises(ValueError, match=rf"^Procfile:{line}: ") as told:
        parse_procfile(text, "Procfile", HERE)

    assert said in str(told.value)
    assert len(str(told.value)) < 200


def test_a_file_without_processes_is_refused() -> None:
    """There would be nothing to do, for ever."""
    with pytest.raises(ValueError, match=r"^P: has no process; write lines"):
        names("# nothing\n\n")


@given(st.text())
def test_any_text_gives_processes_or_an_error(text: str) -> None:
    """Whatever stands there, it is understood or refused."""
    try:
        found = names(text)
    except ValueError as error:
        assert str(error).startswith("P:")  # noqa: PT017  # either is right
    else:
        assert found


def test_the_ending_tells_the_form(tmp_path: Path) -> None:
    """TOML is what is called so; anything else is a Procfile."""
    toml = tmp_path / "all.toml"
    toml.write_text('[process.web]\ncommand = "serve"\n')
    procfile = tmp_path / "Procfile.dev"
    # With the mark that some editors set before the text.
    procfile.write_bytes(b"\xef\xbb\xbfweb: serve\n")

    assert load(toml) == load(procfile)
    assert load(toml, "never").processes[0].restart == "never"
    assert load(toml).processes[0].cwd == tmp_path


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """No file, no text, and dependencies that cannot be."""
    with pytest.raises(ValueError, match="absent: cannot be read, No such file"):
        load(tmp_path / "absent")
    broken = tmp_path / "broken"
    broken.write_bytes(b"web: a\nx: \xff\n")
    with pytest.raises(ValueError, match=r"broken:2: byte 0xff is no UTF-8"):
        load(broken)
    circle = tmp_path / "circle.toml"
    circle.write_text('[process.a]\ncommand = "a"\ndepends_on = ["b"]\n')
    with pytest.raises(ValueError, match=r"circle.toml: 'a' depends on 'b', which"):
        load(circle)
