"""One process after another: starts, readiness, restarts, ends."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from sumida.apps.supervise.lifecycle import NOT_READY, NOT_STARTED
from sumida.apps.supervise.settings import (
    CommandReady,
    ExitReady,
    LineReady,
    PortReady,
    Ready,
    RestartPolicy,
    Settings,
)
from tests.apps.supervise.stage import HERE, QUICK, Stage, shell_of, zombies
from tests.support import Run

FOREVER = "exec sleep 1000"


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_a_process_runs_and_its_lines_are_heard(run: Run) -> None:
    """Of both outputs, also the last one, which has no end; and its code counts."""

    async def main() -> Stage:
        stage = Stage()
        line = "echo one; echo two >&2; printf '%s' \"$GREETING\"; exit 3"
        async with stage.runs(shell_of("x", line, env=(("GREETING", "hello"),))):
            pass
        return stage

    stage = run(main)

    assert sorted(stage.texts("x")) == ["hello", "one", "two"]
    assert stage.order("started", "exited", "finished") == [
        "started x",
        "exited x",
        "finished x",
    ]
    assert stage.code == 3
    assert stage.left() == []


def test_no_line_is_lost_at_the_end(run: Run) -> None:
    """Many, written just before the process is gone."""

    async def main() -> Stage:
        stage = Stage()
        async with stage.runs(shell_of("x", "seq 20000; printf end")):
            pass
        return stage

    stage = run(main)

    assert stage.texts("x") == [*(str(n) for n in range(1, 20001)), "end"]


@pytest.mark.parametrize(
    ("restart", "code", "starts"),
    [("never", 1, 1), ("on-failure", 0, 1), ("on-failure", 1, 3), ("always", 0, 3)],
)
def test_a_process_is_started_again_by_its_policy(
    run: Run, restart: RestartPolicy, code: int, starts: int
) -> None:
    """As often as it may."""

    async def main() -> Stage:
        stage = Stage()
        async with stage.runs(
            shell_of("x", f"exit {code}", restart=restart, max_restarts=2)
        ):
            pass
        return stage

    stage = run(main)

    assert stage.order("started") == ["started x"] * starts
    assert stage.code == code
    assert zombies(os.getpid()) == []


def test_what_cannot_be_started_is_told(run: Run) -> None:
    """It counts as a failure, and is tried again by the policy."""

    async def main() -> Stage:
        stage = Stage()
        none = Settings("none", ("/no/such/program",), HERE, restart="never")
        nowhere = Settings(
            "nowhere",
            ("true",),
            Path("/no/such/folder"),
            back_off=QUICK,
            max_restarts=1,
        )
        async with stage.runs(none, nowhere):
            pass
        return stage

    stage = run(main)
    failures = [seen for seen in stage.log if seen.kind == "failed"]

    assert stage.code == NOT_STARTED
    assert [seen.process for seen in failures] == ["none", "nowhere", "nowhere"]
    assert "/no/such/program" in failures[0].text
    assert "/no/such/folder" in failures[1].text


@pytest.mark.parametrize(
    ("line", "ready"),
    [
        ("sleep 0.1; echo up and running >&2; " + FOREVER, LineReady("up .* run")),
        (
            "sleep 0.1; : > $MARKER; " + FOREVER,
            CommandReady(("/bin/sh", "-c", "test -e $MARKER")),
        ),
        ("sleep 0.1", ExitReady()),
    ],
    ids=["line", "command", "exit"],
)
def test_those_that_depend_on_a_process_wait_until_it_is_ready(
    run: Run, tmp_path: Path, line: str, ready: Ready
) -> None:
    """Whatever shows that it is."""
    number = 0

    async def main() -> Stage:
        nonlocal number
        number += 1
        stage = Stage()
        env = (("MARKER", str(tmp_path / f"ready-{number}")),)
        async with stage.runs(
            shell_of("app", "echo app", depends_on=("db",)),
            shell_of("db", line, ready=ready, env=env),
        ):
            await stage.until("finished", "app")
            stage.stop.cancel()
        return stage

    stage = run(main)
    log = stage.order("waiting", "started", "ready", "finished")

    assert log[:2] == ["waiting app", "started db"]
    assert log.index("started app") > log.index(
        "finished db" if isinstance(ready, ExitReady) else "ready db"
    )
    assert stage.code == 0
    assert stage.left() == []


def test_a_port_shows_that_a_process_is_ready(run: Run) -> None:
    """Before that it is asked in vain, and no attempt disturbs anybody."""
    serve = (
        "import socket, sys, time; time.sleep(0.2); s = socket.create_server("
        "('127.0.0.1', int(sys.argv[1]))); print('listening', flush=True);"
        "s.accept(); time.sleep(1000)"
    )

    async def main() -> Stage:
        stage = Stage()
        port = free_port()
        command = (sys.executable, "-c", serve, str(port))
        db = Settings("db", command, HERE, ready=PortReady(port))
        async with stage.runs(shell_of("app", "true", depends_on=("db",)), db):
            await stage.until("finished", "app")
            stage.stop.cancel()
        return stage

    stage = run(main)

    assert stage.order("ready", "started") == [
        "started db",
        "ready db",
        "started app",
        "ready app",
    ]


def test_a_process_that_is_not_ready_in_time_has_failed(run: Run) -> None:
    """It is stopped, and started again by its policy; also what it was asked by."""

    async def main() -> Stage:
        stage = Stage()
        async with stage.runs(
            shell_of(
                "line",
                FOREVER,
                ready=LineReady("never"),
                ready_timeout=0.1,
                restart="on-failure",
                max_restarts=1,
            ),
            shell_of(
                "command",
                FOREVER,
                ready=CommandReady(("sleep", "1000")),
                ready_timeout=0.1,
            ),
            shell_of(
                "program",
                FOREVER,
                ready=CommandReady(("/no/such/program",)),
                ready_timeout=0.1,
            ),
            shell_of("port", FOREVER, ready=PortReady(free_port()), ready_timeout=0.1),
        ):
            pass
        return stage

    stage = run(main)

    assert stage.code == NOT_READY
    assert sorted(stage.order("not-ready")) == [
        "not-ready command",
        "not-ready line",
        "not-ready line",
        "not-ready port",
        "not-ready program",
    ]
    assert stage.left() == []


def test_what_a_process_leaves_behind_is_gone_before_it_starts_again(run: Run) -> None:
    """Even what ignores the signal: it would hold the port."""

    async def main() -> tuple[Stage, list[int]]:
        stage = Stage()
        line = (
            "(trap '' TERM; echo up; while :; do sleep 0.1; done) & sleep 0.2; exit 1"
        )
        async with stage.runs(
            shell_of("x", line, restart="on-failure", max_restarts=1, stop_grace=0.1)
        ):
            await stage.until("restarting", "x")
            left = stage.left()
        return stage, left

    stage, left = run(main)

    assert left == []
    assert stage.order("started", "exited", "stopping", "restarting", "stopped") == [
        *("started x", "exited x", "stopping x", "stopped x", "restarting x"),
        *("started x", "exited x", "stopping x", "stopped x"),
    ]


def test_what_has_left_the_group_does_not_hold_up_the_others(run: Run) -> None:
    """It keeps the output open for ever; after a moment nobody reads it any more."""

    async def main() -> Stage:
        stage = Stage()
        line = "echo $$; setsid sleep 20 & sleep 0.1; exit 4"
        async with stage.runs(shell_of("x", line)):
            pass
        return stage

    stage = run(main)

    assert stage.code == 4
    assert len(stage.texts("x")) == 1
    for pid in stage.left():
        # It was made to outlive its group, and does.
        os.kill(pid, signal.SIGKILL)
