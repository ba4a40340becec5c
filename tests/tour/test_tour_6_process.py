"""The tour, section 6, as it stands: signals, shutdown, children."""

import gzip
import os
import signal
import subprocess
import sys

import pytest

import sumida
from sumida import process
from sumida.process import ExitStatus


@pytest.mark.parametrize("uvloop", [None, False, True])
def test_section_6_runs(uvloop: bool | None) -> None:
    """Every line of it."""
    data = b"hello\n" * 1000
    seen: list[object] = []

    async def main() -> None:
        token = sumida.shutdown_token()
        hangup = process.signal(signal.SIGHUP)
        child = await process.Command("sort", "-n").stdin("pipe").stdout("pipe").spawn()
        output = await process.Command("gzip", "-c").output(data)
        status = await child.wait()
        seen.extend([token.is_cancelled, status, gzip.decompress(output.stdout)])

        os.kill(os.getpid(), signal.SIGHUP)
        async for number in hangup:
            seen.append(number)
            break

    if uvloop is None:
        sumida.run(main, grace=10, force_after=5)
    else:
        sumida.run(main, grace=10, force_after=5, uvloop=uvloop)

    assert seen == [False, ExitStatus(0), data, signal.SIGHUP]


PROGRAM = """
import asyncio, sumida
async def main():
    token = sumida.shutdown_token()
    print("ready", flush=True)
    await token.cancelled()
    print("asked", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
sumida.run(main, grace=0.1, force_after=0.1, uvloop={uvloop})
"""


@pytest.mark.parametrize("uvloop", [False, True])
def test_section_6_ends(uvloop: bool) -> None:
    """First the token, then the cancel, then the end by force, with the stacks."""
    with subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-c", PROGRAM.format(uvloop=uvloop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.terminate()
        said, stacks = program.communicate(timeout=60)

    assert program.returncode == 128 + signal.SIGTERM
    assert said == "asked\ncancelled\n"
    assert "Task-1 waits for" in stacks
    assert "thread MainThread:" in stacks
