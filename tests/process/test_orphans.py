"""What children leave behind comes to us, where we ask for it."""

import os
import signal
from pathlib import Path

import pytest

from sumida import sleep
from sumida.process import Command, _handle, adopt_orphans
from tests.process.support import living_members, zombies
from tests.support import Run


def parent_of(pid: int) -> int:
    """Ask the kernel."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return int(stat.rpartition(b")")[2].split()[1])


def test_orphans_become_ours_and_are_reaped(run: Run) -> None:
    """Also while the child's block is open."""

    async def main() -> tuple[int, int]:
        command = Command("sh", "-c", "(sleep 1000; true) & echo $!; exit 3")
        with adopt_orphans(), adopt_orphans():
            async with command.stdout("pipe").spawn() as child:
                assert child.stdout is not None
                orphan = int(await child.stdout.read_line())
                await child.wait()
                parent = parent_of(orphan)
                child.terminate()
                while orphan in zombies() or not child.is_gone:
                    await sleep(0.001)
        return parent, os.getpid()

    parent, we = run(main)
    assert parent == we
    assert zombies() == []


def test_one_that_dies_as_it_is_looked_for_is_reaped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was no zombie when those were reaped, and does not live when that is seen."""
    orphan = 0

    def look(group: int, before: int | None) -> list[int]:
        os.kill(orphan, signal.SIGKILL)
        os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
        return living_members(group, before)

    async def main() -> bool:
        nonlocal orphan
        command = Command("sh", "-c", "sleep 1000 & echo $!; exit 3").stdout("pipe")
        with adopt_orphans():
            async with command.spawn() as child:
                assert child.stdout is not None
                orphan = int(await child.stdout.read_line())
                await child.wait()
                with monkeypatch.context() as patched:
                    patched.setattr(_handle, "living_members", look)
                    return child.is_gone

    assert run(main)
    assert zombies() == []


def test_without_it_they_are_given_to_another(run: Run) -> None:
    """And after the block it is as before."""

    async def main() -> int:
        with adopt_orphans():
            pass
        command = Command("sh", "-c", "sleep 1000 & echo $!; exit 3").stdout("pipe")
        async with command.spawn() as child:
            assert child.stdout is not None
            orphan = int(await child.stdout.read_line())
            await child.wait()
            return parent_of(orphan)

    assert run(main) != os.getpid()
