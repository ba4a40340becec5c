"""What a command says is what is started."""

import os
import select
import sys
from pathlib import Path

import pytest

from sumida.errors import MisuseError, SpawnError
from sumida.process import Command
from tests.support import Run

PATIENCE = 30
"""Seconds after which a process that should have ended is a failure."""


async def written_by(command: Command) -> str:
    """Give what it writes."""
    return (await command.output()).check().decode()


def test_arguments_are_not_read_by_a_shell(run: Run) -> None:
    """One stays one, whatever is in it."""
    hard = ["a b", "$HOME", "`id`", "'", '"', ";", "", "*"]
    command = Command("printf", "<%s>").args(*hard)

    assert run(written_by, command) == "".join(f"<{text}>" for text in hard)


def test_a_shell_is_there_when_asked_for(run: Run) -> None:
    """Its line comes first, and arguments are its own $1, $2."""
    command = Command('echo "$1-$2" | tr a-z A-Z', "x y", "z").shell()

    assert run(written_by, command) == "X Y-Z\n"


def test_a_command_can_be_kept_and_changed(run: Run) -> None:
    """Each method gives another, and leaves the first as it was."""

    async def main() -> tuple[str, str]:
        echo = Command("echo", "a")
        more = echo.args("b")
        return await written_by(echo), await written_by(more)

    assert run(main) == ("a\n", "a b\n")


def test_the_environment_is_inherited_set_and_taken_away(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By mapping or by name."""
    monkeypatch.setenv("SUMIDA_A", "1")
    monkeypatch.setenv("SUMIDA_B", "2")
    command = Command("env").env({"SUMIDA_B": None}, SUMIDA_C="3")

    lines = [line for line in run(written_by, command).split() if "SUMIDA" in line]
    assert sorted(lines) == ["SUMIDA_A=1", "SUMIDA_C=3"]


def test_the_environment_can_be_empty(run: Run) -> None:
    """But for what is set then."""
    assert run(written_by, Command("/usr/bin/env").clear_env().env(A="1")) == "A=1\n"


def test_it_starts_in_the_directory(run: Run, tmp_path: Path) -> None:
    """Ours stays as it is."""
    before = Path.cwd()
    assert run(written_by, Command("pwd").cwd(tmp_path)) == f"{tmp_path}\n"

    assert Path.cwd() == before


def test_streams_lead_to_files_and_to_one_another(run: Run, tmp_path: Path) -> None:
    """A file, its descriptor, and the place where stdout leads."""
    (tmp_path / "in").write_text("hello")

    async def main() -> None:
        with (tmp_path / "in").open() as source, (tmp_path / "out").open("w") as out:
            command = Command("sh", "-c", "cat; echo err >&2")
            command = command.stdin(source).stdout(out.fileno()).stderr("stdout")
            (await command.status()).check()

    run(main)
    assert (tmp_path / "out").read_text() == "helloerr\n"


def test_stdin_is_nothing_unless_told_otherwise(run: Run) -> None:
    """A child in a group of its own would be stopped by our terminal."""
    assert run(written_by, Command("cat")) == ""


def test_what_one_child_writes_another_reads(run: Run) -> None:
    """Its stream is given away, and is the other's alone."""

    async def main() -> tuple[bytes, bool]:
        first = await Command("echo", "hello").stdout("pipe").spawn()
        assert first.stdout is not None
        second = Command("tr", "a-z", "A-Z").stdin(first.stdout)
        output = await second.output()
        await first.wait()
        return output.check(), first.stdout.is_closed

    assert run(main) == (b"HELLO\n", True)


def test_a_stream_that_was_read_cannot_be_given_away(run: Run) -> None:
    """What was read would be missing."""

    async def main() -> None:
        async with Command("echo", "hello").stdout("pipe").spawn() as first:
            assert first.stdout is not None
            await first.stdout.read(1)
            with pytest.raises(MisuseError, match="cannot be given away"):
                await Command("cat").stdin(first.stdout).spawn()

    run(main)


def test_a_group_is_its_own_a_session_or_ours(run: Run) -> None:
    """By default a Ctrl-C at our terminal does not reach it."""
    code = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid())"
    command = Command(sys.executable, "-S", "-c", code)

    assert run(written_by, command) == "True False\n"
    assert run(written_by, command.group("session")) == "True True\n"
    assert run(written_by, command.group("shared")) == "False False\n"


def test_a_terminal_is_one(run: Run, tmp_path: Path) -> None:
    """It controls the session, has the size, and changes it."""

    async def main() -> list[str]:
        script = "tty -s && stty size && pwd; read x; stty size; echo got $x >/dev/tty"
        command = Command("sh", "-c", script).cwd(tmp_path).pty(100, 30)
        async with command.spawn() as child:
            assert child.stdin is not None
            assert child.stdout is not None
            said = [await child.stdout.read_line(), await child.stdout.read_line()]
            child.resize(50, 20)
            await child.stdin.write_all(b"hello\n")
            said.append(await child.stdout.read_to_end())
            (await child.wait()).check()
        return [line.decode() for line in said]

    size, place, rest = run(main)
    assert (size, place) == ("30 100\r\n", f"{tmp_path}\r\n")
    assert rest == "hello\r\n20 50\r\ngot hello\r\n"


@pytest.mark.parametrize("pty", [False, True])
def test_what_cannot_be_started_is_told(run: Run, tmp_path: Path, pty: bool) -> None:
    """The program, or its directory; also through a wrapper."""

    async def reason(command: Command) -> str:
        with pytest.raises(SpawnError) as caught:
            await (command.pty() if pty else command).spawn()
        assert isinstance(caught.value, OSError)
        return str(caught.value)

    nothing = Command("sumida-no-such")
    assert run(reason, nothing) == (
        "cannot start 'sumida-no-such': No such file or directory"
    )
    assert "No such file" in run(reason, nothing.cwd(tmp_path))
    assert "No such file" in run(reason, nothing.die_with_parent())
    assert "its directory" in run(reason, Command("true").cwd("/sumida-no-such"))
    (tmp_path / "text").write_text("no program")
    assert "Permission denied" in run(reason, Command(tmp_path / "text"))


def test_bad_arguments_are_refused() -> None:
    """At the call."""
    command = Command("true")
    with pytest.raises(TypeError, match="str or a path"):
        Command("true", b"x")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="own, session or shared"):
        command.group("mine")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="0 x 24"):
        command.pty(columns=0)
    with pytest.raises(ValueError, match="-1"):
        command.grace(-1)


def test_bad_streams_are_refused_at_the_start(run: Run) -> None:
    """A word that is none."""

    async def main() -> None:
        with pytest.raises(ValueError, match="'pip'"):
            await Command("true").stdout("pip").spawn()  # type: ignore[arg-type]  # the mistake

    run(main)


def test_output_takes_bytes_and_a_limit(run: Run) -> None:
    """Nothing else, and not less than nothing."""

    async def main() -> None:
        with pytest.raises(TypeError, match="not str"):
            await Command("cat").output("x")  # type: ignore[arg-type]  # the mistake
        with pytest.raises(ValueError, match="-1"):
            await Command("cat").output(limit=-1)

    run(main)


def test_our_own_death_takes_a_child_along(run: Run) -> None:
    """By SIGKILL, which lets nobody clean up."""
    source = (
        "import asyncio, os, signal\n"
        "from sumida.process import Command\n"
        "async def main():\n"
        "    child = await Command('sh', '-c', 'echo; exec sleep 1000')"
        ".stdout('pipe').die_with_parent().spawn()\n"
        "    await child.stdout.read_line()\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    async def main() -> int:
        output = await Command(sys.executable, "-c", source).output()
        return int(output.stdout)

    assert has_ended(run(main))


def has_ended(pid: int) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([fd], [], [], PATIENCE)
    os.close(fd)
    return bool(readable)


def test_the_wrapper_of_that_is_not_to_be_seen(run: Run) -> None:
    """No variable, no ignored signal, the same exit code."""
    command = Command("env").clear_env().die_with_parent()
    ignored = Command("grep", "SigIgn", "/proc/self/status")

    assert run(written_by, command) == ""
    assert run(written_by, ignored.die_with_parent()) == run(written_by, ignored)
    assert run(Command("sh", "-c", "exit 3").die_with_parent().status).code == 3
