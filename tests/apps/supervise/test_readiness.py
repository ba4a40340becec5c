"""Each way to be ready, without a supervisor around it."""

import socket

import pytest

from sumida import Elapsed, JoinSet, timeout
from sumida.apps.supervise.readiness import Readiness
from sumida.apps.supervise.settings import (
    CommandReady,
    ExitReady,
    LineReady,
    PortReady,
    Ready,
    Settings,
)
from sumida.testing import turns
from tests.apps.supervise.stage import HERE, alive
from tests.support import Run


def readiness(ready: Ready | None, mark: str = "") -> Readiness:
    """Make that of a process."""
    return Readiness(Settings("x", (), HERE, env=(("MARK", mark),), ready=ready))


def test_who_has_no_check_is_ready_at_once(run: Run) -> None:
    """By being started."""

    async def main() -> bool:
        await readiness(None).wait()
        return True

    assert run(main)


def test_a_line_is_found_wherever_it_stands_and_once(run: Run) -> None:
    """Also if it came before anybody waited."""

    async def main() -> list[bool]:
        found = []
        subject = readiness(LineReady("up|running"))
        async with JoinSet[None]() as tasks:
            task = tasks.spawn(subject.wait())
            for line in ("not yet", "it is running now", "up"):
                await turns()
                found.append(task.done())
                subject.feed(line)
        await subject.wait()
        return found

    assert run(main) == [False, False, True]


def test_a_port_is_ready_when_somebody_listens(run: Run) -> None:
    """Here there is somebody from the start."""

    async def main() -> bool:
        with socket.create_server(("127.0.0.1", 0)) as server:
            await readiness(PortReady(server.getsockname()[1])).wait()
        return True

    assert run(main)


@pytest.mark.parametrize(
    "command", [("false",), ("sleep", "1000"), ("/no/such/program",)]
)
def test_what_is_not_ready_is_waited_for_until_the_deadline(
    run: Run, command: tuple[str, ...]
) -> None:
    """And what was started to ask is gone then."""
    mark = f"readiness of {command}"

    async def main() -> bool:
        try:
            async with timeout(0.15):
                await readiness(CommandReady(command), mark).wait()
        except Elapsed:
            return True
        return False

    assert run(main)
    assert alive(mark) == []


def test_the_end_of_a_process_is_seen_by_others(run: Run) -> None:
    """Whoever waits for it waits for ever here."""

    async def main() -> bool:
        with pytest.raises(Elapsed):
            async with timeout(0.01):
                await readiness(ExitReady()).wait()
        return True

    assert run(main)
