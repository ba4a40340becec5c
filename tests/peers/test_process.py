"""What users of other libraries suffer from in children and shutdowns, row by row.

Each test first does it the usual way and sees the fault, where that is cheap, then does
it with sumida.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from sumida import timeout
from sumida.errors import Elapsed
from sumida.process import Command, ExitStatus
from tests.process.support import is_dead, living_members, zombies
from tests.support import Run

PATIENCE = 60
"""Seconds after which a program that should have ended is a failure."""


def ended(source: str, *numbers: signal.Signals) -> tuple[int, str]:
    """Start a program, send signals when it says so, and see how it ends."""
    with subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        for number in numbers:
            program.stdout.readline()
            program.send_signal(number)
        said, _ = program.communicate(timeout=PATIENCE)
    return program.returncode, said


def test_row_03_a_graceful_shutdown_ends() -> None:
    """A step that never ends costs its own deadline, and the next has its time."""
    source = """
import asyncio, sumida
async def main():
    token = sumida.shutdown_token()
    async def wait_closed():
        await asyncio.Event().wait()
    sumida.shutdown_phase("drain", wait_closed, deadline=0.1)
    sumida.shutdown_phase("flush", lambda: print("flushed", flush=True), deadline=1)
    print("ready", flush=True)
    await token.cancelled()
sumida.run(main)
"""
    assert ended(source, signal.SIGTERM) == (0, "flushed\n")


def test_row_06_a_signal_never_reaches_the_wrong_process(run: Run) -> None:
    """Others send to a number; we to the process itself, or to nobody."""

    async def main() -> bool:
        child = await Command("sleep", "1000").spawn()
        # Reaped behind our back: the number may be another's at once.
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)  # noqa: ASYNC222  # it is dead
        was_there = child.signal(signal.SIGTERM)
        assert await child.wait() == ExitStatus(None)
        return was_there

    assert run(main) is False


def test_row_06_a_cancel_leaves_no_child_behind(run: Run) -> None:
    """That of `communicate` does, and what the child has started stays too."""

    async def usual() -> int:
        child = await asyncio.create_subprocess_exec("sleep", "1000")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await child.communicate()
        alive = child.pid
        child.kill()
        await child.wait()
        return alive

    async def ours() -> list[int]:
        command = Command("sh", "-c", "sleep 1000 | sleep 1000")
        pids: list[int] = []
        with pytest.raises(Elapsed):
            async with timeout(0.05), command.spawn() as child:
                while len(pids) < 3:
                    pids = living_members(child.pid, None)
                    await asyncio.sleep(0.001)
                await child.wait()
        return pids

    assert run(usual)
    assert all(map(is_dead, run(ours)))
    assert zombies() == []


def test_row_06_kill_reaches_the_grandchildren(run: Run) -> None:
    """A shell's pipeline is more than the shell."""

    async def main() -> list[int]:
        command = Command("sleep 1000 | sleep 1000 & echo; wait").shell()
        async with command.stdout("pipe").spawn() as child:
            assert child.stdout is not None
            await child.stdout.read_line()
            pids = living_members(child.pid, None)
            child.kill()
        return pids

    pids = run(main)
    assert len(pids) == 3
    assert all(map(is_dead, pids))


def test_row_06_wait_is_independent_of_the_pipes(run: Run) -> None:
    """That of asyncio waits for whoever inherited stdout."""

    async def main() -> tuple[ExitStatus, bool]:
        command = Command("sh", "-c", "sleep 1000 & exit 3").stdout("pipe")
        async with command.spawn() as child:
            status = await child.wait()
            return status, child.is_gone

    assert run(main) == (ExitStatus(3), False)


def test_row_11_sigterm_and_ctrl_c_are_one_policy() -> None:
    """By asyncio SIGTERM ends the program where it stands; here it is asked first."""
    usual = """
import asyncio
async def main():
    try:
        print("ready", flush=True)
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
asyncio.run(main())
"""
    ours = usual.replace("import asyncio", "import asyncio, sumida").replace(
        "asyncio.run(main())", "sumida.run(main)"
    )

    assert ended(usual, signal.SIGTERM) == (-signal.SIGTERM, "")
    assert ended(ours, signal.SIGTERM) == (128 + signal.SIGTERM, "cleaned up\n")
    assert ended(ours, signal.SIGINT) == (128 + signal.SIGINT, "cleaned up\n")


def test_row_12_a_blocked_thread_keeps_nobody() -> None:
    """Neither one of ours, nor one of asyncio's executor."""
    source = """
import asyncio, sumida, time
async def main():
    token = sumida.shutdown_token()
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 1000)
    task = asyncio.create_task(sumida.spawn_blocking(time.sleep, 1000))
    print("ready", flush=True)
    await token.cancelled()
sumida.run(main, grace=0.1, force_after=0.1)
"""
    start = time.monotonic()
    status, _ = ended(source, signal.SIGTERM)

    assert status == 128 + signal.SIGTERM
    assert time.monotonic() - start < PATIENCE


def test_row_25_descriptors_that_are_shared_stay_as_they_were(run: Run) -> None:
    """A child's streams block, and so does our terminal after it has used it."""
    source = "import os; print([os.get_blocking(fd) for fd in range(3)])"

    async def main() -> bytes:
        command = Command(sys.executable, "-S", "-c", source)
        output = await command.output(b"")
        inherited = await command.stdin("inherit").stderr("inherit").output()
        assert output.stdout == inherited.stdout
        return output.check()

    before = [os.get_blocking(fd) for fd in range(3)]
    assert run(main) == b"[True, True, True]\n"
    assert [os.get_blocking(fd) for fd in range(3)] == before
